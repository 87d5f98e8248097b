//! The directory's verbs of the control plane: people who move, groups and their members, replication lag.

use super::verbs::{Arguments, person, text};
use super::{Outcome, Wrong};
use crate::Twin;
use crate::world::{GroupId, Lag, ObjectId, World};
use serde_json::{Value, json};
use std::time::Duration;

type OnGroup = fn(&mut World, GroupId);

/// Verbs about one group: `{"group": "<object id or display name>"}`.
const GROUP: [(&str, OnGroup); 3] = [
    ("soft-delete-group", World::soft_delete_group),
    ("purge-group", World::purge_group),
    ("restore-group", World::restore_group),
];

/// Every verb with its arguments.
pub(super) fn describe(all: &mut Value) {
    let person = "id or UPN";
    let group = "id or display name";
    all["rename"] = json!({ "person": person, "name": "Adele Vance-Wilber" });
    all["move"] = json!({ "person": person, "department": "Retail", "job_title": "Manager" });
    all["set-manager"] = json!({ "person": person, "manager": "id or UPN; left out: nobody" });
    all["set-property"] = json!({ "person": person, "name": "officeLocation", "value": "left out: cleared" });
    all["create-group"] = json!({ "name": "Staff" });
    all["rename-group"] = json!({ "group": group, "name": "Everybody" });
    all["add-member"] = json!({ "group": group, "person": "id or UPN, or else", "member": "a group" });
    all["remove-member"] = json!({ "group": group, "person": "id or UPN, or else", "member": "a group" });
    all["lag"] = json!({ "reads": "number of reads, or else", "seconds": "a time; neither: the lag ends" });
    all["expire-links"] = json!({});
    for (name, _) in GROUP {
        all[name] = json!({ "group": group });
    }
}

/// Does the verb, if it is one of these.
pub(super) fn run(twin: &Twin, name: &str, arguments: &Arguments) -> Option<Outcome> {
    if let Some((_, verb)) = GROUP.iter().find(|(known, _)| *known == name) {
        return Some(group(twin, arguments, "group").map(|id| {
            verb(&mut twin.world(), id);
            json!({ "group": id.to_string() })
        }));
    }
    Some(match name {
        "rename" | "move" | "set-manager" | "set-property" => change_person(twin, name, arguments),
        "create-group" => text(arguments, "name").map(|name| {
            let id = twin.world().create_group(name);
            json!({ "group": id.to_string() })
        }),
        "rename-group" => rename_group(twin, arguments),
        "add-member" => member(twin, arguments, World::add_member),
        "remove-member" => member(twin, arguments, World::remove_member),
        "lag" => lag(twin, arguments),
        "expire-links" => {
            twin.world().expire_links();
            Ok(json!({}))
        }
        _ => return None,
    })
}

fn change_person(twin: &Twin, name: &str, arguments: &Arguments) -> Outcome {
    let id = person(twin, arguments, "person")?;
    match name {
        "rename" => twin.world().rename(id, text(arguments, "name")?),
        "move" => twin.world().move_to(id, text(arguments, "department")?, text(arguments, "job_title")?),
        "set-manager" => {
            let named = arguments.contains_key("manager");
            let manager = named.then(|| person(twin, arguments, "manager")).transpose()?;
            twin.world().set_manager(id, manager);
        }
        _ => {
            let property = text(arguments, "name")?;
            if property == "userPrincipalName" {
                return Err(Wrong::bad("the UPN is not a property that can be set here"));
            }
            let value = arguments.get("value").cloned().unwrap_or_default();
            twin.world().set_property(id, property, value);
        }
    }
    Ok(json!({ "person": id.to_string() }))
}

fn rename_group(twin: &Twin, arguments: &Arguments) -> Outcome {
    let id = group(twin, arguments, "group")?;
    twin.world().rename_group(id, text(arguments, "name")?);
    Ok(json!({ "group": id.to_string() }))
}

fn member(twin: &Twin, arguments: &Arguments, verb: fn(&mut World, GroupId, ObjectId)) -> Outcome {
    let id = group(twin, arguments, "group")?;
    let member: ObjectId = match arguments.contains_key("member") {
        true => group(twin, arguments, "member")?.into(),
        false => person(twin, arguments, "person")?.into(),
    };
    verb(&mut twin.world(), id, member);
    Ok(json!({ "group": id.to_string(), "member": member.to_string() }))
}

fn lag(twin: &Twin, arguments: &Arguments) -> Outcome {
    let reads = arguments.get("reads").and_then(Value::as_u64);
    let seconds = arguments.get("seconds").and_then(Value::as_f64);
    let lag = match (reads, seconds) {
        (Some(reads), _) => Some(Lag::Reads(u32::try_from(reads).unwrap_or(u32::MAX))),
        (None, Some(seconds)) => Some(Lag::For(Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)))),
        (None, None) => None,
    };
    twin.world().set_replication_lag(lag);
    Ok(json!({}))
}

/// An object id, or the display name of the first group that has it.
fn group(twin: &Twin, arguments: &Arguments, name: &str) -> Result<GroupId, Wrong> {
    let named = text(arguments, name)?;
    let world = twin.world();
    let found = match named.parse() {
        Ok(id) => world.find_group(id),
        Err(_) => world.groups().find(|group| group.display_name == named),
    };
    found.map(|group| group.id).ok_or_else(|| Wrong::missing(format!("no group is called {named}")))
}
