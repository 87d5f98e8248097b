//! The Entra token endpoint: client credentials with a secret or an assertion, and its numbered errors (Microsoft identity
//! platform, OAuth 2.0 client credentials flow; error codes reference); beside it the endpoints of managed identities.

mod assertion;
mod identity;

use super::call::{Answer, Call, Reply};
use super::route::{Route, route};
use crate::faults::Vendor;
use serde_json::{Map, Value, json};

pub(crate) const ROUTES: &[Route] = &[
    route!("POST", "/{tenant}/oauth2/v2.0/token", query: &[], needs: &[], token),
    route!(
        "GET",
        "/{tenant}/v2.0/.well-known/openid-configuration",
        query: &[],
        needs: &[],
        openid_configuration
    ),
    route!("GET", "/{tenant}/discovery/v2.0/keys", query: &[], needs: &[], keys),
    route!("GET", "/metadata/identity/oauth2/token", query: &[], needs: &[], identity::imds),
    route!("GET", "/msi/token", query: &[], needs: &[], identity::app_service),
];

/// A secret that is recognised and refused as expired (AADSTS7000222), so that a deployment with an old secret can be
/// played without a clock.
pub(crate) const EXPIRED_SECRET: &str = "twin~entra~expired~00000000000000000000";

const FIELDS: [&str; 8] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion_type",
    "client_assertion",
    "scope",
    "client_info",
    "claims",
];

fn token(call: &Call<'_>) -> Answer {
    let form = call.form();
    for unknown in form.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        call.complain(format!("unknown token request field {unknown}"));
    }
    let client = with_basic(call, &form);
    check_tenant(call)?;
    check_request(call, &form)?;
    check_client(call, &client.id)?;
    check_credential(call, &form, &client)?;
    let (token, lifetime, _) = call.world().issue_token(Vendor::Graph);
    Ok(Reply::json(
        200,
        &json!({
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        }),
    )
    .with("cache-control", "no-store, no-cache"))
}

/// What libraries ask before their first token (OpenID Connect on the Microsoft identity platform). The endpoints are the
/// public cloud's, because Microsoft's own library refuses others; its test carries them here.
fn openid_configuration(call: &Call<'_>) -> Answer {
    check_tenant(call)?;
    let tenant = &call.state.setup.tenant_id;
    let base = format!("https://login.microsoftonline.com/{tenant}");
    Ok(Reply::json(
        200,
        &json!({
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }),
    ))
}

/// The public halves of the keys that sign tokens.
fn keys(call: &Call<'_>) -> Answer {
    if call.id() != "common" {
        check_tenant(call)?;
    }
    let key = call.state.signing().public(&call.state.setup.tenant_id);
    Ok(Reply::json(200, &json!({ "keys": [key] })).with("cache-control", "max-age=86400, private"))
}

struct Client {
    id: String,
    secret: Option<String>,
}

/// The secret travels in the form or as HTTP Basic.
fn with_basic(call: &Call<'_>, form: &Map<String, Value>) -> Client {
    use base64::Engine as _;
    let basic = call.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let decoded = basic
        .and_then(|value| base64::engine::general_purpose::STANDARD.decode(value).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((id, secret)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        return Client { id: decode(id), secret: Some(decode(secret)) };
    }
    Client { id: field(form, "client_id").to_owned(), secret: form.get("client_secret").map(text) }
}

fn check_tenant(call: &Call<'_>) -> Answer {
    let setup = &call.state.setup;
    let tenant = call.id();
    if tenant == setup.tenant_id || tenant == setup.tenant_domain {
        return Ok(Reply::empty(200));
    }
    Err(error(call, 400, "invalid_request", 90_002, &format!("Tenant '{tenant}' not found.")))
}

fn check_request(call: &Call<'_>, form: &Map<String, Value>) -> Answer {
    let grant = field(form, "grant_type");
    if grant != "client_credentials" {
        let text = format!("The provided grant type '{grant}' is not supported.");
        return Err(error(call, 400, "unsupported_grant_type", 70_003, &text));
    }
    let scope = field(form, "scope");
    if !is_graph_scope(call, scope) {
        let text = format!(
            "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
        );
        return Err(error(call, 400, "invalid_scope", 70_011, &text));
    }
    Ok(Reply::empty(200))
}

/// The scope names the resource with `/.default`: the public cloud's Graph, or the host that this request came to when a
/// deployment derives the scope from its Graph address.
fn is_graph_scope(call: &Call<'_>, scope: &str) -> bool {
    let host = call.header("host").unwrap_or_default();
    scope == "https://graph.microsoft.com/.default"
        || scope
            .strip_suffix("/.default")
            .and_then(|url| url.split_once("://"))
            .is_some_and(|(_, h)| h == host)
}

fn check_client(call: &Call<'_>, id: &str) -> Answer {
    let setup = &call.state.setup;
    if id != setup.entra_client_id {
        let text = format!(
            "Application with identifier '{id}' was not found in the directory '{}'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in \
             the tenant. You may have sent your authentication request to the wrong tenant.",
            setup.tenant_domain
        );
        return Err(error(call, 400, "unauthorized_client", 700_016, &text));
    }
    Ok(Reply::empty(200))
}

/// Exactly one credential is to be sent.
fn check_credential(call: &Call<'_>, form: &Map<String, Value>, client: &Client) -> Answer {
    if !form.contains_key("client_assertion") {
        return check_secret(call, client);
    }
    if client.secret.is_some() {
        call.complain("a client secret and a client assertion in one request");
    }
    assertion::check(call, form, &client.id)
}

fn check_secret(call: &Call<'_>, client: &Client) -> Answer {
    let id = &client.id;
    match client.secret.as_deref() {
        Some(secret) if secret == call.state.setup.entra_client_secret => Ok(Reply::empty(200)),
        Some(EXPIRED_SECRET) => {
            let text = format!("The provided client secret keys for app '{id}' are expired.");
            Err(error(call, 401, "invalid_client", 7_000_222, &text))
        }
        Some(_) => {
            let text = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                 value, not the client secret ID, for a secret added to app '{id}'."
            );
            Err(error(call, 401, "invalid_client", 7_000_215, &text))
        }
        None => {
            let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            Err(error(call, 401, "invalid_client", 7_000_218, text))
        }
    }
}

/// The error body with its numbers; clients decide on `error_codes`, never on the text.
fn error(call: &Call<'_>, status: u16, kind: &str, code: u32, text: &str) -> Reply {
    let correlation = call.header("client-request-id").unwrap_or("fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7");
    Reply::json(
        status,
        &json!({
            "error": kind,
            "error_description": format!("AADSTS{code}: {text}"),
            "error_codes": [code],
            "timestamp": jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            "trace_id": call.request_id.to_string(),
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}

pub(crate) fn unknown_route() -> Reply {
    Reply::empty(404)
}

/// Throttled and failing answers carry no documented body; the error object keeps its form.
pub(crate) fn failure(call: &Call<'_>, status: u16) -> Reply {
    if call.path.starts_with("/metadata") || call.path.starts_with("/msi") {
        return identity::failure(status);
    }
    let kind = if status == 429 { "too_many_requests" } else { "temporarily_unavailable" };
    Reply::json(
        status,
        &json!({ "error": kind, "error_description": "The service is busy.", "error_codes": [] }),
    )
}

fn field<'a>(form: &'a Map<String, Value>, name: &str) -> &'a str {
    form.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
