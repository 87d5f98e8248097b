//! People who leave, are disabled, come back.

use lockstep::case::{CaseState, Reason};
use lockstep_twin::send::Change;
use lockstep_twin::{PersonId, Setup, Vendor};

use super::directory::without;

crate::stories! {
    somebody_disabled_in_entra_is_locked_out_and_let_in_when_enabled_again(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().disable(anna);
        stage.changed(anna, Change::Updated).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Disabled);
        assert!(stage.is_locked_out(&account));
        stage.twin.world().enable(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(stage.twin.world().can_sign_in(&account));
        assert_eq!(stage.writes(), 3);
        stage.until_told("Released").await;
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    somebody_disabled_is_locked_out_though_roles_and_connection_may_not_be_read(
        stage, without(&["read:roles", "read:connections"])
    ) {
        stage.policy("[[roles]]\nrole = \"Engineer\"\n");
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().disable(anna);
        stage.changed(anna, Change::Updated).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Disabled);
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    somebody_soft_deleted_is_locked_out_and_let_in_when_restored(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().soft_delete(anna);
        stage.changed(anna, Change::Updated).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Deleted);
        assert!(stage.is_locked_out(&account));
        stage.twin.world().restore(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(stage.twin.world().can_sign_in(&account));
        stage.end().await;
    }

    somebody_deleted_for_good_is_locked_out(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().hard_delete(anna);
        stage.changed(anna, Change::Deleted).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Deleted);
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    somebody_who_cannot_be_found_and_was_not_said_to_be_deleted_is_left_alone(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().hard_delete(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until("Entra was asked", async || {
            let asked = stage.requests(Vendor::Graph, "GET /v1.0/directory/deletedItems/{id}");
            (!asked.is_empty()).then_some(())
        }).await;
        stage.until_idle().await;
        assert!(!stage.is_blocked(&account) && stage.cases_of(anna).await.is_empty());
        stage.end().await;
    }

    a_deletion_that_entra_does_not_confirm_locks_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, _) = stage.contained("Anna Berg").await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_case(anna, CaseState::Released).await;
        let writes = stage.writes();
        stage.changed(anna, Change::Deleted).await;
        stage.until_left_alone(anna).await;
        stage.until_idle().await;
        assert!(!stage.is_blocked(&account) && stage.writes() == writes);
        stage.end().await;
    }

    a_deletion_of_somebody_never_seen_that_entra_does_not_confirm_locks_nobody(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.changed(anna, Change::Deleted).await;
        stage.until("Entra was asked", async || {
            stage.requests(Vendor::Graph, "GET /v1.0/users/{id}").into_iter().next()
        }).await;
        stage.until_idle().await;
        assert!(!stage.is_blocked(&account) && stage.writes() == 0);
        stage.end().await;
    }

    somebody_enabled_again_while_still_at_risk_stays_locked_until_the_risk_is_dismissed(
        stage, Setup::unlimited()
    ) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().disable(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until_case(anna, CaseState::Verified).await;
        stage.twin.world().raise_risk(anna, "high", "leakedCredentials");
        stage.twin.world().enable(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until_idle().await;
        assert!(stage.is_blocked(&account));
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    somebody_disabled_during_a_risk_case_is_let_in_when_both_are_over(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, _) = stage.contained("Anna Berg").await;
        stage.twin.world().disable(anna);
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.changed(anna, Change::Updated).await;
        stage.until_idle().await;
        assert!(stage.is_blocked(&account), "the risk is over, and Entra still keeps them out");
        stage.twin.world().enable(anna);
        stage.changed(anna, Change::Updated).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(stage.twin.world().can_sign_in(&account));
        stage.end().await;
    }

    a_policy_may_only_tell_of_the_disabled_and_end_the_sessions_of_the_deleted(stage, Setup::unlimited()) {
        stage.policy("[contain]\non_disabled = \"notify\"\non_deleted = \"end-sessions\"\n");
        stage.start().await;
        let (anna, disabled) = stage.hire("Anna Berg");
        let (boris, deleted) = stage.hire("Boris Karl");
        stage.twin.world().disable(anna);
        stage.twin.world().soft_delete(boris);
        stage.changed(anna, Change::Updated).await;
        stage.changed(boris, Change::Updated).await;
        stage.until_case(anna, CaseState::NotActed).await;
        stage.until_case(boris, CaseState::Verified).await;
        assert!(!stage.is_blocked(&disabled) && !stage.is_blocked(&deleted));
        assert!(!stage.twin.world().sessions(&disabled).is_empty());
        assert!(stage.twin.world().sessions(&deleted).is_empty());
        stage.end().await;
    }

    a_change_that_locks_nobody_asks_auth0_for_nothing_but_a_look(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.twin.world().set_property(anna, "department", "Sales".into());
        stage.changed(anna, Change::Updated).await;
        stage.changed(PersonId::nobody(), Change::Updated).await;
        stage.until("the account is in the index", async || {
            let links = stage.store().links(stage.subject(anna)).await.unwrap();
            links.iter().any(|link| *link.as_str() == *account).then_some(())
        }).await;
        stage.until_idle().await;
        assert_eq!((stage.writes(), stage.messages().len()), (0, 0));
        stage.end().await;
    }
}
