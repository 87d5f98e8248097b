//! What the policy also wants ended, once somebody is locked out: grants, device credentials, Token Vault.

use std::time::Duration;

use lockstep::case::also::Extra;
use lockstep::case::{CaseState, Restraint};
use lockstep_twin::{AccountId, Entry, Fault, Match, PersonId, Setup, Times, Vendor};

use super::verbs::{BLOCK, REVOKE};
use crate::harness::Stage;

const ALL: &str = "[contain]\nalso = [\"grants\", \"device-credentials\", \"token-vault\"]\n";
const GRANTS: &str = "DELETE /api/v2/grants";
const DEVICE: &str = "DELETE /api/v2/device-credentials/{id}";
const TOKEN_SETS: &str = "GET /api/v2/users/{id}/federated-connections-tokensets";
const TOKEN_SET: &str = "DELETE /api/v2/users/{id}/federated-connections-tokensets/{tokenset_id}";

/// Auth0 deletes sessions and refresh tokens late, so that device credentials are there to be ended.
fn late() -> Setup {
    Setup { deletion_delay: Duration::from_millis(500), ..Setup::unlimited() }
}

impl Stage {
    /// Somebody at high risk with connected accounts.
    fn connected(&self, name: &str) -> (PersonId, AccountId) {
        let (person, account) = self.at_risk(name, "high");
        self.connect(&account);
        (person, account)
    }

    fn connect(&self, account: &AccountId) {
        let mut world = self.twin.world();
        world.add_token_set(account, "google-oauth2");
        world.add_token_set(account, "box");
    }

    fn holds_nothing_beside(&self, account: &AccountId) -> bool {
        let world = self.twin.world();
        world.grants(account).is_empty()
            && world.device_credentials(account).is_empty()
            && world.token_sets(account).is_empty()
    }

    /// Writes about one account that were sent, in the order of their arrival.
    fn writes_about(&self, account: &AccountId) -> Vec<Entry> {
        let encoded = account.replace('|', "%7C");
        let all = self.twin.journal().requests().into_iter();
        all.filter(|entry| entry.vendor == Vendor::Auth0 && &*entry.method != "GET")
            .filter(|entry| entry.path.contains(&encoded) || entry.route == DEVICE)
            .collect()
    }
}

