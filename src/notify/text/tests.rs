//! What people read, state by state.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use uuid::Uuid;

use super::*;
use crate::case::{AccountId, AccountProgress, BlockProgress, CaseId, Means};
use crate::event::{EventId, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject, TenantId};

fn at(time: &str) -> Timestamp {
    format!("2026-03-02T{time}Z").parse().unwrap()
}

fn accounts(progress: &AccountProgress) -> BTreeMap<AccountId, AccountProgress> {
    ["auth0|5f7c8ec7", "waad|corp|87d349ed"]
        .iter()
        .map(|id| (AccountId::read(id).unwrap(), progress.clone()))
        .collect()
}

fn requested() -> Case {
    let event = EventId(Uuid::from_u128(3));
    let progress = AccountProgress {
        block: BlockProgress::Wanted,
        ended_by: None,
        ended_at: None,
        also: BTreeMap::new(),
        open: vec![],
    };
    Case {
        id: CaseId::opened_by(event),
        version: 1,
        subject: Subject { tenant: TenantId(Uuid::from_u128(1)), object: ObjectId(Uuid::from_u128(2)) },
        display_name: Some("Adele Vance".into()),
        state: CaseState::Requested,
        reason: Reason::Risk(RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: Some("leakedCredentials".into()),
            detected_at: None,
        }),
        source: Source::Risk,
        response: Response::Contain,
        restraint: None,
        entra_sessions: None,
        look_alikes: None,
        accounts: accounts(&progress),
        open: vec![],
        event,
        signal_at: Some(at("08:00:00")),
        received_at: at("08:00:00.8"),
        opened_at: at("08:00:00.81"),
        accepted_at: None,
        verified_at: None,
        released_at: None,
        causes: Vec::new(),
        released_because: None,
        released_as_of: None,
        released_by: None,
        escalated_at: None,
        renewed_at: None,
        deletion: None,
        verify_by: at("08:02:00"),
        exposed_until: None,
    }
}

fn accepted() -> Case {
    let progress = AccountProgress {
        block: BlockProgress::Ours,
        ended_by: Some(Means::RevokeAccess),
        ended_at: None,
        also: BTreeMap::new(),
        open: vec!["3 sessions".into(), "2 refresh tokens".into()],
    };
    Case {
        version: 2,
        state: CaseState::Accepted,
        accounts: accounts(&progress),
        accepted_at: Some(at("08:00:01.2")),
        exposed_until: Some(at("09:00:01")),
        ..requested()
    }
}

fn verified() -> Case {
    let progress = AccountProgress {
        block: BlockProgress::Ours,
        ended_by: Some(Means::RevokeAccess),
        ended_at: None,
        also: BTreeMap::new(),
        open: vec![],
    };
    Case {
        version: 3,
        state: CaseState::Verified,
        accounts: accounts(&progress),
        verified_at: Some(at("08:00:04.2")),
        ..accepted()
    }
}

fn said(case: &Case) -> String {
    super::case(case, at("08:00:05")).lines().join("\n")
}

fn headline(case: &Case) -> String {
    super::case(case, at("08:00:05")).headline
}

