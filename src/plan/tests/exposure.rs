//! The residual exposure: when the last access token that may have been issued dies.

use std::time::Duration;

use super::scene::{Scene, at, counts, person};
use crate::event::RiskLevel;

fn contained() -> Scene {
    person("anna").account("waad|1").alert(RiskLevel::High).applied().later(Duration::from_secs(1))
}

#[test]
fn exposure_ends_one_token_lifetime_after_everything_was_accepted() {
    let scene = contained().token_lifetime(86_400).saved();
    assert_eq!(scene.case().accepted_at, Some(at("08:00:01")));
    assert_eq!(scene.case().exposed_until, Some("2026-03-03T08:00:01Z".parse().unwrap()));
}

#[test]
fn exposure_is_computed_once() {
    let scene = contained().token_lifetime(3_600).saved();
    let later = scene.later(Duration::from_secs(600)).token_lifetime(7_200).saved();
    assert_eq!(later.case().exposed_until, Some(at("09:00:01")));
}

#[test]
fn exposure_is_unknown_until_the_lifetime_was_read() {
    let unread = contained().saved();
    assert_eq!(unread.case().exposed_until, None);
    let read = unread.later(Duration::from_secs(60)).token_lifetime(3_600).saved();
    assert_eq!(
        read.case().exposed_until,
        Some(at("09:00:01")),
        "counted from the acceptance, not from the reading"
    );
}

#[test]
fn exposure_is_unknown_while_a_write_is_open() {
    let scene = person("anna").account("waad|1").alert(RiskLevel::High).token_lifetime(3_600);
    assert_eq!(scene.saved().case().exposed_until, None);
}

#[test]
fn exposure_counts_while_sessions_are_still_being_deleted() {
    let scene = contained().left("waad|1", counts(1, 0)).token_lifetime(3_600).saved();
    assert_eq!(scene.case().exposed_until, Some(at("09:00:01")));
}

#[test]
fn an_absurd_lifetime_does_not_overflow() {
    assert!(contained().token_lifetime(u64::MAX).saved().case().exposed_until.is_some());
}

#[test]
fn exposure_is_computed_anew_when_access_is_ended_anew() {
    let scene = contained().left("waad|1", counts(1, 0)).token_lifetime(3_600).saved();
    let again = scene.later(Duration::from_secs(20)).saved().applied();
    assert_eq!(again.case().exposed_until, None, "asked for, not accepted yet");
    assert_eq!(again.saved().case().exposed_until, Some(at("09:00:21")));
}

#[test]
fn exposure_counts_from_the_new_block() {
    let verified = contained().token_lifetime(3_600).saved();
    let undone = verified.later(Duration::from_secs(600)).unblocked_by_somebody("waad|1");
    let again = undone.applied().later(Duration::from_secs(1));
    assert_eq!(again.case().exposed_until, None);
    assert_eq!(again.saved().case().exposed_until, Some(at("09:10:02")));
}
