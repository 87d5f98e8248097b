//! A webhook for the tests: answers handshakes, keeps what comes, answers as it is told.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// How it behaves in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Echo,
    /// The token as it came, still encoded.
    Encoded,
    Status(u16),
    Html,
    /// No answer at all.
    Silent,
}

#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub fn is_handshake(&self) -> bool {
        self.target.contains("validationToken=")
    }
}

struct Shared {
    manner: Mutex<Manner>,
    /// Statuses of the next notifications; 0 says nothing at all. Then 202.
    statuses: Mutex<VecDeque<u16>>,
    received: Mutex<Vec<Received>>,
}

pub struct Receiver {
    pub base: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub async fn open() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Echo),
            statuses: Mutex::default(),
            received: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Receiver { base, shared, serving }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("no panic") = manner;
    }

    /// Answers the next notifications with these.
    pub fn answer(&self, statuses: &[u16]) {
        self.shared.statuses.lock().expect("no panic").extend(statuses);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no panic").clone()
    }

    /// Every POST that was no handshake.
    pub fn posts(&self) -> Vec<Received> {
        self.received().into_iter().filter(|one| !one.is_handshake()).collect()
    }

    /// Every notification that came, in order.
    pub fn items(&self) -> Vec<Value> {
        let posts = self.posts().into_iter();
        posts.flat_map(|post| post.json()["value"].as_array().cloned().expect("an envelope")).collect()
    }

    /// The resources of [`Receiver::items`].
    pub fn resources(&self) -> Vec<String> {
        self.items().iter().map(|item| item["resource"].as_str().expect("a resource").to_owned()).collect()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| respond(shared.clone(), request));
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let headers = parts.headers.iter();
    let received = Received {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect(),
        body: String::from_utf8(body.to_vec()).expect("text"),
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let is_handshake = received.is_handshake();
    let origin = received.headers.get("webhook-request-origin").cloned();
    shared.received.lock().expect("no panic").push(received);
    let (status, kind, text) = match (is_handshake, origin) {
        (true, _) => handshake(&shared, &query).await,
        (false, Some(_)) => (200, "text/plain", String::new()),
        (false, None) => (notified(&shared).await, "text/plain", String::new()),
    };
    let answer = Response::builder().status(status).header("content-type", kind);
    let answer = answer.header("webhook-allowed-origin", "*");
    Ok(answer.body(Full::new(Bytes::from(text))).expect("valid headers"))
}

async fn handshake(shared: &Shared, query: &str) -> (u16, &'static str, String) {
    let token = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "validationToken")
        .map(|(_, token)| token.into_owned())
        .expect("a token");
    let encoded = query.split("validationToken=").nth(1).expect("a token").to_owned();
    let manner = *shared.manner.lock().expect("no panic");
    match manner {
        Manner::Echo => (200, "text/plain", token),
        Manner::Encoded => (200, "text/plain", encoded),
        Manner::Status(status) => (status, "text/plain", token),
        Manner::Html => (200, "text/html", token),
        Manner::Silent => std::future::pending().await,
    }
}

async fn notified(shared: &Shared) -> u16 {
    let status = shared.statuses.lock().expect("no panic").pop_front().unwrap_or(202);
    if status == 0 { std::future::pending().await } else { status }
}