crate::stories! {
    everything_the_policy_names_ends_after_the_block_of_every_account_and_is_proven(stage, late()) {
        stage.policy(ALL);
        stage.start().await;
        let (anna, enterprise) = stage.connected("Anna Berg");
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        stage.connect(&database);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        for account in [&enterprise, &database] {
            assert!(stage.is_locked_out(account) && stage.holds_nothing_beside(account));
            let routes: Vec<&str> = stage.writes_about(account).iter().map(|entry| entry.route).collect();
            assert_eq!(routes[..2], [BLOCK, REVOKE], "{routes:?}");
            assert_eq!(routes.iter().filter(|route| **route == GRANTS).count(), 1, "{routes:?}");
            assert_eq!(routes.iter().filter(|route| **route == TOKEN_SET).count(), 2, "{routes:?}");
        }
        assert!(case.accounts.values().all(|account| account.also.values().all(|also| also.is_ended())));
        assert_eq!(case.accounts.values().map(|account| account.also.len()).sum::<usize>(), 6);
        for (what, words) in [
            ("action.end_grants", "End grants of "),
            ("action.end_device_credentials", "End device credentials of "),
            ("action.end_token_vault", "End Token Vault token sets of "),
        ] {
            let done = stage.audited(what).await;
            let decided = stage.audited("plan.decided").await;
            let decided = decided.iter().filter(|entry| entry.sentence.starts_with(words));
            assert_eq!((done.len(), decided.count()), (2, 2), "{what}");
            assert!(done.iter().all(|entry| entry.sentence.starts_with(words)), "{done:?}");
            assert!(done.iter().all(|entry| entry.outcome.as_deref() == Some("accepted")), "{done:?}");
        }
        stage.until_told("grants ended, device credentials ended, Token Vault token sets ended").await;
        stage.until_idle().await;
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    whoever_contains_anew_finds_nothing_to_end_and_a_release_gives_none_of_it_back(stage, Setup::unlimited()) {
        stage.policy(ALL);
        stage.start().await;
        let (anna, account) = stage.connected("Anna Berg");
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        let writes = stage.writes();
        stage.alert(anna, "high").await;
        stage.until_idle().await;
        assert_eq!(stage.writes(), writes, "nothing is done twice");
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(stage.holds_nothing_beside(&account) && !stage.is_blocked(&account));
        stage.until_told("grants had been ended").await;
        stage.end().await;
    }

    a_permission_that_is_missing_for_it_is_told_and_keeps_nobody_from_being_locked_out(
        stage, Setup::unlimited()
    ) {
        stage.policy(ALL);
        stage.twin.world().revoke_auth0_scope("delete:grants");
        stage.start().await;
        let (anna, account) = stage.connected("Anna Berg");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert!(!stage.twin.world().grants(&account).is_empty());
        assert!(stage.twin.world().token_sets(&account).is_empty(), "the others end all the same");
        stage.until_told("grants NOT ended, refused by auth0 grants.delete: 403 insufficient_scope").await;
        stage.until_idle().await;
        assert_eq!(stage.requests(Vendor::Auth0, GRANTS).len(), 1, "it is not tried for ever");
        let done = stage.audited("action.end_grants").await;
        assert!(done[0].outcome.as_deref().is_some_and(|told| told.contains("needs delete:grants")), "{done:?}");
        // A person mends it and asks.
        stage.twin.world().grant_auth0_scope("delete:grants");
        stage.until("asking again helps: a token born before the grant is soon replaced", async || {
            stage.ask_to_contain(anna).await;
            stage.until_idle().await;
            stage.twin.world().grants(&account).is_empty().then_some(())
        }).await;
        stage.until_case(anna, CaseState::Verified).await;
        stage.end().await;
    }

    a_token_vault_that_the_plan_lacks_is_told_and_keeps_nobody_from_being_locked_out(
        stage, Setup::unlimited()
    ) {
        stage.policy(ALL);
        stage.start().await;
        let (anna, account) = stage.connected("Anna Berg");
        let vault = Match::vendor(Vendor::Auth0).route("federated-connections-tokensets");
        stage.twin.faults().inject(vault, Fault::Status(404), Times::Forever);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert!(case.accounts.values().all(|account| account.also.contains_key(&Extra::TokenVault)));
        stage.until_told("Token Vault token sets NOT ended, refused by auth0 token_sets.list").await;
        stage.until_idle().await;
        assert_eq!(stage.requests(Vendor::Auth0, TOKEN_SETS).len(), 1);
        stage.end().await;
    }

    what_fails_for_a_while_holds_up_nobody_and_is_tried_again(stage, Setup::unlimited()) {
        stage.policy(ALL);
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let grants = Match::vendor(Vendor::Auth0).method("DELETE").route("/grants");
        let failing = stage.twin.faults().inject(grants, Fault::Status(503), Times::N(1));
        let (anna, account) = stage.connected("Anna Berg");
        let (ben, _) = stage.connected("Ben Two");
        stage.alert(anna, "high").await;
        stage.until_told("still open: grants not ended yet: auth0 grants.delete").await;
        assert!(stage.is_locked_out(&account));
        stage.alert(ben, "high").await;
        stage.until_case(ben, CaseState::Verified).await;
        assert_eq!(stage.cases_of(anna).await[0].state, CaseState::Accepted, "the other did not wait");
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.holds_nothing_beside(&account));
        stage.end().await;
    }

    what_may_not_be_listed_is_ended_again_when_nobody_knows_whether_it_arrived(stage, Setup::unlimited()) {
        stage.policy(ALL);
        stage.twin.world().revoke_auth0_scope("read:grants");
        stage.start().await;
        let grants = Match::vendor(Vendor::Auth0).method("DELETE").route("/grants");
        stage.twin.faults().inject(grants, Fault::Status(500), Times::N(1));
        let (anna, account) = stage.connected("Anna Berg");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.holds_nothing_beside(&account));
        assert_eq!(stage.requests(Vendor::Auth0, GRANTS).len(), 2);
        stage.end().await;
    }

    under_the_brake_nothing_is_ended_for_good(stage, Setup::unlimited()) {
        stage.policy(&format!("{ALL}[contain.brake]\ncontainments = 1\n"));
        stage.start().await;
        let (anna, first) = stage.connected("Anna Berg");
        let (ben, second) = stage.connected("Ben Two");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.holds_nothing_beside(&first));
        stage.alert(ben, "high").await;
        let case = stage.until_case(ben, CaseState::Verified).await;
        assert_eq!(case.restraint, Some(Restraint::ContainBrake));
        assert!(!stage.twin.world().grants(&second).is_empty());
        assert_eq!(stage.twin.world().token_sets(&second).len(), 2);
        stage.ask_to_contain(ben).await;
        stage.until("a person has decided, and all of it ends", async || {
            stage.holds_nothing_beside(&second).then_some(())
        }).await;
        stage.until_case(ben, CaseState::Verified).await;
        stage.end().await;
    }

    observe_mode_says_what_it_would_end_and_writes_nothing(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_MODE", "observe");
        stage.policy(ALL);
        stage.start().await;
        let (anna, _) = stage.connected("Anna Berg");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::NotActed).await;
        stage.until_told("grants would end, device credentials would end").await;
        let held = stage.audited("plan.held").await;
        assert!(held.iter().any(|entry| entry.sentence.starts_with("would End Token Vault")), "{held:?}");
        assert_eq!(stage.writes(), 0);
        stage.end().await;
    }

    without_revoke_access_the_fallback_ends_grants_once(
        stage, Setup { plan: lockstep_twin::Plan::Essentials, ..late() }
    ) {
        stage.policy(ALL);
        stage.start().await;
        let (anna, account) = stage.connected("Anna Berg");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.holds_nothing_beside(&account));
        assert_eq!(stage.requests(Vendor::Auth0, GRANTS).len(), 1);
        stage.until_told("access ended by grants and device credentials, Token Vault token sets ended").await;
        stage.end().await;
    }
}
