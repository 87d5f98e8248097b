//! Checks the bearer token of a secure webhook: issued by our tenant, for us, to Azure Monitor's own application.
//!
//! Entra's signing keys are fetched from `{login_url}/{tenant}/discovery/v2.0/keys` and kept for an hour. A token
//! signed with an unknown key makes us look again, at most once a minute, so that forged tokens cannot make us hammer
//! Entra. While keys cannot be fetched the old ones stay good; without any, the sender is told to come again.
//! Tokens and answers are never logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::AzureMonitorJwt;
use super::refusal::Refusal;
use crate::clock::{self, Timestamp};
use crate::event::TenantId;
use crate::outbound::{self, Timeouts, http};

/// The application that calls secure webhooks, "AzNS AAD Webhook" (Azure Monitor, Action groups: secure webhook).
const CALLER_APP: &str = "461e8683-5575-4561-ac7f-899cc907d62a";
/// How far Entra's clock and ours may be apart.
const LEEWAY_SECONDS: i64 = 60;
/// Entra's tokens have two or three kilobytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Entra rolls its keys every few weeks and publishes a new one well before it is used.
const KEYS_FRESH: Duration = Duration::from_secs(3600);
const FETCH_EVERY: Duration = Duration::from_secs(60);
/// Below the route's own limit, so that one slow fetch is reported as what it is.
const FETCH_TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(5) };
const KEYS_MAX: usize = 64;

type Keys = Arc<BTreeMap<String, DecodingKey>>;

pub(super) struct Checker {
    tenant: String,
    validation: Validation,
    keys_url: reqwest::Url,
    /// `None` when the address is not one that secrets may depend on; the configuration has refused it already, and
    /// no token is believed.
    http: Option<reqwest::Client>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    keys: Option<Keys>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
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
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Checker {
    pub(super) fn new(settings: &AzureMonitorJwt, tenant: TenantId) -> Checker {
        let tenant = tenant.to_string();
        let login = settings.login_url.as_str().trim_end_matches('/');
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&settings.audience]);
        validation
            .set_issuer(&[format!("https://sts.windows.net/{tenant}/"), format!("{login}/{tenant}/v2.0")]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // The library reads the real time; ours is an argument, so these two are checked here.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let keys_url = outbound::address(&settings.login_url, &format!("/{tenant}/discovery/v2.0/keys"));
        let http = outbound::client("ENTRA_LOGIN_URL", &settings.login_url, FETCH_TIMEOUTS)
            .inspect_err(|error| tracing::error!(%error, "secure webhooks cannot be checked"))
            .ok();
        Checker { tenant, validation, keys_url, http, cache: Mutex::default() }
    }

    pub(super) async fn check(&self, token: &str, now: Timestamp, deadline: Instant) -> Result<(), Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::WrongToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::WrongToken)?;
        let kid = header.kid.filter(|_| header.alg == Algorithm::RS256).ok_or(Refusal::WrongToken)?;
        let keys = tokio::time::timeout_at(deadline, self.keys(&kid, now))
            .await
            .map_err(|_| Refusal::KeysUnavailable)?
            .ok_or(Refusal::KeysUnavailable)?;
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
        if caller == Some(CALLER_APP) && is_ours { Ok(()) } else { Err(Refusal::WrongToken) }
    }

    /// The keys to look `kid` up in. One request fetches, the others wait for it.
    async fn keys(&self, kid: &str, now: Timestamp) -> Option<Keys> {
        let mut cache = self.cache.lock().await;
        let is_older = |at: Option<Timestamp>, than| at.is_none_or(|at| clock::elapsed(at, now) >= than);
        let knows = cache.keys.as_ref().is_some_and(|keys| keys.contains_key(kid));
        let wants = !knows || is_older(cache.fetched_at, KEYS_FRESH);
        if wants && is_older(cache.tried_at, FETCH_EVERY) {
            cache.tried_at = Some(now);
            match self.fetch().await {
                Ok(keys) => (cache.keys, cache.fetched_at) = (Some(Arc::new(keys)), Some(now)),
                Err(why) => tracing::warn!(why, "the signing keys of Entra could not be fetched"),
            }
        }
        cache.keys.clone()
    }

    async fn fetch(&self) -> Result<BTreeMap<String, DecodingKey>, &'static str> {
        let http = self.http.as_ref().ok_or("there is no HTTP client")?;
        let answer = http::send(http.get(self.keys_url.clone())).await.map_err(|_| "no answer")?;
        if !answer.status.is_success() {
            return Err("the answer is not 200");
        }
        let set: KeySet = answer.json().map_err(|_| "the answer is no key set")?;
        let rsa = set.keys.into_iter().filter(|key| key.kty == "RSA" && !key.kid.is_empty()).take(KEYS_MAX);
        Ok(rsa
            .filter_map(|key| Some((key.kid, DecodingKey::from_rsa_components(&key.n, &key.e).ok()?)))
            .collect())
    }
}
