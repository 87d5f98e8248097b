//! The Entra token endpoint: client credentials with a secret or with an assertion (Microsoft identity platform, OAuth 2.0
//! client credentials flow; Certificate credentials; Workload identity federation).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::key::SigningKey;
use super::{OPERATION, file, refusal, trouble};
use crate::entra::call::request_id;
use crate::entra::{Error, Settings};
use crate::outbound::http::Answer;
use crate::outbound::token::Fresh;
use crate::outbound::{self, Deps, Sending, Timeouts, Trouble};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What is sent to prove who asks; files are read for every request.
pub(super) enum Proof {
    Secret(SecretString),
    Certificate(PathBuf),
    Federated(PathBuf),
}

pub(super) struct Endpoint {
    http: reqwest::Client,
    url: reqwest::Url,
    client_id: String,
    proof: Proof,
    scope: String,
    deps: Deps,
}

#[derive(Serialize)]
struct Form<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_assertion_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_assertion: Option<&'a str>,
}

impl Endpoint {
    pub(super) fn new(
        settings: &Settings,
        client_id: &str,
        proof: Proof,
        deps: &Deps,
    ) -> Result<Endpoint, Error> {
        let path = format!("/{}/oauth2/v2.0/token", settings.tenant);
        Ok(Endpoint {
            http: outbound::client("ENTRA_LOGIN_URL", &settings.login_url, Timeouts::default())?,
            url: outbound::address(&settings.login_url, &path),
            client_id: client_id.to_owned(),
            proof,
            // The scope's host must be the Graph host of the same cloud (Microsoft Graph, National cloud deployments).
            scope: format!("{}/.default", settings.graph_url.as_str().trim_end_matches('/')),
            deps: deps.clone(),
        })
    }

    pub(super) async fn fetch(self: Arc<Self>) -> Result<Fresh, Error> {
        let assertion = self.assertion().await?;
        let assertion = assertion.as_ref().map(ExposeSecret::expose_secret);
        let secret = match &self.proof {
            Proof::Secret(secret) => Some(secret.expose_secret()),
            Proof::Certificate(_) | Proof::Federated(_) => None,
        };
        let form = Form {
            grant_type: "client_credentials",
            client_id: &self.client_id,
            scope: &self.scope,
            client_secret: secret,
            client_assertion_type: assertion.map(|_| JWT_BEARER),
            client_assertion: assertion,
        };
        let request = self.http.post(self.url.clone()).form(&form);
        let sending = Sending::to("entra", OPERATION).named(request_id());
        let answer = outbound::exchange(&self.deps, sending, request).await.map_err(trouble)?;
        match answer.status.is_success() {
            true => read(&answer),
            false => Err(refusal::of_entra(&answer, self.deps.clock.now())),
        }
    }

    async fn assertion(&self) -> Result<Option<SecretString>, Error> {
        match &self.proof {
            Proof::Secret(_) => Ok(None),
            Proof::Certificate(path) => {
                let unusable =
                    |meaning| Error::Credentials { code: "ENTRA_CLIENT_CERTIFICATE_FILE".into(), meaning };
                let text = file::read(path).await.map_err(|unread| unusable(unread.meaning()))?;
                let key = SigningKey::read(text.expose_secret()).map_err(|no| unusable(no.meaning()))?;
                let signed = key.assertion(self.url.as_str(), &self.client_id, self.deps.clock.now());
                signed.map(Some).map_err(|no| unusable(no.meaning()))
            }
            // The kubelet renews the file about every hour (Azure AD Workload Identity).
            Proof::Federated(path) => {
                let unusable =
                    |meaning| Error::Credentials { code: "AZURE_FEDERATED_TOKEN_FILE".into(), meaning };
                let text = file::read(path).await.map_err(|unread| unusable(unread.meaning()))?;
                Ok(Some(text.expose_secret().trim().into()))
            }
        }
    }
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
