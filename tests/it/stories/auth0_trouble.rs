//! Auth0 is slow, away, throttling, or somebody else is at work there.

use std::time::Duration;

use lockstep::case::{BlockProgress, CaseState, Means};
use lockstep_twin::{Fault, Match, Setup, Times, Vendor};

use super::verbs::{BLOCK, REVOKE, blocking, management};

crate::stories! {
    an_account_blocked_by_somebody_else_is_not_claimed_and_not_given_back(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.world().block_account_by_admin(&account);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert!(case.accounts.values().all(|progress| progress.block == BlockProgress::Theirs));
        assert!(stage.is_locked_out(&account), "its sessions end all the same");
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 0);
        assert_eq!(stage.requests(Vendor::Auth0, REVOKE).len(), 1);
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_case(anna, CaseState::Released).await;
        assert!(stage.is_blocked(&account), "whose block it is lifts it");
        stage.until_told("stays blocked").await;
        stage.end().await;
    }

    an_account_deleted_between_the_two_writes_does_not_keep_the_other_from_being_locked(
        stage, Setup::unlimited()
    ) {
        stage.start().await;
        let (anna, enterprise) = stage.at_risk("Anna Berg", "high");
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        let gone = database.clone();
        let blocked = blocking().route(&database.replace('|', "%7C"));
        stage.twin.faults().after(blocked, 1, move |world| world.delete_account(&gone));
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        let progress = |id: &str| case.accounts.iter().find(|(it, _)| it.as_str() == id).unwrap().1.block;
        assert_eq!(progress(&database), BlockProgress::Gone);
        assert_eq!(progress(&enterprise), BlockProgress::Ours);
        assert!(stage.is_locked_out(&enterprise));
        stage.until_told("was deleted in Auth0").await;
        stage.end().await;
    }

    an_account_deleted_while_it_is_being_read_leaves_nothing_to_contain(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let search = Match::vendor(Vendor::Auth0).method("GET").route("/users?q=");
        stage.twin.faults().after(search, 1, move |world| world.delete_account(&account));
        stage.alert(anna, "high").await;
        let why = stage.until_left_alone(anna).await;
        assert!(why.contains("no Auth0 account"), "{why}");
        assert_eq!(stage.writes(), 0);
        stage.end().await;
    }

    a_block_whose_reply_was_lost_is_read_back_and_not_repeated(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().inject(blocking(), Fault::LoseReply, Times::N(1));
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 1);
        let ended = stage.audited("action.block").await;
        assert!(ended[0].outcome.as_deref().is_some_and(|told| told.starts_with("unknown")), "{ended:?}");
        stage.end().await;
    }

    an_end_of_access_whose_reply_was_lost_is_asked_for_again_and_proven(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let revoking = Match::vendor(Vendor::Auth0).route("/revoke-access");
        stage.twin.faults().inject(revoking, Fault::LoseReply, Times::N(1));
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 1);
        assert!(stage.requests(Vendor::Auth0, REVOKE).len() <= 2);
        stage.end().await;
    }

    a_proxys_404_is_no_proof_that_nothing_is_left(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let swallowed = Match::vendor(Vendor::Auth0).route("/revoke-access");
        let swallowed = stage.twin.faults().inject(swallowed, Fault::Foreign(202), Times::N(1));
        let lists = ["/sessions", "/refresh-tokens"].map(|list| {
            let list = Match::vendor(Vendor::Auth0).method("GET").route(list);
            stage.twin.faults().inject(list, Fault::Foreign(404), Times::Forever)
        });
        stage.alert(anna, "high").await;
        stage.until_struck(swallowed).await;
        stage.until_open(anna, CaseState::Requested, "status 404").await;
        assert!(stage.is_blocked(&account) && !stage.is_locked_out(&account), "its sessions live");
        lists.into_iter().for_each(|fault| stage.twin.faults().lift(fault));
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_proxys_404_teaches_no_weaker_means(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let revoking = Match::vendor(Vendor::Auth0).route("/revoke-access");
        let struck = stage.twin.faults().inject(revoking, Fault::Foreign(404), Times::N(1));
        stage.alert(anna, "high").await;
        stage.until_struck(struck).await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert!(case.accounts.values().all(|progress| progress.ended_by == Some(Means::RevokeAccess)));
        let tries: Vec<u16> = stage.requests(Vendor::Auth0, REVOKE).iter().map(|entry| entry.status).collect();
        assert_eq!(tries, [404, 202]);
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    a_maintenance_page_in_front_of_auth0_is_waited_out(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let page = stage.twin.faults().inject(management(), Fault::Foreign(200), Times::Forever);
        stage.alert(anna, "high").await;
        stage.until_open(anna, CaseState::Requested, "not what the vendor documents").await;
        stage.twin.faults().lift(page);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 2);
        stage.end().await;
    }

    a_throttled_auth0_is_left_alone_for_as_long_as_it_asks(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let throttle = Fault::Throttle { retry_after: Some("1.5".into()) };
        stage.twin.faults().inject(blocking(), throttle, Times::N(1));
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        let blocks = stage.requests(Vendor::Auth0, BLOCK);
        let refused = blocks.iter().position(|entry| entry.status == 429).unwrap();
        let waited = blocks[refused + 1].at.duration_since(blocks[refused].at);
        assert!(waited >= Duration::from_millis(1500), "{waited:?}");
        assert_eq!(stage.writes(), 2);
        stage.end().await;
    }

    people_are_told_once_that_auth0_throttles_however_often_it_is_asked_again(stage, Setup::unlimited()) {
        stage.start().await;
        for (name, throttled) in [("Anna Berg", management()), ("Ben Carter", blocking())] {
            let (person, account) = stage.at_risk(name, "high");
            let throttle = Fault::Throttle { retry_after: Some("1".into()) };
            let throttled = stage.twin.faults().inject(throttled, throttle, Times::Forever);
            stage.alert(person, "high").await;
            stage.until_open(person, CaseState::Requested, "rate limit").await;
            stage.until_told("rate limit").await;
            let told = || stage.requests(Vendor::Slack, "POST /api/chat.update").len();
            let again_and_again = async || {
                let refused = stage.throttled();
                stage.until("it is asked again and again", async || {
                    (stage.throttled() >= refused + 4).then_some(())
                }).await;
            };
            // What could be done meanwhile is told too: sessions that have ended.
            again_and_again().await;
            let before = told();
            again_and_again().await;
            assert_eq!(told(), before, "{name}");
            // What is on record waits for nothing: others' lockouts need not make do without a store that is well.
            assert_eq!(stage.metric("lockstep_audit_lag_seconds").await, Some(0.0), "{name}");
            stage.twin.faults().lift(throttled);
            stage.until_case(person, CaseState::Verified).await;
            assert!(stage.is_locked_out(&account));
        }
        stage.end().await;
    }

    a_throttled_auth0_that_names_no_time_is_backed_off_from(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        // Without a header of Auth0's, which would tell when its bucket fills.
        let search = Match::vendor(Vendor::Auth0).method("GET").route(&anna.to_string());
        let struck = stage.twin.faults().inject(search, Fault::Foreign(429), Times::N(3));
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert!(stage.twin.faults().is_spent(struck));
        assert_eq!(stage.writes(), 2);
        let asked = stage.requests(Vendor::Auth0, "GET /api/v2/users").into_iter();
        let asked: Vec<_> = asked.filter(|entry| entry.path.contains(&anna.to_string())).collect();
        let first: Vec<u16> = asked.iter().take(4).map(|entry| entry.status).collect();
        assert_eq!(first, [429, 429, 429, 200], "{asked:#?}");
        let waits: Vec<Duration> = asked[..4].windows(2).map(|two| two[1].at - two[0].at).collect();
        // Neighbours may be alike, because each is drawn; the third is twice the first at least.
        assert!(waits[2] > waits[0], "{waits:?}");
        stage.end().await;
    }

    an_auth0_that_fails_for_a_minute_costs_no_attempt_is_not_hammered_and_then_locks_everybody(
        stage, Setup::unlimited()
    ) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let names = ["Ada One", "Ben Two", "Cleo Three", "Dan Four", "Eva Five"];
        let people = names.map(|name| stage.at_risk(name, "high"));
        let failing = stage.twin.faults().inject(management(), Fault::Status(503), Times::Forever);
        for (person, _) in &people {
            stage.alert(*person, "high").await;
        }
        let failed = || -> Vec<_> {
            let all = stage.twin.journal().requests().into_iter();
            all.filter(|entry| entry.vendor == Vendor::Auth0 && entry.status == 503).collect()
        };
        let mut asked = 0;
        // Each wait is shorter than what a story's patience allows.
        for seconds in [20, 40, 60] {
            stage.until(&format!("Auth0 has failed for {seconds} s"), async || {
                let failed = failed();
                let lasted = failed.last()?.at.duration_since(failed.first()?.at);
                (lasted >= Duration::from_secs(seconds)).then_some(())
            }).await;
            let before = std::mem::replace(&mut asked, failed().len());
            // A lane pauses for 2.5 to 5 seconds then, and at its end each of the five may read twice; the first sweep of
            // everybody meets it beside the lockouts.
            assert!(seconds == 20 || asked - before <= 2 * 8 * 10, "{before}, then {asked} in {seconds} s");
        }
        for (person, _) in &people {
            stage.until_open(*person, CaseState::Requested, "503").await;
        }
        stage.twin.faults().lift(failing);
        for (person, account) in &people {
            stage.until_case(*person, CaseState::Verified).await;
            assert!(stage.is_locked_out(account));
        }
        assert_eq!(stage.writes(), 10);
        stage.end().await;
    }

    an_auth0_whose_writes_fail_for_a_while_costs_no_attempt(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let failing = [blocking(), Match::vendor(Vendor::Auth0).route("/revoke-access")]
            .map(|writes| stage.twin.faults().inject(writes, Fault::Status(502), Times::Forever));
        stage.alert(anna, "high").await;
        stage.until_failed(Vendor::Auth0, 20).await;
        stage.until_open(anna, CaseState::Requested, "502").await;
        for fault in failing {
            stage.twin.faults().lift(fault);
        }
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 2);
        stage.end().await;
    }

    a_token_that_expires_mid_way_is_renewed_and_nothing_is_written_twice(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().inject(blocking(), Fault::ExpireToken, Times::N(1));
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        assert_eq!(stage.writes(), 2);
        assert_eq!(stage.twin.journal().count(Vendor::Auth0, "POST /oauth/token"), 2);
        stage.end().await;
    }

    an_auth0_that_is_away_when_the_alert_comes_is_waited_for_and_people_are_told(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.faults().down(Vendor::Auth0);
        stage.alert(anna, "high").await;
        stage.until_open(anna, CaseState::Requested, "could not be").await;
        stage.until_told("Still open").await;
        stage.twin.faults().up(Vendor::Auth0);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.until_told("verified in").await;
        assert_eq!(stage.messages().len(), 1);
        assert_eq!(stage.writes(), 2);
        stage.end().await;
    }

    an_auth0_that_lets_nobody_log_in_is_waited_for(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let login = Match::vendor(Vendor::Auth0).route("/oauth/token");
        let failing = stage.twin.faults().inject(login, Fault::Status(503), Times::Forever);
        stage.alert(anna, "high").await;
        stage.until_failed(Vendor::Auth0, 3).await;
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }

    accounts_known_from_before_are_locked_although_the_search_is_down(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.ask_to_release(&case).await;
        stage.until_case(anna, CaseState::Released).await;
        let search = Match::vendor(Vendor::Auth0).method("GET").route("/users?q=");
        let failing = stage.twin.faults().inject(search, Fault::Status(503), Times::Forever);
        stage.twin.world().sign_in(&account);
        stage.twin.world().raise_risk(anna, "high", "anonymizedIPAddress");
        stage.alert(anna, "high").await;
        stage.until_open(anna, CaseState::Accepted, "could not be searched for").await;
        assert!(stage.is_locked_out(&account));
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Verified).await;
        stage.end().await;
    }

    an_account_that_auth0_cannot_show_keeps_no_other_open(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, enterprise) = stage.at_risk("Anna Berg", "high");
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        let shown = Match::vendor(Vendor::Auth0).method("GET").route(&database.replace('|', "%7C"));
        let failing = stage.twin.faults().inject(shown, Fault::Status(500), Times::Forever);
        stage.alert(anna, "high").await;
        stage.until_open(anna, CaseState::Accepted, "an account of the person could not be read").await;
        assert!(stage.is_locked_out(&enterprise));
        assert!(!stage.is_blocked(&database), "what cannot be read is not written");
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&database));
        stage.end().await;
    }

    an_account_found_late_is_locked_while_the_sessions_of_another_cannot_be_listed(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, _, _) = stage.contained("Anna Berg").await;
        let sessions = Match::vendor(Vendor::Auth0).method("GET").route("/sessions");
        let failing = stage.twin.faults().inject(sessions, Fault::Status(503), Times::Forever);
        let database = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&database);
        stage.alert(anna, "high").await;
        stage.until("the new account is blocked", async || stage.is_blocked(&database).then_some(())).await;
        stage.until_failed(Vendor::Auth0, 1).await;
        stage.twin.faults().lift(failing);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&database));
        stage.end().await;
    }

    a_missing_permission_becomes_a_dead_letter_that_is_replayed_when_it_is_mended(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.twin.world().revoke_auth0_scope("update:users");
        stage.twin.world().revoke_auth0_scope("update:users_app_metadata");
        stage.alert(anna, "high").await;
        stage.until_told("needs a person").await;
        let letter = stage.until("the dead letter is written", async || {
            stage.dead_letters().await.into_iter().next()
        }).await;
        assert!(letter.reason.contains("update:users"), "{}", letter.reason);
        assert_eq!(stage.requests(Vendor::Auth0, REVOKE)[0].status, 202, "sessions end without the block");
        stage.twin.world().grant_auth0_scope("update:users");
        stage.twin.world().grant_auth0_scope("update:users_app_metadata");
        stage.until("replaying helps: a token born before the grant is soon replaced", async || {
            for letter in stage.dead_letters().await {
                let path = format!("/dead/{}/replay", letter.id);
                stage.admin(reqwest::Method::POST, &path, serde_json::json!({ "by": "kim" })).await;
            }
            stage.cases_of(anna).await.into_iter().find(|case| case.state == CaseState::Verified)
        }).await;
        assert!(stage.is_locked_out(&account));
        stage.end().await;
    }
}
