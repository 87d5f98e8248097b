//! One account whole, as far as keeping the directory in step needs it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::wire::{self, Identity};
use crate::case::AccountId;
use crate::outbound::http::Answer;
use crate::retry::WhatNow;
use crate::snapshot::Blocked;

use crate::snapshot::sync::{AccountKind, Holding, RootField, RootWritable};

const USER_GET: Operation = Operation { word: "user.get", needs: "read:users", not_found: NotFound::Odd };

const FIELDS: &str = "user_id,blocked,email,email_verified,phone_number,username,name,given_name,\
                      family_name,nickname,picture,app_metadata,user_metadata,identities";

/// The account as it is now; `None` when Auth0 says that it does not exist.
pub(super) async fn read(caller: &Caller, id: &AccountId) -> Result<Option<Holding>, Error> {
    let request = Request::get(USER_GET, user_path(USER_GET, id, "")?)
        .of_a_user()
        .query("fields", FIELDS)
        .query("include_fields", true);
    match caller.call(&request).await {
        Err(error) if error.is_gone() => Ok(None),
        answer => told(caller, &request, &answer?, id).await.map(Some),
    }
}

/// What an answer that holds the whole user says.
pub(super) async fn told(
    caller: &Caller,
    request: &Request,
    answer: &Answer,
    id: &AccountId,
) -> Result<Holding, Error> {
    let profile: Profile = answer.json().map_err(|why| request.misfit(answer, why))?;
    let kind = match profile.lives_in(caller.shared.connection.as_deref()) {
        Home::Enterprise => AccountKind::Enterprise { root: root_writable(caller).await? },
        Home::Database(connection) => AccountKind::Database { connection },
        Home::Other => AccountKind::Other,
    };
    Ok(profile.into_holding(id, kind))
}

/// That a person has to mend a permission first does not keep the rest of the account from being read.
async fn root_writable(caller: &Caller) -> Result<RootWritable, Error> {
    match caller.shared.catalogue.connection(caller).await {
        Err(error) if matches!(error.what_now(), WhatNow::AskHuman | WhatNow::GiveUp | WhatNow::TryAgain) => {
            Ok(RootWritable::NotTold)
        }
        told => Ok(told?.map_or(RootWritable::NotTold, |connection| connection.root)),
    }
}

/// A user as `GET` and `PATCH` show it. Everything is optional: real answers leave out what was never set.
#[derive(Debug, Deserialize)]
struct Profile {
    user_id: String,
    #[serde(default)]
    blocked: Value,
    #[serde(default)]
    email_verified: Value,
    #[serde(default)]
    app_metadata: Value,
    #[serde(default)]
    user_metadata: Value,
    #[serde(default)]
    identities: Vec<Identity>,
    #[serde(flatten)]
    root: Map<String, Value>,
}

/// Where an account lives, by its own identity.
#[derive(Debug, PartialEq, Eq)]
enum Home {
    Enterprise,
    Database(String),
    Other,
}

impl Profile {
    /// The first identity is the account's own (recorded); the one that bears its id is so beyond doubt.
    fn own(&self) -> Option<&Identity> {
        let named = self.identities.iter().find(|identity| identity.full_id() == self.user_id);
        named.or(self.identities.first())
    }

    /// Without a named connection every `waad` identity may be of the one that is meant.
    fn lives_in(&self, enterprise: Option<&str>) -> Home {
        match self.own() {
            Some(own) if own.provider == "auth0" => Home::Database(own.connection.clone()),
            Some(own) if own.provider == "waad" && enterprise.is_none_or(|name| name == own.connection) => {
                Home::Enterprise
            }
            _ => Home::Other,
        }
    }

    fn into_holding(mut self, id: &AccountId, kind: AccountKind) -> Holding {
        let own = self.own().map(Identity::full_id);
        let others = self.identities.iter().map(Identity::full_id).filter(|full| Some(full) != own.as_ref());
        let absorbed = others.filter_map(|full| AccountId::read(&full)).collect();
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let mut root = BTreeMap::new();
        for field in RootField::ALL {
            root.extend(text(self.root.remove(field.word())).map(|value| (field, value)));
        }
        Holding {
            id: id.clone(),
            kind,
            blocked: if self.blocked == Value::Bool(true) { Blocked::Yes } else { Blocked::No },
            stamp: wire::stamp_in(&self.app_metadata),
            email: root.get(&RootField::Email).cloned(),
            email_verified: self.email_verified == Value::Bool(true),
            root,
            app_metadata: object(self.app_metadata),
            user_metadata: object(self.user_metadata),
            absorbed,
            roles: None,
            organizations: None,
        }
    }
}

/// Metadata that was never written is absent, or null.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(value: Value) -> Profile {
        serde_json::from_value(value).unwrap()
    }

    fn identity(provider: &str, connection: &str, own: &str) -> Value {
        json!({"provider": provider, "connection": connection, "user_id": own, "isSocial": false})
    }

    fn id(text: &str) -> AccountId {
        AccountId::read(text).unwrap()
    }

    #[test]
    fn a_user_who_never_had_anything_set_is_read_as_having_nothing() {
        let bare = profile(json!({"user_id": "auth0|1"})).into_holding(&id("auth0|1"), AccountKind::Other);
        assert_eq!((bare.blocked, bare.stamp, bare.email_verified), (Blocked::No, None, false));
        assert!(bare.root.is_empty() && bare.app_metadata.is_empty() && bare.absorbed.is_empty());
        assert_eq!((bare.roles, bare.organizations), (None, None), "not read is not none");
        let odd = json!({"user_id": "auth0|1", "name": 7, "email": null, "app_metadata": null, "user_metadata": []});
        let odd = profile(odd).into_holding(&id("auth0|1"), AccountKind::Other);
        assert!(odd.root.is_empty() && odd.email.is_none() && odd.user_metadata.is_empty());
    }

    #[test]
    fn an_account_lives_where_its_own_identity_says() {
        let of = |identities: Value| profile(json!({"user_id": "waad|c|1", "identities": identities}));
        let own = identity("waad", "contoso-entra", "c|1");
        let database = identity("auth0", "People", "2");
        let linked = of(json!([own, database]));
        assert_eq!(linked.lives_in(Some("contoso-entra")), Home::Enterprise);
        assert_eq!(linked.lives_in(None), Home::Enterprise);
        assert_eq!(linked.lives_in(Some("fabrikam-entra")), Home::Other);
        assert_eq!(of(json!([database, own])).lives_in(Some("contoso-entra")), Home::Enterprise, "by its id");
        assert_eq!(of(json!([database])).lives_in(None), Home::Database("People".into()));
        assert_eq!(of(json!([identity("google-oauth2", "google-oauth2", "3")])).lives_in(None), Home::Other);
        assert_eq!(of(json!([])).lives_in(None), Home::Other);
        let holding = linked.into_holding(&id("waad|c|1"), AccountKind::Other);
        assert_eq!(holding.absorbed, [id("auth0|2")].into());
    }
}
