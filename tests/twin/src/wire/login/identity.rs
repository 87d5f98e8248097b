//! Managed identity: the metadata service of a virtual machine and the endpoint of App Service (Managed identities, Use a
//! token on a VM; App Service, Managed identities: REST endpoint reference). Every value of an answer is a string. What
//! retries must expect (404, 410, 429, 5xx) are faults.

use super::super::call::{Answer, Call, Reply};
use crate::faults::Vendor;
use serde_json::{Value, json};

const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";
const KNOWN: [&str; 3] = ["api-version", "resource", "client_id"];

/// `GET /metadata/identity/oauth2/token` of a virtual machine.
pub(super) fn imds(call: &Call<'_>) -> Answer {
    // A request that came through a proxy is no request of this machine.
    if ["forwarded", "x-forwarded-for"].iter().any(|name| call.header(name).is_some()) {
        call.complain("the metadata service was asked through a proxy");
        return Err(refused("invalid_request", "A forwarded request is not answered"));
    }
    if call.header("metadata") != Some("true") {
        return Err(refused("invalid_request", "Required metadata header not specified"));
    }
    let issued = issue(call, IMDS_VERSION)?;
    Ok(Reply::json(
        200,
        &json!({
            "access_token": issued.token,
            "client_id": call.state.setup.entra_client_id,
            "refresh_token": "",
            "expires_in": issued.lifetime.to_string(),
            "ext_expires_in": issued.lifetime.to_string(),
            "expires_on": (issued.now + issued.lifetime).to_string(),
            "not_before": issued.now.to_string(),
            "resource": issued.resource,
            "token_type": "Bearer",
        }),
    ))
}

/// `$IDENTITY_ENDPOINT` of App Service and Container Apps, which knows its callers by a header.
pub(super) fn app_service(call: &Call<'_>) -> Answer {
    if call.header("x-identity-header") != Some(call.state.setup.identity_header.as_str()) {
        let body = json!({ "statusCode": 401, "message": "No or a wrong X-IDENTITY-HEADER" });
        return Err(Reply::json(401, &body));
    }
    let issued = issue(call, APP_SERVICE_VERSION)?;
    Ok(Reply::json(
        200,
        &json!({
            "access_token": issued.token,
            "client_id": call.state.setup.entra_client_id,
            "expires_on": (issued.now + issued.lifetime).to_string(),
            "resource": issued.resource,
            "token_type": "Bearer",
        }),
    ))
}

struct Issued<'a> {
    token: String,
    now: i64,
    lifetime: i64,
    resource: &'a str,
}

fn issue<'a>(call: &'a Call<'_>, version: &str) -> Result<Issued<'a>, Reply> {
    for (name, _) in call.query.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str())) {
        call.complain(format!("unknown query parameter {name}"));
    }
    if call.query("api-version") != Some(version) {
        return Err(refused("bad_request_102", &format!("The api-version is not {version}")));
    }
    let resource = call.query("resource").unwrap_or_default();
    if !is_graph(call, resource) {
        let text = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}.",
            call.state.setup.tenant_id
        );
        return Err(refused("invalid_resource", &text));
    }
    if call.query("client_id").is_some_and(|id| id != call.state.setup.entra_client_id) {
        return Err(refused("invalid_request", "Identity not found"));
    }
    let (token, lifetime, _) = call.world().issue_token(Vendor::Graph);
    let lifetime = i64::try_from(lifetime).unwrap_or(i64::MAX);
    Ok(Issued { token, now: jiff::Timestamp::now().as_second(), lifetime, resource })
}

/// A resource, not a scope: the public cloud's Graph or this host, with or without the slash at the end.
fn is_graph(call: &Call<'_>, resource: &str) -> bool {
    let resource = resource.trim_end_matches('/');
    let host = call.header("host").unwrap_or_default();
    resource == "https://graph.microsoft.com"
        || resource.split_once("://").is_some_and(|(_, given)| given == host)
}

fn refused(error: &str, text: &str) -> Reply {
    Reply::json(400, &json!({ "error": error, "error_description": text }))
}

/// The metadata service fails in its own shape.
pub(super) fn failure(status: u16) -> Reply {
    let body: Value = match status {
        410 => json!({ "error": "gone", "error_description": "The service is being updated" }),
        404 => json!({ "error": "not_found", "error_description": "IMDS endpoint is updating" }),
        429 => json!({ "error": "too_many_requests", "error_description": "IMDS throttles" }),
        _ => json!({ "error": "unknown", "error_description": "Failed to retrieve a token" }),
    };
    Reply::json(status, &body)
}
