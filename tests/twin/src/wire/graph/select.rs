//! User properties by name, `$select` and `$expand=manager` (Graph, Get a user; user resource type).

use super::super::call::{Call, Reply};
use super::{error, time};
use crate::world::{Person, World};
use serde_json::{Map, Value, json};

/// What a user shows without `$select` (Graph, Get a user).
pub(super) const DEFAULT: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
];

/// What a property is, for one object.
pub(super) enum Property {
    /// The type has no such property.
    Unknown,
    /// Nobody has ever set it: this is what a read shows, and a delta query leaves it out (Graph, Delta query overview).
    NeverSet(Value),
    Set(Value),
}

impl Property {
    pub fn never_set_if_null(value: Value) -> Property {
        if value.is_null() { Property::NeverSet(value) } else { Property::Set(value) }
    }
}

/// Properties that every user has.
const FIXED: [&str; 13] = [
    "id",
    "userPrincipalName",
    "displayName",
    "mail",
    "accountEnabled",
    "createdDateTime",
    "deletedDateTime",
    "signInSessionsValidFromDateTime",
    "userType",
    "businessPhones",
    "otherMails",
    "proxyAddresses",
    "identities",
];

/// Properties that are null when nobody has set them.
const NULLABLE: [&str; 25] = [
    "creationType",
    "givenName",
    "surname",
    "department",
    "jobTitle",
    "officeLocation",
    "mobilePhone",
    "preferredLanguage",
    "employeeId",
    "employeeType",
    "companyName",
    "externalUserState",
    "externalUserStateChangeDateTime",
    "lastPasswordChangeDateTime",
    "onPremisesSyncEnabled",
    "onPremisesImmutableId",
    "city",
    "country",
    "state",
    "streetAddress",
    "postalCode",
    "usageLocation",
    "mailNickname",
    "employeeHireDate",
    "employeeLeaveDateTime",
];

/// The properties that the query asks for; an unknown one is refused as OData does.
pub(super) fn wanted<'a>(call: &'a Call<'_>) -> Vec<&'a str> {
    match call.query("$select") {
        Some(list) if !list.is_empty() => list.split(',').map(str::trim).collect(),
        _ => DEFAULT.to_vec(),
    }
}

/// The user with these properties.
pub(super) fn user(
    call: &Call<'_>,
    world: &World,
    person: &Person,
    wanted: &[&str],
) -> Result<Map<String, Value>, Reply> {
    check(call, world, wanted)?;
    Ok(shown(call, world, person, wanted))
}

/// Refuses the names that no user has.
pub(super) fn check(call: &Call<'_>, world: &World, wanted: &[&str]) -> Result<(), Reply> {
    match wanted.iter().find(|name| !knows(world, name)) {
        None => Ok(()),
        Some(name) => {
            call.complain(format!("unknown user property {name}"));
            Err(no_such_property(call, name, "microsoft.graph.user"))
        }
    }
}

/// Whether a user can have a property of this name. A directory extension must have been registered.
pub(super) fn knows(world: &World, name: &str) -> bool {
    FIXED.contains(&name)
        || NULLABLE.contains(&name)
        || name == "onPremisesExtensionAttributes"
        || world.has_extension(name)
}

/// The user with those of these properties that users have.
pub(super) fn shown(call: &Call<'_>, world: &World, person: &Person, wanted: &[&str]) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in wanted {
        match property(call, world, person, name) {
            Property::Unknown => {}
            // Directory extensions without a value are left out (seen in practice).
            Property::NeverSet(value) | Property::Set(value)
                if value.is_null() && name.starts_with("extension_") => {}
            Property::NeverSet(value) | Property::Set(value) => {
                shown.insert((*name).to_owned(), value);
            }
        }
    }
    // Every entity carries its key.
    shown.insert("id".into(), person.id.to_string().into());
    shown
}

pub(super) fn no_such_property(call: &Call<'_>, name: &str, of: &str) -> Reply {
    let text = format!(
        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{of}'."
    );
    error(call, 400, "BadRequest", &text)
}

/// `$expand=manager` or `$expand=manager($select=…)`; `None` if something else is asked for.
pub(super) fn manager(
    call: &Call<'_>,
    world: &World,
    person: &Person,
    expand: &str,
) -> Result<Option<Value>, Reply> {
    let Some(options) = expand.strip_prefix("manager") else {
        call.complain(format!("unknown expansion {expand}"));
        return Err(no_such_property(call, expand, "microsoft.graph.user"));
    };
    let selected = options.strip_prefix("($select=").and_then(|rest| rest.strip_suffix(')'));
    let wanted: Vec<&str> = selected.map_or(DEFAULT.to_vec(), |list| list.split(',').collect());
    // Nobody's manager is simply absent, and so is one who is deleted.
    let Some(manager) = person.manager.and_then(|id| world.seen_person(id)).filter(|p| p.deleted.is_none())
    else {
        return Ok(None);
    };
    let mut shown = user(call, world, manager, &wanted)?;
    shown.insert("@odata.type".into(), "#microsoft.graph.user".into());
    Ok(Some(shown.into()))
}

/// One property of a user.
pub(super) fn property(call: &Call<'_>, world: &World, person: &Person, name: &str) -> Property {
    if let Some(set) = person.properties.get(name) {
        return Property::Set(set.clone());
    }
    Property::never_set_if_null(match name {
        "id" => person.id.to_string().into(),
        "userPrincipalName" => shown_upn(person).into(),
        "displayName" => person.display_name.clone().into(),
        "mail" => person.mail.clone().into(),
        "accountEnabled" => person.enabled.into(),
        "createdDateTime" => time(person.created).into(),
        "deletedDateTime" => person.deleted.map(time).into(),
        "signInSessionsValidFromDateTime" => time(person.sessions_valid_from).into(),
        "userType" => "Member".into(),
        "businessPhones" | "otherMails" => json!([]),
        "proxyAddresses" => person.mail.iter().map(|mail| format!("SMTP:{mail}")).collect::<Vec<_>>().into(),
        "identities" => json!([{
            "signInType": "userPrincipalName",
            "issuer": call.state.setup.tenant_domain,
            "issuerAssignedId": person.upn,
        }]),
        "onPremisesExtensionAttributes" => {
            let none = (1..=15).map(|n| (format!("extensionAttribute{n}"), Value::Null)).collect();
            return Property::NeverSet(none);
        }
        _ if NULLABLE.contains(&name) || world.has_extension(name) => Value::Null,
        _ => return Property::Unknown,
    })
}

/// The UPN of a deleted user is prefixed with the object id without dashes (seen in practice, not documented).
fn shown_upn(person: &Person) -> String {
    match person.deleted {
        Some(_) => format!("{}{}", person.id.to_string().replace('-', ""), person.upn),
        None => person.upn.clone(),
    }
}
