//! Sessions and refresh tokens: listed by checkpoint, ended asynchronously with 202 and `{}` (recorded), Enterprise only
//! (Auth0, Manage User Sessions with the Management API; Manage Refresh Tokens with the Management API).

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_body, no_such_user};
use super::{page, patch, require_enterprise};
use crate::world::{Reach, RefreshToken, Session, WorldGuard, Write, stamp};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// `{session_id?, preserve_refresh_tokens?}`; an empty body is taken to mean everything, which the schema implies and no
/// page states. An unknown user is accepted too: the API description knows no 404 here.
pub(super) fn revoke_access(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let body = call.json_object().ok_or_else(|| invalid_body("'Expected type object'"))?;
    patch::refuse_unknown(call, &body, &["session_id", "preserve_refresh_tokens"])?;
    let preserve = match body.get("preserve_refresh_tokens") {
        None => false,
        Some(Value::Bool(preserve)) => *preserve,
        Some(_) => return Err(invalid_body("'Expected type boolean' on property preserve_refresh_tokens")),
    };
    let mut world = call.world();
    match body.get("session_id").map(Value::as_str) {
        Some(None) => return Err(invalid_body("'Expected type string' on property session_id")),
        Some(Some(session)) => {
            let reach = if preserve { Reach::SessionsOnly } else { Reach::SessionsAndRefreshTokens };
            if world.owner_of(session).is_some_and(|owner| **owner == *call.id()) {
                world.end_session(session, reach);
            }
        }
        None => {
            world.end_sessions(call.id());
            if !preserve {
                world.end_refresh_tokens(call.id());
            }
        }
    }
    world.wrote(call.id(), Write::AccessEnded);
    Ok(accepted())
}

pub(super) fn list_sessions(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let world = known_user(call)?;
    let sessions = world.sessions(call.id()).into_iter();
    let shown = sessions.map(|session| (session.id.clone(), session_json(call.id(), &session)));
    page::checkpoint(call, "sessions", shown.collect())
}

pub(super) fn delete_sessions(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let mut world = known_user(call)?;
    world.end_sessions(call.id());
    world.wrote(call.id(), Write::AccessEnded);
    Ok(accepted())
}

pub(super) fn list_refresh_tokens(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let world = known_user(call)?;
    let tokens = world.refresh_tokens(call.id()).into_iter();
    let shown = tokens.map(|token| (token.id.clone(), token_json(call.id(), &token)));
    page::checkpoint(call, "tokens", shown.collect())
}

pub(super) fn delete_refresh_tokens(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let mut world = known_user(call)?;
    world.end_refresh_tokens(call.id());
    world.wrote(call.id(), Write::AccessEnded);
    Ok(accepted())
}

pub(super) fn get_session(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let world = call.world();
    let owner = world.owner_of(call.id()).ok_or_else(|| gone("session"))?;
    let sessions = world.sessions(owner);
    let session = sessions.iter().find(|session| session.id == call.id());
    let session = session.ok_or_else(|| gone("session"))?;
    Ok(Reply::json(200, &session_json(owner, session)))
}

pub(super) fn delete_session(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    call.world().end_session(call.id(), Reach::SessionsOnly);
    Ok(accepted())
}

pub(super) fn revoke_session(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    call.world().end_session(call.id(), Reach::SessionsAndRefreshTokens);
    Ok(accepted())
}

pub(super) fn get_refresh_token(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    let world = call.world();
    let owner = world.owner_of(call.id()).ok_or_else(|| gone("refresh token"))?;
    let tokens = world.refresh_tokens(owner);
    let token = tokens.iter().find(|token| token.id == call.id());
    let token = token.ok_or_else(|| gone("refresh token"))?;
    Ok(Reply::json(200, &token_json(owner, token)))
}

pub(super) fn delete_refresh_token(call: &Call<'_>) -> Answer {
    require_enterprise(call)?;
    call.world().end_refresh_token(call.id());
    Ok(accepted())
}

fn known_user<'a>(call: &'a Call<'_>) -> Result<WorldGuard<'a>, Reply> {
    let world = call.world();
    if world.find_account(call.id()).is_some() { Ok(world) } else { Err(no_such_user()) }
}

fn accepted() -> Reply {
    Reply::json(202, &json!({}))
}

fn gone(what: &str) -> Reply {
    error(404, &format!("The {what} does not exist."), None)
}

/// Idle and absolute session lifetimes of a self-service tenant (Auth0, Session Lifetime Limits).
const SESSION_IDLE_DAYS: i64 = 3;
const SESSION_DAYS: i64 = 30;

fn session_json(user_id: &str, session: &Session) -> Value {
    let created = stamp(session.created);
    json!({
        "id": session.id,
        "user_id": user_id,
        "created_at": created,
        "updated_at": created,
        "authenticated_at": created,
        "idle_expires_at": stamp(days_after(session.created, SESSION_IDLE_DAYS)),
        "expires_at": stamp(days_after(session.created, SESSION_DAYS)),
        "last_interacted_at": created,
        "device": device(),
        "clients": [{ "client_id": session.client_id }],
        "authentication": { "methods": [{ "name": "federated", "timestamp": created }] },
        "cookie": { "mode": "non-persistent" },
        "session_metadata": null,
    })
}

fn token_json(user_id: &str, token: &RefreshToken) -> Value {
    let created = stamp(token.created);
    json!({
        "id": token.id,
        "user_id": user_id,
        "created_at": created,
        "idle_expires_at": stamp(days_after(token.created, SESSION_IDLE_DAYS)),
        "expires_at": stamp(days_after(token.created, SESSION_DAYS)),
        "device": device(),
        "client_id": token.client_id,
        "session_id": token.session_id,
        "rotating": true,
        "resource_servers": [{ "audience": token.audience, "scopes": "openid profile offline_access" }],
        "refresh_token_metadata": null,
        "last_exchanged_at": created,
    })
}

fn device() -> Value {
    json!({
        "initial_user_agent": "Mozilla/5.0",
        "initial_ip": "203.0.113.10",
        "initial_asn": "64500",
        "last_user_agent": "Mozilla/5.0",
        "last_ip": "203.0.113.10",
        "last_asn": "64500",
    })
}

fn days_after(start: Timestamp, days: i64) -> Timestamp {
    start.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(start)
}
