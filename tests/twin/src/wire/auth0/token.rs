//! `POST /oauth/token`, client credentials with a secret (Auth0, Get Management API Access Tokens for Production).

use super::super::call::{Answer, Call, Reply};
use super::errors::oauth;
use crate::faults::Vendor;
use serde_json::{Map, Value, json};

/// `organization` is sent along as null by the official Python SDK.
const FIELDS: [&str; 5] = ["grant_type", "client_id", "client_secret", "audience", "organization"];

pub(super) fn issue(call: &Call<'_>) -> Answer {
    let fields = call.fields().ok_or_else(|| oauth(400, "invalid_request", "Invalid request body"))?;
    for unknown in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        call.complain(format!("unknown token request field {unknown}"));
    }
    check(call, &fields)?;
    let (token, lifetime, granted) = call.world().issue_token(Vendor::Auth0);
    let scope: Vec<&str> = granted.iter().map(String::as_str).collect();
    Ok(Reply::json(
        200,
        &json!({
            "access_token": token,
            "scope": scope.join(" "),
            "expires_in": lifetime,
            "token_type": "Bearer",
        }),
    ))
}

fn check(call: &Call<'_>, fields: &Map<String, Value>) -> Answer {
    let setup = &call.state.setup;
    let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    match field("grant_type") {
        "client_credentials" => {}
        "" => return Err(oauth(400, "invalid_request", "Missing required parameter: grant_type")),
        other => {
            let text = format!("Unsupported grant type: {other}");
            return Err(oauth(403, "unsupported_grant_type", &text));
        }
    }
    if field("client_id") != setup.auth0_client_id || field("client_secret") != setup.auth0_client_secret {
        // Recorded: the body of a wrong client.
        return Err(oauth(401, "access_denied", "Unauthorized"));
    }
    if field("audience") != setup.auth0_audience() {
        // The trailing slash matters; the text is from practice.
        let text = format!("Service not enabled within domain: {}", field("audience"));
        return Err(oauth(403, "access_denied", &text));
    }
    Ok(Reply::empty(200))
}
