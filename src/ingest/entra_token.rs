//! Checks the bearer token of a secure webhook: issued by our tenant, for us, to Azure Monitor's own application, in the
//! role that we gave it.
//!
//! Tokens and answers are never logged.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use tokio::time::Instant;

use super::AzureMonitorJwt;
use super::entra_keys::EntraKeys;
use super::refusal::Refusal;
use crate::clock::Timestamp;
use crate::event::TenantId;

/// The application that calls secure webhooks, "AzNS AAD Webhook" (Azure Monitor, Action groups: secure webhook).
const CALLER_APP: &str = "461e8683-5575-4561-ac7f-899cc907d62a";
/// How far Entra's clock and ours may be apart.
const LEEWAY_SECONDS: i64 = 60;
/// Entra's tokens have two or three kilobytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

pub(super) struct Checker {
    tenant: String,
    role: String,
    validation: Validation,
    keys: Arc<EntraKeys>,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    /// Version 1 tokens name the calling application here, version 2 tokens in `azp`.
    #[serde(default)]
    appid: Option<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    tid: Option<String>,
    /// The app roles of the calling application; left out when it has none.
    #[serde(default)]
    roles: Vec<String>,
}

impl Checker {
    pub(super) fn new(settings: &AzureMonitorJwt, tenant: TenantId) -> Checker {
        let tenant = tenant.to_string();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&settings.audience]);
        validation.set_issuer(&settings.issuers);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The library reads the real time; ours is an argument, so these two are checked here.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let keys = EntraKeys::new(&settings.login_url, &tenant);
        Checker { tenant, role: settings.role.clone(), validation, keys }
    }

    pub(super) async fn check(&self, token: &str, now: Timestamp, deadline: Instant) -> Result<(), Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::WrongToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::WrongToken)?;
        let kid = header.kid.filter(|_| header.alg == Algorithm::RS256).ok_or(Refusal::WrongToken)?;
        let keys = tokio::time::timeout_at(deadline, self.keys.with(&kid, now))
            .await
            .map_err(|_| Refusal::KeysUnavailable)??;
        let key = keys.get(&kid).ok_or(Refusal::WrongToken)?;
        let token =
            jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| Refusal::WrongToken)?;
        self.judge(&token.claims, now.as_second())
    }

    fn judge(&self, claims: &Claims, now: i64) -> Result<(), Refusal> {
        let is_live = claims.exp.saturating_add(LEEWAY_SECONDS) > now
            && claims.nbf.is_none_or(|from| from.saturating_sub(LEEWAY_SECONDS) <= now);
        if !is_live {
            return Err(Refusal::Expired);
        }
        let caller = claims.appid.as_deref().or(claims.azp.as_deref());
        let is_ours = claims.tid.as_deref().is_none_or(|tid| tid == self.tenant);
        if caller != Some(CALLER_APP) || !is_ours {
            return Err(Refusal::WrongToken);
        }
        if claims.roles.contains(&self.role) { Ok(()) } else { Err(Refusal::WrongRole) }
    }
}
