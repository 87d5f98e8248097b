//! SCIM's error body (RFC 7644, section 3.12).

use super::super::call::Reply;
use super::MEDIA;
use serde_json::json;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An error, with the word that RFC 7644 has for its kind.
pub(super) fn error(status: u16, kind: Option<&str>, detail: &str) -> Reply {
    let mut body = json!({ "schemas": [SCHEMA], "status": status.to_string(), "detail": detail });
    if let Some(kind) = kind {
        body["scimType"] = kind.into();
    }
    Reply { content_type: MEDIA, ..Reply::json(status, &body) }
}

pub(super) fn no_such_user(id: &str) -> Reply {
    error(404, None, &format!("Resource {id} not found"))
}

pub(super) fn invalid_value(detail: &str) -> Reply {
    error(400, Some("invalidValue"), detail)
}

/// Throttled and failing answers.
pub(crate) fn failure(status: u16) -> Reply {
    let detail = match status {
        404 => "Not Found",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    error(status, None, detail)
}
