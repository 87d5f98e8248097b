//! The person's sign-in sessions in Entra, where the policy ends them too: once per case, beside the lockout from Auth0.

use std::time::Duration;

use lockstep::case::also::AlsoState;
use lockstep::case::{CaseState, Restraint};
use lockstep::clock;
use lockstep_twin::{Entry, Fault, Hire, Match, PersonId, Setup, Times, Vendor};

use super::verbs::{BLOCK, REVOKE};
use crate::harness::Stage;

const ENTRA: &str = "[contain]\nalso = [\"entra-sessions\"]\n";
const REVOKE_SESSIONS: &str = "POST /v1.0/users/{id}/revokeSignInSessions";

impl Stage {
    fn ends_in_entra(&self) -> Vec<Entry> {
        self.requests(Vendor::Graph, REVOKE_SESSIONS)
    }

    fn valid_from(&self, person: PersonId) -> jiff::Timestamp {
        self.twin.world().find_person(person).unwrap().sessions_valid_from
    }
}

crate::stories! {
    they_end_once_per_case_when_every_account_is_locked_out_and_again_for_a_newer_reason(
        stage, Setup::unlimited()
    ) {
        stage.policy(ENTRA);
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        let before = stage.valid_from(anna);
        let alert = stage.sender().alert_body(anna, "high");
        stage.alert_with(&alert).await;
        stage.until_told("Entra sign-in sessions ended").await;
        let case = stage.cases_of(anna).await.remove(0);
        assert_eq!((case.state, case.accounts.len()), (CaseState::Verified, 2));
        assert!(stage.valid_from(anna) > before);
        assert_eq!(stage.ends_in_entra().len(), 1, "once for two accounts");
        assert_eq!(stage.writes(), 4);
        let all = stage.twin.journal().requests();
        let last = |route: &str| all.iter().rposition(|entry| entry.route == route).unwrap();
        assert!(last(REVOKE_SESSIONS) > last(BLOCK) && last(REVOKE_SESSIONS) > last(REVOKE));
        let sentence = format!("End Entra sign-in sessions of {anna}");
        let decided = stage.audited("plan.decided").await;
        assert!(decided.iter().any(|entry| entry.sentence == sentence && entry.account.is_none()), "{decided:?}");
        let done = stage.audited("action.end_entra_sessions").await;
        assert_eq!((done.len(), done[0].sentence.as_str()), (1, sentence.as_str()));
        assert_eq!(done[0].outcome.as_deref(), Some("accepted"));

        stage.alert_with(&alert).await;
        stage.until_idle().await;
        assert_eq!(stage.ends_in_entra().len(), 1, "the same word asks for nothing");
        stage.ask_to_contain(anna).await;
        stage.until("a person's word asks again", async || {
            (stage.ends_in_entra().len() == 2).then_some(())
        }).await;
        stage.until_idle().await;
        assert_eq!(stage.ends_in_entra().len(), 2);
        assert_eq!(stage.messages().len(), 1);

        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        stage.until_told("Entra sign-in sessions had been ended").await;
        stage.end().await;
    }

    a_graph_that_is_down_delays_no_lockout_and_is_asked_again_when_it_is_back(stage, Setup::unlimited()) {
        stage.policy(ENTRA);
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().down(Vendor::Graph);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        let took = clock::elapsed(case.received_at, case.verified_at.unwrap());
        assert!(took < Duration::from_secs(3), "{took:?}");
        stage.until_told("Still open: Entra sign-in sessions not ended yet: graph user.revoke_sessions").await;
        let (ben, other) = stage.at_risk("Ben Two", "high");
        stage.alert(ben, "high").await;
        stage.until_case(ben, CaseState::Verified).await;
        assert!(stage.is_locked_out(&other), "nobody waits for it");
        stage.twin.faults().up(Vendor::Graph);
        for person in [anna, ben] {
            stage.until("the sessions in Entra end as well", async || {
                let case = stage.cases_of(person).await.remove(0);
                let also = case.entra_sessions.filter(|_| case.state == CaseState::Verified)?;
                matches!(also.state, AlsoState::Ended { .. }).then_some(())
            }).await;
        }
        stage.until_idle().await;
        stage.end().await;
    }

    a_graph_that_hangs_at_it_holds_up_no_proof(stage, Setup::unlimited()) {
        stage.policy(ENTRA);
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        let ending = Match::vendor(Vendor::Graph).route("revokeSignInSessions");
        stage.twin.faults().inject(ending, Fault::Stall(Duration::from_secs(30)), Times::N(1));
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        let took = clock::elapsed(case.received_at, case.verified_at.unwrap());
        assert!(took < Duration::from_secs(3), "{took:?}");
        stage.until_told("sessions not ended yet: graph user.revoke_sessions: no reply").await;
        stage.until_told("Entra sign-in sessions ended").await;
        assert_eq!(stage.ends_in_entra().len(), 2);
        stage.end().await;
    }

    a_permission_that_is_missing_is_told_and_not_tried_for_ever(stage, Setup::unlimited()) {
        stage.policy(ENTRA);
        stage.twin.world().revoke_graph_permission("User.RevokeSessions.All");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.until_told("Entra sign-in sessions NOT ended, refused by graph user.revoke_sessions: 403").await;
        assert_eq!(stage.cases_of(anna).await[0].state, CaseState::Verified);
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        assert_eq!(stage.ends_in_entra().len(), 1);
        let done = stage.audited("action.end_entra_sessions").await;
        let told = done[0].outcome.as_deref().unwrap_or_default();
        assert!(told.contains("needs User.RevokeSessions.All"), "{told}");
        stage.end().await;
    }

    under_the_brake_they_stay_and_a_person_may_decide_otherwise(stage, Setup::unlimited()) {
        stage.policy(&format!("{ENTRA}[contain.brake]\ncontainments = 1\n"));
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        let (ben, _) = stage.at_risk("Ben Two", "high");
        stage.alert(anna, "high").await;
        stage.until_told("Entra sign-in sessions ended").await;
        stage.alert(ben, "high").await;
        let case = stage.until_case(ben, CaseState::Verified).await;
        assert_eq!((case.restraint, case.entra_sessions), (Some(Restraint::ContainBrake), None));
        stage.until_idle().await;
        assert_eq!(stage.ends_in_entra().len(), 1);
        stage.ask_to_contain(ben).await;
        stage.until("a person has decided", async || (stage.ends_in_entra().len() == 2).then_some(())).await;
        stage.until_idle().await;
        stage.end().await;
    }

    observe_mode_says_that_they_would_end_and_writes_nothing(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_MODE", "observe");
        stage.policy(ENTRA);
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.until_told("Entra sign-in sessions would end").await;
        stage.until_idle().await;
        assert_eq!((stage.writes(), stage.twin.journal().writes(Vendor::Graph)), (0, 0));
        stage.end().await;
    }

    of_whoever_has_no_auth0_account_or_of_whom_nobody_asks_they_stay(stage, Setup::unlimited()) {
        stage.policy(ENTRA);
        stage.start().await;
        let hire = Hire { auth0_enterprise: false, ..Hire::named("Anna Berg") };
        let anna = stage.twin.world().hire(hire);
        stage.twin.world().raise_risk(anna, "high", "leakedCredentials");
        stage.alert(anna, "high").await;
        stage.until_left_alone(anna).await;
        stage.policy("");
        let (ben, _) = stage.at_risk("Ben Two", "high");
        stage.stop().await;
        stage.start().await;
        stage.alert(ben, "high").await;
        stage.until_case(ben, CaseState::Verified).await;
        stage.until_idle().await;
        assert!(stage.ends_in_entra().is_empty());
        stage.end().await;
    }
}
