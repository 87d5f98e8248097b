//! Auth0's token endpoint: client credentials for the Management API.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::auth0::error::Effect;
use crate::auth0::{Error, Settings, call, wire};
use crate::outbound::http::{Answer, Unreadable};
use crate::outbound::token::{Fresh, Tokens};
use crate::outbound::{self, Deps, Sending, Timeouts, Trouble};

const OPERATION: &str = "token";

/// Tokens for the Management API. Getting one costs nothing of the plan's machine-to-machine quota (Auth0, Management
/// API Access Tokens).
pub(super) fn tokens(settings: &Settings, deps: &Deps) -> Result<Arc<Tokens<Error>>, Error> {
    let request = Arc::new(TokenRequest {
        http: outbound::client("AUTH0_URL", &settings.url, Timeouts::default())?,
        url: outbound::address(&settings.url, "/oauth/token"),
        client_id: settings.client_id.clone(),
        client_secret: settings.client_secret.clone(),
        // Always the canonical domain, with the slash, whatever address is used (Auth0, Custom Domains).
        audience: format!("https://{}/api/v2/", settings.domain),
        deps: deps.clone(),
    });
    Ok(Tokens::new(Arc::clone(&deps.clock), move || Arc::clone(&request).fetch().boxed()))
}

struct TokenRequest {
    http: reqwest::Client,
    url: reqwest::Url,
    client_id: String,
    client_secret: SecretString,
    audience: String,
    deps: Deps,
}

#[derive(Serialize)]
struct Ask<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    client_secret: &'a str,
    audience: &'a str,
}

impl TokenRequest {
    async fn fetch(self: Arc<Self>) -> Result<Fresh, Error> {
        let ask = Ask {
            grant_type: "client_credentials",
            client_id: &self.client_id,
            client_secret: self.client_secret.expose_secret(),
            audience: &self.audience,
        };
        let request = self.http.post(self.url.clone()).json(&ask);
        let sending = Sending::to("auth0", OPERATION).named(call::request_id(None));
        let answer = outbound::exchange(&self.deps, sending, request).await.map_err(trouble)?;
        match answer.status.is_success() {
            true => read(&answer),
            false => Err(refusal(&answer, &self.deps)),
        }
    }
}

/// No write of the caller's was under way: a failed token request leaves nothing open.
fn trouble(trouble: Trouble) -> Error {
    Error::Trouble { operation: OPERATION, effect: Effect::Read, trouble }
}

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

/// `{error, error_description}`, unlike the Management API's body; anything else is not Auth0's word.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn refusal(answer: &Answer, deps: &Deps) -> Error {
    let status = answer.status.as_u16();
    match status {
        429 => trouble(Trouble::Throttled { status, until: wire::come_back_at(answer, deps.clock.now()) }),
        500.. => trouble(Trouble::Failed { status }),
        _ => match answer.json::<Refusal>() {
            Ok(told) => Error::Credentials { status, code: outbound::shown_code(&told.error) },
            Err(_) => trouble(Trouble::Unreadable { status, why: Unreadable::Shape }),
        },
    }
}
