//! Auth0's inbound SCIM endpoint of the enterprise connection: accounts before their first login, and a lockout in one
//! call. It has a token and a rate limit of its own, and its errors have a shape of their own (RFC 7644, section 3.12).

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::action::sync::NewAccount;
use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request};
use crate::auth0::limit::Limit;
use crate::auth0::wire::ErrorBody;
use crate::case::AccountId;
use crate::event::ObjectId;
use crate::outbound::http::{Answer, Unreadable};
use crate::outbound::{self, Deps};

mod wire;

const FIND: Operation = Operation { word: "scim.find", needs: "get:users", not_found: NotFound::Odd };
const CREATE: Operation = Operation { word: "scim.create", needs: "post:users", not_found: NotFound::Odd };
const PATCH: Operation = Operation { word: "scim.patch", needs: "patch:users", not_found: NotFound::Odd };
const DELETE: Operation = Operation { word: "scim.delete", needs: "delete:users", not_found: NotFound::Fine };

/// What the Free plan allows for a connection and a tenant; paid plans allow five times that (Auth0, Rate Limit
/// Configurations). Nothing tells us which plan it is.
const PER_SECOND: f64 = 5.0;
const BURST: u32 = 5;
const MEDIA: &str = "application/scim+json";

/// The token and the limit, shared by all.
#[derive(Debug)]
pub(super) struct Line {
    token: Option<SecretString>,
    limit: Limit,
}

impl Line {
    pub(super) fn new(token: Option<SecretString>, deps: &Deps) -> Line {
        Line { token, limit: Limit::new("auth0_scim", PER_SECOND, BURST, deps) }
    }
}

/// Whether an account may sign in, in SCIM's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Active {
    Yes,
    No,
}

/// Makes the account of a person; it is active.
pub(super) async fn create(caller: &Caller, new: &NewAccount) -> Result<AccountId, Error> {
    let request = Request::new(CREATE, Method::POST, "/Users").body(wire::user(new));
    let answer = call(caller, &request).await?;
    let made: wire::Resource = answer.json().map_err(|why| request.misfit(&answer, why))?;
    made.account().ok_or(Error::NotAnId { operation: CREATE.word })
}

/// The account whose external id is the object id.
pub(super) async fn find(caller: &Caller, object: ObjectId) -> Result<Option<AccountId>, Error> {
    // Spaces and quotes as RFC 7644, section 3.4.2.2, has them in an address.
    let request = Request::get(FIND, format!("/Users?filter=externalId%20eq%20%22{object}%22"));
    let answer = call(caller, &request).await?;
    let listed: wire::List = answer.json().map_err(|why| request.misfit(&answer, why))?;
    let found: Vec<AccountId> = listed.of(object).collect();
    match found.len() {
        0 | 1 => Ok(found.into_iter().next()),
        many => Err(Error::TooMany { operation: FIND.word, found: many as u64, most: 1 }),
    }
}

/// `No` blocks, ends all sessions and revokes the refresh tokens (Auth0, Configure Inbound SCIM).
pub(super) async fn set_active(caller: &Caller, id: &AccountId, active: Active) -> Result<(), Error> {
    replace(caller, id, &[("active", json!(active == Active::Yes))]).await
}

/// Replaces attributes of an account, by SCIM's names.
pub(super) async fn replace(caller: &Caller, id: &AccountId, values: &[(&str, Value)]) -> Result<(), Error> {
    let request = Request::new(PATCH, Method::PATCH, account_path(PATCH, id)?).body(wire::patch(values));
    call(caller, &request).await.map(drop)
}

/// Deletes an account; one that is not there is fine.
pub(super) async fn delete(caller: &Caller, id: &AccountId) -> Result<(), Error> {
    let request = Request::new(DELETE, Method::DELETE, account_path(DELETE, id)?);
    match call(caller, &request).await {
        Err(Error::UnknownToScim { .. }) => Ok(()),
        other => other.map(drop),
    }
}

/// The resource's id is the account's (Auth0, Configure Inbound SCIM).
fn account_path(operation: Operation, id: &AccountId) -> Result<String, Error> {
    let segment = outbound::segment(id.as_str()).ok_or(Error::NotAnId { operation: operation.word })?;
    Ok(format!("/Users/{segment}"))
}

async fn call(caller: &Caller, request: &Request) -> Result<Answer, Error> {
    let (operation, line) = (request.operation.word, &caller.shared.scim);
    let missing = |missing| Error::NotSetUp { operation, missing };
    let token = line.token.as_ref().ok_or_else(|| missing("AUTH0_SCIM_TOKEN"))?;
    let connection = caller.shared.catalogue.connection(caller).await?;
    let connection = connection.and_then(|connection| outbound::segment(&connection.id));
    let connection = connection.ok_or_else(|| missing("AUTH0_CONNECTION, which names no connection"))?;
    line.limit.take(caller.lane).await.map_err(|it| request.trouble(it))?;
    let prefix = format!("/scim/v2/connections/{connection}");
    let building = caller.build(request, &prefix, MEDIA).header(reqwest::header::ACCEPT, MEDIA);
    let answer = caller.exchange(request, building.bearer_auth(token.expose_secret())).await?;
    line.limit.heard(&answer).map_err(|it| request.trouble(it))?;
    match answer.status.is_success() {
        true => Ok(answer),
        false => Err(refused(request, &answer)),
    }
}

/// Whether the address is there at all Auth0 may say in either of its ways; everything else is SCIM's to say.
fn refused(request: &Request, answer: &Answer) -> Error {
    let (operation, status) = (request.operation.word, answer.status.as_u16());
    let told = wire::Refusal::of(answer);
    if !told.is_scims() && !ErrorBody::of(answer).is_auth0s() {
        return request.misfit(answer, Unreadable::Shape);
    }
    let code = outbound::shown_code(told.scim_type.as_deref().unwrap_or("without_code"));
    let of_an_account = request.path.starts_with("/Users/");
    match status {
        401..=403 => Error::Forbidden { operation, needs: request.operation.needs, status, code },
        404 if of_an_account && told.is_scims() => Error::UnknownToScim { operation },
        404 if !of_an_account => {
            Error::NotSetUp { operation, missing: "inbound SCIM, set up at the connection" }
        }
        409 => Error::Exists { operation },
        _ => Error::Refused { operation, status, code },
    }
}
