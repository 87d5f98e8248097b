//! What a case is called in the words of the policy, as it goes on.

use std::time::Duration;

use super::*;
use crate::case::CaseState;
use crate::clock;

/// Read from the least that a stored case has.
fn case(state: CaseState) -> Case {
    let (now, nobody) = ("2026-03-02T08:00:00Z", "00000000-0000-0000-0000-000000000001");
    let case = serde_json::json!({
        "id": "case_00000000000000000000000000000001", "version": 1,
        "subject": { "tenant": nobody, "object": nobody },
        "display_name": null, "state": "requested", "reason": "disabled", "source": "risk",
        "response": "contain", "restraint": null, "accounts": {}, "open": [], "event": nobody,
        "signal_at": null, "received_at": now, "opened_at": now, "accepted_at": null, "verified_at": null,
        "released_at": null, "released_because": null, "verify_by": "2026-03-02T08:02:00Z", "exposed_until": null,
    });
    Case { state, ..serde_json::from_value(case).unwrap() }
}

#[test]
fn each_stage_has_its_word_and_what_was_late_ends_with_a_page() {
    let opened = case(CaseState::Requested);
    let (now, late) = (opened.opened_at, clock::after(opened.verify_by, Duration::from_secs(1)));
    let told = |before: Option<&Case>, state, at| news(before, &case(state), at);
    assert_eq!(told(None, CaseState::Requested, now), [News::Requested]);
    assert_eq!(told(Some(&opened), CaseState::Accepted, late), [News::Page]);
    assert_eq!(told(Some(&opened), CaseState::Verified, now), [News::Verified]);
    assert_eq!(told(Some(&opened), CaseState::Verified, late), [News::Verified, News::Page]);
    assert_eq!(told(Some(&opened), CaseState::Releasing, now), []);
    assert_eq!(told(Some(&opened), CaseState::Released, now), [News::Released]);
    assert_eq!(told(None, CaseState::NotActed, now), [News::NotActed]);
    let protected = Case { restraint: Some(Restraint::Protected), ..case(CaseState::NotActed) };
    assert_eq!(news(None, &protected, now), [News::NotActed, News::Page]);
}
