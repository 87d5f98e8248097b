//! A plain HTTP client for the tests of the twin: tokens, requests, answers as JSON.

use lockstep_twin::{Setup, Twin};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// A running twin and a client with both tokens.
pub struct Client {
    pub twin: Twin,
    pub http: reqwest::Client,
    pub graph_token: String,
    pub auth0_token: String,
}

/// An answer that has been read.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub async fn start(setup: Setup) -> Client {
    let twin = Twin::start(setup).await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    let mut client = Client { twin, http, graph_token: String::new(), auth0_token: String::new() };
    client.graph_token = client.entra_token(&[]).await.json()["access_token"].as_str().unwrap().to_owned();
    client.auth0_token =
        client.management_token(&[]).await.json()["access_token"].as_str().unwrap().to_owned();
    client
}

impl Client {
    /// A token request with some fields changed or added; an empty value leaves the field out.
    pub async fn entra_token(&self, changes: &[(&str, &str)]) -> Got {
        let setup = self.twin.setup();
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &setup.entra_client_id),
            ("client_secret", &setup.entra_client_secret),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let mut tenant = setup.tenant_id.as_str();
        for (name, value) in changes {
            if *name == "tenant" {
                tenant = value;
            }
            match form.iter_mut().find(|(n, _)| n == name) {
                Some((_, v)) => *v = value,
                None if *name != "tenant" => form.push((name, value)),
                None => {}
            }
        }
        let body = form_encoded(&form);
        let url = format!("{}/{tenant}/oauth2/v2.0/token", self.twin.urls().login_url);
        let kind = "application/x-www-form-urlencoded";
        self.send(self.http.post(url).header("content-type", kind).body(body)).await
    }

    pub async fn management_token(&self, changes: &[(&str, &str)]) -> Got {
        let setup = self.twin.setup();
        let mut body = json!({
            "grant_type": "client_credentials",
            "client_id": setup.auth0_client_id,
            "client_secret": setup.auth0_client_secret,
            "audience": setup.auth0_audience(),
        });
        for (name, value) in changes {
            body[*name] = (*value).into();
        }
        let url = format!("{}/oauth/token", self.twin.urls().auth0_url);
        let request = self.http.post(url).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// Grants scopes that the twin's client does not have by itself, and gets a token that carries them.
    pub async fn grant(&mut self, scopes: &[&str]) {
        scopes.iter().for_each(|scope| self.twin.world().grant_auth0_scope(scope));
        self.auth0_token =
            self.management_token(&[]).await.json()["access_token"].as_str().unwrap().to_owned();
    }

    pub async fn graph(&self, method: &str, path: &str) -> Got {
        let url = format!("{}/v1.0{path}", self.twin.urls().graph_url);
        self.send(self.request(method, url, &self.graph_token, None)).await
    }

    pub async fn graph_send(&self, method: &str, path: &str, body: Value) -> Got {
        let url = format!("{}/v1.0{path}", self.twin.urls().graph_url);
        self.send(self.request(method, url, &self.graph_token, Some(body))).await
    }

    pub async fn graph_post(&self, path: &str, body: Value) -> Got {
        let url = format!("{}/v1.0{path}", self.twin.urls().graph_url);
        self.send(self.request("POST", url, &self.graph_token, Some(body))).await
    }

    /// A GET with one header more, of a path or of a whole link.
    pub async fn graph_with(&self, path: &str, header: (&str, &str)) -> Got {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}/v1.0{path}", self.twin.urls().graph_url),
        };
        self.send(self.request("GET", url, &self.graph_token, None).header(header.0, header.1)).await
    }

    /// A link of Graph, verbatim.
    pub async fn follow(&self, link: &Value) -> Got {
        let link = link.as_str().unwrap_or_else(|| panic!("no link: {link}")).to_owned();
        self.send(self.request("GET", link, &self.graph_token, None)).await
    }

    pub async fn auth0(&self, method: &str, path: &str, body: Option<Value>) -> Got {
        self.send(self.auth0_request(method, path, body)).await
    }

    pub fn auth0_request(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::RequestBuilder {
        let url = format!("{}/api/v2{path}", self.twin.urls().auth0_url);
        self.request(method, url, &self.auth0_token, body)
    }

    /// A request to the SCIM endpoint of the enterprise connection, with the token that the twin starts with.
    pub async fn scim(&self, method: &str, path: &str, body: Option<Value>) -> Got {
        let connection = self.twin.world().enterprise_connection().id.clone();
        let url = format!("{}/scim/v2/connections/{connection}{path}", self.twin.urls().auth0_url);
        let token = self.twin.setup().auth0_scim_token.clone();
        self.send(self.request(method, url, &token, body)).await
    }

    pub async fn slack(&self, method: &str, body: Value) -> Got {
        let url = format!("{}{method}", self.twin.urls().slack_api_url);
        let token = self.twin.setup().slack_bot_token.clone();
        self.send(self.request("POST", url, &token, Some(body))).await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Got {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Got { status, headers, text: response.text().await.expect("a body") }
    }

    fn request(
        &self,
        method: &str,
        url: String,
        token: &str,
        body: Option<Value>,
    ) -> reqwest::RequestBuilder {
        let method: reqwest::Method = method.parse().expect("a method");
        let is_post = method == reqwest::Method::POST;
        let request = self.http.request(method, url).header("authorization", format!("Bearer {token}"));
        match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            // As every client must (RFC 9110, section 8.6), and reqwest does not by itself.
            None if is_post => request.header("content-length", 0),
            None => request,
        }
    }

    /// Everything that was asked was something the vendors know.
    pub fn assert_no_complaints(&self) {
        assert_eq!(self.twin.journal().complaints(), []);
    }
}

/// A path segment with everything but letters and digits encoded, as the recorded exchanges do with `|`.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn form_encoded(fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
    form.finish()
}
