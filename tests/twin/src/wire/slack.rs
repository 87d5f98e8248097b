//! Slack: the Web API methods that a notifier uses, and one incoming webhook.
//!
//! Every Web API method answers 200, also on failure, with `ok: false` and a word; only throttling and outages use the
//! HTTP status (Slack, Web API). The incoming webhook answers in plain text (Slack, Sending messages using incoming
//! webhooks).

mod blocks;
mod messages;
mod webhook;

use super::call::{Answer, Call, Reply};
use super::route::{Route, route};
use crate::bucket::Bucket;
use serde_json::{Value, json};

pub(crate) const ROUTES: &[Route] = &[
    route!("POST", "/api/auth.test", query: &[], needs: &[], auth_test),
    route!("GET", "/api/auth.test", query: &[], needs: &[], auth_test),
    route!("POST", "/api/chat.postMessage", query: &[], needs: &[], messages::post),
    route!("POST", "/api/chat.update", query: &[], needs: &[], messages::update),
    route!("GET", "/api/conversations.history", query: messages::HISTORY, needs: &[], messages::history),
    route!("POST", "/api/conversations.history", query: &[], needs: &[], messages::history),
    route!("POST", "/services/{team}/{bot}/{secret}", query: &[], needs: &[], webhook::post),
];

/// The workspace and the bot, as `auth.test` shows them.
const TEAM: &str = "T0TWIN00001";
const BOT_USER: &str = "U0TWINBOT01";
const BOT: &str = "B0TWIN00001";

pub(crate) fn guard(call: &Call<'_>) -> Answer {
    let known = call.route.map_or(&[][..], |route| route.query);
    for (name, _) in call.query.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        call.complain(format!("unknown query parameter {name}"));
    }
    if call.path.starts_with("/services/") {
        return Ok(Reply::empty(200));
    }
    match call.bearer() {
        None => Err(failed("not_authed")),
        Some(token) if token == call.state.setup.slack_bot_token => Ok(Reply::empty(200)),
        Some(_) => Err(failed("invalid_auth")),
    }
}

fn auth_test(_: &Call<'_>) -> Answer {
    Ok(Reply::json(
        200,
        &json!({
            "ok": true,
            "url": "https://contoso-twin.slack.com/",
            "team": "Contoso",
            "user": "lockstep",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": false,
        }),
    ))
}

/// 200 with a word.
fn failed(word: &str) -> Reply {
    Reply::json(200, &json!({ "ok": false, "error": word }))
}

/// One message per second and channel, if the setup says so (Slack, Rate limits); `Retry-After` in whole seconds.
fn pace(call: &Call<'_>, channel: &str) -> Answer {
    let Some(rate) = call.state.setup.slack_messages_per_second.map(f64::from) else {
        return Ok(Reply::empty(200));
    };
    let mut limits = call.state.limits();
    let bucket = limits.slack.entry(channel.to_owned()).or_insert_with(|| Bucket::full(rate, rate, call.now));
    match bucket.take(1.0, call.now) {
        Ok(()) => Ok(Reply::empty(200)),
        Err(seconds) => Err(failure(429).with("retry-after", (seconds.ceil() as u64).max(1).to_string())),
    }
}

pub(crate) fn unknown_route(call: &Call<'_>) -> Reply {
    match call.path.strip_prefix("/api/") {
        Some(method) => {
            Reply::json(200, &json!({ "ok": false, "error": "unknown_method", "req_method": method }))
        }
        None => Reply::text(404, "no_service"),
    }
}

/// Throttled and failing answers (body of the 429 as commonly seen; not in Slack's own text).
pub(crate) fn failure(status: u16) -> Reply {
    match status {
        429 => Reply::json(429, &json!({ "ok": false, "error": "ratelimited" })),
        503 => Reply::json(503, &json!({ "ok": false, "error": "service_unavailable" })),
        status => Reply::json(status, &json!({ "ok": false, "error": "internal_error" })),
    }
}

/// A value that forms carry as JSON text and JSON bodies as itself.
fn structured(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    }
}
