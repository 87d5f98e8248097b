//! One request to Slack and its reply, bounded in time and size, with nothing secret in its errors.

use std::sync::Arc;

use bytes::BytesMut;
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response};

use super::super::{Error, SetUpError, Word};
use super::{Deps, REQUEST_TIMEOUT};
use crate::clock::{self, SharedClock, Timestamp};
use crate::retry;
use crate::telemetry::Metrics;

/// A page of [`super::bot`]'s history with every block of every message in it; an ordinary reply has 2 kB.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Slack documents that a 429 names the time; should it not, this long.
const THROTTLED_WITHOUT_A_TIME: std::time::Duration = std::time::Duration::from_secs(30);

/// Sends requests; cheap to share.
#[derive(Debug)]
pub(super) struct Transport {
    client: reqwest::Client,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

/// A reply that is neither throttling nor an outage; the caller judges it.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub body: BytesMut,
}

impl Transport {
    pub fn new(deps: &Deps) -> Result<Transport, SetUpError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| SetUpError::Client(error.without_url()))?;
        Ok(Transport { client, clock: deps.clock.clone(), metrics: deps.metrics.clone() })
    }

    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends `request`; `operation` names it in the metrics.
    pub async fn send(&self, operation: &'static str, request: RequestBuilder) -> Result<Reply, Error> {
        let sent = request.send().await;
        let status = sent.as_ref().ok().map(|response| response.status().as_u16());
        self.metrics.vendor_request("slack", operation, status);
        let response = sent.map_err(not_answered)?;
        match response.status().as_u16() {
            429 => Err(Error::Throttled(self.retry_at(&response))),
            status @ 500.. => Err(Error::Trouble(Word::status(status))),
            status => Ok(Reply { status, body: read(response).await? }),
        }
    }

    /// When to come again, from the reply or, where it does not say, from our own number.
    fn retry_at(&self, response: &Response) -> Timestamp {
        let now = self.clock.now();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        header
            .and_then(|value| retry::retry_after(value, now))
            .unwrap_or_else(|| clock::after(now, THROTTLED_WITHOUT_A_TIME))
    }

    /// For a throttling that comes with status 200, where there is no header to read.
    pub fn throttled(&self) -> Error {
        Error::Throttled(clock::after(self.clock.now(), THROTTLED_WITHOUT_A_TIME))
    }
}

/// Without a connection nothing was sent; in every other case it may have been. The URL of a webhook is its
/// credential, so no error keeps a URL.
fn not_answered(error: reqwest::Error) -> Error {
    let error = error.without_url();
    match error.is_connect() || error.is_builder() {
        true => Error::Unreachable(error),
        false => Error::ReplyLost(Some(error)),
    }
}

async fn read(mut response: Response) -> Result<BytesMut, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Error::ReplyLost(Some(e.without_url())))? {
        if body.len() + chunk.len() > REPLY_BYTES_MAX {
            return Err(Error::ReplyLost(None));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
