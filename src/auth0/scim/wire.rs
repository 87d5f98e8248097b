//! SCIM's shapes (RFC 7643, RFC 7644), reduced to what is used.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::action::sync::NewAccount;
use crate::case::AccountId;
use crate::event::ObjectId;
use crate::outbound::http::Answer;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// A user to be made. What is not known is left out: an empty value would be one.
pub(super) fn user(new: &NewAccount) -> Value {
    let mut user = Map::new();
    user.insert("schemas".into(), json!([USER]));
    user.insert("userName".into(), json!(new.user_name));
    user.insert("externalId".into(), json!(new.object));
    user.insert("active".into(), json!(true));
    let names = [("givenName", &new.given_name), ("familyName", &new.family_name)];
    let known = names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), json!(name.as_ref()?))));
    let name: Map<String, Value> = known.collect();
    if !name.is_empty() {
        user.insert("name".into(), Value::Object(name));
    }
    user.extend(new.display_name.iter().map(|name| ("displayName".to_owned(), json!(name))));
    let email = |email| json!([{ "primary": true, "type": "work", "value": email }]);
    user.extend(new.email.iter().map(|address| ("emails".to_owned(), email(address))));
    Value::Object(user)
}

pub(super) fn patch(values: &[(&str, Value)]) -> Value {
    let replace = |(path, value): &(&str, Value)| json!({ "op": "replace", "path": path, "value": value });
    json!({ "schemas": [PATCH], "Operations": values.iter().map(replace).collect::<Vec<_>>() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    id: String,
    #[serde(default)]
    external_id: Option<String>,
}

impl Resource {
    pub(super) fn account(&self) -> Option<AccountId> {
        AccountId::read(&self.id)
    }
}

/// An empty list may come without its `Resources` (RFC 7644, section 3.4.2).
#[derive(Debug, Deserialize)]
pub(super) struct List {
    #[serde(default, rename = "Resources")]
    resources: Vec<Resource>,
}

impl List {
    /// Whatever the filter was taken for, only accounts of the person count.
    pub(super) fn of(&self, object: ObjectId) -> impl Iterator<Item = AccountId> {
        let own = object.to_string();
        let is_own =
            move |user: &&Resource| user.external_id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(&own));
        self.resources.iter().filter(is_own).filter_map(Resource::account)
    }
}

/// `{"schemas":["…:Error"],"status":"409","scimType":"uniqueness","detail":"…"}`; all but `schemas` may be absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Refusal {
    schemas: Vec<String>,
    pub(super) scim_type: Option<String>,
}

impl Refusal {
    pub(super) fn of(answer: &Answer) -> Refusal {
        answer.json().unwrap_or_default()
    }

    /// Whether this is SCIM's own way of refusing, and not a proxy's.
    pub(super) fn is_scims(&self) -> bool {
        self.schemas.iter().any(|schema| schema == ERROR)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::action::sync::Way;

    const OBJECT: &str = "7a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a";

    fn new() -> NewAccount {
        NewAccount {
            object: ObjectId(OBJECT.parse().unwrap()),
            way: Way::Scim,
            user_name: "adele.vance@contoso.example".into(),
            email: Some("Adele.Vance@contoso.example".into()),
            values: BTreeMap::new(),
            display_name: Some("Adele Vance".into()),
            given_name: Some("Adele".into()),
            family_name: None,
        }
    }

    #[test]
    fn a_user_is_made_of_what_is_known() {
        let expected = json!({
            "schemas": [USER],
            "userName": "adele.vance@contoso.example",
            "externalId": OBJECT,
            "active": true,
            "displayName": "Adele Vance",
            "name": {"givenName": "Adele"},
            "emails": [{"primary": true, "type": "work", "value": "Adele.Vance@contoso.example"}],
        });
        assert_eq!(user(&new()), expected);
        let bare = NewAccount { email: None, display_name: None, given_name: None, ..new() };
        let bare = user(&bare);
        assert!(bare.get("emails").is_none() && bare.get("name").is_none(), "{bare}");
    }

    #[test]
    fn only_the_persons_own_accounts_are_found() {
        let listed: List = serde_json::from_value(json!({
            "totalResults": 3,
            "Resources": [
                {"id": "waad|c|1", "externalId": OBJECT.to_uppercase()},
                {"id": "waad|c|2", "externalId": "somebody"},
                {"id": "waad|c|3"},
            ],
        }))
        .unwrap();
        let found: Vec<_> = listed.of(new().object).map(|id| id.to_string()).collect();
        assert_eq!(found, ["waad|c|1"]);
        let none: List = serde_json::from_value(json!({"totalResults": 0})).unwrap();
        assert_eq!(none.of(new().object).count(), 0);
    }
}
