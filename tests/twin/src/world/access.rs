//! What lets an account in: sessions, refresh tokens, grants and device credentials, and how each of them ends.
//!
//! Sessions and refresh tokens end asynchronously: a revoked one stays visible and usable until its time has come
//! (Auth0, Manage User Sessions with the Management API). Access tokens are not kept, because nothing can end them.

use super::World;
use super::accounts::AccountId;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Instant;

/// What one sign-in leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub session: String,
    pub refresh_token: String,
    pub grant: String,
    pub device_credential: String,
}

/// An Auth0 session.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: String,
    pub client_id: String,
    pub created: Timestamp,
    ends: Option<Instant>,
}

/// An offline refresh token; it outlives its session (Auth0, Revoke Refresh Tokens).
#[derive(Debug, Clone)]
pub struct RefreshToken {
    pub id: String,
    pub client_id: String,
    pub session_id: String,
    pub audience: String,
    pub created: Timestamp,
    /// The same token seen through `GET /api/v2/device-credentials`.
    pub device_credential: String,
    ends: Option<Instant>,
}

/// A consent; the refresh tokens of its client hang on it (Auth0, Revoke Refresh Tokens).
#[derive(Debug, Clone)]
pub struct Grant {
    pub id: String,
    pub client_id: String,
    pub audience: String,
}

/// Upstream tokens kept in Token Vault for one connection.
#[derive(Debug, Clone)]
pub struct TokenSet {
    pub id: String,
    pub connection: String,
    pub issued: Timestamp,
}

/// A refresh token as the device-credentials endpoint shows it.
#[derive(Debug, Clone)]
pub struct DeviceCredential {
    pub id: String,
    pub client_id: String,
}

/// Which refresh tokens a session revocation takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    SessionsOnly,
    SessionsAndRefreshTokens,
}

/// Everything that all accounts hold.
#[derive(Default)]
pub(super) struct Holdings {
    by_account: HashMap<AccountId, Held>,
    /// Sessions, refresh tokens, grants and device credentials to the account that holds them.
    owners: HashMap<String, AccountId>,
}

#[derive(Default)]
struct Held {
    sessions: Vec<Session>,
    tokens: Vec<RefreshToken>,
    grants: Vec<Grant>,
    token_sets: Vec<TokenSet>,
}

impl World {
    /// Signs the account in with one application: session, refresh token, grant and device credential. `None` if the
    /// sign-in is refused. A refused attempt of a blocked user still raises `last_login` and `logins_count` (Auth0,
    /// Block and Unblock Users).
    pub fn sign_in(&mut self, id: &str) -> Option<SignIn> {
        let allowed = self.can_sign_in(id);
        let now = Timestamp::now();
        self.change_account(id, |account| {
            account.last_login = Some(now);
            account.logins_count += 1;
        });
        allowed.then(|| self.access.add(&AccountId::from(id), now))
    }

    /// Whether a sign-in would succeed now: the account exists and is not blocked, and for enterprise accounts Entra
    /// lets the person in.
    pub fn can_sign_in(&self, id: &str) -> bool {
        self.find_account(id).is_some_and(|account| {
            let upstream_lets_in = !account.is_enterprise() || self.entra_lets_in(id);
            !account.blocked && upstream_lets_in
        })
    }

    /// Whether an exchange of this refresh token (by id) for an access token would succeed now. A blocked user is
    /// answered `user is blocked` (public exchange in an issue of Auth0's browser SDK).
    pub fn can_exchange(&self, refresh_token: &str) -> bool {
        let now = Instant::now();
        self.access.owners.get(refresh_token).is_some_and(|owner| {
            let blocked = self.find_account(owner).is_none_or(|account| account.blocked);
            let held = self.access.by_account.get(owner);
            let alive = held.is_some_and(|held| {
                held.tokens.iter().any(|token| token.id == refresh_token && is_alive(token.ends, now))
            });
            alive && !blocked
        })
    }

    /// Whether this session (by id) would let its browser in without a new sign-in. A blocked user's session is refused
    /// at its next use (Auth0 community, thread 117905).
    pub fn can_use_session(&self, session: &str) -> bool {
        let now = Instant::now();
        self.access.owners.get(session).is_some_and(|owner| {
            let blocked = self.find_account(owner).is_none_or(|account| account.blocked);
            let held = self.access.by_account.get(owner);
            let alive = held
                .is_some_and(|held| held.sessions.iter().any(|s| s.id == session && is_alive(s.ends, now)));
            alive && !blocked
        })
    }

