//! A case with more than one reason, reasons that contradict each other, and what comes while it is being given back.

use std::time::Duration;

use lockstep::case::{BlockProgress, Case, CaseState, Reason};
use lockstep::clock::{Clock, SystemClock};
use lockstep_twin::send::Change;
use lockstep_twin::{AccountSeed, PersonId, Setup, Vendor};
use serde_json::json;

use super::verbs::BLOCK;
use crate::harness::Stage;

const RISKY_USER: &str = "GET /v1.0/identityProtection/riskyUsers/{id}";

impl Stage {
    /// Waits until the newest case of a person has this many reasons.
    async fn until_reasons(&self, person: PersonId, number: usize) -> Case {
        self.until(&format!("the case of {person} has {number} reasons"), async || {
            self.cases_of(person).await.into_iter().next().filter(|case| case.causes.len() == number)
        })
        .await
    }
}

crate::stories! {
    somebody_at_risk_and_disabled_is_let_in_when_both_are_over_and_not_before(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.world().disable(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until_reasons(anna, 2).await;
        stage.until_told("also account disabled in Entra").await;
        assert_eq!(stage.audited("case.reason_added").await.len(), 1);
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_idle().await;
        assert!(stage.is_blocked(&account), "still disabled");
        stage.twin.world().enable(anna);
        stage.changed(anna, Change::Updated).await;
        let over = stage.until_case(anna, CaseState::Released).await;
        assert_eq!((over.id, stage.is_blocked(&account)), (case.id, false));
        stage.end().await;
    }

    what_an_operator_joins_entra_does_not_release(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.ask_to_contain(anna).await;
        stage.until_reasons(anna, 2).await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_idle().await;
        assert!(stage.is_blocked(&account), "what a person has decided, a person takes back");
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    a_reason_that_only_tells_hides_none_that_locks(stage, Setup::unlimited()) {
        stage.policy("[contain]\non_disabled = \"notify\"\n");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.world().disable(anna);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert!(matches!(case.reason, Reason::Risk(_)), "{:?}", case.reason);
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    an_alert_newer_than_a_release_that_waits_overtakes_it(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.faults().down(Vendor::Auth0);
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Releasing).await;
        stage.twin.world().raise_risk(anna, "high", "anonymizedIPAddress");
        stage.alert(anna, "high").await;
        stage.until("the release is turned round", async || {
            let case = stage.cases_of(anna).await.remove(0);
            (case.state != CaseState::Releasing).then_some(())
        }).await;
        stage.twin.faults().up(Vendor::Auth0);
        let again = stage.until_case(anna, CaseState::Verified).await;
        stage.until_idle().await;
        assert_eq!(again.id, case.id);
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 1, "it was never lifted");
        let held = stage.audited("plan.held").await;
        assert!(held.iter().any(|entry| entry.sentence.contains("overtaken by what is newer")), "{held:?}");
        stage.end().await;
    }

    a_dismissal_that_entra_has_not_caught_up_with_locks_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let mut dismissed = stage.sender().alert_body(anna, "none");
        dismissed["riskState"] = json!("dismissed");
        dismissed["detectedDateTime"] = json!(SystemClock.now().to_string());
        stage.alert_with(&dismissed).await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("the alert says dismissed"), "{why}");
        assert!(!stage.is_blocked(&account) && stage.writes() == 0);
        stage.end().await;
    }

    a_protected_account_found_in_an_open_case_is_left_out_and_people_are_told(stage, Setup::unlimited()) {
        stage.policy("[protected]\naccounts = [\"auth0|break-glass\"]\n");
        stage.start().await;
        let (anna, enterprise, _) = stage.contained("Anna Berg").await;
        let found = stage.twin.world().add_account_raw(AccountSeed {
            user_id: "auth0|break-glass".into(),
            connection: "Username-Password-Authentication".into(),
            app_metadata: serde_json::Map::from_iter([("external_id".into(), anna.to_string().into())]),
            ..AccountSeed::default()
        });
        stage.twin.world().unblock_account_by_admin(&enterprise);
        stage.alert(anna, "high").await;
        stage.until_told("protected by policy, needs two people").await;
        stage.until("the other is blocked again", async || stage.is_blocked(&enterprise).then_some(())).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        let left = case.accounts.iter().find(|(id, _)| id.as_str() == &*found).unwrap().1;
        assert_eq!(left.block, BlockProgress::Protected);
        assert!(!stage.is_blocked(&found));
        stage.until_idle().await;
        stage.end().await;
    }

    what_is_verified_stays_so_while_auth0_is_away_and_says_that_it_could_not_be_looked_at(
        stage, Setup::unlimited()
    ) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.faults().down(Vendor::Auth0);
        stage.alert(anna, "high").await;
        let unread = stage.until("it says so", async || {
            stage.cases_of(anna).await.into_iter().next().filter(|case| !case.open.is_empty())
        }).await;
        assert_eq!((unread.state, unread.verified_at), (CaseState::Verified, case.verified_at));
        stage.until_told("Still open").await;
        stage.twin.faults().up(Vendor::Auth0);
        let read = stage.until("nothing is open", async || {
            stage.cases_of(anna).await.into_iter().next().filter(|case| case.open.is_empty())
        }).await;
        assert_eq!((read.state, read.verified_at), (CaseState::Verified, case.verified_at));
        stage.until_idle().await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    waiting_for_auth0_asks_identity_protection_for_nothing(
        stage, Setup { deletion_delay: Duration::from_secs(2), ..Setup::unlimited() }
    ) {
        stage.start().await;
        let (anna, _, _) = stage.contained("Anna Berg").await;
        let (boris, account) = stage.hire("Boris Karl");
        stage.twin.world().disable(boris);
        stage.changed(boris, Change::Updated).await;
        stage.until_case(boris, CaseState::Verified).await;
        stage.until_idle().await;
        assert!(stage.is_locked_out(&account));
        let asked = stage.requests(Vendor::Graph, RISKY_USER);
        assert_eq!(asked.len(), 1, "for the alert about {anna}: {asked:#?}");
        stage.end().await;
    }
}
