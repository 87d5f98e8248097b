//! What the control plane shows: the world, the journal, complaints, the environment.

use super::{Outcome, Wrong, verbs};
use crate::Twin;
use crate::world::{Account, Group, Letter, Message, Person, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Accounts, people and groups shown; a bigger world is not for reading.
const SHOWN_MAX: usize = 200;
/// Journal entries shown without `?last=`.
const ENTRIES_DEFAULT: usize = 50;

pub(super) fn page(twin: &Twin, name: &str, query: &str) -> Outcome {
    match name {
        "state" => Ok(state(twin)),
        "journal" => Ok(journal(twin, query)),
        "complaints" => Ok(complaints(twin)),
        "env" => {
            let told = twin.env_to_tell();
            Ok(json!(twin.env().into_iter().chain(told).collect::<BTreeMap<_, _>>()))
        }
        "verbs" => Ok(verbs::all()),
        "routes" => Ok(Twin::routes().map(|(_, label, _)| Value::from(label)).collect()),
        _ => Err(Wrong::missing("state, journal, complaints, env, verbs or routes")),
    }
}

fn state(twin: &Twin) -> Value {
    let channel = &twin.setup().slack_channel;
    let world = twin.world();
    let people: Vec<Value> = world.people().take(SHOWN_MAX).map(|person| shown(&world, person)).collect();
    let messages: Vec<Value> = world.slack_messages(channel).iter().map(message).collect();
    let groups: Vec<Value> = world.groups().take(SHOWN_MAX).map(|group| shown_group(&world, group)).collect();
    let letters: Vec<Value> = world.letters().iter().map(letter).collect();
    let hooks: Vec<Value> = world.hooks().into_iter().map(|hook| hook.body).collect();
    json!({
        "people": people,
        "groups": groups,
        "slack": messages,
        "mail": letters,
        "tickets": hooks,
        "accounts": world.account_count(),
    })
}

fn shown_group(world: &World, group: &Group) -> Value {
    let members = world.members(group.id).take(SHOWN_MAX);
    json!({
        "id": group.id.to_string(),
        "name": group.display_name,
        "deleted": group.deleted.is_some(),
        "members": members.map(|member| member.to_string()).collect::<Vec<_>>(),
    })
}

fn shown(world: &World, person: &Person) -> Value {
    let accounts = world.accounts_of(person.id);
    json!({
        "id": person.id.to_string(),
        "upn": person.upn,
        "name": person.display_name,
        "enabled": person.enabled,
        "deleted": person.deleted.is_some(),
        "risk": person.risk.as_ref().map(|risk| json!({ "level": risk.level, "state": risk.state })),
        "accounts": accounts.iter().map(|id| account(world, world.account(id))).collect::<Vec<_>>(),
    })
}

fn account(world: &World, account: &Account) -> Value {
    let organizations = world.organizations_of(&account.id).into_iter();
    let organizations = organizations.map(|id| world.organization(&id).name.clone());
    json!({
        "user_id": &*account.id,
        "blocked": account.blocked,
        "sessions": world.sessions(&account.id).len(),
        "refresh_tokens": world.refresh_tokens(&account.id).len(),
        "grants": world.grants(&account.id).len(),
        "roles": world.role_names_of(&account.id),
        "organizations": organizations.collect::<Vec<_>>(),
        "app_metadata": account.app_metadata,
    })
}

fn message(message: &Message) -> Value {
    let texts: Vec<&str> = message.versions.iter().map(|version| version.text.as_str()).collect();
    json!({ "ts": message.ts, "versions": texts })
}

fn letter(letter: &Letter) -> Value {
    json!({ "to": letter.to, "subject": letter.header("Subject"), "text": letter.text })
}

fn journal(twin: &Twin, query: &str) -> Value {
    let last = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "last")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(ENTRIES_DEFAULT);
    let entries = twin.journal().requests();
    let shown = entries.iter().skip(entries.len().saturating_sub(last)).map(|entry| {
        json!({
            "seq": entry.seq,
            "vendor": format!("{:?}", entry.vendor),
            "route": entry.route,
            "path": entry.path,
            "status": entry.status,
            "outcome": format!("{:?}", entry.outcome),
            "body": String::from_utf8_lossy(&entry.body),
        })
    });
    shown.collect()
}

fn complaints(twin: &Twin) -> Value {
    let complaints = twin.journal().complaints().into_iter();
    let shown = complaints.map(|complaint| {
        json!({
            "vendor": format!("{:?}", complaint.vendor),
            "route": complaint.route,
            "text": complaint.text,
        })
    });
    shown.collect()
}
