//! Sends one request and reads its answer within bounds.
//!
//! Never retries: whether a request may go twice is its caller's knowledge. A failure says whether the request can
//! have reached the vendor, because a write whose reply was lost must be read back before it is tried again.

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

/// The most of an answer that is read, after decompression, unless its caller names another number. The largest answer
/// that comes within it is a page of 999 object ids.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What came back: any status, and as much of the body as arrived.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Whole(Bytes),
    /// More than is read; not kept.
    TooLarge,
    /// The connection broke or time ran out half-way.
    CutShort,
}

/// Why there is no answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection came about: the vendor has not seen the request.
    NotSent(Cause),
    /// The request was (or may have been) sent, and no reply came.
    NoReply(Cause),
}

/// What the network said, reduced to one word: its errors quote addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    TimedOut,
    NameNotFound,
    Refused,
    Reset,
    Other,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cause::TimedOut => "timed out",
            Cause::NameNotFound => "the name does not resolve",
            Cause::Refused => "connection refused",
            Cause::Reset => "connection closed",
            Cause::Other => "connection failed",
        })
    }
}

/// Why an answer could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("larger than is read of it")]
    TooLarge,
    #[error("cut short")]
    CutShort,
    #[error("not what the vendor documents")]
    Shape,
}

/// Sends `request`.
///
/// # Errors
/// Only when no status came back. Statuses, redirects included, are answers.
pub async fn send(request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
    send_within(request, BODY_BYTES_MAX).await
}

/// Sends `request`, and reads at most `body_bytes_max` of what comes back.
///
/// # Errors
/// As [`send`].
pub async fn send_within(
    request: reqwest::RequestBuilder,
    body_bytes_max: usize,
) -> Result<Answer, NoAnswer> {
    let mut response = request.send().await.map_err(no_answer)?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let body = read(response, body_bytes_max).await;
    Ok(Answer { status, headers, body })
}

fn no_answer(error: reqwest::Error) -> NoAnswer {
    let cause = cause(&error);
    match error.is_builder() || error.is_connect() || error.is_dns() {
        true => NoAnswer::NotSent(cause),
        false => NoAnswer::NoReply(cause),
    }
}

fn cause(error: &reqwest::Error) -> Cause {
    if error.is_dns() {
        return Cause::NameNotFound;
    }
    if error.is_timeout() {
        return Cause::TimedOut;
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => Cause::Refused,
                std::io::ErrorKind::ConnectionReset
                | std::io::ErrorKind::BrokenPipe
                | std::io::ErrorKind::UnexpectedEof => Cause::Reset,
                _ => Cause::Other,
            };
        }
        source = inner.source();
    }
    // hyper's "connection closed before message completed" has no I/O error beneath it.
    if error.is_request() && !error.is_connect() { Cause::Reset } else { Cause::Other }
}

async fn read(mut response: reqwest::Response, bytes_max: usize) -> Body {
    let mut kept = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if kept.len() + chunk.len() > bytes_max => return Body::TooLarge,
            Ok(Some(chunk)) => kept.extend_from_slice(&chunk),
            Ok(None) => return Body::Whole(kept.freeze()),
            Err(_) => return Body::CutShort,
        }
    }
}

impl Answer {
    /// Reads the body as JSON. What serde says about a misfit may quote the body, so it is dropped.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        match &self.body {
            Body::Whole(bytes) => serde_json::from_slice(bytes).map_err(|_| Unreadable::Shape),
            Body::TooLarge => Err(Unreadable::TooLarge),
            Body::CutShort => Err(Unreadable::CutShort),
        }
    }

    /// A header as text; `None` when absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Serves one connection: reads a request head, writes `reply`, closes.
    async fn once(reply: Vec<u8>) -> reqwest::Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/users/secret-id", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&reply).await;
        });
        reqwest::Url::parse(&url).unwrap()
    }

    async fn get(url: reqwest::Url) -> Result<Answer, NoAnswer> {
        let client = super::super::client("TEST_URL", &url, super::super::Timeouts::default()).unwrap();
        send(client.get(url)).await
    }

    fn reply(head: &str, body: &[u8]) -> Vec<u8> {
        [head.as_bytes(), b"\r\n\r\n", body].concat()
    }

    #[tokio::test]
    async fn a_body_within_bounds_is_read_and_one_beyond_is_not_kept() {
        let fits = reply("HTTP/1.1 200 OK\r\ncontent-length: 2", b"[]");
        assert_eq!(get(once(fits).await).await.unwrap().json::<Vec<u8>>(), Ok(vec![]));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}", BODY_BYTES_MAX + 1);
        let large = get(once(reply(&head, &vec![b' '; BODY_BYTES_MAX + 1])).await).await.unwrap();
        assert_eq!((large.status, &large.body), (StatusCode::OK, &Body::TooLarge));
        assert_eq!(large.json::<Vec<u8>>(), Err(Unreadable::TooLarge));
    }

    #[tokio::test]
    async fn a_status_survives_a_body_that_breaks_off() {
        let cut = get(once(reply("HTTP/1.1 202 Accepted\r\ncontent-length: 10", b"12")).await).await.unwrap();
        assert_eq!((cut.status, cut.body), (StatusCode::ACCEPTED, Body::CutShort));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_not_a_way() {
        let away = reply("HTTP/1.1 302 Found\r\nlocation: http://evil.example/\r\ncontent-length: 0", b"");
        assert_eq!(get(once(away).await).await.unwrap().status, StatusCode::FOUND);
    }

    #[tokio::test]
    async fn a_refused_connection_was_not_sent_and_a_silent_close_may_have_been() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = reqwest::Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        assert_eq!(get(url).await.unwrap_err(), NoAnswer::NotSent(Cause::Refused));
        let silent = get(once(Vec::new()).await).await;
        assert_eq!(silent.unwrap_err(), NoAnswer::NoReply(Cause::Reset));
    }

    #[tokio::test]
    async fn silence_ends_at_the_time_limit_and_may_have_been_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = reqwest::Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let total = std::time::Duration::from_millis(50);
        let timeouts = super::super::Timeouts { total, ..Default::default() };
        let client = super::super::client("TEST_URL", &url, timeouts).unwrap();
        assert_eq!(send(client.get(url)).await.unwrap_err(), NoAnswer::NoReply(Cause::TimedOut));
    }
}
