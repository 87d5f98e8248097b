//! Access tokens: fetched once for all who wait, kept until shortly before they expire.
//!
//! While a token still works nobody waits for its successor: it is fetched in the background, and a token endpoint
//! that is away hurts only once the old token has died. All callers of one failed fetch get the same error, so that a
//! dead token endpoint costs each of them one timeout, not a queue of them. The fetch goes on when its callers are
//! dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::clock::{self, SharedClock, Timestamp};

/// How long before its death a token is replaced: longer than the longest retry of a fetch.
const REPLACE_BEFORE: Duration = Duration::from_secs(300);
/// A token is not used in its last seconds: it might die on the way.
const UNUSED_SECONDS: Duration = Duration::from_secs(10);
/// A token younger than this is not replaced for a missing permission: a lost one must not cost a login per request.
const DOUBTED_AFTER: Duration = Duration::from_secs(5);
/// Early fetches that fail are tried again after this; the token in hand still works.
const EARLY_RETRY: Duration = Duration::from_secs(15);

/// What a token endpoint gives.
#[derive(Debug, Clone)]
pub struct Fresh {
    pub secret: SecretString,
    pub lifetime: Duration,
}

/// A token in use. Compared by its number, so that a 401 drops the token that was refused and not its successor.
#[derive(Debug, Clone)]
pub struct Token {
    pub secret: SecretString,
    number: u64,
    born_at: Timestamp,
    replace_at: Timestamp,
    dies_at: Timestamp,
}

impl Token {
    /// The words that a claim of the token lists, in an array or separated by spaces. Nothing is verified: the token is our
    /// own, and what it says is only shown. `None` when it cannot be looked into, which a vendor may decide any day.
    pub fn words_of(&self, claim: &str) -> Option<BTreeSet<String>> {
        let payload = self.secret.expose_secret().split('.').nth(1)?;
        let claims: Map<String, Value> =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        match claims.get(claim) {
            None => Some(BTreeSet::new()),
            Some(Value::String(words)) => Some(words.split_whitespace().map(str::to_owned).collect()),
            Some(Value::Array(words)) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        }
    }
}

type Fetch<E> = Box<dyn Fn() -> BoxFuture<'static, Result<Fresh, E>> + Send + Sync>;
type Flight<E> = Shared<BoxFuture<'static, Result<Token, E>>>;

/// One application's tokens for one vendor.
pub struct Tokens<E> {
    clock: SharedClock,
    fetch: Fetch<E>,
    state: Mutex<State<E>>,
}

struct State<E> {
    token: Option<Token>,
    flight: Option<Flight<E>>,
    issued: u64,
    not_early_before: Timestamp,
}

impl<E: Clone + Send + Sync + 'static> Tokens<E> {
    pub fn new(
        clock: SharedClock,
        fetch: impl Fn() -> BoxFuture<'static, Result<Fresh, E>> + Send + Sync + 'static,
    ) -> Arc<Tokens<E>> {
        let state = State { token: None, flight: None, issued: 0, not_early_before: Timestamp::MIN };
        Arc::new(Tokens { clock, fetch: Box::new(fetch), state: Mutex::new(state) })
    }

    /// A token that works, fetched if need be.
    ///
    /// # Errors
    /// What the token endpoint answered, or that it did not.
    pub async fn get(self: &Arc<Self>) -> Result<Token, E> {
        let flight = {
            let mut state = self.state();
            let now = self.clock.now();
            match &state.token {
                Some(token) if now < token.replace_at => return Ok(token.clone()),
                Some(token) if now < token.dies_at => {
                    let token = token.clone();
                    if now >= state.not_early_before {
                        state.not_early_before = clock::after(now, EARLY_RETRY);
                        drop(self.fly(&mut state));
                    }
                    return Ok(token);
                }
                _ => self.fly(&mut state),
            }
        };
        flight.await
    }

    /// The vendor refused this token: forget it, unless it has been replaced already.
    pub fn drop_refused(&self, refused: &Token) {
        let mut state = self.state();
        if state.token.as_ref().is_some_and(|token| token.number == refused.number) {
            state.token = None;
        }
    }

    /// The vendor misses a permission: the token may be from before somebody granted it, because permissions are written
    /// into tokens at their birth. Forget it, unless it is new. Says whether the next request goes with another one.
    pub fn doubt(&self, doubted: &Token) -> bool {
        if clock::elapsed(doubted.born_at, self.clock.now()) >= DOUBTED_AFTER {
            self.drop_refused(doubted);
        }
        self.state().token.as_ref().is_none_or(|token| token.number != doubted.number)
    }

    /// Joins the fetch under way or starts one.
    fn fly(self: &Arc<Self>, state: &mut State<E>) -> Flight<E> {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        let (me, fetch) = (Arc::clone(self), (self.fetch)());
        let flight = async move {
            let fetched = fetch.await;
            me.land(fetched)
        };
        let flight = flight.boxed().shared();
        // Goes on when its callers give up; ends within the token request's own time limit.
        tokio::spawn(flight.clone());
        state.flight = Some(flight.clone());
        flight
    }

    fn land(&self, fetched: Result<Fresh, E>) -> Result<Token, E> {
        let mut state = self.state();
        state.flight = None;
        let fresh = fetched?;
        state.issued += 1;
        let token = token(fresh, state.issued, self.clock.now());
        state.token = Some(token.clone());
        Ok(token)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn token(fresh: Fresh, number: u64, now: Timestamp) -> Token {
    // Short-lived tokens keep nine tenths of their life.
    let replace_before = REPLACE_BEFORE.min(fresh.lifetime / 10);
    let unused = UNUSED_SECONDS.min(fresh.lifetime / 20);
    Token {
        secret: fresh.secret,
        number,
        born_at: now,
        replace_at: clock::after(now, fresh.lifetime.saturating_sub(replace_before)),
        dies_at: clock::after(now, fresh.lifetime.saturating_sub(unused)),
    }
}

impl<E> std::fmt::Debug for Tokens<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, claim: &str) -> Option<Vec<String>> {
        let fresh = Fresh { secret: text.into(), lifetime: Duration::from_secs(60) };
        token(fresh, 1, Timestamp::UNIX_EPOCH).words_of(claim).map(|words| words.into_iter().collect())
    }

    #[test]
    fn a_token_lists_words_in_either_form_or_cannot_be_looked_into() {
        let signed = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        let two = Some(vec!["a:x".to_owned(), "b:y".to_owned()]);
        assert_eq!(words(&signed(r#"{"scope":"b:y a:x"}"#), "scope"), two);
        assert_eq!(words(&signed(r#"{"roles":["a:x","b:y"]}"#), "roles"), two);
        assert_eq!(words(&signed("{}"), "scope"), Some(vec![]), "nothing was granted");
        for opaque in ["", "opaque", "e30.!.c2ln", "e30.e30", &signed("[]"), &signed(r#"{"scope":7}"#)] {
            assert!(words(opaque, "scope").is_none_or(|words| opaque == "e30.e30" && words.is_empty()));
        }
    }
}
