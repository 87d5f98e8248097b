//! Cases, dead letters and audit entries to find in a store.

use std::collections::BTreeMap;
use std::path::Path;

use lockstep::audit::{Actor, Entry};
use lockstep::case::{
    AccountId, AccountProgress, BlockProgress, Case, CaseId, CaseState, Means, Reason, Response,
};
use lockstep::clock::Timestamp;
use lockstep::event::{
    About, Event, EventId, EventKind, Lane, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject,
    TenantId,
};
use lockstep::snapshot::sync::Remembered;
use lockstep::store::sqlite::{Settings, Sqlite};
use lockstep::store::{DeadLetter, SaveCase, SavePerson, Store};
use uuid::Uuid;

pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x6b0a4c1e_52d7_4f38_9c61_7e2f90d3a815));
pub const ANN: ObjectId = ObjectId(Uuid::from_u128(0x3f2c1b0a_9d8e_4f7a_8b6c_5d4e3f2a1b0c));

pub fn at(clock: &str) -> Timestamp {
    format!("2026-03-02T{clock}Z").parse().unwrap()
}

pub fn event_id(number: u128) -> EventId {
    EventId(Uuid::from_u128(number))
}

/// The store where a program that runs in `dir` looks for it.
pub fn store(dir: &Path) -> Sqlite {
    Sqlite::open(&Settings { file: dir.join("data/lockstep.db") }).unwrap()
}

/// Ann's case, opened by event `number`, in `state`.
pub fn case(number: u128, state: CaseState) -> Case {
    let verified = state == CaseState::Verified;
    let account = AccountProgress {
        block: BlockProgress::Ours,
        ended_by: Some(Means::RevokeAccess),
        ended_at: Some(at("08:00:02")),
        also: BTreeMap::new(),
        open: if verified { Vec::new() } else { vec!["1 session".to_owned()] },
    };
    Case {
        id: CaseId::opened_by(event_id(number)),
        version: 1,
        subject: Subject { tenant: TENANT, object: ANN },
        display_name: Some("Ann\u{1b}[31m Example".to_owned()),
        state,
        reason: Reason::Risk(RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: Some("leakedCredentials".to_owned()),
            detected_at: None,
        }),
        source: Source::Risk,
        response: Response::Contain,
        restraint: None,
        entra_sessions: None,
        look_alikes: None,
        accounts: BTreeMap::from([(AccountId::read("waad|contoso|ann").unwrap(), account)]),
        open: if verified { Vec::new() } else { vec!["Auth0 cannot be reached".to_owned()] },
        event: event_id(number),
        signal_at: Some(at("08:00:00")),
        received_at: at("08:00:01"),
        opened_at: at("08:00:01"),
        accepted_at: Some(at("08:00:02")),
        verified_at: verified.then(|| at("08:00:03")),
        released_at: (state == CaseState::Released).then(|| at("09:00:00")),
        causes: Vec::new(),
        released_because: None,
        released_as_of: None,
        released_by: None,
        escalated_at: None,
        renewed_at: None,
        deletion: None,
        verify_by: at("08:02:01"),
        exposed_until: Some(at("10:00:00")),
    }
}

pub async fn save(store: &Sqlite, case: Case) {
    let audit = vec![entry("case.saved", &format!("Case {} is {}", case.id, case.state.word()))];
    store.save_case(SaveCase { case, audit, owed: Vec::new(), links: Vec::new() }).await.unwrap();
}

/// Somebody of whom this should be known.
pub async fn find(store: &Sqlite, object: ObjectId, findings: &[&str]) {
    let mut person = Remembered::new(Subject { tenant: TENANT, object });
    person.findings = findings.iter().map(|finding| (*finding).to_owned()).collect();
    let (audit, owed, links, gone_links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    store.save_person(SavePerson { person, audit, owed, links, gone_links }).await.unwrap();
}

pub fn entry(what: &str, sentence: &str) -> Entry {
    Entry {
        at: at("08:00:01"),
        actor: Actor::Lockstep,
        subject: None,
        case: None,
        event: None,
        account: None,
        what: what.to_owned(),
        sentence: sentence.to_owned(),
        before: None,
        after: None,
        outcome: None,
    }
}

pub fn event(number: u128) -> Event {
    Event {
        id: event_id(number),
        source: Source::Graph,
        about: About::Person(Subject { tenant: TENANT, object: ANN }),
        kind: EventKind::UserUpdated,
        signal_at: None,
        received_at: at("08:00:00"),
        enqueued_at: None,
        caused_by: None,
    }
}

pub fn letter(number: u128) -> DeadLetter {
    DeadLetter {
        id: event_id(number),
        lane: Lane::Sync,
        envelope: event(number).to_envelope().unwrap(),
        reason: "Graph refused: a permission is missing".to_owned(),
        attempts: 8,
        died_at: at("08:05:00"),
    }
}
