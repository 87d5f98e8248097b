//! Making an account before its owner has ever signed in.

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{attributes, password};
use crate::action::sync::{NewAccount, Way};
use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::error::CUSTOM_DOMAINS;
use crate::auth0::wire::OUR_KEY;
use crate::auth0::{Error, scim};
use crate::case::AccountId;
use crate::event::ObjectId;
use crate::policy::sync::Target;
use crate::snapshot::sync::RootField;

const USER_CREATE: Operation = Operation {
    word: "user.create",
    needs: "create:users update:users_app_metadata",
    not_found: NotFound::Odd,
};
const USER_GET: Operation = Operation { word: "user.get", needs: "read:users", not_found: NotFound::Odd };

pub(super) async fn provision(caller: &Caller, new: &NewAccount) -> Result<AccountId, Error> {
    match &new.way {
        Way::Scim => scim::create(caller, new).await,
        Way::Database { connection } => create(caller, new, connection).await,
    }
}

pub(super) async fn provisioned(caller: &Caller, new: &NewAccount) -> Result<Option<AccountId>, Error> {
    match &new.way {
        Way::Scim => scim::find(caller, new.object).await,
        Way::Database { .. } => existing(caller, new.object).await,
    }
}

/// 409 says that what is to be made is there, or that the tenant has more than one custom domain.
pub(super) fn conflict_is_existence(error: Error) -> Error {
    match error {
        Error::Refused { operation, status: 409, code } if code != CUSTOM_DOMAINS => {
            Error::Exists { operation }
        }
        other => other,
    }
}

async fn create(caller: &Caller, new: &NewAccount, connection: &str) -> Result<AccountId, Error> {
    let body = body(new, connection, &password::draw(USER_CREATE.word)?);
    let request = Request::new(USER_CREATE, Method::POST, "/users").body(body);
    let answer = caller.call(&request).await.map_err(conflict_is_existence)?;
    let made: Made = answer.json().map_err(|why| request.misfit(&answer, why))?;
    AccountId::read(&made.user_id).ok_or(Error::NotAnId { operation: USER_CREATE.word })
}

#[derive(Deserialize)]
struct Made {
    user_id: String,
}

async fn existing(caller: &Caller, object: ObjectId) -> Result<Option<AccountId>, Error> {
    let Some(id) = AccountId::read(&format!("auth0|{object}")) else { return Ok(None) };
    let request = Request::get(USER_GET, user_path(USER_GET, &id, "")?)
        .query("fields", "user_id")
        .query("include_fields", true);
    match caller.call(&request).await {
        Err(error) if error.is_gone() => Ok(None),
        answer => answer.map(|_| Some(id)),
    }
}

/// The id is made of the object id, so that a second request for the same person cannot make a second account, and so
/// that the first can be looked up without the search. No mail leaves: its owner gets a link when the policy says so.
fn body(new: &NewAccount, connection: &str, password: &SecretString) -> Value {
    let mut body = Map::new();
    body.insert("connection".into(), json!(connection));
    body.insert("user_id".into(), json!(new.object));
    body.insert("password".into(), json!(password.expose_secret()));
    body.insert("email_verified".into(), json!(false));
    body.insert("verify_email".into(), json!(false));
    body.extend(new.email.iter().map(|email| (RootField::Email.word().to_owned(), json!(email))));
    for (target, value) in new.values.iter().filter(|(_, value)| !value.is_null()) {
        attributes::put(&mut body, target, value.clone());
    }
    let ours = [("external_id", json!(new.object)), (OUR_KEY, json!({ "entra_object_id": new.object }))];
    for (key, value) in ours {
        attributes::put(&mut body, &Target::AppMetadata(key.to_owned()), value);
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_object_id_from_the_first_moment_on() {
        let object = ObjectId("7a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a".parse().unwrap());
        let value = |target: &str, value: Value| (target.parse().unwrap(), value);
        let new = NewAccount {
            object,
            way: Way::Database { connection: "People".into() },
            user_name: "adele.vance@contoso.example".into(),
            email: Some("adele@contoso.example".into()),
            values: [
                value("name", json!("Adele Vance")),
                value("nickname", Value::Null),
                value("app_metadata.department", json!("Sales")),
            ]
            .into(),
            display_name: Some("Somebody else".into()),
            given_name: None,
            family_name: None,
        };
        let expected = json!({
            "connection": "People",
            "user_id": object,
            "email": "adele@contoso.example",
            "email_verified": false,
            "verify_email": false,
            "password": "secret",
            "name": "Adele Vance",
            "app_metadata": {
                "department": "Sales",
                "external_id": object,
                "lockstep": {"entra_object_id": object},
            },
        });
        assert_eq!(body(&new, "People", &"secret".into()), expected);
    }

    #[test]
    fn a_tenant_with_several_domains_is_no_account_that_exists() {
        let refused = |code: &str| Error::Refused { operation: "x", status: 409, code: code.into() };
        assert!(conflict_is_existence(refused("auth0_idp_error")).is_exists());
        let domains = conflict_is_existence(refused(CUSTOM_DOMAINS));
        assert_eq!(domains.what_now(), crate::retry::WhatNow::AskHuman);
    }
}
