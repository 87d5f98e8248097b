//! Links to the next page and to the next round. Their tokens are opaque to clients; to the twin they are places, so that
//! nothing has to be remembered for a link that nobody follows.

use super::super::call::{Call, Reply};
use super::error;
use crate::world::ObjectId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Something listed, in the order of lists. Directory roles come after people and groups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listed {
    Object(ObjectId),
    Role(String),
}

impl Listed {
    fn to_text(&self) -> String {
        match self {
            Listed::Object(id) => object_to_text(*id),
            Listed::Role(id) => format!("r{id}"),
        }
    }

    fn from_text(text: &str) -> Option<Listed> {
        match text.strip_prefix('r') {
            Some(id) => Some(Listed::Role(id.to_owned())),
            None => object_from_text(text).map(Listed::Object),
        }
    }

    pub fn object(&self) -> Option<ObjectId> {
        match self {
            Listed::Object(id) => Some(*id),
            Listed::Role(_) => None,
        }
    }
}

pub(super) fn object_to_text(id: ObjectId) -> String {
    match id {
        ObjectId::Person(id) => format!("p{id}"),
        ObjectId::Group(id) => format!("g{id}"),
    }
}

pub(super) fn object_from_text(text: &str) -> Option<ObjectId> {
    match text.strip_prefix('p') {
        Some(id) => id.parse().ok().map(ObjectId::Person),
        None => text.strip_prefix('g')?.parse().ok().map(ObjectId::Group),
    }
}

pub(super) fn seal(token: &Value) -> String {
    URL_SAFE_NO_PAD.encode(token.to_string())
}

pub(super) fn open(token: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

/// Where a page begins: after this object, or at the start.
pub(super) fn place(call: &Call<'_>, epoch: u64) -> Result<Option<Listed>, Reply> {
    let Some(token) = call.query("$skiptoken") else {
        return Ok(None);
    };
    let Some(opened) = open(token) else {
        call.complain("a $skiptoken that the twin did not make");
        return Err(error(call, 400, "Request_BadRequest", "Invalid skip token."));
    };
    if opened["e"].as_u64() != Some(epoch) {
        return Err(expired_page(call));
    }
    Ok(opened["after"].as_str().and_then(Listed::from_text))
}

/// A nextLink that is too old (seen in practice; Microsoft lists no directory codes).
pub(super) fn expired_page(call: &Call<'_>) -> Reply {
    let text = "The specified page token value has expired and can no longer be included in your request.";
    error(call, 400, "Directory_ExpiredPageToken", text)
}

/// The same query, beginning after `after`.
pub(super) fn next(call: &Call<'_>, epoch: u64, after: Option<&Listed>) -> String {
    let token = serde_json::json!({ "e": epoch, "after": after.map(Listed::to_text) });
    let kept = call.query.iter().filter(|(name, _)| name != "$skiptoken");
    let mut query: Vec<(&str, String)> = kept.map(|(name, value)| (name.as_str(), value.clone())).collect();
    query.push(("$skiptoken", seal(&token)));
    link(call, &query)
}

/// A link to the path that was asked, on the host that was asked; the real ones are absolute too.
pub(super) fn link(call: &Call<'_>, query: &[(&str, String)]) -> String {
    let host = call.header("host").unwrap_or("graph.microsoft.com");
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    format!("http://{host}{}?{}", call.path, query.join("&"))
}
