//! Talks to the running server over the admin listener, with the token that the server wrote into its data directory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::exit::Failure;
use crate::config::Local;

/// The server only has to write one event down; one that takes longer is in trouble.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Answers are short; more is not our server.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The admin API of the server on this machine.
#[derive(Debug)]
pub struct Admin {
    client: reqwest::Client,
    address: SocketAddr,
    token: secrecy::SecretString,
}

/// What an error answer says (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Admin {
    /// Reads the token; a server that never ran has none.
    pub fn of(local: &Local) -> Result<Admin, Failure> {
        let file = &local.server.admin_token_file;
        Ok(Admin { client: client()?, address: reachable(local.server.admin_listen), token: token(file)? })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        read_as(&self.send(self.request(reqwest::Method::GET, path)).await?)
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        read_as(&self.send(self.request(reqwest::Method::POST, path).json(body)).await?)
    }

    /// Like [`Admin::post`], where only the success matters.
    pub async fn done(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), Failure> {
        self.send(self.request(method, path).json(body)).await.map(|_| ())
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let token = secrecy::ExposeSecret::expose_secret(&self.token);
        self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(token)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
        let sent = request.send().await;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = read(response).await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        let what = anyhow!("the server at {} {why}: is `lockstep serve` running?", self.address);
        Failure::TryLater(what)
    }
}

/// A client for this machine only: no proxy of the environment comes in between.
pub fn client() -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(Failure::other)
}

/// Where a listener that listens everywhere is reached from here.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn token(file: &Path) -> Result<secrecy::SecretString, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let hint = "is `lockstep serve` running, with the same LOCKSTEP_DATA_DIR and as the same user?";
        Failure::TryLater(anyhow!("the server's token {} cannot be read ({error}): {hint}", file.display()))
    })?;
    Ok(text.trim().into())
}

fn read_as<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).context("the server's answer cannot be read").map_err(Failure::Other)
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            body.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    Ok(body)
}

fn refused(status: reqwest::StatusCode, body: &[u8]) -> Failure {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let said = match (problem.title.as_str(), problem.detail.as_str()) {
        ("", "") => status.to_string(),
        (title, "") => title.to_owned(),
        ("", detail) => detail.to_owned(),
        (title, detail) => format!("{title}: {detail}"),
    };
    match status.as_u16() {
        401 | 403 => Failure::Other(anyhow!("{said} (does the server use another data directory?)")),
        408 | 429 | 500..=599 => Failure::TryLater(anyhow!(said)),
        _ => Failure::Other(anyhow!(said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        let at = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(at("[::]:8081"), "[::1]:8081");
        assert_eq!(at("10.0.0.5:8081"), "10.0.0.5:8081");
    }
}
