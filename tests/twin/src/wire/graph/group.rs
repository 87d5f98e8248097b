//! Group properties by name and `$select` (Graph, Get group; group resource type).

use super::super::call::{Call, Reply};
use super::select::{Property, no_such_property};
use super::time;
use crate::world::Group;
use serde_json::{Map, Value, json};

/// What a group shows without `$select` (Graph, Get group).
pub(super) const DEFAULT: [&str; 26] = [
    "id",
    "deletedDateTime",
    "classification",
    "createdDateTime",
    "creationOptions",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "membershipRuleProcessingState",
    "onPremisesLastSyncDateTime",
    "onPremisesSyncEnabled",
    "preferredLanguage",
    "proxyAddresses",
    "renewedDateTime",
    "resourceBehaviorOptions",
    "resourceProvisioningOptions",
    "securityEnabled",
    "securityIdentifier",
    "theme",
    "visibility",
];

/// The properties that the query asks for, refused if no group has them.
pub(super) fn wanted<'a>(call: &'a Call<'_>) -> Result<Vec<&'a str>, Reply> {
    let wanted = match call.query("$select") {
        Some(list) if !list.is_empty() => list.split(',').map(str::trim).collect(),
        _ => DEFAULT.to_vec(),
    };
    check(call, &wanted)?;
    Ok(wanted)
}

pub(super) fn check(call: &Call<'_>, wanted: &[&str]) -> Result<(), Reply> {
    match wanted.iter().find(|name| !DEFAULT.contains(name)) {
        None => Ok(()),
        Some(name) => {
            call.complain(format!("unknown group property {name}"));
            Err(no_such_property(call, name, "microsoft.graph.group"))
        }
    }
}

/// The group with those of these properties that groups have.
pub(super) fn shown(group: &Group, wanted: &[&str]) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in wanted {
        if let Property::NeverSet(value) | Property::Set(value) = property(group, name) {
            shown.insert((*name).to_owned(), value);
        }
    }
    // Every entity carries its key.
    shown.insert("id".into(), group.id.to_string().into());
    shown
}

/// One property of a group: a security group of the cloud unless it says otherwise.
pub(super) fn property(group: &Group, name: &str) -> Property {
    if let Some(set) = group.properties.get(name) {
        return Property::Set(set.clone());
    }
    Property::never_set_if_null(match name {
        "id" => group.id.to_string().into(),
        "displayName" => group.display_name.clone().into(),
        "createdDateTime" | "renewedDateTime" => time(group.created).into(),
        "deletedDateTime" => group.deleted.map(time).into(),
        "mailEnabled" => false.into(),
        "securityEnabled" => true.into(),
        // What the portal writes for groups without a mailbox: some letters of the id.
        "mailNickname" => group.id.to_string().chars().take(10).collect::<String>().into(),
        "creationOptions"
        | "groupTypes"
        | "proxyAddresses"
        | "resourceBehaviorOptions"
        | "resourceProvisioningOptions" => json!([]),
        "securityIdentifier" => format!("S-1-12-1-{}", group.id.to_string().replace('-', "")).into(),
        _ if DEFAULT.contains(&name) => Value::Null,
        _ => return Property::Unknown,
    })
}
