//! Giving back: what we blocked and nothing else, once, and not for long where the reason is new.

use lockstep::case::{CaseState, Cause, Reason};
use lockstep::clock::{Clock, SystemClock};
use lockstep::event::{About, Event, EventId, EventKind, Source};
use lockstep::store::DeadLetter;
use lockstep_twin::{PersonId, Setup, Vendor};
use reqwest::Method;
use serde_json::json;

use super::verbs::BLOCK;
use crate::harness::Stage;

impl Stage {
    /// Hands the same event out once more, as a queue may at any time: by way of a dead letter, which every back end has.
    pub(super) async fn redeliver(&self, event: &Event) {
        let letter = DeadLetter {
            id: event.id,
            lane: event.lane(),
            envelope: event.to_envelope().unwrap(),
            reason: "delivered twice".into(),
            attempts: 1,
            died_at: SystemClock.now(),
        };
        self.store().bury(letter).await.unwrap();
        let path = format!("/dead/{}/replay", event.id);
        let (status, told) = self.admin(Method::POST, &path, json!({ "by": "kim" })).await;
        assert_eq!(status, 202, "{told}");
    }

    /// The very event by which an operator's request joined this person's case.
    async fn join_open_case(&self, person: PersonId) -> Event {
        let body = json!({ "user": person.to_string(), "by": "kim", "reason": "laptop stolen" });
        let (status, told) = self.admin(Method::POST, "/contain", body).await;
        assert_eq!(status, 202, "{told}");
        let is_operators = |cause: &Cause| matches!(cause.reason, Reason::Operator { .. });
        let joined = self.until("the request has joined the case", async || {
            self.cases_of(person).await.remove(0).causes.into_iter().find(is_operators)
        });
        let received_at = joined.await.as_of;
        Event {
            id: EventId(told["event"].as_str().unwrap().parse().unwrap()),
            source: Source::Operator,
            about: About::Person(self.subject(person)),
            kind: EventKind::ContainRequested { by: "kim".into(), reason: "laptop stolen".into() },
            signal_at: Some(received_at),
            received_at,
            enqueued_at: None,
            caused_by: None,
        }
    }
}

crate::stories! {
    a_risk_that_the_person_has_mended_releases_too(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, _) = stage.contained("Anna Berg").await;
        stage.twin.world().remediate_risk(anna);
        stage.sender().diagnostic_risky_user(anna).await.unwrap();
        let case = stage.until_case(anna, CaseState::Released).await;
        assert!(case.released_because.unwrap().contains("remediated"));
        assert!(stage.twin.world().can_sign_in(&account));
        stage.end().await;
    }

    an_old_alert_that_comes_again_after_the_release_locks_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let alert = stage.sender().alert_body(anna, "high");
        stage.alert_with(&alert).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        stage.alert_with(&alert).await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("after this alert"), "{why}");
        assert!(!stage.is_blocked(&account));
        assert_eq!(stage.cases_of(anna).await.len(), 1);
        stage.end().await;
    }

    what_joined_a_case_and_is_delivered_again_after_the_release_locks_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        let joined = stage.join_open_case(anna).await;
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        stage.until_idle().await;
        let writes = stage.writes();
        stage.redeliver(&joined).await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("was released as of"), "{why}");
        stage.until_idle().await;
        assert!(!stage.is_blocked(&account));
        assert_eq!((stage.cases_of(anna).await.len(), stage.writes()), (1, writes));
        // A new request of the same words is another event, and counts.
        stage.ask_to_contain(anna).await;
        let again = stage.until_case(anna, CaseState::Verified).await;
        assert_ne!(again.id, case.id);
        stage.end().await;
    }

    a_new_detection_after_the_release_is_a_new_case(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        stage.twin.world().sign_in(&account);
        stage.twin.world().raise_risk(anna, "high", "anonymizedIPAddress");
        stage.alert(anna, "high").await;
        let again = stage.until_case(anna, CaseState::Verified).await;
        assert_ne!(again.id, case.id);
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 5);
        stage.end().await;
    }

    what_an_administrator_has_unblocked_already_is_released_without_a_quarrel(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.world().unblock_account_by_admin(&account);
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    an_account_deleted_meanwhile_does_not_keep_the_case_from_being_released(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.world().delete_account(&account);
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 1, "there is nothing to unblock");
        stage.end().await;
    }

    a_release_decided_while_auth0_is_away_is_carried_out_when_it_is_back(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.faults().down(Vendor::Auth0);
        stage.ask_to_release(&case).await;
        stage.until_open(anna, CaseState::Releasing, "release waits").await;
        stage.twin.faults().up(Vendor::Auth0);
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    a_release_that_is_over_cannot_be_asked_for_again(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        let path = format!("/cases/{}/release", case.id);
        let body = json!({ "by": "kim", "reason": "again" });
        let (status, told) = stage.admin(Method::POST, &path, body).await;
        assert_eq!(status, 409, "{told}");
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    a_password_reset_that_lifts_the_block_does_not_last(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.world().reset_password(&account);
        assert!(!stage.is_blocked(&account), "Auth0 lifts it without a word");
        stage.alert(anna, "high").await;
        stage.until("the next look blocks again", async || stage.is_blocked(&account).then_some(())).await;
        let again = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(again.id, case.id);
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 2);
        stage.until_idle().await;
        stage.end().await;
    }
}
