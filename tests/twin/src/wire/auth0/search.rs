//! `GET /users` (search v3) and `GET /users-by-email` (Auth0, List and Search Users; Get Users by Email).

use super::super::call::{Answer, Call, Reply};
use super::errors::{error, invalid_query};
use super::page::{Offset, with_fields};
use crate::world::{Account, Hits};
use serde_json::Value;
use std::cmp::Ordering;

/// Eventually consistent: what is found is the index's version of a user.
pub(super) fn list(call: &Call<'_>) -> Answer {
    check_engine(call)?;
    let offset = Offset::capped(call)?;
    let query = call.query("q").filter(|q| !q.trim().is_empty());
    let mut hits = call.world().search(query).map_err(|refused| {
        call.complain(format!("search outside of what the twin plays: {}", refused.0));
        invalid_query(&format!("'{}' on property q", refused.0))
    })?;
    sort(call, &mut hits)?;
    let total = hits.len();
    let page = hits.iter().skip(offset.start()).take(offset.per_page);
    let users = page.map(|account| with_fields(call, account.to_json())).collect();
    Ok(offset.reply(call, "users", total, users))
}

/// Immediate and case-sensitive; always a bare array.
pub(super) fn by_email(call: &Call<'_>) -> Answer {
    let Some(email) = call.query("email") else {
        return Err(invalid_query("'Missing required property: email' on property email"));
    };
    let world = call.world();
    let found = world.accounts_with_email(email);
    let mut found: Vec<&Account> = found.iter().map(|id| world.account(id)).collect();
    found.sort_by_key(|account| account.created);
    let users = found.into_iter().map(|account| with_fields(call, account.to_json())).collect();
    Ok(Reply::json(200, &Value::Array(users)))
}

fn check_engine(call: &Call<'_>) -> Answer {
    if call.query("connection").is_some() {
        call.complain("the connection parameter belongs to search v1; use identities.connection");
    }
    match call.query("search_engine") {
        None | Some("v3") => Ok(Reply::empty(200)),
        Some("v1") => {
            Err(error(400, "You are not allowed to use search_engine=v1.", Some("invalid_query_string")))
        }
        Some(_) => Err(error(
            400,
            "You are not allowed to use search_engine=v2. Use search_engine=v3 instead.",
            Some("invalid_query_string"),
        )),
    }
}

fn sort(call: &Call<'_>, hits: &mut Hits) -> Answer {
    let Some(sort) = call.query("sort") else {
        return Ok(Reply::empty(200));
    };
    let by: fn(&Account, &Account) -> Ordering = match sort.split(':').next() {
        Some("created_at") => |a, b| a.created.cmp(&b.created),
        Some("updated_at") => |a, b| a.updated.cmp(&b.updated),
        Some("last_login") => |a, b| a.last_login.cmp(&b.last_login),
        Some("email") => |a, b| a.email.cmp(&b.email),
        Some("user_id") => |a, b| a.id.cmp(&b.id),
        _ => {
            call.complain(format!("sort={sort} is not played"));
            return Err(invalid_query(&format!("'{sort}' on property sort (Field to sort by.)")));
        }
    };
    hits.sort_by(|a, b| by(a, b));
    if sort.ends_with(":-1") {
        hits.reverse();
    }
    Ok(Reply::empty(200))
}
