//! A ticket system's inbound webhook: takes what is signed after Standard Webhooks 1.0.0 and is news, and remembers
//! `webhook-id` (specification: verifying webhooks, idempotency).

use super::call::{Answer, Call, Reply};
use super::route::{Route, route};
use crate::send::signature;
use serde_json::{Map, Value, json};

pub(crate) const ROUTES: &[Route] = &[route!("POST", "/hooks/{name}", query: &["key"], needs: &[], receive)];

/// Either way (Standard Webhooks, libraries: five minutes).
const TOLERANCE_SECONDS: i64 = 300;
/// Standard Webhooks, specification: payload size.
const BODY_BYTES_MAX: usize = 20_000;
/// What docs/webhooks.md promises to whoever receives it.
const KINDS: [&str; 7] = [
    "case.requested",
    "case.late",
    "case.verified",
    "case.not_acted",
    "case.releasing",
    "case.released",
    "page",
];
const DATA: [&str; 9] =
    ["topic", "version", "severity", "sentence", "next", "case", "tenant", "person", "event"];

pub(crate) fn guard(call: &Call<'_>) -> Answer {
    let known = call.route.map_or(&[][..], |route| route.query);
    for (name, _) in call.query.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        call.complain(format!("unknown query parameter {name}"));
    }
    match call.query("key") == Some(KEY) {
        true => Ok(Reply::empty(200)),
        false => Err(Reply::empty(404)),
    }
}

/// In the address, as Logic Apps and others have it: whoever shows the address shows this.
pub(crate) const KEY: &str = "twin-ticket-key-93b1";

fn receive(call: &Call<'_>) -> Answer {
    let signed = |name: &str| call.header(name).unwrap_or_default().to_owned();
    let (id, timestamp) = (signed("webhook-id"), signed("webhook-timestamp"));
    let body = std::str::from_utf8(call.body).map_err(|_| Reply::empty(400))?;
    let expected = signature::sign(&call.state.setup.ticket_webhook_secret, &id, &timestamp, body);
    if id.is_empty() || id.contains('.') || signed("webhook-signature") != expected {
        return Err(Reply::empty(401));
    }
    let second: i64 = timestamp.parse().map_err(|_| Reply::empty(401))?;
    if (jiff::Timestamp::now().as_second() - second).abs() > TOLERANCE_SECONDS {
        return Err(Reply::empty(401));
    }
    look_at(call, body);
    let body: Value = serde_json::from_str(body).map_err(|_| Reply::empty(400))?;
    if !call.world().take_hook(&id, &body) {
        call.complain("the same webhook-id with another body");
    }
    Ok(Reply::empty(204))
}

/// Everything that the page does not promise is loud.
fn look_at(call: &Call<'_>, body: &str) {
    if body.len() > BODY_BYTES_MAX {
        call.complain("a body of more than 20 kB");
    }
    if call.header("content-type") != Some("application/json") {
        call.complain("a content type that is no JSON");
    }
    let object: Map<String, Value> = serde_json::from_str(body).unwrap_or_default();
    let is_text = |value: Option<&Value>| value.is_some_and(Value::is_string);
    if !object.get("type").and_then(Value::as_str).is_some_and(|kind| KINDS.contains(&kind)) {
        call.complain("a type that is not documented");
    }
    let at = object.get("timestamp").and_then(Value::as_str);
    if at.and_then(|at| at.parse::<jiff::Timestamp>().ok()).is_none() {
        call.complain("a timestamp that is none");
    }
    for unknown in object.keys().filter(|name| !["type", "timestamp", "data"].contains(&name.as_str())) {
        call.complain(format!("unknown field {unknown}"));
    }
    let Some(Value::Object(data)) = object.get("data") else { return call.complain("no data") };
    for unknown in data.keys().filter(|name| !DATA.contains(&name.as_str())) {
        call.complain(format!("unknown field data.{unknown}"));
    }
    for needed in ["topic", "severity", "sentence"].into_iter().filter(|name| !is_text(data.get(*name))) {
        call.complain(format!("no data.{needed}"));
    }
}

pub(crate) fn failure(status: u16) -> Reply {
    Reply::json(status, &json!({ "error": "the ticket system fails" }))
}

pub(crate) fn unknown_route() -> Reply {
    Reply::empty(404)
}