#[test]
fn a_case_is_told_from_requested_to_released() {
    assert_snapshot!(said(&requested()), @r"
    Lockout requested: 2 accounts of Adele Vance
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Requested, to be verified by 08:02:00 UTC
    • auth0|5f7c8ec7 block asked for
    • waad|corp|87d349ed block asked for
    signal → received 0.80 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
    assert_snapshot!(said(&accepted()), @r"
    Lockout accepted: 2 accounts of Adele Vance, being read back
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Accepted, to be verified by 08:02:00 UTC
    • auth0|5f7c8ec7 blocked, access ended by revoke-access; still open: 3 sessions; 2 refresh tokens
    • waad|corp|87d349ed blocked, access ended by revoke-access; still open: 3 sessions; 2 refresh tokens
    Access tokens already issued may work until 09:00:01 UTC
    signal → received 0.80 s · received → accepted 0.40 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
    assert_snapshot!(said(&verified()), @r"
    Contained: 2 accounts of Adele Vance, verified in 4.2 s
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Verified at 08:00:04 UTC
    • auth0|5f7c8ec7 blocked, access ended by revoke-access
    • waad|corp|87d349ed blocked, access ended by revoke-access
    Access tokens already issued may work until 09:00:01 UTC
    To give access back: `lockstep release case_00000000000000000000000000000003 --reason …`
    signal → received 0.80 s · received → accepted 0.40 s · accepted → verified 3.0 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
    let releasing = Case {
        version: 4,
        state: CaseState::Releasing,
        released_because: Some("risk dismissed in Entra".into()),
        ..verified()
    };
    assert_snapshot!(said(&releasing), @r"
    Releasing: 2 accounts of Adele Vance
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Releasing: risk dismissed in Entra
    • auth0|5f7c8ec7 being unblocked, access had been ended by revoke-access
    • waad|corp|87d349ed being unblocked, access had been ended by revoke-access
    signal → received 0.80 s · received → accepted 0.40 s · accepted → verified 3.0 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
    let released = Case {
        version: 5,
        state: CaseState::Released,
        released_at: Some("2026-03-03T10:30:00Z".parse().unwrap()),
        released_because: Some("risk dismissed in Entra".into()),
        ..verified()
    };
    assert_snapshot!(said(&released), @r"
    Released: 2 accounts of Adele Vance
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Released at 2026-03-03 10:30:00 UTC: risk dismissed in Entra
    • auth0|5f7c8ec7 unblocked, access had been ended by revoke-access
    • waad|corp|87d349ed unblocked, access had been ended by revoke-access
    signal → received 0.80 s · received → accepted 0.40 s · accepted → verified 3.0 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
}

#[test]
fn what_is_still_open_after_the_deadline_is_said_plainly_and_first() {
    let mut late = accepted();
    late.accounts.get_mut(&AccountId::read("auth0|5f7c8ec7").unwrap()).unwrap().open.clear();
    late.open = vec!["Auth0 cannot be reached since 08:00:10".into()];
    assert_snapshot!(super::case(&late, at("08:02:01")).lines().join("\n"), @r"
    NOT verified in time: 2 accounts of Adele Vance
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Accepted, NOT verified by 08:02:00 UTC, being read back on
    • waad|corp|87d349ed blocked, access ended by revoke-access; still open: 3 sessions; 2 refresh tokens
    • auth0|5f7c8ec7 blocked, access ended by revoke-access
    Still open: Auth0 cannot be reached since 08:00:10
    Access tokens already issued may work until 09:00:01 UTC
    Lockstep goes on trying. If it must be safe now, block these accounts in the Auth0 Dashboard
    signal → received 0.80 s · received → accepted 0.40 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
}

#[test]
fn observe_mode_says_what_would_happen_and_that_nothing_did() {
    let would = Case { state: CaseState::NotActed, restraint: Some(Restraint::ObserveMode), ..requested() };
    assert_snapshot!(said(&would), @r"
    Would contain: 2 accounts of Adele Vance (observe mode: nothing was written)
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Not acted (observe mode: nothing is written)
    • auth0|5f7c8ec7 would be blocked, sessions and refresh tokens would end
    • waad|corp|87d349ed would be blocked, sessions and refresh tokens would end
    To lock out: set LOCKSTEP_MODE=enforce, restart, then `lockstep contain 00000000-0000-0000-0000-000000000002 --reason …`
    signal → received 0.80 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
}

#[test]
fn a_protected_person_is_named_as_not_contained() {
    let protected = Case { state: CaseState::NotActed, restraint: Some(Restraint::Protected), ..requested() };
    assert_snapshot!(said(&protected), @r"
    NOT contained: 2 accounts of Adele Vance (protected: needs two people)
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Not acted (protected by policy: never acted on without two people)
    • auth0|5f7c8ec7 left as it is
    • waad|corp|87d349ed left as it is
    To lock out: two people decide, one takes the person off [protected] in lockstep.toml, then `lockstep contain 00000000-0000-0000-0000-000000000002 --reason …`
    signal → received 0.80 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
}

#[test]
fn the_brake_is_not_mistaken_for_a_lockout() {
    let progress = AccountProgress {
        block: BlockProgress::NotWanted,
        ended_by: Some(Means::RevokeAccess),
        ended_at: None,
        also: BTreeMap::new(),
        open: vec![],
    };
    let braked =
        Case { restraint: Some(Restraint::ContainBrake), accounts: accounts(&progress), ..verified() };
    assert_snapshot!(said(&braked), @r"
    Sessions ended, NOT blocked (contain brake): 2 accounts of Adele Vance, verified in 4.2 s
    Who: Adele Vance
    Entra object id: 00000000-0000-0000-0000-000000000002
    Why: Risk high, at risk: leakedCredentials (told by risk)
    State: Verified at 08:00:04 UTC
    • auth0|5f7c8ec7 sign-in left open, access ended by revoke-access
    • waad|corp|87d349ed sign-in left open, access ended by revoke-access
    Contain brake: only sessions were ended, sign-in is still possible
    Access tokens already issued may work until 09:00:01 UTC
    To block in spite of the brake: `lockstep contain 00000000-0000-0000-0000-000000000002 --reason …`
    signal → received 0.80 s · received → accepted 0.40 s · accepted → verified 3.0 s
    case_00000000000000000000000000000003 · event 00000000-0000-0000-0000-000000000003
    ");
}

#[test]
fn headlines_of_the_rarer_cases() {
    let one = Case { accounts: accounts(&requested().accounts.into_values().next().unwrap()), ..requested() };
    let first = one.accounts.clone().into_iter().take(1).collect();
    assert_snapshot!(headline(&Case { accounts: first, ..one }), @"Lockout requested: 1 account of Adele Vance");
    let none = Case { state: CaseState::NotActed, accounts: BTreeMap::new(), ..requested() };
    assert_snapshot!(headline(&none), @"Nothing to contain: Adele Vance has no Auth0 account");
    let told = Case { state: CaseState::NotActed, response: Response::Notify, ..requested() };
    assert_snapshot!(headline(&told), @"NOT contained: 2 accounts of Adele Vance (the policy only tells)");
    let ended = Case { response: Response::EndSessions, ..verified() };
    assert_snapshot!(headline(&ended), @"Sessions ended, NOT blocked (as the policy says): 2 accounts of Adele Vance, verified in 4.2 s");
    let nameless = Case { display_name: None, signal_at: None, ..verified() };
    assert_snapshot!(headline(&nameless), @"Contained: 2 accounts of 00000000-0000-0000-0000-000000000002, verified in 3.4 s");
    let long = Case { display_name: Some("é".repeat(10_000)), ..requested() };
    assert_eq!(headline(&long), format!("Lockout requested: 2 accounts of {}…", "é".repeat(79)));
}

#[test]
fn whoever_is_woken_by_it_reads_what_to_do() {
    let steps = |case: &Case| super::case(case, at("08:00:05")).notes;
    let person = requested().subject.object;
    let told = Case { state: CaseState::NotActed, response: Response::Notify, ..requested() };
    assert_eq!(steps(&told), [format!("To lock out: `lockstep contain {person} --reason …`")]);
    let ended = Case { response: Response::EndSessions, exposed_until: None, ..verified() };
    assert_eq!(steps(&ended)[1], format!("To block as well: `lockstep contain {person} --reason …`"));
    assert_eq!(
        headline(&Case { state: CaseState::Accepted, ..ended }),
        "End of sessions accepted: 2 accounts of Adele Vance, being read back"
    );
    let nobody = Case { accounts: BTreeMap::new(), ..told };
    assert_eq!(steps(&nobody), <[String; 0]>::default(), "there is nothing to lock");
}

#[test]
fn what_was_not_ours_is_said_so() {
    let theirs = AccountProgress {
        block: BlockProgress::Theirs,
        ended_by: Some(Means::GrantsAndDevices),
        ended_at: None,
        also: BTreeMap::new(),
        open: vec![],
    };
    let gone = AccountProgress {
        block: BlockProgress::Gone,
        ended_by: None,
        ended_at: None,
        also: BTreeMap::new(),
        open: vec![],
    };
    let mut case = verified();
    case.accounts = accounts(&theirs);
    case.accounts.insert(AccountId::read("auth0|gone").unwrap(), gone);
    let lines = |case: &Case| {
        super::case(case, at("08:00:05"))
            .accounts
            .iter()
            .map(|a| format!("{} {}", a.account, a.words))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(lines(&case), @r"
    auth0|5f7c8ec7 was blocked before by somebody else and is left so, access ended by grants and device credentials
    auth0|gone was deleted in Auth0
    waad|corp|87d349ed was blocked before by somebody else and is left so, access ended by grants and device credentials
    ");
    assert_snapshot!(lines(&Case { state: CaseState::Released, ..case }), @r"
    auth0|5f7c8ec7 stays blocked, as it was before by somebody else (only Auth0 can lift that), access had been ended by grants and device credentials
    auth0|gone was deleted in Auth0
    waad|corp|87d349ed stays blocked, as it was before by somebody else (only Auth0 can lift that), access had been ended by grants and device credentials
    ");
}

#[test]
fn an_operator_is_named_with_the_reason() {
    let by = Reason::Operator { by: "j.doe".into(), reason: "phishing report 4711".into() };
    let case = Case { reason: by, source: Source::Operator, ..requested() };
    assert_eq!(
        super::case(&case, at("08:00:05")).fields[2].value.as_str(),
        "Asked for by j.doe: phishing report 4711"
    );
}

#[test]
fn times_read_well_at_every_length() {
    let cases = [
        (0.04, "0.04 s"),
        (4.23, "4.2 s"),
        (185.0, "3 min 5 s"),
        (7800.0, "2 h 10 min"),
        (273_600.0, "3 d 4 h"),
    ];
    for (seconds, words) in cases {
        assert_eq!(took(Duration::from_secs_f64(seconds)), words);
    }
}

#[test]
fn late_begins_after_the_deadline_and_only_for_what_is_not_proven() {
    assert_eq!(Stage::of(&accepted(), at("08:02:00")), Stage::UnderWay);
    assert_eq!(Stage::of(&accepted(), at("08:02:01")), Stage::Late);
    assert_eq!(Stage::of(&verified(), at("09:00:00")), Stage::Verified);
}

#[test]
fn the_first_sentence_of_a_notice_is_its_headline() {
    let message = notice(
        "brake/1",
        1,
        "The brake is on: 26 in 10 minutes. Nobody is blocked. Look at `x`.",
        at("08:00:00"),
    );
    assert_eq!(message.headline, "The brake is on: 26 in 10 minutes");
    assert_eq!(message.notes, ["Nobody is blocked. Look at `x`."]);
    assert!(notice("brake/1", 1, "The brake is off", at("08:00:00")).notes.is_empty());
}
