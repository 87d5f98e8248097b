//! An Auth0 that answers as a test tells it to: for answers that the twin's world cannot be brought to give. What it was
//! asked is held to Auth0's own description.

use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use lockstep::auth0::{Client, Keeper, Reader, Settings, Writer};
use lockstep::event::Lane;
use lockstep::outbound::Deps;
use lockstep::telemetry::Metrics;
use serde_json::{Value, json};

use super::Hands;
use crate::contract::description;

/// The most that a request of ours has in its body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// One request, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub method: String,
    /// With the query.
    pub path: String,
    pub body: Value,
    pub authorization: String,
}

impl Said {
    /// `METHOD path`, and the body where there is one.
    pub fn line(&self) -> String {
        let body = if self.body.is_null() { String::new() } else { format!(" {}", self.body) };
        format!("{} {}{body}", self.method, self.path)
    }
}

/// Status, headers and body of an answer.
pub type Told = (u16, Vec<(&'static str, String)>, Value);

pub fn told(status: u16, body: Value) -> Told {
    (status, Vec::new(), body)
}

/// Auth0's own way of refusing.
pub fn refusal(status: u16, message: &str, code: Option<&str>) -> Told {
    let mut body = json!({ "statusCode": status, "error": "x", "message": message });
    body.as_object_mut().unwrap().extend(code.map(|code| ("errorCode".to_owned(), json!(code))));
    told(status, body)
}

pub struct Script {
    pub client: Client,
    pub clock: Arc<Hands>,
    said: Arc<Mutex<Vec<Said>>>,
}

/// Starts to answer by `answers`; the token endpoint needs no telling.
pub async fn script(answers: impl Fn(&Said) -> Told + Clone + Send + Sync + 'static) -> Script {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let service = move |request: Request| {
        let (answers, heard) = (answers.clone(), Arc::clone(&heard));
        async move {
            let one = read(request).await;
            if one.path == "/oauth/token" {
                let token = json!({ "access_token": "management", "expires_in": 86_400 });
                return answer(told(200, token));
            }
            heard.lock().unwrap().push(one.clone());
            answer(answers(&one))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let clock = Arc::new(Hands(Mutex::new("2026-03-02T08:00:00Z".parse().unwrap())));
    let deps = Deps { clock: clock.clone(), metrics: Metrics::new() };
    Script { client: Client::new(&settings(&url), &deps).unwrap(), clock, said }
}

fn settings(url: &str) -> Settings {
    Settings {
        domain: "contoso.eu.auth0.com".into(),
        client_id: "client".into(),
        client_secret: "secret".into(),
        url: url.parse().unwrap(),
        connection: Some("contoso-entra".into()),
        scim_token: Some("tok_scim".into()),
        requests_per_second: 1000.0,
        burst: 1000,
    }
}

async fn read(request: Request) -> Said {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    Said {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        authorization: header("authorization").unwrap_or_default(),
    }
}

fn answer((status, headers, body): Told) -> Response {
    let mut response = match body.is_null() {
        true => axum::http::StatusCode::from_u16(status).unwrap().into_response(),
        false => (axum::http::StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response(),
    };
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

impl Script {
    pub fn reader(&self) -> Reader {
        self.client.reader(Lane::Sync)
    }

    pub fn keeper(&self) -> Keeper {
        self.client.keeper(Lane::Sync)
    }

    pub fn writer(&self) -> Writer {
        self.client.writer(Lane::Contain)
    }

    /// What was asked so far, the oldest first; held to the description where there is one.
    pub fn said(&self) -> Vec<Said> {
        let said = self.said.lock().unwrap().clone();
        let Some((_, auth0)) = description::vendors() else { return said };
        for one in &said {
            let Some(path) = one.path.strip_prefix("/api/v2") else { continue };
            let body = if one.body.is_null() { Vec::new() } else { one.body.to_string().into_bytes() };
            let misfits = auth0.misfits(&one.method, path, &body);
            assert!(misfits.is_empty(), "{}: {misfits:?}", one.line());
        }
        said
    }

    pub fn lines(&self) -> Vec<String> {
        self.said().iter().map(Said::line).collect()
    }

    /// How many requests had this beginning.
    pub fn count(&self, beginning: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(beginning)).count()
    }
}
