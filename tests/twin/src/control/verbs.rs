//! The verbs of the control plane: names, arguments, what they do.

use super::{Outcome, Wrong};
use crate::send::Change;
use crate::world::{AccountId, Hire, PersonId, World};
use crate::{Answer, DeltaExpiry, Fault, Match, Mishap, PageFault, SendError, Times, Twin, Vendor};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(super) type Arguments = Map<String, Value>;
type OnPerson = fn(&mut World, PersonId);
type OnAccount = fn(&mut World, &str);

/// Verbs about one person: `{"person": "<object id or UPN>"}`.
const PERSON: [(&str, OnPerson); 9] = [
    ("dismiss-risk", World::dismiss_risk),
    ("remediate-risk", World::remediate_risk),
    ("confirm-compromised", World::confirm_compromised),
    ("confirm-safe", World::confirm_safe),
    ("disable", World::disable),
    ("enable", World::enable),
    ("soft-delete", World::soft_delete),
    ("hard-delete", World::hard_delete),
    ("restore", World::restore),
];

/// Verbs about one account: `{"account": "<user_id>"}`.
const ACCOUNT: [(&str, OnAccount); 4] = [
    ("block-account", World::block_account_by_admin),
    ("unblock-account", World::unblock_account_by_admin),
    ("reset-password", World::reset_password),
    ("delete-account", World::delete_account),
];

/// Every verb with its arguments.
pub(super) fn all() -> Value {
    let mut all = json!({
        "hire": { "name": "Adele Vance" },
        "raise-risk": { "person": "id or UPN", "level": "high", "detection": "leakedCredentials" },
        "add-database-account": { "person": "id or UPN" },
        "sign-in": { "account": "user_id" },
        "send-alert": { "person": "id or UPN", "level": "high", "to": "http://127.0.0.1:8080" },
        "send-notification": { "person": "id or UPN", "to": "http://127.0.0.1:8080" },
        "fault": {
            "vendor": "login, graph, auth0 or slack",
            "fault": "throttle, status, foreign, stall, refuse, lose-reply or expire-token; of Graph: page-missing, page-short, \
                page-cut-short, page-empty, page-repeated, page-replayed, page-late, delta-gone, \
                delta-sync-state-not-found, delta-resync-required or delta-refused",
            "method": "optional",
            "route": "optional part of the route or path",
            "times": "optional number; without it until clear-faults",
            "retry_after": "for throttle, optional",
            "status": "for status and foreign",
            "seconds": "for stall",
            "rows": "for page-short",
            "changes": "for page-replayed and page-late",
        },
        "clear-faults": {},
        "down": { "vendor": "auth0" },
        "up": { "vendor": "auth0" },
        "freeze-search": {},
        "thaw-search": {},
        "clear-journal": {},
        "hold-notifications": {},
        "lose-notifications": {},
        "release-notifications": {},
    });
    super::directory::describe(&mut all);
    super::tenant::describe(&mut all);
    for (name, _) in PERSON {
        all[name] = json!({ "person": "id or UPN" });
    }
    for (name, _) in ACCOUNT {
        all[name] = json!({ "account": "user_id" });
    }
    all
}

pub(super) async fn run(twin: &Twin, name: &str, arguments: &Arguments) -> Outcome {
    if let Some((_, verb)) = PERSON.iter().find(|(known, _)| *known == name) {
        let person = person(twin, arguments, "person")?;
        verb(&mut twin.world(), person);
        return Ok(json!({ "person": person.to_string() }));
    }
    if let Some((_, verb)) = ACCOUNT.iter().find(|(known, _)| *known == name) {
        let account = account(twin, arguments)?;
        verb(&mut twin.world(), &account);
        return Ok(json!({ "account": &*account }));
    }
    if let Some(outcome) = super::directory::run(twin, name, arguments) {
        return outcome;
    }
    if let Some(outcome) = super::tenant::run(twin, name, arguments) {
        return outcome;
    }
    match name {
        "hire" => hire(twin, arguments),
        "raise-risk" => raise_risk(twin, arguments),
        "add-database-account" => {
            let person = person(twin, arguments, "person")?;
            Ok(json!({ "account": &*twin.world().add_database_account(person) }))
        }
        "sign-in" => sign_in(twin, arguments),
        "send-alert" => send_alert(twin, arguments).await,
        "send-notification" => send_notification(twin, arguments).await,
        _ => weather(twin, name, arguments),
    }
}

/// Faults, outages, and what is forgotten.
fn weather(twin: &Twin, name: &str, arguments: &Arguments) -> Outcome {
    match name {
        "fault" => inject(twin, arguments)?,
        "clear-faults" => twin.faults().clear(),
        "down" => twin.faults().down(vendor(arguments)?),
        "up" => twin.faults().up(vendor(arguments)?),
        "freeze-search" => twin.world().freeze_search(),
        "thaw-search" => twin.world().thaw_search(),
        "clear-journal" => twin.journal().clear(),
        "hold-notifications" => _ = twin.faults().mishap("", Mishap::Hold, Times::Forever),
        "lose-notifications" => _ = twin.faults().mishap("", Mishap::Lose, Times::Forever),
        "release-notifications" => return Ok(json!({ "released": twin.deliveries().release() })),
        _ => return Err(Wrong::missing("no such verb; see GET /twin/verbs")),
    }
    Ok(json!({}))
}

fn hire(twin: &Twin, arguments: &Arguments) -> Outcome {
    let hire = Hire::named(text(arguments, "name")?);
    if twin.world().find_person_by_upn(&hire.upn).is_some() {
        return Err(Wrong { status: 409, text: format!("{} works here already", hire.upn) });
    }
    let person = twin.world().hire(hire);
    let accounts = twin.world().accounts_of(person);
    Ok(json!({
        "person": person.to_string(),
        "accounts": accounts.iter().map(|id| (**id).into()).collect::<Vec<Value>>(),
    }))
}

