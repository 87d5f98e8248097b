//! The user search: an index that lags behind the users (Auth0, List and Search Users: eventually consistent, not for
//! confirming writes).
//!
//! Changed accounts wait in `dirty` until the lag is over (or for ever while the index is frozen) and are indexed when
//! somebody searches; without a lag they are indexed at once, so that no search pays for a whole population. What a search finds is the indexed version of a user, stale fields and deleted users included.
//! Exact terms on ids, e-mail and `app_metadata` are looked up; other fields are compared user by user.

use super::World;
use super::accounts::{Account, AccountId};
use super::lucene::{ParseError, Query, folded, parse};
use super::register::Register;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a search found, in a stable order, before paging.
pub(crate) type Hits = Vec<Arc<Account>>;

pub(super) struct Index {
    lag: Duration,
    frozen: bool,
    dirty: BTreeMap<AccountId, Instant>,
    indexed: BTreeMap<AccountId, Arc<Account>>,
    terms: HashMap<String, BTreeSet<AccountId>>,
}

impl Index {
    pub(super) fn new(lag: Duration) -> Index {
        Index { lag, frozen: false, dirty: BTreeMap::new(), indexed: BTreeMap::new(), terms: HashMap::new() }
    }

    fn touch(&mut self, id: &AccountId) {
        if !self.dirty.contains_key(id) {
            self.dirty.insert(id.clone(), Instant::now());
        }
    }

    fn catch_up(&mut self, accounts: &Register) {
        if self.frozen || self.dirty.is_empty() {
            return;
        }
        let now = Instant::now();
        let lag = self.lag;
        let due: Vec<_> = self.dirty.extract_if(.., |_, since| *since + lag <= now).collect();
        for (id, _) in due {
            self.reindex(&id, accounts.get(&id));
        }
    }

    fn reindex(&mut self, id: &AccountId, account: Option<&Arc<Account>>) {
        if let Some(old) = self.indexed.remove(id) {
            for term in exact_terms(&old) {
                if let Some(ids) = self.terms.get_mut(&term) {
                    ids.remove(id);
                }
            }
        }
        if let Some(account) = account {
            for term in exact_terms(account) {
                self.terms.entry(term).or_default().insert(id.clone());
            }
            self.indexed.insert(id.clone(), account.clone());
        }
    }

    /// Ids among which all hits are, or `None` if everybody must be looked at.
    fn candidates(&self, query: &Query) -> Option<BTreeSet<AccountId>> {
        match query {
            Query::Term { field, value } => {
                is_exact(field).then(|| self.terms.get(&term(field, value)).cloned().unwrap_or_default())
            }
            Query::All(parts) => {
                parts.iter().filter_map(|part| self.candidates(part)).min_by_key(BTreeSet::len)
            }
            Query::Any(parts) => {
                parts.iter().map(|part| self.candidates(part)).try_fold(BTreeSet::new(), |mut all, part| {
                    all.extend(part?);
                    Some(all)
                })
            }
        }
    }

    fn find(&self, query: &Query) -> Hits {
        match self.candidates(query) {
            Some(ids) => {
                let some = ids.iter().filter_map(|id| self.indexed.get(id));
                some.filter(|account| query.accepts(account)).cloned().collect()
            }
            None => self.indexed.values().filter(|a| query.accepts(a)).cloned().collect(),
        }
    }
}

impl World {
    /// From now on, how far the search lags behind the users.
    pub fn set_search_lag(&mut self, lag: Duration) {
        self.search.lag = lag;
    }

    /// Stale search: the index stays as it is now until [`World::thaw_search`].
    pub fn freeze_search(&mut self) {
        self.search.catch_up(&self.accounts);
        self.search.frozen = true;
    }

    /// The index catches up again.
    pub fn thaw_search(&mut self) {
        self.search.frozen = false;
    }

    /// An account has changed, appeared or gone.
    pub(super) fn touched(&mut self, id: &AccountId) {
        self.search.touch(id);
        if self.search.lag.is_zero() {
            self.search.catch_up(&self.accounts);
        }
    }

    /// Users that the index knows and the query accepts; `None` asks for all of them.
    pub(crate) fn search(&mut self, query: Option<&str>) -> Result<Hits, ParseError> {
        self.search.catch_up(&self.accounts);
        let Some(text) = query else {
            return Ok(self.search.indexed.values().cloned().collect());
        };
        let query = parse(text)?;
        if let Some(field) = query.unsearchable() {
            return Err(ParseError(format!("{field} cannot be searched")));
        }
        Ok(self.search.find(&query))
    }
}

fn is_exact(field: &str) -> bool {
    matches!(field, "user_id" | "email" | "identities.user_id") || field.starts_with("app_metadata.")
}

fn term(field: &str, value: &str) -> String {
    format!("{field}\0{}", folded(field, value))
}

fn exact_terms(account: &Account) -> Vec<String> {
    let mut terms = vec![term("user_id", &account.id)];
    terms.extend(account.email.iter().map(|email| term("email", email)));
    let identities = account.identities.iter();
    terms.extend(identities.map(|identity| term("identities.user_id", &identity.user_id)));
    for (key, value) in &account.app_metadata {
        metadata_terms(&format!("app_metadata.{key}"), value, &mut terms);
    }
    terms
}

fn metadata_terms(path: &str, value: &Value, terms: &mut Vec<String>) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                metadata_terms(&format!("{path}.{key}"), value, terms);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| metadata_terms(path, item, terms)),
        Value::String(text) if !text.is_empty() => terms.push(term(path, text)),
        Value::Bool(_) | Value::Number(_) => terms.push(term(path, &value.to_string())),
        Value::String(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Setup;
    use crate::world::{AccountSeed, lucene};

    fn seed(id: u32, key: u32) -> AccountSeed {
        AccountSeed {
            user_id: format!("auth0|{id}"),
            connection: "db".into(),
            email: Some(format!("P{key}@example.com")),
            app_metadata: serde_json::json!({"a": {"b": [format!("v{key}"), 7]}})
                .as_object()
                .cloned()
                .unwrap(),
            ..AccountSeed::default()
        }
    }

    /// Whatever happened before, the index finds what a walk through everybody finds.
    #[test]
    fn looking_up_finds_what_walking_finds() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut world = World::new(&Setup::default());
        for step in 0..600 {
            let (id, key) = (random.u32(..40), random.u32(..8));
            let user_id = format!("auth0|{id}");
            match (random.u32(..4), world.find_account(&user_id).is_some()) {
                (0, true) => world.delete_account(&user_id),
                (1, true) => world.block_account_by_admin(&user_id),
                (_, true) => world.set_app_metadata(&user_id, "c", format!("v{key}").into()),
                (_, false) => drop(world.add_account_raw(seed(id, key))),
            }
            let text = match step % 4 {
                0 => format!("app_metadata.a.b:\"v{key}\" AND blocked:true"),
                1 => format!("email:\"p{key}@EXAMPLE.com\" OR app_metadata.c:v{key}"),
                2 => format!("(user_id:\"auth0|{id}\" OR app_metadata.a.b:7) AND app_metadata.c:v{key}"),
                _ => format!("identities.user_id:\"{id}\""),
            };
            let query = lucene::parse(&text).expect("a query that is played");
            let mut walked: Vec<AccountId> =
                world.accounts().filter(|a| query.accepts(a)).map(|a| a.id.clone()).collect();
            walked.sort_unstable();
            let found = world.search(Some(&text)).expect("the same query");
            let found: Vec<AccountId> = found.iter().map(|account| account.id.clone()).collect();
            assert_eq!(found, walked, "step {step}: {text}");
        }
    }
}
