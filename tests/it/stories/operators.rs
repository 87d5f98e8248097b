//! What operators do, and what they do to Lockstep.

use std::time::Duration;

use lockstep::audit::Actor;
use lockstep::case::{CaseState, Reason};
use lockstep::config::Role;
use lockstep_twin::send::Change;
use lockstep_twin::{PersonId, Setup, Vendor};

use crate::harness::only;

crate::stories! {
    an_operator_contains_and_releases_by_name_and_reason(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.ask_to_contain(anna).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Operator { by: "kim".into(), reason: "laptop stolen".into() });
        assert!(stage.is_locked_out(&account));
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.changed(anna, Change::Updated).await;
        stage.until_idle().await;
        assert!(stage.is_blocked(&account), "what a person has decided, a person takes back");
        stage.ask_to_release(&case).await;
        let released = stage.until_case(anna, CaseState::Released).await;
        assert_eq!(released.released_because.as_deref(), Some("released by kim: false alarm"));
        assert!(stage.twin.world().can_sign_in(&account));
        assert_eq!(stage.audited("case.requested").await[0].actor, Actor::Operator("kim".into()));
        stage.end().await;
    }

    an_operator_who_names_nobody_contains_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let stranger = PersonId::nobody();
        stage.ask_to_contain(stranger).await;
        let why = stage.until_left_alone(stranger).await;
        assert!(why.contains("no Auth0 account"), "{why}");
        assert_eq!(stage.writes(), 0);
        stage.end().await;
    }

    a_restart_between_accepted_and_verified_changes_nothing(
        stage, Setup { deletion_delay: Duration::from_secs(3), ..Setup::unlimited() }
    ) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        let before = stage.until_case(anna, CaseState::Accepted).await;
        stage.stop().await;
        stage.start().await;
        let after = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!((after.id, after.accepted_at), (before.id, before.accepted_at));
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 2);
        stage.until_told("verified in").await;
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    what_the_door_took_while_nobody_worked_is_worked_on_later(stage, Setup::unlimited()) {
        stage.start_as(only(Role::Ingest)).await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.stop().await;
        assert_eq!(stage.twin.journal().total(Vendor::Auth0), 0);
        stage.start().await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_lockout_does_not_wait_behind_a_crowd_of_directory_changes(stage, Setup::unlimited()) {
        stage.set_env("AUTH0_REQUESTS_PER_SECOND", "5");
        stage.set_env("AUTH0_BURST", "20");
        stage.start().await;
        let crowd: Vec<PersonId> = (0..200).map(|n| stage.hire(&format!("Some Body{n}")).0).collect();
        let setup = stage.twin.setup().clone();
        let item = |person: &PersonId| lockstep_twin::send::notifications::user(&setup, *person, Change::Updated);
        let answer = stage.sender().notifications(crowd.iter().map(item).collect()).await.unwrap();
        assert_eq!(answer.status, 202);
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        let mut linked = 0;
        for person in &crowd {
            linked += stage.store().links(stage.subject(*person)).await.unwrap().len();
        }
        assert!(linked < crowd.len(), "the crowd was still waiting");
        stage.end().await;
    }
}
