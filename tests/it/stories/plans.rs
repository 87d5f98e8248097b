//! What the tenant's plan allows, how long Auth0 takes, and what cannot be taken back.

use std::time::Duration;

use lockstep::case::{CaseState, Means};
use lockstep::clock;
use lockstep_twin::{Plan, PlanRefusal, Setup, Vendor};

use super::verbs::REVOKE;

/// A plan without session and refresh-token endpoints.
fn essentials(plan_refusal: PlanRefusal) -> Setup {
    Setup { plan: Plan::Essentials, plan_refusal, ..Setup::unlimited() }
}

/// An Auth0 that deletes what it has accepted only after this long.
fn deleting_after(deletion_delay: Duration) -> Setup {
    Setup { deletion_delay, ..Setup::unlimited() }
}

const SESSIONS: &str = "DELETE /api/v2/users/{id}/sessions";

crate::stories! {
    a_smaller_plan_loses_grants_and_device_credentials_instead(stage, essentials(PlanRefusal::Entitlement)) {
        stage.start().await;
        let (_, account, case) = stage.contained("Anna Berg").await;
        assert_eq!(case.accounts.values().next().unwrap().ended_by, Some(Means::GrantsAndDevices));
        {
            let world = stage.twin.world();
            assert!(world.account(&account).blocked);
            assert!(world.grants(&account).is_empty() && world.device_credentials(&account).is_empty());
            let session = world.sessions(&account)[0].id.clone();
            assert!(!world.can_use_session(&session), "the block refuses it at its next use");
        }
        let (_, second, _) = stage.contained("Boris Karl").await;
        assert!(stage.is_blocked(&second));
        assert_eq!(stage.requests(Vendor::Auth0, REVOKE).len(), 1, "a refusal is learned from once");
        assert_eq!(stage.requests(Vendor::Auth0, SESSIONS).len(), 1);
        stage.until_told("grants and device credentials").await;
        stage.end().await;
    }

    a_plan_that_is_refused_like_a_missing_scope_is_understood_too(stage, essentials(PlanRefusal::Scope)) {
        stage.start().await;
        let (_, account, case) = stage.contained("Anna Berg").await;
        assert_eq!(case.accounts.values().next().unwrap().ended_by, Some(Means::GrantsAndDevices));
        assert!(stage.is_blocked(&account));
        assert!(stage.twin.world().grants(&account).is_empty());
        stage.end().await;
    }

    a_deletion_that_takes_its_time_is_accepted_then_verified_and_still_two_writes(
        stage, deleting_after(Duration::from_secs(2))
    ) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.until("what is not deleted yet is open", async || {
            let case = stage.cases_of(anna).await.into_iter().next().filter(|it| it.state == CaseState::Accepted)?;
            (case.accounts.values().next()?.open == ["1 sessions", "1 refresh tokens"]).then_some(())
        }).await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 2);
        stage.end().await;
    }

    a_deletion_that_never_happens_is_told_as_not_verified_with_what_is_open(
        stage, deleting_after(Duration::from_secs(3600))
    ) {
        stage.policy("[contain]\nverify_within_seconds = 5\n");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        let told = stage.until_told("NOT verified").await;
        assert!(told.everything().contains("1 sessions"), "{}", told.everything());
        stage.until_open(anna, CaseState::Accepted, "not verified by").await;
        assert!(stage.is_blocked(&account));
        assert_eq!(stage.metric("lockstep_unverified_containments").await, Some(1.0));
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    a_session_born_between_block_and_end_of_access_is_ended_too(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let lucky = account.clone();
        let reading = lockstep_twin::Match::vendor(Vendor::Auth0).method("GET").route("/users/{id}");
        stage.twin.faults().after(reading, 1, move |world| drop(world.sign_in(&lucky)));
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 2);
        stage.end().await;
    }

    how_long_an_issued_access_token_may_still_work_is_computed(stage, Setup::unlimited()) {
        for server in &mut stage.twin.world().resource_servers {
            server.token_lifetime = 900;
        }
        stage.twin.world().resource_servers[1].token_lifetime = 7200;
        stage.start().await;
        let (_, _, case) = stage.contained("Anna Berg").await;
        let last = clock::after(case.accepted_at.unwrap(), Duration::from_secs(7200));
        assert_eq!(case.exposed_until, Some(last));
        stage.until_told("Access tokens already issued may work until").await;
        stage.end().await;
    }
}
