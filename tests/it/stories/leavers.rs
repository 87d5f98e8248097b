//! Somebody leaves: locked at once, kept for the grace, deleted when the policy says so, brought back when restored.

use lockstep::case::{CaseState, Reason};
use lockstep::clock::{Clock, SystemClock};
use lockstep::worker::scheduler::Wish;
use lockstep_twin::{Mishap, Setup, Times, Vendor, Write};
use serde_json::json;

use super::directory::{SWEEPING, attribute, role};

const AFTER_GRACE: &str = "[leavers]\ndelete = \"after-grace\"\ngrace_days = 30\n";

crate::stories! {
    somebody_disabled_is_contained_and_synced_again_when_enabled(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{}{}", role("Engineer", &[staff]), attribute("app_metadata.department", "department")));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().disable(ada);
        let case = stage.until_case(ada, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Disabled);
        assert!(stage.is_locked_out(&account));
        stage.until_told_and_done().await;
        {
            let mut world = stage.twin.world();
            world.set_property(ada, "department", "Sales".into());
            world.remove_member(staff, ada);
        }
        stage.until_told_and_done().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().enable(ada);
        stage.until_case(ada, CaseState::Released).await;
        stage.until_roles(&account, &[]).await;
        stage.until_app_metadata(&account, "department", json!("Sales")).await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().can_sign_in(&account));
        stage.end().await;
    }

    a_mistyped_property_keeps_nobody_from_being_locked(stage, Setup::unlimited()) {
        const TYPO: &str = "extension_24d3b14421ae4080943f7067b395b913_typo";
        stage.policy(&format!(
            "{SWEEPING}{}{}", attribute("app_metadata.department", "department"), attribute("app_metadata.cost", TYPO)
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_finding(ada, &format!("app_metadata.cost is kept: Graph does not tell {TYPO}")).await;
        stage.until_told_and_done().await;
        // From here on only the sweep finds anything.
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        stage.twin.world().disable(ada);
        let case = stage.until_case(ada, CaseState::Verified).await;
        assert_eq!(case.reason, Reason::Disabled);
        assert!(stage.is_locked_out(&account));
        let doctor = stage.run(&["doctor"]);
        assert!(doctor.out.contains(&format!("users have no property {TYPO}")), "{}", doctor.out);
        assert!(!doctor.out.contains("no property department"), "{}", doctor.out);
        stage.until_idle().await;
        stage.stop().await;
        let complaints = stage.twin.journal().complaints();
        assert!(complaints.iter().all(|one| one.text.ends_with(TYPO)), "{complaints:#?}");
        stage.complaints_expected = complaints.len();
        stage.end().await;
    }

    somebody_soft_deleted_is_blocked_and_kept_for_the_grace(stage, Setup::unlimited()) {
        stage.policy(&format!("{SWEEPING}{AFTER_GRACE}"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.twin.world().soft_delete(ada);
        let case = stage.until_case(ada, CaseState::Verified).await;
        let due = stage.until("the end of the grace is remembered", async || {
            stage.remembered(ada).await?.look_at
        }).await;
        assert_eq!(due.duration_since(case.opened_at).as_hours(), 30 * 24);
        stage.until_swept_anew().await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    somebody_whose_grace_is_over_is_deleted_and_the_case_closed(stage, Setup::unlimited()) {
        stage.policy(&format!("{SWEEPING}[leavers]\ndelete = \"after-grace\"\ngrace_days = 0\n"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.twin.world().soft_delete(ada);
        stage.until_world("the account is deleted", |world| world.find_account(&account).is_none()).await;
        stage.until_case(ada, CaseState::Released).await;
        stage.until_told_and_done().await;
        stage.until_swept_anew().await;
        stage.until("nothing is remembered", async || stage.remembered(ada).await.is_none().then_some(())).await;
        assert_eq!(stage.cases_of(ada).await.len(), 1);
        let writes = stage.twin.world().writes_to(&account);
        assert_eq!(writes.get(&Write::Deleted), Some(&1), "{writes:?}");
        stage.end().await;
    }

    somebody_purged_is_looked_at_again_before_the_account_is_deleted(stage, Setup::unlimited()) {
        stage.policy("[leavers]\ndelete = \"after-grace-or-purge\"\ngrace_days = 30\n");
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.twin.world().soft_delete(ada);
        stage.until_case(ada, CaseState::Verified).await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().find_account(&account).is_some());
        stage.twin.world().hard_delete(ada);
        let known = stage.until("the purge is remembered", async || {
            stage.remembered(ada).await.filter(|known| known.missing_since.is_some())
        }).await;
        let wait = known.look_at.unwrap().duration_since(known.missing_since.unwrap());
        assert_eq!(wait.as_mins(), 10);
        stage.until_told_and_done().await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    somebody_hard_deleted_is_kept_blocked_where_the_policy_deletes_nobody(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.twin.world().hard_delete(ada);
        stage.until_case(ada, CaseState::Verified).await;
        stage.until_told_and_done().await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    somebody_restored_within_the_grace_is_released_and_synced_again(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{AFTER_GRACE}{}", role("Engineer", &[staff])));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().soft_delete(ada);
        stage.until_case(ada, CaseState::Verified).await;
        stage.until_told_and_done().await;
        let engineer = stage.twin.world().role_named("Engineer").unwrap().id.clone();
        stage.twin.world().revoke_role(&account, &engineer);
        stage.twin.world().restore(ada);
        stage.until_case(ada, CaseState::Released).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_nobody_waits_for(ada).await;
        stage.until_told_and_done().await;
        assert!(stage.twin.world().can_sign_in(&account));
        stage.end().await;
    }

    somebody_released_while_deleted_is_not_asked_for_over_and_over_when_the_grace_is_over(stage, Setup::unlimited()) {
        stage.policy(AFTER_GRACE);
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        // The sweep that new subscriptions ask for is over: one that came later would tell of the deletion once more.
        stage.until_swept_anew().await;
        stage.twin.world().soft_delete(ada);
        let case = stage.until_case(ada, CaseState::Verified).await;
        stage.until("the end of the grace is remembered", async || stage.remembered(ada).await?.look_at).await;
        stage.until_told_and_done().await;
        stage.ask_to_release(&case).await;
        stage.until_case(ada, CaseState::Released).await;
        stage.until_told_and_done().await;
        stage.until_due_in_minutes(ada, 0..=i64::MAX).await;
        stage.until_nobody_waits_for(ada).await;
        stage.until_idle().await;
        assert!(stage.twin.world().find_account(&account).is_some(), "nothing is deleted that is not locked");
        stage.end().await;
    }

    an_account_of_a_leaver_that_is_protected_by_now_is_left_open_and_looked_at_once(stage, Setup::unlimited()) {
        let attributes = attribute("app_metadata.department", "department");
        stage.policy(&attributes);
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.twin.world().soft_delete(ada);
        stage.until_case(ada, CaseState::Verified).await;
        stage.until_told_and_done().await;
        stage.stop().await;
        stage.policy(&format!("[protected]\naccounts = [\"{account}\"]\n{attributes}"));
        stage.twin.world().unblock_account_by_admin(&account);
        stage.start().await;
        stage.sweep(&["--whole"]);
        stage.until_told_and_done().await;
        assert!(!stage.is_blocked(&account));
        stage.end().await;
    }

    a_deletion_that_notifications_lose_is_found_by_the_sweep(stage, Setup::unlimited()) {
        stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        let (boris, second) = stage.hire("Boris Karl");
        stage.until_told_and_done().await;
        stage.twin.faults().mishap("Users/", lockstep_twin::Mishap::Lose, lockstep_twin::Times::Forever);
        stage.twin.world().soft_delete(ada);
        stage.twin.world().hard_delete(boris);
        stage.until_case(ada, CaseState::Verified).await;
        stage.until_case(boris, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account) && stage.is_locked_out(&second));
        stage.until_idle().await;
        stage.end().await;
    }

    somebody_purged_before_everybody_is_listed_anew_is_locked(stage, Setup::unlimited()) {
        let department = attribute("app_metadata.department", "department");
        let (ada, account) = stage.followed_by_sweeps_alone(&department).await;
        stage.twin.world().hard_delete(ada);
        // Only the link of the last sweep tells of her; a listing does not.
        assert_eq!(stage.sweep(&["--whole"]).code, 0);
        stage.until_case(ada, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        stage.end().await;
    }

    a_purge_that_nobody_told_of_locks_nobody_and_is_shown(stage, Setup::unlimited()) {
        let department = attribute("app_metadata.department", "department");
        let (ada, account) = stage.followed_by_sweeps_alone(&department).await;
        stage.twin.world().hard_delete(ada);
        stage.twin.world().expire_links();
        stage.until_nothing_is_found(ada).await;
        Wish::make(stage.store().as_ref(), &[Wish::WholeSweep], SystemClock.now()).await.unwrap();
        stage.until_finding(ada, "told of no deletion").await;
        assert!(!stage.is_blocked(&account) && stage.cases_of(ada).await.is_empty());
        stage.end().await;
    }

    a_directory_whose_listing_is_empty_deletes_and_locks_nobody(stage, Setup::unlimited()) {
        stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        let route = |part| lockstep_twin::Match::vendor(Vendor::Graph).route(part);
        let short = lockstep_twin::Fault::Page(lockstep_twin::PageFault::Missing);
        let listing = route("/users/delta?$select=id");
        let empty = stage.twin.faults().inject(listing, short, lockstep_twin::Times::N(1));
        let expiry = lockstep_twin::Fault::ExpireDelta(lockstep_twin::DeltaExpiry::SyncStateNotFound);
        let link = route("/users/delta?$deltatoken");
        let expired = stage.twin.faults().inject(link, expiry, lockstep_twin::Times::N(1));
        stage.until_struck(expired).await;
        stage.until_struck(empty).await;
        stage.until_swept_anew().await;
        stage.until_swept_anew().await;
        assert!(!stage.is_blocked(&account) && stage.cases_of(ada).await.is_empty());
        stage.end().await;
    }
}
