//! Paths to attributes, as mappings, filters and PATCH operations write them: `active`, `name.givenName`,
//! `emails[type eq "work"].value`, `urn:…:User:department` (RFC 7644, section 3.10; Auth0's mappings write a dot after the
//! urn).

use serde_json::{Map, Value, json};

/// The one extension that the default mapping knows.
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User:";

/// A path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// In the enterprise extension.
    pub extended: bool,
    pub attribute: String,
    /// `[attribute eq "value"]`.
    pub chosen: Option<(String, String)>,
    pub sub: Option<String>,
}

impl Path {
    /// `None` is no path that SCIM or the twin knows.
    pub fn read(text: &str) -> Option<Path> {
        let text = text.strip_prefix(CORE).unwrap_or(text);
        let (extended, rest) = match text.strip_prefix(ENTERPRISE) {
            Some(rest) => (true, rest.strip_prefix([':', '.'])?),
            None => (false, text),
        };
        let (head, tail) = match rest.split_once('[') {
            Some((head, tail)) => {
                let (inside, tail) = tail.split_once(']')?;
                return Path::chosen(extended, head, inside, tail);
            }
            None => rest.split_once('.').map_or((rest, None), |(head, tail)| (head, Some(tail))),
        };
        let named = is_name(head) && tail.is_none_or(is_name);
        named.then(|| Path { extended, attribute: head.into(), chosen: None, sub: tail.map(str::to_owned) })
    }

    fn chosen(extended: bool, head: &str, inside: &str, tail: &str) -> Option<Path> {
        let (name, value) = inside.split_once(' ')?;
        let (operator, value) = value.trim_start().split_once(' ')?;
        let value = value.trim().trim_matches('"').to_owned();
        let sub = match tail {
            "" => None,
            tail => Some(tail.strip_prefix('.')?.to_owned()),
        };
        (operator.eq_ignore_ascii_case("eq") && is_name(head)).then(|| Path {
            extended,
            attribute: head.to_owned(),
            chosen: Some((name.to_owned(), value)),
            sub,
        })
    }

    /// The same attribute, whatever part of it.
    pub fn same_attribute(&self, other: &Path) -> bool {
        self.extended == other.extended && self.attribute.eq_ignore_ascii_case(&other.attribute)
    }

    /// What a resource has here. A path without a choice into a list means its first entry.
    pub fn get<'a>(&self, resource: &'a Value) -> Option<&'a Value> {
        let holder = if self.extended { resource.get(ENTERPRISE)? } else { resource };
        let mut found = member(holder, &self.attribute)?;
        if let Value::Array(items) = found {
            found = match &self.chosen {
                None => items.first()?,
                Some((name, wanted)) => items.iter().find(|item| is_chosen(item, name, wanted))?,
            };
        }
        match (&self.sub, found) {
            (None, found) => Some(found),
            (Some(sub), Value::Object(_)) => member(found, sub),
            // A plain value where an object with a value is meant.
            (Some(sub), found) if sub == "value" => Some(found),
            _ => None,
        }
        .filter(|value| !value.is_null())
    }

    /// Sets what a resource has here; null takes it away.
    pub fn set(&self, resource: &mut Value, value: Value) {
        let holder = match self.extended {
            true => entry(resource, ENTERPRISE, || json!({})),
            false => resource,
        };
        match (&self.chosen, &self.sub) {
            (None, None) => put(holder, &self.attribute, value),
            (None, Some(sub)) => put(entry(holder, &self.attribute, || json!({})), sub, value),
            (Some(choice), sub) => {
                let list = entry(holder, &self.attribute, || json!([]));
                set_chosen(list, choice, sub.as_deref().unwrap_or("value"), value);
            }
        }
    }
}

fn set_chosen(list: &mut Value, (name, wanted): &(String, String), sub: &str, value: Value) {
    let Value::Array(items) = list else {
        return;
    };
    let at = items.iter().position(|item| is_chosen(item, name, wanted));
    match (at, value) {
        (Some(at), Value::Null) => drop(items.remove(at)),
        (Some(at), value) => put(&mut items[at], sub, value),
        (None, Value::Null) => {}
        (None, value) => items.push(json!({ name: wanted, sub: value })),
    }
}

fn is_chosen(item: &Value, name: &str, wanted: &str) -> bool {
    match member(item, name) {
        Some(Value::String(text)) => text.eq_ignore_ascii_case(wanted),
        Some(other) => other.to_string() == wanted,
        None => false,
    }
}

/// Attribute names are compared without regard to case (RFC 7643, section 2.1).
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn entry<'a>(object: &'a mut Value, name: &str, empty: fn() -> Value) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let held = object.as_object_mut().expect("made one above");
    held.entry(name).or_insert_with(empty)
}

fn put(object: &mut Value, name: &str, value: Value) {
    let Value::Object(held) = object else {
        return;
    };
    held.retain(|key, _| !key.eq_ignore_ascii_case(name));
    if !value.is_null() {
        held.insert(name.to_owned(), value);
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"$-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::read(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn values_are_read_and_written_where_paths_point() {
        let mut user = json!({"emails": [{"type": "home", "value": "h"}], "Active": true});
        for (text, value) in [
            ("emails[type eq \"work\"].value", json!("w")),
            ("name.givenName", json!("Adele")),
            (&format!("{ENTERPRISE}:department"), json!("Sales")),
        ] {
            path(text).set(&mut user, value.clone());
            assert_eq!(path(text).get(&user), Some(&value), "{text}");
        }
        assert_eq!(path("active").get(&user), Some(&json!(true)));
        assert_eq!(path(&format!("{ENTERPRISE}.department")).get(&user), Some(&json!("Sales")));
        path("emails[type eq \"work\"].value").set(&mut user, Value::Null);
        assert_eq!(user["emails"], json!([{"type": "home", "value": "h"}]));
    }

    #[test]
    fn what_is_no_path_is_not_read() {
        for text in ["", "a b", "emails[type", "emails[type ne \"work\"].value", ENTERPRISE] {
            assert_eq!(Path::read(text), None, "{text}");
        }
    }
}
