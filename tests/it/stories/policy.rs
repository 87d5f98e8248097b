//! What should hold is the operator's to say: observe mode, protection, levels, sources, the brake, and a file that
//! changes while Lockstep runs.

use lockstep::case::{CaseState, Restraint};
use lockstep_twin::Setup;

use super::verbs::BLOCK;
use lockstep_twin::Vendor;

crate::stories! {
    observe_mode_tells_what_it_would_do_and_writes_nothing(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_MODE", "observe");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::NotActed).await;
        assert_eq!(case.restraint, Some(Restraint::ObserveMode));
        stage.until_told("Would contain").await;
        stage.alert(anna, "high").await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("already told"), "{why}");
        assert!(!stage.is_blocked(&account));
        assert_eq!((stage.writes(), stage.messages().len(), stage.cases_of(anna).await.len()), (0, 1, 1));
        assert!(!stage.audited("plan.held").await.is_empty());
        stage.end().await;
    }

    a_protected_person_is_never_touched_and_people_are_told(stage, Setup::unlimited()) {
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.policy(&format!("[protected]\npeople = [\"{anna}\"]\n"));
        stage.start().await;
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::NotActed).await;
        assert_eq!(case.restraint, Some(Restraint::Protected));
        stage.until_told("needs two people").await;
        stage.ask_to_contain(anna).await;
        stage.until_left_alone(anna).await;
        assert!(!stage.is_blocked(&account) && stage.writes() == 0);
        stage.end().await;
    }

    a_protected_account_keeps_its_person_from_being_locked(stage, Setup::unlimited()) {
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let database = stage.twin.world().add_database_account(anna);
        stage.policy(&format!("[protected]\naccounts = [\"{account}\"]\n"));
        stage.start().await;
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::NotActed).await;
        assert_eq!(case.restraint, Some(Restraint::Protected));
        assert!(!stage.is_blocked(&account) && !stage.is_blocked(&database));
        assert_eq!(stage.writes(), 0);
        stage.end().await;
    }

    a_level_under_the_policys_is_left_alone_and_one_at_it_is_not(stage, Setup::unlimited()) {
        stage.policy("[contain]\nrisk_level = \"medium\"\n");
        stage.start().await;
        let (low, low_account) = stage.at_risk("Lena Low", "low");
        let (medium, medium_account) = stage.at_risk("Mia Medium", "medium");
        stage.alert(low, "low").await;
        stage.alert(medium, "medium").await;
        let why = stage.until_left_alone(low).await;
        assert!(why.contains("under the level"), "{why}");
        stage.until_case(medium, CaseState::Verified).await;
        assert!(!stage.is_blocked(&low_account) && stage.is_locked_out(&medium_account));
        stage.end().await;
    }

    an_alert_that_is_milder_than_what_entra_says_now_is_taken_as_entra_says(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "low").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_source_may_be_trusted_more_and_another_only_tell(stage, Setup::unlimited()) {
        stage.policy(
            "[contain.sources.azure_monitor]\nrisk_level = \"medium\"\n\
             [contain.sources.risk]\nresponse = \"notify\"\n",
        );
        stage.start().await;
        let (anna, by_azure) = stage.at_risk("Anna Berg", "medium");
        let (boris, by_risk) = stage.at_risk("Boris Karl", "high");
        stage.sender().azure_alert(anna, "medium").await.unwrap();
        stage.alert(boris, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        stage.until_case(boris, CaseState::NotActed).await;
        assert!(stage.is_locked_out(&by_azure) && !stage.is_blocked(&by_risk));
        stage.until_told("the policy only tells").await;
        stage.end().await;
    }

    a_policy_that_ends_sessions_leaves_sign_in_open(stage, Setup::unlimited()) {
        stage.policy("[contain.sources.risk]\nresponse = \"end-sessions\"\n");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(!stage.is_blocked(&account));
        assert!(stage.twin.world().sessions(&account).is_empty());
        assert!(stage.twin.world().refresh_tokens(&account).is_empty());
        assert_eq!(stage.writes(), 1);
        stage.until_told("sign-in left open").await;
        stage.end().await;
    }

    past_the_brake_only_sessions_end_and_people_are_paged_once(stage, Setup::unlimited()) {
        stage.policy("[contain.brake]\ncontainments = 3\n");
        stage.start().await;
        let names = ["Ada One", "Ben Two", "Cleo Three", "Dan Four", "Eva Five", "Finn Six"];
        let people = names.map(|name| stage.at_risk(name, "high"));
        for (person, _) in &people {
            stage.alert(*person, "high").await;
        }
        let mut braked = Vec::new();
        for (person, account) in &people {
            let case = stage.until_case(*person, CaseState::Verified).await;
            assert!(stage.twin.world().sessions(account).is_empty());
            assert_eq!(stage.is_blocked(account), case.restraint.is_none());
            braked.extend(case.restraint.map(|_| (*person, account)));
        }
        assert_eq!(braked.len(), 3);
        stage.until_told("The contain brake is on").await;
        let (person, account) = braked[0];
        stage.ask_to_contain(person).await;
        stage.until("an operator locks whom the brake had left", async || {
            stage.is_blocked(account).then_some(())
        }).await;
        stage.until_case(person, CaseState::Verified).await;
        stage.until("all is told", async || {
            stage.store().due_notices("slack", lockstep::clock::Timestamp::MAX, 100).await.unwrap().is_empty().then_some(())
        }).await;
        let pages = stage.messages().iter().filter(|m| m.text().contains("The contain brake is on")).count();
        assert_eq!((pages, stage.messages().len()), (1, 7), "one page, and one message per case");
        stage.end().await;
    }

    a_changed_policy_holds_without_a_restart_and_a_bad_one_never_does(stage, Setup::unlimited()) {
        stage.start().await;
        let refused = "lockstep_policy_refused";
        let (anna, account) = stage.at_risk("Anna Berg", "medium");
        stage.policy("[contain]\nrisk_level = \"mediun\"\n");
        stage.until("the bad file is refused", async || stage.metric(refused).await.filter(|n| *n == 1.0)).await;
        stage.alert(anna, "medium").await;
        stage.until_left_alone(anna).await;
        assert!(!stage.is_blocked(&account), "the last good policy stays");
        stage.policy("[contain]\nrisk_level = \"medium\" # mended\n");
        stage.until("the good file is read", async || stage.metric(refused).await.filter(|n| *n == 0.0)).await;
        stage.alert(anna, "medium").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_policy_that_releases_nobody_by_itself_waits_for_a_person(stage, Setup::unlimited()) {
        stage.policy("[contain]\nrelease_when_cleared = false\n");
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_idle().await;
        assert!(stage.is_blocked(&account));
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        assert!(!stage.is_blocked(&account));
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 2, "the block and its end");
        stage.end().await;
    }
}
