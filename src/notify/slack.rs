//! Slack, in its two ways: a bot token ([`Bot`]: one message, changed in place) and an incoming webhook
//! ([`Webhook`]: post only).
//!
//! Each call is one request, bounded by [`crate::outbound::Timeouts`]; nothing is retried here. Slack has no idempotency key for
//! `chat.postMessage` (docs.slack.dev/reference/methods/chat.postMessage), so every message carries its topic as
//! metadata and [`Bot`] can look for it in the channel's history. Throttling is obeyed by the caller.

mod blocks;
mod bot;
mod mrkdwn;
mod webhook;
mod words;

use std::sync::Arc;

use secrecy::SecretString;

use crate::clock;
use crate::outbound::http::{Answer, Unreadable};
use crate::outbound::{Deps, Sending, SetupError, Trouble};
use crate::retry;

use super::{Error, Notifier, Word};

pub use bot::Bot;
pub use webhook::Webhook;

/// As metrics call it.
const VENDOR: &str = "slack";

/// Which of the two ways.
#[derive(Debug, Clone)]
pub enum Settings {
    Bot { token: SecretString, channel: String, api_url: reqwest::Url },
    Webhook { url: SecretString },
}

/// Makes the notifier that the settings name.
///
/// # Errors
/// When an address is neither HTTPS nor on this machine.
pub fn connect(settings: &Settings, deps: &Deps) -> Result<Arc<dyn Notifier>, SetupError> {
    Ok(match settings {
        Settings::Bot { token, channel, api_url } => {
            Arc::new(Bot::new(token.clone(), channel.clone(), api_url.clone(), deps)?)
        }
        Settings::Webhook { url } => Arc::new(Webhook::new(url, deps)?),
    })
}

/// Slack documents that a 429 names the time (docs.slack.dev/apis/web-api/rate-limits); should it not, this long.
const THROTTLED_WITHOUT_A_TIME: std::time::Duration = std::time::Duration::from_secs(30);

/// Sends one request; what comes back is neither throttling nor an outage, the caller judges it.
async fn exchange(
    deps: &Deps,
    operation: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<Answer, Error> {
    let answer = crate::outbound::exchange(deps, Sending::to(VENDOR, operation), request).await?;
    match answer.status.as_u16() {
        429 => Err(throttled(deps, answer.header("retry-after"))),
        // Slack's own description of its failures leaves open how far the request came.
        status @ 500.. => Err(Error::Failed(Word::status(status))),
        _ => Ok(answer),
    }
}

fn throttled(deps: &Deps, retry_after: Option<&str>) -> Error {
    let now = deps.clock.now();
    let named = retry_after.and_then(|value| retry::retry_after(value, now));
    Error::Throttled(named.unwrap_or_else(|| clock::after(now, THROTTLED_WITHOUT_A_TIME)))
}

/// A yes that cannot be read is a reply that was lost.
fn unreadable(answer: &Answer, why: Unreadable) -> Error {
    Error::Trouble(Trouble::Unreadable { status: answer.status.as_u16(), why })
}
