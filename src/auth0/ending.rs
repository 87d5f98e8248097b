//! Ending what an account could still use: the same for a lockout and for a role that was lost.

use reqwest::Method;
use serde_json::json;

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::reader::{device_credentials, token_sets};
use crate::case::also::Extra;
use crate::case::{AccountId, Means};
use crate::outbound;

const REVOKE_ACCESS: Operation = Operation {
    word: "user.revoke_access",
    needs: "delete:sessions delete:refresh_tokens",
    not_found: NotFound::NotInPlan,
};
const SESSIONS_DELETE: Operation =
    Operation { word: "sessions.delete", needs: "delete:sessions", not_found: NotFound::NotInPlan };
const TOKENS_DELETE: Operation = Operation {
    word: "refresh_tokens.delete",
    needs: "delete:refresh_tokens",
    not_found: NotFound::NotInPlan,
};
const GRANTS_DELETE: Operation =
    Operation { word: "grants.delete", needs: "delete:grants", not_found: NotFound::Fine };
const DEVICE_DELETE: Operation = Operation {
    word: "device_credential.delete",
    needs: "delete:device_credentials",
    not_found: NotFound::Fine,
};
const TOKEN_SET_DELETE: Operation = Operation {
    word: "token_set.delete",
    needs: "delete:federated_connections_tokens",
    not_found: NotFound::Fine,
};
/// Token sets of one account that one write deletes, each a request of its own; an account has one per connected
/// account. What is left is found by the read-back.
const TOKEN_SETS_AT_A_TIME: usize = 100;

/// Auth0 deletes in the background: accepted is not proven. The first error is told; what comes after it has been tried
/// all the same.
pub(super) async fn end_access(caller: &Caller, id: &AccountId, means: Means) -> Result<(), Error> {
    match means {
        Means::RevokeAccess => revoke_access(caller, id).await,
        Means::SessionsAndTokens => delete_sessions_and_tokens(caller, id).await,
        Means::GrantsAndDevices => delete_grants_and_devices(caller, id).await,
    }
}

/// An empty object stands for "everything" (Auth0 Management API v2, Revokes selected resources from a user: every
/// field is optional).
async fn revoke_access(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let path = user_path(REVOKE_ACCESS, id, "/revoke-access")?;
    send(caller, Request::new(REVOKE_ACCESS, Method::POST, path).body(json!({}))).await
}

/// Neither takes the other along: offline refresh tokens outlive their session (Auth0, Revoke Refresh Tokens).
async fn delete_sessions_and_tokens(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let sessions = user_path(SESSIONS_DELETE, id, "/sessions")?;
    let sessions = Request::new(SESSIONS_DELETE, Method::DELETE, sessions);
    let tokens = user_path(TOKENS_DELETE, id, "/refresh-tokens")?;
    let tokens = Request::new(TOKENS_DELETE, Method::DELETE, tokens);
    let (sessions, tokens) = futures_util::future::join(send(caller, sessions), send(caller, tokens)).await;
    sessions.and(tokens)
}

/// On every plan: consents with the refresh tokens that hang on them, then the credentials of devices.
async fn delete_grants_and_devices(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let grants = delete_grants(caller, id).await;
    grants.and(delete_devices(caller, id).await)
}

pub(super) async fn end_extra(caller: &Caller, id: &AccountId, extra: Extra) -> Result<(), Error> {
    match extra {
        Extra::Grants => delete_grants(caller, id).await,
        Extra::DeviceCredentials => delete_devices(caller, id).await,
        Extra::TokenVault => delete_token_sets(caller, id).await,
    }
}

async fn delete_grants(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let grants = Request::new(GRANTS_DELETE, Method::DELETE, "/grants").query("user_id", id);
    absent_is_fine(send(caller, grants).await)
}

/// 204 also for one that is gone (docs/vendors.md).
async fn delete_token_sets(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let mut ended = Ok(());
    for set in token_sets(caller, id).await?.iter().take(TOKEN_SETS_AT_A_TIME) {
        let Some(segment) = outbound::segment(set) else { continue };
        let rest = format!("/federated-connections-tokensets/{segment}");
        let path = user_path(TOKEN_SET_DELETE, id, &rest)?;
        let request = Request::new(TOKEN_SET_DELETE, Method::DELETE, path);
        ended = ended.and(absent_is_fine(send(caller, request).await));
    }
    ended
}

async fn delete_devices(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let mut ended = Ok(());
    for credential in device_credentials(caller, id).await? {
        let Some(segment) = outbound::segment(&credential) else { continue };
        let path = format!("/device-credentials/{segment}");
        let request = Request::new(DEVICE_DELETE, Method::DELETE, path);
        ended = ended.and(absent_is_fine(send(caller, request).await));
    }
    ended
}

/// A good status is all there is to these writes: their answers are not looked into.
async fn send(caller: &Caller, request: Request) -> Result<(), Error> {
    caller.call(&request).await.map(drop)
}

pub(super) fn absent_is_fine(ended: Result<(), Error>) -> Result<(), Error> {
    ended.or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
}
