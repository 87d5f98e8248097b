//! Every sentence people receive.
//!
//! A case's message is made from the case alone, so that the same version always says the same thing, whoever sends it
//! and however often. Pure. Cutting to a vendor's limits and escaping is the notifier's; here only what would drown the
//! reader is shortened ([`NAME_CHARS_MAX`]).

mod account;

use std::time::Duration;

use crate::case::also::AlsoState;
use crate::case::look_alikes::LookAlikes;
use crate::case::{BlockProgress, Case, CaseState, Reason, Response, Restraint};
use crate::clock::{self, Timestamp};

use super::message::{About, Field, Form, Message, Severity, Tag, Topic, Value};

/// A display name longer than this is no name that anybody reads; Entra allows 256.
pub const NAME_CHARS_MAX: usize = 80;

/// What people are told apart, where every change is a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    UnderWay,
    /// The read-back's deadline has passed and something is still open.
    Late,
    Verified,
    NotActed,
    Releasing,
    Released,
}

impl Stage {
    pub fn of(case: &Case, now: Timestamp) -> Stage {
        match case.state {
            CaseState::Requested | CaseState::Accepted if now > case.verify_by => Stage::Late,
            CaseState::Requested | CaseState::Accepted => Stage::UnderWay,
            CaseState::Verified => Stage::Verified,
            CaseState::NotActed => Stage::NotActed,
            CaseState::Releasing => Stage::Releasing,
            CaseState::Released => Stage::Released,
        }
    }

    /// On the way to something: worth an update, not worth a message of its own.
    pub fn is_passing(self) -> bool {
        matches!(self, Stage::UnderWay | Stage::Releasing)
    }

    pub fn word(self) -> &'static str {
        match self {
            Stage::UnderWay => "under-way",
            Stage::Late => "late",
            Stage::Verified => "verified",
            Stage::NotActed => "not-acted",
            Stage::Releasing => "releasing",
            Stage::Released => "released",
        }
    }
}

/// What is said about a case as it stands.
pub fn case(case: &Case, now: Timestamp) -> Message {
    let stage = Stage::of(case, now);
    Message {
        tag: Tag { topic: Topic::Case(case.id), version: case.version },
        subject: format!("{} ({})", name(case), case.id),
        stage: Some(stage),
        since: since(case, stage),
        about: Some(About { subject: case.subject, event: case.event }),
        severity: severity(case, stage),
        headline: headline(case, stage),
        fields: fields(case, stage, now),
        accounts: account::lines(case),
        notes: notes(case, stage, now),
        footer: footer(case),
        form: Form::Rich,
    }
}

/// What is said outside a case: the brake, a policy that cannot be read. The first sentence is the headline.
pub fn notice(key: &str, version: u64, text: &str, since: Timestamp) -> Message {
    let (headline, rest) = text.split_once(". ").unwrap_or((text, ""));
    Message {
        tag: Tag { topic: Topic::Notice(key.to_owned()), version },
        subject: headline.to_owned(),
        stage: None,
        since,
        about: None,
        severity: Severity::Critical,
        headline: headline.to_owned(),
        fields: Vec::new(),
        accounts: Vec::new(),
        notes: Some(rest.to_owned()).filter(|rest| !rest.is_empty()).into_iter().collect(),
        footer: Vec::new(),
        form: Form::Rich,
    }
}

fn since(case: &Case, stage: Stage) -> Timestamp {
    let since = match stage {
        Stage::UnderWay => case.accepted_at,
        Stage::Late => Some(case.verify_by),
        Stage::Verified => case.verified_at,
        Stage::NotActed => None,
        Stage::Releasing | Stage::Released => case.released_at,
    };
    since.unwrap_or(case.opened_at)
}

fn severity(case: &Case, stage: Stage) -> Severity {
    match stage {
        Stage::Late => Severity::Critical,
        Stage::NotActed if case.restraint == Some(Restraint::Protected) => Severity::Critical,
        Stage::UnderWay | Stage::Verified | Stage::NotActed => Severity::Warning,
        Stage::Releasing | Stage::Released => Severity::Info,
    }
}

fn headline(case: &Case, stage: Stage) -> String {
    let whom = whom(case);
    match stage {
        Stage::NotActed => not_acted(case, &whom),
        Stage::UnderWay if case.state == CaseState::Accepted => {
            format!("{} accepted: {whom}, being read back", asked_for(case))
        }
        Stage::UnderWay => format!("{} requested: {whom}", asked_for(case)),
        Stage::Late => format!("NOT verified in time: {whom}"),
        Stage::Verified => format!("{}: {whom}{}", done(case), verified_in(case)),
        Stage::Releasing => format!("Releasing: {whom}"),
        Stage::Released => format!("Released: {whom}"),
    }
}