    /// The account's live sessions, oldest first.
    pub fn sessions(&self, id: &str) -> Vec<Session> {
        let now = Instant::now();
        let held = self.access.by_account.get(id).map_or(&[][..], |held| &held.sessions);
        held.iter().filter(|session| is_alive(session.ends, now)).cloned().collect()
    }

    /// The account's live refresh tokens, oldest first.
    pub fn refresh_tokens(&self, id: &str) -> Vec<RefreshToken> {
        let now = Instant::now();
        let held = self.access.by_account.get(id).map_or(&[][..], |held| &held.tokens);
        held.iter().filter(|token| is_alive(token.ends, now)).cloned().collect()
    }

    /// The account's grants, oldest first.
    pub fn grants(&self, id: &str) -> Vec<Grant> {
        self.access.by_account.get(id).map(|held| held.grants.clone()).unwrap_or_default()
    }

    /// The account's device credentials, oldest first.
    pub fn device_credentials(&self, id: &str) -> Vec<DeviceCredential> {
        let tokens = self.refresh_tokens(id).into_iter();
        tokens
            .map(|token| DeviceCredential { id: token.device_credential, client_id: token.client_id })
            .collect()
    }

    /// Keeps upstream tokens of the account in Token Vault, as a connected account does; returns the set's id.
    pub fn add_token_set(&mut self, id: &str, connection: &str) -> String {
        let set = TokenSet {
            id: format!("fct_{}", super::word(20)),
            connection: connection.to_owned(),
            issued: Timestamp::now(),
        };
        let owner = self.account(id).id.clone();
        let kept = set.id.clone();
        self.access.by_account.entry(owner).or_default().token_sets.push(set);
        kept
    }

    /// The account's token sets, oldest first.
    pub fn token_sets(&self, id: &str) -> Vec<TokenSet> {
        self.access.by_account.get(id).map(|held| held.token_sets.clone()).unwrap_or_default()
    }

    /// `DELETE …/federated-connections-tokensets/{id}`: at once.
    pub(crate) fn delete_token_set(&mut self, id: &str, set: &str) {
        self.access.change(id, |held| held.token_sets.retain(|kept| kept.id != set));
    }

    /// The account that holds this session, refresh token, grant or device credential.
    pub fn owner_of(&self, held: &str) -> Option<&AccountId> {
        self.access.owners.get(held)
    }

    /// Ids of all accounts that hold anything.
    pub(crate) fn holders(&self) -> Vec<AccountId> {
        let mut holders: Vec<AccountId> = self.access.by_account.keys().cloned().collect();
        holders.sort_unstable();
        holders
    }

    /// `DELETE /users/{id}/sessions`: offline refresh tokens stay.
    pub(crate) fn end_sessions(&mut self, id: &str) {
        let ends = self.ends();
        self.access.change(id, |held| {
            held.sessions.iter_mut().for_each(|session| end_at(&mut session.ends, ends));
        });
    }

    /// `DELETE /users/{id}/refresh-tokens`: sessions stay.
    pub(crate) fn end_refresh_tokens(&mut self, id: &str) {
        let ends = self.ends();
        self.access.change(id, |held| {
            held.tokens.iter_mut().for_each(|token| end_at(&mut token.ends, ends));
        });
    }

    /// One session, and with [`Reach::SessionsAndRefreshTokens`] the refresh tokens that were born in it.
    pub(crate) fn end_session(&mut self, session: &str, reach: Reach) {
        let ends = self.ends();
        let Some(owner) = self.access.owners.get(session).cloned() else {
            return;
        };
        self.access.change(&owner, |held| {
            held.sessions.iter_mut().filter(|s| s.id == session).for_each(|s| end_at(&mut s.ends, ends));
            if reach == Reach::SessionsAndRefreshTokens {
                let born_in = held.tokens.iter_mut().filter(|token| token.session_id == session);
                born_in.for_each(|token| end_at(&mut token.ends, ends));
            }
        });
    }

