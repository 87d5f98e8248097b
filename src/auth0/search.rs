//! Finding accounts by who they belong to. Auth0's search is eventually consistent (Auth0, List and Search Users), so
//! it finds accounts and never proves anything about them: every hit is checked here, and read by id by the caller.

use std::collections::BTreeMap;

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request};
use crate::auth0::wire::{self, OffsetPage, SameEmail, User};
use crate::case::AccountId;
use crate::event::ObjectId;
use crate::snapshot::Blocked;
use crate::snapshot::sync::LookAlike;

const BY_EMAIL: Operation =
    Operation { word: "users.by_email", needs: "read:users", not_found: NotFound::Odd };
const SEARCH: Operation = Operation { word: "users.search", needs: "read:users", not_found: NotFound::Odd };

/// Accounts of one person beyond this are a search gone wrong, not a person.
const HITS_MAX: usize = 100;
const PER_PAGE: usize = 50;
/// Auth0 may answer with shorter pages than were asked for; the last one is known by the total, not by its length. No page
/// but the last is empty.
const PAGES_MAX: usize = HITS_MAX + 1;

/// Every account of an Entra object: by a `waad` identity in both forms that occur, by SCIM's external id, or by the
/// id that we have written. Never by e-mail.
pub(super) async fn accounts_of(caller: &Caller, object: ObjectId) -> Result<Vec<AccountId>, Error> {
    let mut terms = vec![
        term("identities.user_id", &object.to_string()),
        term("app_metadata.external_id", &object.to_string()),
        term("app_metadata.lockstep.entra_object_id", &object.to_string()),
    ];
    if let Some(connection) = &caller.shared.connection {
        terms.push(term("identities.user_id", &format!("{connection}|{object}")));
    }
    let of_the_person = |user: &User| AccountId::read(&user.user_id).filter(|_| user.is_of(object));
    let mut accounts = search(caller, &terms.join(" OR "), of_the_person).await?;
    accounts.sort();
    accounts.dedup();
    Ok(accounts)
}

/// The account that `id` was linked into: a linked account's own id answers 404 (Auth0, User Account Linking).
pub(super) async fn holder_of(caller: &Caller, id: &AccountId) -> Result<Option<AccountId>, Error> {
    let Some((_, own)) = id.as_str().split_once('|') else { return Ok(None) };
    let holder = |user: &User| AccountId::read(&user.user_id).filter(|_| user.has_absorbed(id));
    Ok(search(caller, &term("identities.user_id", own), holder).await?.into_iter().next())
}

/// Every account with this e-mail address, each once and sorted. Immediate, and case-sensitive: database connections
/// store addresses in lower case, others as they came (Auth0, Get Users by ID or Email), so both are asked for.
pub(super) async fn accounts_with_email(caller: &Caller, email: &str) -> Result<Vec<LookAlike>, Error> {
    let lower = email.to_lowercase();
    let as_given = with_email(caller, email);
    let found = match lower == email {
        true => as_given.await?,
        false => {
            let (given, lower) = futures_util::try_join!(as_given, with_email(caller, &lower))?;
            given.into_iter().chain(lower).collect()
        }
    };
    let same =
        found.into_iter().filter(|user| user.email.as_ref().is_some_and(|e| e.to_lowercase() == lower));
    let by_id: BTreeMap<AccountId, LookAlike> =
        same.filter_map(|user| look_alike(&user)).map(|found| (found.id.clone(), found)).collect();
    Ok(by_id.into_values().collect())
}

async fn with_email(caller: &Caller, email: &str) -> Result<Vec<SameEmail>, Error> {
    let request = Request::get(BY_EMAIL, "/users-by-email")
        .of_a_user()
        .query("email", email)
        .query("fields", "user_id,email,email_verified,blocked,app_metadata,identities")
        .query("include_fields", true);
    let answer = caller.call(&request).await?;
    let listed: OffsetPage<SameEmail> = answer.json().map_err(|why| request.misfit(&answer, why))?;
    let found = listed.into_parts().0;
    match found.len() > HITS_MAX {
        true => Err(Error::TooMany { operation: BY_EMAIL.word, found: found.len() as u64, most: HITS_MAX }),
        false => Ok(found),
    }
}

fn look_alike(user: &SameEmail) -> Option<LookAlike> {
    Some(LookAlike {
        id: AccountId::read(&user.user_id)?,
        is_database: user.identities.first().is_some_and(|own| own.provider == "auth0"),
        email_verified: user.email_verified == true,
        blocked: if user.blocked == true { Blocked::Yes } else { Blocked::No },
        stamp: wire::stamp_in(&user.app_metadata),
        owners: user.owners(),
    })
}

/// What `pick` makes of each hit. `app_metadata` comes whole, because only fields at the first level can be chosen (Auth0
/// Management API v2, List or search users), and an old one may have a megabyte: where a page of them is too large they
/// are asked for one by one. Only what was picked is kept.
async fn search<T>(caller: &Caller, query: &str, pick: impl Fn(&User) -> Option<T>) -> Result<Vec<T>, Error> {
    match search_by(caller, query, PER_PAGE, &pick).await {
        Err(error) if error.is_too_large() => search_by(caller, query, 1, &pick).await,
        found => found,
    }
}

async fn search_by<T>(
    caller: &Caller,
    query: &str,
    per_page: usize,
    pick: &impl Fn(&User) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let too_many = |found| Error::TooMany { operation: SEARCH.word, found, most: HITS_MAX };
    let (mut found, mut picked) = (0, Vec::new());
    for page in 0..PAGES_MAX {
        let request = request(query, page, per_page);
        let answer = caller.call(&request).await?;
        let listed: OffsetPage<User> = answer.json().map_err(|why| request.misfit(&answer, why))?;
        let (users, total) = listed.into_parts();
        found += users.len() as u64;
        picked.extend(users.iter().filter_map(pick));
        let expected = total.unwrap_or_default().max(found);
        if expected > HITS_MAX as u64 {
            return Err(too_many(expected));
        }
        if users.is_empty() || total.is_some_and(|total| found >= total) {
            return Ok(picked);
        }
    }
    Err(too_many(found))
}

fn request(query: &str, page: usize, per_page: usize) -> Request {
    Request::get(SEARCH, "/users")
        .of_a_user()
        .query("q", query)
        .query("search_engine", "v3")
        .query("fields", "user_id,identities,app_metadata")
        .query("include_fields", true)
        .query("include_totals", true)
        .query("page", page)
        .query("per_page", per_page)
}

/// One Lucene term, its value quoted.
fn term(field: &str, value: &str) -> String {
    format!("{field}:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(term("identities.user_id", r#"a" OR b:"\"#), r#"identities.user_id:"a\" OR b:\"\\""#);
    }
}