fn raise_risk(twin: &Twin, arguments: &Arguments) -> Outcome {
    let person = person(twin, arguments, "person")?;
    let level = text(arguments, "level").unwrap_or("high");
    let detection = text(arguments, "detection").unwrap_or("leakedCredentials");
    twin.world().raise_risk(person, level, detection);
    Ok(json!({ "person": person.to_string(), "level": level, "detection": detection }))
}

fn sign_in(twin: &Twin, arguments: &Arguments) -> Outcome {
    let account = account(twin, arguments)?;
    let left = twin.world().sign_in(&account);
    Ok(match left {
        None => json!({ "let_in": false }),
        Some(left) => json!({
            "let_in": true,
            "session": left.session,
            "refresh_token": left.refresh_token,
            "grant": left.grant,
            "device_credential": left.device_credential,
        }),
    })
}

async fn send_alert(twin: &Twin, arguments: &Arguments) -> Outcome {
    let person = person(twin, arguments, "person")?;
    let level = text(arguments, "level").unwrap_or("high");
    let sender = twin.sender(text(arguments, "to")?);
    answered(sender.signed_risk_alert(person, level).await)
}

async fn send_notification(twin: &Twin, arguments: &Arguments) -> Outcome {
    let person = person(twin, arguments, "person")?;
    let sender = twin.sender(text(arguments, "to")?);
    answered(sender.user_changed(person, Change::Updated).await)
}

fn answered(answer: Result<Answer, SendError>) -> Outcome {
    match answer {
        Ok(answer) => Ok(json!({ "status": answer.status, "body": answer.body })),
        Err(error) => Err(Wrong { status: 502, text: error.to_string() }),
    }
}

fn inject(twin: &Twin, arguments: &Arguments) -> Result<(), Wrong> {
    let wanted = Match {
        vendor: vendor(arguments)?,
        method: text(arguments, "method").ok().map(str::to_owned),
        route_contains: text(arguments, "route").ok().map(str::to_owned),
    };
    let times = match arguments.get("times").and_then(Value::as_u64) {
        Some(times) => Times::N(u32::try_from(times).unwrap_or(u32::MAX)),
        None => Times::Forever,
    };
    let number = |name: &str| arguments.get(name).and_then(Value::as_f64);
    let fault = match text(arguments, "fault")? {
        "throttle" => Fault::Throttle { retry_after: text(arguments, "retry_after").ok().map(str::to_owned) },
        "status" => Fault::Status(number("status").unwrap_or(500.0) as u16),
        "foreign" => Fault::Foreign(number("status").unwrap_or(200.0) as u16),
        "stall" => {
            Fault::Stall(Duration::from_secs_f64(number("seconds").unwrap_or(10.0).clamp(0.0, 3_600.0)))
        }
        "refuse" => Fault::Refuse,
        "lose-reply" => Fault::LoseReply,
        "expire-token" => Fault::ExpireToken,
        "page-missing" => Fault::Page(PageFault::Missing),
        "page-short" => Fault::Page(PageFault::Short(number("rows").unwrap_or(1.0) as usize)),
        "page-cut-short" => Fault::Page(PageFault::CutShort),
        "page-empty" => Fault::Page(PageFault::Empty),
        "page-repeated" => Fault::Page(PageFault::Repeated),
        "page-replayed" => Fault::Page(PageFault::Replayed(number("changes").unwrap_or(1.0) as u64)),
        "page-late" => Fault::Page(PageFault::Late(number("changes").unwrap_or(1.0) as u64)),
        "delta-gone" => Fault::ExpireDelta(DeltaExpiry::Gone),
        "delta-sync-state-not-found" => Fault::ExpireDelta(DeltaExpiry::SyncStateNotFound),
        "delta-resync-required" => Fault::ExpireDelta(DeltaExpiry::ResyncRequired),
        "delta-refused" => Fault::ExpireDelta(DeltaExpiry::Refused),
        other => return Err(Wrong::bad(format!("no such fault: {other}"))),
    };
    twin.faults().inject(wanted, fault, times);
    Ok(())
}

fn vendor(arguments: &Arguments) -> Result<Vendor, Wrong> {
    match text(arguments, "vendor")? {
        "login" => Ok(Vendor::Login),
        "graph" => Ok(Vendor::Graph),
        "auth0" => Ok(Vendor::Auth0),
        "slack" => Ok(Vendor::Slack),
        other => Err(Wrong::bad(format!("no such vendor: {other}"))),
    }
}

/// An object id of somebody in the world, or a UPN.
pub(super) fn person(twin: &Twin, arguments: &Arguments, name: &str) -> Result<PersonId, Wrong> {
    let named = text(arguments, name)?;
    let world = twin.world();
    let found = match named.parse() {
        Ok(id) => world.find_person(id),
        Err(_) => world.find_person_by_upn(named),
    };
    found.map(|person| person.id).ok_or_else(|| Wrong::missing(format!("nobody is called {named}")))
}

pub(super) fn account(twin: &Twin, arguments: &Arguments) -> Result<AccountId, Wrong> {
    let named = text(arguments, "account")?;
    let world = twin.world();
    let found = world.find_account(named).map(|account| account.id.clone());
    found.ok_or_else(|| Wrong::missing(format!("there is no account {named}")))
}

pub(super) fn text<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a str, Wrong> {
    let value = arguments.get(name).and_then(Value::as_str);
    value.ok_or_else(|| Wrong::bad(format!("\"{name}\" is missing")))
}
