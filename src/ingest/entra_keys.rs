//! The keys that Entra signs with, fetched from `{login_url}/{tenant}/discovery/v2.0/keys` and kept for an hour.
//!
//! An unknown key makes us look again, at most once a minute, so that forged tokens cannot make us hammer Entra. One
//! fetch runs at a time, in a task of its own: who asked for it may go away without ending it. Meanwhile known keys
//! stay good and wait for nothing; only while there are none does anybody wait for somebody else's fetch. While keys
//! cannot be fetched the old ones stay good; for any other the sender is told to come again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::OwnedMutexGuard;

use super::refusal::Refusal;
use crate::clock::{self, Timestamp};
use crate::outbound::{self, Timeouts, http};

/// Entra rolls its keys every few weeks and publishes a new one well before it is used.
const KEYS_FRESH: Duration = Duration::from_secs(3600);
const FETCH_EVERY: Duration = Duration::from_secs(60);
/// Below the route's own limit, so that one slow fetch is reported as what it is.
const FETCH_TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(5) };
const KEYS_MAX: usize = 64;

pub(super) type Keys = Arc<BTreeMap<String, DecodingKey>>;

pub(super) struct EntraKeys {
    url: reqwest::Url,
    /// `None` when the address is not one that secrets may depend on; the configuration has refused it already, and
    /// no token is believed.
    http: Option<reqwest::Client>,
    known: Mutex<Known>,
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default, Clone)]
struct Known {
    keys: Option<Keys>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

impl Known {
    fn has(&self, kid: &str) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.contains_key(kid))
    }

    fn is_to_be_fetched(&self, kid: &str, now: Timestamp) -> bool {
        let is_older = |at: Option<Timestamp>, than| at.is_none_or(|at| clock::elapsed(at, now) >= than);
        let is_wanted = !self.has(kid) || is_older(self.fetched_at, KEYS_FRESH);
        is_wanted && is_older(self.tried_at, FETCH_EVERY)
    }

    /// The last fetch has brought keys: what is not among them is none of Entra's.
    fn is_whole(&self) -> bool {
        self.fetched_at.is_some() && self.fetched_at == self.tried_at
    }
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

impl EntraKeys {
    pub(super) fn new(login_url: &reqwest::Url, tenant: &str) -> Arc<EntraKeys> {
        let url = outbound::address(login_url, &format!("/{tenant}/discovery/v2.0/keys"));
        let http = outbound::client("ENTRA_LOGIN_URL", login_url, FETCH_TIMEOUTS)
            .inspect_err(|error| tracing::error!(%error, "secure webhooks cannot be checked"))
            .ok();
        Arc::new(EntraKeys { url, http, known: Mutex::default(), fetching: Arc::default() })
    }

    /// Keys with `kid` among them. [`Refusal::WrongToken`] when Entra has no such key.
    pub(super) async fn with(self: &Arc<Self>, kid: &str, now: Timestamp) -> Result<Keys, Refusal> {
        let mut known = self.known().clone();
        if known.keys.is_none() {
            let turn = self.fetching.clone().lock_owned().await;
            known = self.fetched(turn, kid, now).await;
        } else if known.is_to_be_fetched(kid, now)
            && let Ok(turn) = self.fetching.clone().try_lock_owned()
        {
            known = self.fetched(turn, kid, now).await;
        }
        let (has, is_whole) = (known.has(kid), known.is_whole());
        match known.keys {
            Some(keys) if has => Ok(keys),
            Some(_) if is_whole => Err(Refusal::WrongToken),
            _ => Err(Refusal::KeysUnavailable),
        }
    }

    /// What is known when it was this caller's `turn`. Somebody before may have fetched already.
    async fn fetched(self: &Arc<Self>, turn: OwnedMutexGuard<()>, kid: &str, now: Timestamp) -> Known {
        if self.known().is_to_be_fetched(kid, now) {
            self.known().tried_at = Some(now);
            let keys = self.clone();
            let fetch = tokio::spawn(async move {
                let _turn = turn;
                match keys.fetch().await {
                    Ok(fetched) => {
                        let mut known = keys.known();
                        (known.keys, known.fetched_at) = (Some(Arc::new(fetched)), Some(now));
                    }
                    Err(why) => tracing::warn!(why, "the signing keys of Entra could not be fetched"),
                }
            });
            if let Err(error) = fetch.await {
                tracing::error!(%error, "fetching the signing keys of Entra ended badly");
            }
        }
        self.known().clone()
    }

    async fn fetch(&self) -> Result<BTreeMap<String, DecodingKey>, &'static str> {
        let http = self.http.as_ref().ok_or("there is no HTTP client")?;
        let answer = http::send(http.get(self.url.clone())).await.map_err(|_| "no answer")?;
        if !answer.status.is_success() {
            return Err("the answer is not 200");
        }
        let set: KeySet = answer.json().map_err(|_| "the answer is no key set")?;
        let rsa = set.keys.into_iter().filter(|key| key.kty == "RSA" && !key.kid.is_empty()).take(KEYS_MAX);
        let keys: BTreeMap<_, _> = rsa
            .filter_map(|key| Some((key.kid, DecodingKey::from_rsa_components(&key.n, &key.e).ok()?)))
            .collect();
        // The keys that are known stay good: none at all is an accident of the answer, not Entra's word.
        if keys.is_empty() { Err("there is no key in the answer") } else { Ok(keys) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in here panics half-way through a change, so a poisoned lock guards sound data.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
