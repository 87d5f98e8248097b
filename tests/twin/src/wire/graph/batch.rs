//! `POST /$batch` (Graph, JSON batching): up to twenty requests in one, each with its own fate. They are limited, refused
//! and struck by faults one by one, and answered in any order; the batch itself costs nothing.
//!
//! What cannot happen inside of a batch is told by the nearest status: a refused connection is 503, a lost reply 504.

use super::super::call::{Answer, Call, Reply};
use super::super::{find_route, route, server};
use super::error;
use crate::faults::{Request, Strike, Vendor};
use crate::journal::{Entry, Outcome};
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Requests in one batch.
const REQUESTS_MAX: usize = 20;
/// Members of a request. `depends_on` is how Microsoft's Python SDK writes the last one, to no effect.
const FIELDS: [&str; 7] = ["id", "method", "url", "headers", "body", "dependsOn", "depends_on"];

/// One request of a batch, as sent.
struct Item {
    id: String,
    method: String,
    url: String,
    headers: HeaderMap,
    body: Bytes,
    depends_on: Vec<String>,
}

pub(super) fn answer(call: &Call<'_>) -> Answer {
    let items = read(call).map_err(|text| {
        call.complain(format!("batch: {text}"));
        error(call, 400, "BadRequest", &text)
    })?;
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses: Vec<Value> = Vec::new();
    for item in &items {
        let failed = item.depends_on.iter().any(|id| statuses.get(id).is_none_or(|status| *status >= 400));
        let reply = match failed {
            true => error(call, 424, "", "The request depends on one that failed."),
            false => perform(call, item),
        };
        statuses.insert(item.id.clone(), reply.status);
        responses.push(shown(&item.id, &reply));
    }
    // "The order of responses may differ from that of the requests."
    fastrand::shuffle(&mut responses);
    Ok(Reply::json(200, &json!({ "responses": responses })))
}

/// The requests, or what is wrong with all of them.
fn read(call: &Call<'_>) -> Result<Vec<Item>, String> {
    let body = call.json_object().ok_or("Invalid batch payload format.")?;
    let requests = body.get("requests").and_then(Value::as_array).ok_or("Invalid batch payload format.")?;
    if requests.is_empty() || requests.len() > REQUESTS_MAX {
        return Err(format!("The number of requests must be between 1 and {REQUESTS_MAX}."));
    }
    let mut items: Vec<Item> = Vec::new();
    for request in requests {
        let item = item(call, request.as_object().ok_or("A request must be an object.")?)?;
        if items.iter().any(|other| other.id == item.id) {
            return Err(format!("Request id '{}' is used more than once.", item.id));
        }
        if let Some(unknown) = item.depends_on.iter().find(|id| items.iter().all(|other| other.id != **id)) {
            return Err(format!("dependsOn names '{unknown}', which does not come before it."));
        }
        items.push(item);
    }
    Ok(items)
}

fn item(call: &Call<'_>, request: &Map<String, Value>) -> Result<Item, String> {
    if let Some(unknown) = request.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("Unknown member '{unknown}' of a request."));
    }
    let text = |name: &str| {
        let value = request.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        value.map(str::to_owned).ok_or_else(|| format!("'{name}' is required and must be text."))
    };
    let url = text("url")?;
    if url.contains("://") {
        return Err("'url' must be relative.".into());
    }
    let headers = headers(call, request.get("headers"))?;
    let body = request.get("body").map(|body| Bytes::from(body.to_string()));
    if body.is_some() && !headers.contains_key("content-type") {
        return Err("The Content-Type header is required with a body.".into());
    }
    let depends_on = request.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
    Ok(Item {
        id: text("id")?,
        method: text("method")?.to_uppercase(),
        url: format!("/v1.0/{}", url.trim_start_matches('/')),
        headers,
        body: body.unwrap_or_default(),
        depends_on: depends_on.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

/// The request's own headers, with the token and the host of the batch.
fn headers(call: &Call<'_>, own: Option<&Value>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for name in ["authorization", "host"] {
        if let Some(value) = call.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in own.and_then(Value::as_object).into_iter().flatten() {
        let known = HeaderName::try_from(name.as_str()).ok();
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        match (known, value) {
            (Some(name), Some(value)) => headers.insert(name, value),
            _ => return Err(format!("The header '{name}' cannot be sent.")),
        };
    }
    Ok(headers)
}

fn perform(call: &Call<'_>, item: &Item) -> Reply {
    let (path, query) = item.url.split_once('?').unwrap_or((&item.url, ""));
    let found = find_route(Vendor::Graph, &item.method, path);
    let label = found.as_ref().map_or(route::UNMATCHED, |(route, _)| route.label);
    let request = Request { vendor: Vendor::Graph, method: &item.method, route: label, path: &item.url };
    let mut strike = call.state.faults.take(&request);
    let after = std::mem::take(&mut strike.after);
    let (matched, parameters) = found.map_or((None, Vec::new()), |(route, p)| (Some(route), p));
    let inner = Call {
        state: call.state,
        vendor: Vendor::Graph,
        method: &item.method,
        path,
        route: matched,
        parameters,
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: &item.headers,
        body: &item.body,
        now: call.now,
        request_id: uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid(),
        bent: strike.bent(),
    };
    let reply = struck(&inner, &strike);
    server::run_effects(call.state, after);
    call.state.journal.write(entry(call, item, label, &reply));
    reply
}

fn struck(inner: &Call<'_>, strike: &Strike) -> Reply {
    if inner.label() == super::BATCH {
        inner.complain("a batch in a batch");
        return error(inner, 400, "BadRequest", "A batch cannot be nested.");
    }
    if strike.stall.is_some() {
        inner.complain("a stall cannot strike a single request of a batch");
    }
    if strike.refuse {
        return error(inner, 503, "serviceNotAvailable", "The service is temporarily unavailable.");
    }
    let reply = server::perform(inner, strike);
    match strike.lose_reply {
        true => error(inner, 504, "gatewayTimeout", "The service did not answer in time."),
        false => reply,
    }
}

fn entry(call: &Call<'_>, item: &Item, label: &'static str, reply: &Reply) -> Entry {
    Entry {
        seq: 0,
        at: std::time::Instant::now(),
        vendor: Vendor::Graph,
        route: label,
        method: item.method.as_str().into(),
        path: item.url.as_str().into(),
        status: reply.status,
        outcome: Outcome::Answered,
        correlation: call.header("client-request-id").map(Into::into),
        user_agent: call.header("user-agent").map(Into::into),
        body: item.body.clone(),
        in_batch: true,
    }
}

/// One entry of `responses`. Header names are written as in the published sample.
fn shown(id: &str, reply: &Reply) -> Value {
    let mut headers = Map::new();
    headers.insert("Cache-Control".into(), "no-cache".into());
    headers.insert("Content-Type".into(), reply.content_type.into());
    for (name, value) in &reply.headers {
        let name = match *name {
            "retry-after" => "Retry-After",
            "location" => "Location",
            "request-id" | "client-request-id" => continue,
            other => other,
        };
        headers.insert(name.to_owned(), value.clone().into());
    }
    let mut shown = json!({ "id": id, "status": reply.status, "headers": headers });
    if !reply.body.is_empty() {
        shown["body"] = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    }
    shown
}
