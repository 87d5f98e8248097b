//! The body of one write of attributes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::policy::sync::Target;

use crate::snapshot::sync::RootField;

/// Only what is named is in it: `{}` for metadata would empty all of it, while a key set to null is removed alone (Auth0,
/// Manage Metadata Using the Management API). An address is changed without a mail to it; nothing that may not travel
/// with it (password, username) is ever sent.
pub(super) fn body(values: &BTreeMap<Target, Option<Value>>) -> Value {
    let mut body = Map::new();
    for (target, value) in values {
        put(&mut body, target, value.clone().unwrap_or(Value::Null));
    }
    if values.contains_key(&Target::Root(RootField::Email)) {
        body.insert("verify_email".into(), json!(false));
    }
    Value::Object(body)
}

pub(super) fn put(body: &mut Map<String, Value>, target: &Target, value: Value) {
    match target {
        Target::Root(field) => drop(body.insert(field.word().to_owned(), value)),
        Target::AppMetadata(key) => put_key(body, "app_metadata", key, value),
        Target::UserMetadata(key) => put_key(body, "user_metadata", key, value),
    }
}

pub(super) fn put_key(body: &mut Map<String, Value>, home: &str, key: &str, value: Value) {
    let metadata = body.entry(home).or_insert_with(|| Value::Object(Map::new()));
    let metadata = metadata.as_object_mut().expect("nothing but objects is put under these names");
    metadata.insert(key.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[(&str, Option<Value>)]) -> BTreeMap<Target, Option<Value>> {
        list.iter().map(|(target, value)| (target.parse().unwrap(), value.clone())).collect()
    }

    #[test]
    fn what_is_not_named_is_not_in_the_body() {
        let one = values(&[("app_metadata.department", Some(json!("Sales")))]);
        assert_eq!(body(&one), json!({"app_metadata": {"department": "Sales"}}));
        let clears =
            values(&[("user_metadata.locale", None), ("nickname", None), ("name", Some(json!("A")))]);
        assert_eq!(body(&clears), json!({"user_metadata": {"locale": null}, "nickname": null, "name": "A"}));
        assert_eq!(body(&BTreeMap::new()), json!({}));
    }

    #[test]
    fn a_new_address_gets_no_mail() {
        let email = values(&[("email", Some(json!("a@contoso.example")))]);
        assert_eq!(body(&email), json!({"email": "a@contoso.example", "verify_email": false}));
    }
}