fn not_acted(case: &Case, whom: &str) -> String {
    let would_act = matches!(case.response, Response::Contain | Response::EndSessions);
    match case.restraint {
        Some(Restraint::Protected) => format!("NOT contained: {whom} (protected: needs two people)"),
        Some(Restraint::ObserveMode) => {
            let verb = if case.response == Response::EndSessions { "end sessions" } else { "contain" };
            format!("Would {verb}: {whom} (observe mode: nothing was written)")
        }
        _ if would_act && case.accounts.is_empty() => {
            format!("Nothing to contain: {} has no Auth0 account", name(case))
        }
        Some(Restraint::ContainBrake) => format!("NOT contained: {whom} (contain brake)"),
        None => format!("NOT contained: {whom} (the policy only tells)"),
    }
}

/// What a case is about to do, as its response and the brake allow.
fn asked_for(case: &Case) -> &'static str {
    match (case.restraint, case.response) {
        (Some(Restraint::ContainBrake), _) | (_, Response::EndSessions) => "End of sessions",
        _ => "Lockout",
    }
}

/// What a verified case has done.
fn done(case: &Case) -> &'static str {
    match (case.restraint, case.response) {
        (Some(Restraint::ContainBrake), _) => "Sessions ended, NOT blocked (contain brake)",
        (_, Response::EndSessions) => "Sessions ended, NOT blocked (as the policy says)",
        _ => "Contained",
    }
}

fn whom(case: &Case) -> String {
    // Who is left out is not counted: their line says so.
    let concerned = case.accounts.values().filter(|account| account.block != BlockProgress::Protected);
    match concerned.count() {
        0 => name(case),
        1 => format!("1 account of {}", name(case)),
        many => format!("{many} accounts of {}", name(case)),
    }
}

fn name(case: &Case) -> String {
    match case.display_name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) if name.chars().count() > NAME_CHARS_MAX => {
            name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
        }
        Some(name) => name.to_owned(),
        None => case.subject.object.to_string(),
    }
}

/// From the signal where the source named its time, else from arrival.
fn verified_in(case: &Case) -> String {
    let from = case.signal_at.unwrap_or(case.received_at);
    match case.verified_at {
        Some(at) => format!(", verified in {}", took(clock::elapsed(from, at))),
        None => String::new(),
    }
}

fn fields(case: &Case, stage: Stage, now: Timestamp) -> Vec<Field> {
    let who = case.display_name.as_ref().map_or_else(|| "name not known".to_owned(), |_| name(case));
    vec![
        Field { label: "Who", value: Value::Words(who) },
        Field { label: "Entra object id", value: Value::Code(case.subject.object.to_string()) },
        Field { label: "Why", value: Value::Words(why(case)) },
        Field { label: "State", value: Value::Words(state(case, stage, now)) },
    ]
}

fn why(case: &Case) -> String {
    match case.reason {
        Reason::Operator { .. } => capital(&case.why()),
        _ => format!("{} (told by {})", capital(&case.why()), case.source.word()),
    }
}

fn state(case: &Case, stage: Stage, now: Timestamp) -> String {
    let at = |at: Option<Timestamp>| at.map(|at| format!(" at {}", time(at, now))).unwrap_or_default();
    let word = capital(case.state.word());
    match stage {
        Stage::UnderWay => format!("{word}, to be verified by {}", time(case.verify_by, now)),
        Stage::Late => format!("{word}, NOT verified by {}, being read back on", time(case.verify_by, now)),
        Stage::Verified => format!("{word}{}", at(case.verified_at)),
        Stage::NotActed => match case.restraint {
            Some(restraint) => format!("{word} ({})", restraint.sentence()),
            None => word,
        },
        Stage::Releasing | Stage::Released => match &case.released_because {
            Some(because) => format!("{word}{}: {because}", at(case.released_at)),
            None => format!("{word}{}", at(case.released_at)),
        },
    }
}

fn notes(case: &Case, stage: Stage, now: Timestamp) -> Vec<String> {
    let mut notes = Vec::new();
    if is_containing(case) && case.restraint == Some(Restraint::ContainBrake) {
        notes.push(capital(Restraint::ContainBrake.sentence()));
    }
    match case.state {
        CaseState::NotActed => notes.extend(case.open.iter().map(|note| capital(note))),
        _ => notes.extend(case.open.iter().map(|open| format!("Still open: {open}"))),
    }
    notes.extend(entra_sessions(case));
    notes.extend(exposure(case, now));
    if !matches!(case.state, CaseState::Releasing | CaseState::Released) {
        notes.extend(case.look_alikes.iter().flat_map(LookAlikes::in_short));
    }
    notes.extend(next_step(case, stage));
    notes
}

