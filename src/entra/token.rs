//! The Entra token endpoint: client credentials with a secret.
//!
//! Decides by the numbers in `error_codes` (Microsoft identity platform, Error codes reference), never by the text.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::entra::{Error, Settings, wire};
use crate::outbound::http::Answer;
use crate::outbound::token::{Fresh, Tokens};
use crate::outbound::{self, Deps, Timeouts, Trouble};

const OPERATION: &str = "token";
/// AADSTS numbers that pass by themselves: a loop detected, and a transient failure.
const TRANSIENT: [u32; 2] = [50_196, 90_033];

/// Tokens for Graph.
pub(super) fn tokens(settings: &Settings, deps: &Deps) -> Result<Arc<Tokens<Error>>, Error> {
    let http = outbound::client("ENTRA_LOGIN_URL", &settings.login_url, Timeouts::default())?;
    let path = format!("/{}/oauth2/v2.0/token", settings.tenant);
    let request = Arc::new(TokenRequest {
        http,
        url: outbound::address(&settings.login_url, &path),
        client_id: settings.client_id.clone(),
        client_secret: settings.client_secret.clone(),
        // The scope's host must be the Graph host of the same cloud (Microsoft Graph, National cloud deployments).
        scope: format!("{}/.default", settings.graph_url.as_str().trim_end_matches('/')),
        deps: deps.clone(),
    });
    Ok(Tokens::new(Arc::clone(&deps.clock), move || Arc::clone(&request).fetch().boxed()))
}

struct TokenRequest {
    http: reqwest::Client,
    url: reqwest::Url,
    client_id: String,
    client_secret: SecretString,
    scope: String,
    deps: Deps,
}

#[derive(Serialize)]
struct Form<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    client_secret: &'a str,
    scope: &'a str,
}

impl TokenRequest {
    async fn fetch(self: Arc<Self>) -> Result<Fresh, Error> {
        let form = Form {
            grant_type: "client_credentials",
            client_id: &self.client_id,
            client_secret: self.client_secret.expose_secret(),
            scope: &self.scope,
        };
        let request = self.http.post(self.url.clone()).form(&form);
        let answer = outbound::exchange(&self.deps, "entra", OPERATION, request).await.map_err(trouble)?;
        match answer.status.is_success() {
            true => read(&answer),
            false => Err(refusal(&answer, &self.deps)),
        }
    }
}

fn trouble(trouble: Trouble) -> Error {
    Error::Trouble { operation: OPERATION, trouble }
}

/// `access_token` is opaque: the identity platform says not to look into tokens for Graph.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    expires_in: u64,
}

fn read(answer: &Answer) -> Result<Fresh, Error> {
    let granted: Granted =
        answer.json().map_err(|why| trouble(Trouble::Unreadable { status: answer.status.as_u16(), why }))?;
    Ok(Fresh { secret: granted.access_token, lifetime: Duration::from_secs(granted.expires_in) })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_codes: Vec<u32>,
}

fn refusal(answer: &Answer, deps: &Deps) -> Error {
    let status = answer.status.as_u16();
    let told: Refusal = answer.json().unwrap_or_default();
    if status == 429 {
        return trouble(Trouble::Throttled { status, until: wire::retry_after(answer, deps.clock.now()) });
    }
    if status >= 500 || told.error_codes.iter().any(|code| TRANSIENT.contains(code)) {
        return trouble(Trouble::Failed { status });
    }
    let number = told.error_codes.first().copied();
    let code = match number {
        Some(number) => format!("AADSTS{number}"),
        None => format!("{status} {}", outbound::shown_code(&told.error)),
    };
    Error::Credentials { code, meaning: meaning(number) }
}

/// What the person who can mend it should look at.
fn meaning(number: Option<u32>) -> &'static str {
    match number {
        Some(7_000_222) => "the client secret has expired",
        Some(7_000_215) => "the client secret is wrong (often its id was pasted instead of its value)",
        Some(7_000_218) => "no client secret was sent",
        Some(700_016) => {
            "the application is not known in this tenant: wrong ENTRA_TENANT_ID or ENTRA_CLIENT_ID, or no consent"
        }
        Some(700_027 | 700_024) => "the assertion is not accepted: wrong certificate, or the clock is off",
        Some(90_002) => "the tenant does not exist: check ENTRA_TENANT_ID",
        Some(70_011) => "the scope is not valid: check ENTRA_GRAPH_URL",
        Some(53_003) => "Conditional Access blocks this application",
        Some(500_011) => "Graph is missing in this tenant: check ENTRA_GRAPH_URL",
        _ => "the credentials are not accepted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::Body;
    use crate::retry::WhatNow;

    fn deps() -> Deps {
        Deps { clock: Arc::new(crate::clock::SystemClock), metrics: crate::telemetry::Metrics::new() }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: reqwest::StatusCode::from_u16(status).unwrap(),
            headers: Default::default(),
            body: Body::Whole(body.to_owned().into()),
        }
    }

    #[test]
    fn an_expired_secret_is_for_a_person_and_says_so() {
        let body =
            r#"{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys
            for app '24d3b144' are expired.","error_codes":[7000222],"trace_id":"x"}"#
                .replace('\n', " ");
        let error = refusal(&answer(401, &body), &deps());
        assert_eq!(error.what_now(), WhatNow::AskHuman);
        assert_eq!(error.to_string(), "entra token: AADSTS7000222: the client secret has expired");
    }

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        for (status, body) in [
            (400, r#"{"error":"temporarily_unavailable","error_codes":[90033]}"#),
            (400, r#"{"error":"x","error_codes":[50196]}"#),
            (503, "<html>"),
            (429, "{}"),
        ] {
            let error = refusal(&answer(status, body), &deps());
            assert_eq!(error.what_now(), WhatNow::BackOff, "{status} {body}");
            assert!(error.is_vendor_away(), "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_without_numbers_is_still_a_refusal() {
        let error = refusal(&answer(400, r#"{"error":"invalid_request<script>"}"#), &deps());
        assert_eq!(
            error.to_string(),
            "entra token: 400 invalid_requestscript: the credentials are not accepted"
        );
    }
}