    /// `DELETE /refresh-tokens/{id}`: asynchronous like the others.
    pub(crate) fn end_refresh_token(&mut self, id: &str) {
        let ends = self.ends();
        let Some(owner) = self.access.owners.get(id).cloned() else {
            return;
        };
        self.access.change(&owner, |held| {
            let named = held.tokens.iter_mut().filter(|token| token.id == id);
            named.for_each(|token| end_at(&mut token.ends, ends));
        });
    }

    /// `DELETE /device-credentials/{id}`: 204, so at once, and the refresh token behind it with it.
    pub(crate) fn delete_device_credential(&mut self, id: &str) {
        let now = Instant::now();
        let Some(owner) = self.access.owners.get(id).cloned() else {
            return;
        };
        self.access.change(&owner, |held| {
            let named = held.tokens.iter_mut().filter(|token| token.device_credential == id);
            named.for_each(|token| token.ends = Some(now));
        });
    }

    /// `DELETE /grants?user_id=`: the consents go at once and the refresh tokens that hang on them with them.
    pub(crate) fn delete_grants(&mut self, id: &str) {
        let now = Instant::now();
        self.access.change(id, |held| {
            let clients: Vec<String> = held.grants.drain(..).map(|grant| grant.client_id).collect();
            let hanging = held.tokens.iter_mut().filter(|token| clients.contains(&token.client_id));
            hanging.for_each(|token| token.ends = Some(now));
        });
    }

    fn ends(&self) -> Instant {
        Instant::now() + self.deletion_delay
    }

    fn entra_lets_in(&self, id: &str) -> bool {
        let oid = id.rsplit('|').next().and_then(|last| last.parse().ok());
        // An enterprise account made by hand, without a person behind it, is let in.
        oid.is_none_or(|oid| {
            self.find_person(oid).is_some_and(|person| person.enabled && person.deleted.is_none())
        })
    }
}

impl Holdings {
    fn add(&mut self, owner: &AccountId, now: Timestamp) -> SignIn {
        let client_id = "TwinIntranetClient00000000000000".to_owned();
        let audience = "https://orders.contoso.example/".to_owned();
        let left = SignIn {
            session: super::word(32),
            refresh_token: format!("rt_{}", super::word(20)),
            grant: super::hex(24),
            device_credential: format!("dcr_{}", super::word(16)),
        };
        for id in [&left.session, &left.refresh_token, &left.grant, &left.device_credential] {
            self.owners.insert(id.clone(), owner.clone());
        }
        let held = self.by_account.entry(owner.clone()).or_default();
        held.sessions.push(Session {
            id: left.session.clone(),
            client_id: client_id.clone(),
            created: now,
            ends: None,
        });
        held.tokens.push(RefreshToken {
            id: left.refresh_token.clone(),
            client_id: client_id.clone(),
            session_id: left.session.clone(),
            audience: audience.clone(),
            created: now,
            device_credential: left.device_credential.clone(),
            ends: None,
        });
        held.grants.push(Grant { id: left.grant.clone(), client_id, audience });
        left
    }

    /// Changes what an account holds and drops what has ended by now.
    fn change(&mut self, id: &str, change: impl FnOnce(&mut Held)) {
        let Some(held) = self.by_account.get_mut(id) else {
            return;
        };
        change(held);
        let now = Instant::now();
        for session in held.sessions.extract_if(.., |session| !is_alive(session.ends, now)) {
            self.owners.remove(&session.id);
        }
        for token in held.tokens.extract_if(.., |token| !is_alive(token.ends, now)) {
            self.owners.remove(&token.id);
            self.owners.remove(&token.device_credential);
        }
    }

    pub(super) fn forget(&mut self, id: &str) {
        let Some(held) = self.by_account.remove(id) else {
            return;
        };
        let sessions = held.sessions.into_iter().map(|session| session.id);
        let tokens = held.tokens.into_iter().flat_map(|token| [token.id, token.device_credential]);
        let grants = held.grants.into_iter().map(|grant| grant.id);
        for id in sessions.chain(tokens).chain(grants) {
            self.owners.remove(&id);
        }
    }
}

fn is_alive(ends: Option<Instant>, now: Instant) -> bool {
    ends.is_none_or(|ends| ends > now)
}

/// Ends something now or later; what already ends keeps its time.
fn end_at(ends: &mut Option<Instant>, at: Instant) {
    ends.get_or_insert(at);
}
