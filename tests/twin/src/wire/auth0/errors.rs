//! Auth0's error bodies, as recorded. `errorCode` may be absent; that is so in real answers too.

use super::super::call::Reply;
use crate::world::Refusal;
use serde_json::{Value, json};

/// The Management API's error body.
pub(super) fn error(status: u16, message: &str, code: Option<&str>) -> Reply {
    let mut body = json!({ "statusCode": status, "error": reason(status), "message": message });
    if let Some(code) = code {
        body["errorCode"] = code.into();
    }
    Reply::json(status, &body)
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}

/// Recorded: a request without a token.
pub(super) fn missing_authentication() -> Reply {
    error(401, "Missing authentication", None)
}

/// The text for an expired token is not settled by any source; a client must not read it.
pub(super) fn bad_token(refusal: Refusal) -> Reply {
    let text = match refusal {
        Refusal::Unknown => "Invalid token",
        Refusal::Expired => "Expired token received for JSON Web Token validation",
    };
    let body = json!({
        "statusCode": 401,
        "error": "Unauthorized",
        "message": text,
        "attributes": { "error": text },
    });
    Reply::json(401, &body)
}

/// Recorded.
pub(super) fn insufficient_scope(needs: &[&str]) -> Reply {
    let text = format!("Insufficient scope, expected any of: {}", needs.join(","));
    error(403, &text, Some("insufficient_scope"))
}

/// Recorded.
pub(super) fn no_such_user() -> Reply {
    error(404, "The user does not exist.", Some("inexistent_user"))
}

/// A 400 about the body, in the recorded form `Payload validation error: '…' on property …`.
pub(super) fn invalid_body(text: &str) -> Reply {
    error(400, &format!("Payload validation error: {text}"), Some("invalid_body"))
}

/// A 400 about the query string, in the same form.
pub(super) fn invalid_query(text: &str) -> Reply {
    error(400, &format!("Query validation error: {text}"), Some("invalid_query_string"))
}

/// Throttled (the body seen in public issue threads) and failing answers.
pub(super) fn failure(status: u16) -> Reply {
    match status {
        429 => error(429, "Global limit has been reached", Some("too_many_requests")),
        503 => error(
            503,
            "The query exceeded the timeout. Please try refining your search criteria. \
             See https://auth0.com/docs/best-practices/search-best-practices",
            None,
        ),
        500 => error(500, "An internal server error occurred", None),
        status => error(status, reason(status), None),
    }
}

/// Recorded for paths that do not exist.
pub(super) fn unknown_route() -> Reply {
    error(404, "Not Found", None)
}

/// The token endpoint's error body.
pub(super) fn oauth(status: u16, kind: &str, text: &str) -> Reply {
    Reply::json(status, &json!({ "error": kind, "error_description": text }))
}

/// What a JSON value is called in validation texts.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
