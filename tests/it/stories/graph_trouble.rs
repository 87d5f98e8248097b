//! Graph is away, slow or tight-lipped: an alert's own evidence is acted on, and nothing else is guessed.

use std::time::Duration;

use lockstep::case::CaseState;
use lockstep_twin::send::Change;
use lockstep_twin::{Fault, Match, Setup, Times, Vendor};
use serde_json::json;

use super::verbs::BLOCK;
use crate::harness::PATIENCE;

crate::stories! {
    with_graph_down_the_alerts_own_evidence_is_acted_on(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().down(Vendor::Graph);
        stage.twin.faults().down(Vendor::Login);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(case.display_name, None, "who it is could not be asked");
        stage.end().await;
    }

    a_graph_that_stalls_holds_up_no_lockout(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        // Longer than the story waits for anything: what happens, happens before Graph has answered.
        let stall = Fault::Stall(PATIENCE + Duration::from_secs(30));
        stage.twin.faults().inject(Match::vendor(Vendor::Graph), stall, Times::Forever);
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_login_that_stalls_holds_up_no_lockout(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let stall = Fault::Stall(PATIENCE + Duration::from_secs(30));
        stage.twin.faults().inject(Match::vendor(Vendor::Login), stall, Times::Forever);
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    identity_protection_used_up_by_others_holds_up_no_lockout(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let risk = Match::vendor(Vendor::Graph).route("/riskyUsers/");
        stage.twin.faults().inject(risk, Fault::Throttle { retry_after: None }, Times::Forever);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.display_name.as_deref(), Some("Anna Berg"), "the directory was read");
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_permission_for_graph_that_was_lost_holds_up_no_lockout(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.world().revoke_graph_permission("IdentityRiskyUser.Read.All");
        stage.twin.world().revoke_graph_permission("User.Read.All");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_risk_said_to_be_over_releases_nobody_until_entra_confirms_it(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account, _) = stage.contained("Anna Berg").await;
        stage.twin.world().dismiss_risk(anna);
        let failing =
            stage.twin.faults().inject(Match::vendor(Vendor::Graph), Fault::Status(503), Times::Forever);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_failed(Vendor::Graph, 2).await;
        assert!(stage.is_blocked(&account));
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    a_risk_whose_level_nobody_may_see_is_asked_for_until_graph_answers(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().down(Vendor::Graph);
        let mut body = stage.sender().alert_body(anna, "high");
        body["riskLevel"] = json!("hidden");
        stage.alert_with(&body).await;
        stage.until_left_alone(anna).await;
        assert!(!stage.is_blocked(&account));
        stage.twin.faults().up(Vendor::Graph);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_maintenance_page_in_front_of_graph_is_waited_out(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().disable(anna);
        let page = stage.twin.faults().inject(Match::vendor(Vendor::Graph), Fault::Foreign(403), Times::Forever);
        stage.changed(anna, Change::Updated).await;
        stage.until_failed(Vendor::Graph, 2).await;
        assert!(!stage.is_blocked(&account), "nothing is guessed");
        stage.twin.faults().lift(page);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_disabled_account_is_locked_when_graph_is_back(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().disable(anna);
        let failing =
            stage.twin.faults().inject(Match::vendor(Vendor::Graph), Fault::Status(503), Times::Forever);
        stage.changed(anna, Change::Updated).await;
        stage.until_failed(Vendor::Graph, 2).await;
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 0, "nothing is guessed");
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }
}