/// No part of the lockout from Auth0, and told beside it.
fn entra_sessions(case: &Case) -> Option<String> {
    let also = case.entra_sessions.as_ref()?;
    match (&also.state, case.state) {
        (
            AlsoState::Ended { .. } | AlsoState::Unproven { .. },
            CaseState::Releasing | CaseState::Released,
        ) => Some("Entra sign-in sessions had been ended".to_owned()),
        (AlsoState::Ended { .. } | AlsoState::Unproven { .. }, _) => {
            Some("Entra sign-in sessions ended; that takes Entra some minutes".to_owned())
        }
        (AlsoState::Refused { why, .. }, _) => {
            Some(format!("Entra sign-in sessions NOT ended, refused by {why}"))
        }
        (AlsoState::Wanted, CaseState::NotActed) => Some("Entra sign-in sessions would end".to_owned()),
        (AlsoState::Wanted, _) if is_containing(case) => {
            Some("Still open: Entra sign-in sessions not ended yet".to_owned())
        }
        (AlsoState::Failed { why, .. }, _) if is_containing(case) => {
            Some(format!("Still open: Entra sign-in sessions not ended yet: {why}"))
        }
        (AlsoState::Wanted | AlsoState::Failed { .. }, _) => None,
    }
}

/// What whoever is woken by it can do. A lockout that is under way or over needs nobody.
fn next_step(case: &Case, stage: Stage) -> Option<String> {
    let contain = format!("`lockstep contain {} --reason …`", case.subject.object);
    match (stage, case.restraint) {
        (Stage::Late, _) => Some(
            "Lockstep goes on trying. If it must be safe now, block these accounts in the Auth0 Dashboard"
                .to_owned(),
        ),
        (Stage::NotActed, _) if case.accounts.is_empty() => None,
        (Stage::NotActed, Some(Restraint::Protected)) => Some(format!(
            "To lock out: two people decide, one takes the person off [protected] in lockstep.toml, then {contain}"
        )),
        (Stage::NotActed, Some(Restraint::ObserveMode)) => {
            Some(format!("To lock out: set LOCKSTEP_MODE=enforce, restart, then {contain}"))
        }
        (Stage::NotActed, None) => Some(format!("To lock out: {contain}")),
        (Stage::NotActed | Stage::Verified, Some(Restraint::ContainBrake)) => {
            Some(format!("To block in spite of the brake: {contain}"))
        }
        (Stage::Verified, _) if case.response == Response::EndSessions => {
            Some(format!("To block as well: {contain}"))
        }
        (Stage::Verified, _) => {
            Some(format!("To give access back: `lockstep release {} --reason …`", case.id))
        }
        (Stage::UnderWay | Stage::Releasing | Stage::Released, _) => None,
    }
}

/// JWT access tokens cannot be revoked (Auth0, Access Tokens): people must know until when one may still work.
fn exposure(case: &Case, now: Timestamp) -> Option<String> {
    match (case.state, case.exposed_until) {
        _ if !is_containing(case) => None,
        (_, Some(until)) => Some(format!("Access tokens already issued may work until {}", time(until, now))),
        (CaseState::Requested, None) => None,
        (_, None) => Some("How long access tokens already issued may work is not known".to_owned()),
    }
}

fn is_containing(case: &Case) -> bool {
    matches!(case.state, CaseState::Requested | CaseState::Accepted | CaseState::Verified)
}

fn footer(case: &Case) -> Vec<String> {
    let mut footer = Vec::new();
    let hops = hops(case);
    if !hops.is_empty() {
        footer.push(hops.join(" · "));
    }
    footer.push(format!("{} · event {}", case.id, case.event));
    footer
}

/// The time of each step from the step before it.
fn hops(case: &Case) -> Vec<String> {
    let steps = [
        ("signal → received", case.signal_at, Some(case.received_at)),
        ("received → accepted", Some(case.received_at), case.accepted_at),
        ("accepted → verified", case.accepted_at, case.verified_at),
    ];
    let hop = |(label, from, to): (&str, Option<Timestamp>, Option<Timestamp>)| {
        Some(format!("{label} {}", took(clock::elapsed(from?, to?))))
    };
    steps.into_iter().filter_map(hop).collect()
}

/// `0.04 s`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{:.2} s", time.as_secs_f64()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// The time of day in UTC, with the date when it is not today.
fn time(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    match day(at) == day(now) {
        true => at.strftime("%H:%M:%S UTC").to_string(),
        false => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    }
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
