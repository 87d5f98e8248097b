//! Slack, in its two ways: a bot token ([`Bot`]: one message, changed in place) and an incoming webhook
//! ([`Webhook`]: post only).
//!
//! Each call is one request, at most [`REQUEST_TIMEOUT`]; nothing is retried here. Slack has no idempotency key for
//! `chat.postMessage` (docs.slack.dev/reference/methods/chat.postMessage), so every message carries its topic as
//! metadata and [`Bot`] can look for it in the channel's history. Throttling is obeyed by the caller.

mod blocks;
mod bot;
mod mrkdwn;
mod transport;
mod webhook;
mod words;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::telemetry::Metrics;

pub use bot::Bot;
pub use webhook::Webhook;

/// The name under which the store keeps what is owed to Slack, whichever way is set up.
pub const CHANNEL: &str = "slack";

/// Slack answers in well under a second; a request that took this long has lost its reply.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the clients are made of.
#[derive(Debug, Clone)]
pub struct Deps {
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
}
