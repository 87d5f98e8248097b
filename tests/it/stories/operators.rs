//! What operators do, and what they do to Lockstep.

use std::time::Duration;

use lockstep::audit::Actor;
use lockstep::case::{CaseState, Reason};
use lockstep::config::{Role, Roles};
use lockstep_twin::send::Change;
use lockstep_twin::{Fault, Match, PersonId, RateLimit, Setup, Times, Vendor};

use super::verbs::BLOCK;
use crate::harness::{Stage, only};

/// Enough that whoever waits for all of them, while a locked store lets each wait for its seconds, waits in vain.
const CROWD: usize = 16;
const READ: &str = "GET /api/v2/users/{id}";
const DEAD: &str = r#"lockstep_events_total{source="risk",kind="risk_reported",outcome="dead"}"#;

impl Stage {
    /// Nothing can be written down until the backup is through (`COMMIT`).
    fn begin_backup(&self) -> rusqlite::Connection {
        let backup = rusqlite::Connection::open(self.data_dir().join("lockstep.db")).unwrap();
        backup.execute_batch("BEGIN IMMEDIATE").unwrap();
        backup
    }
}

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

    a_backup_that_locks_the_store_holds_up_no_lockout_and_loses_no_record(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let backup = stage.begin_backup();
        stage.alert(anna, "high").await;
        stage.until("the account is locked", async || stage.is_locked_out(&account).then_some(())).await;
        backup.execute_batch("COMMIT").unwrap();
        stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(stage.audited("case.requested").await.len(), 1);
        assert_eq!(stage.audited("action.block").await.len(), 1);
        stage.until_told("verified in").await;
        stage.end().await;
    }

    whoever_is_left_alone_while_a_backup_locks_the_store_holds_up_no_lockout(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let crowd = std::array::from_fn::<_, CROWD, _>(|n| stage.at_risk(&format!("Some Body{n}"), "low").0);
        let backup = stage.begin_backup();
        for person in crowd {
            stage.alert(person, "low").await;
        }
        stage.until("all of them were looked at", async || {
            (stage.requests(Vendor::Auth0, READ).len() >= CROWD).then_some(())
        }).await;
        stage.alert(anna, "high").await;
        stage.until("the account is locked", async || stage.is_locked_out(&account).then_some(())).await;
        backup.execute_batch("COMMIT").unwrap();
        stage.until_case(anna, CaseState::Verified).await;
        for person in crowd {
            stage.until_left_alone(person).await;
        }
        stage.until_idle().await;
        stage.end().await;
    }

    dead_letters_that_wait_for_a_backup_hold_up_no_lockout_and_are_not_lost(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.policy("[contain.brake]\ncontainments = 100\n");
        // No sweep: what it asks of the crowd would be given up on too.
        stage.start_as(Roles::only([Role::Ingest, Role::Worker])).await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let crowd = std::array::from_fn::<_, CROWD, _>(|n| stage.at_risk(&format!("Some Body{n}"), "high"));
        for (_, unreadable) in &crowd {
            let read = Match::vendor(Vendor::Auth0).method("GET").route(&unreadable.replace('|', "%7C"));
            stage.twin.faults().inject(read, Fault::Status(403), Times::Forever);
        }
        let backup = stage.begin_backup();
        for (person, _) in &crowd {
            stage.alert(*person, "high").await;
        }
        stage.until("they are given up on", async || stage.metric(DEAD).await.map(drop)).await;
        stage.until_failed(Vendor::Auth0, CROWD).await;
        stage.alert(anna, "high").await;
        stage.until("the account is locked", async || stage.is_locked_out(&account).then_some(())).await;
        backup.execute_batch("COMMIT").unwrap();
        stage.until_case(anna, CaseState::Verified).await;
        stage.until("every letter is written down", async || {
            (stage.dead_letters().await.len() == CROWD).then_some(())
        }).await;
        stage.until_idle().await;
        stage.dead_letters_expected = CROWD;
        stage.end().await;
    }

    one_id_leads_from_the_alert_to_the_audit_and_to_auth0s_log(stage, Setup::unlimited()) {
        stage.start().await;
        let (_, _, case) = stage.contained("Anna Berg").await;
        for what in ["case.requested", "plan.decided", "action.block", "action.end_access", "case.verified"] {
            let entries = stage.audited(what).await;
            assert!(!entries.is_empty(), "{what}");
            assert!(entries.iter().all(|it| (it.event, it.case) == (Some(case.event), Some(case.id))), "{what}");
        }
        let block = stage.requests(Vendor::Auth0, BLOCK).remove(0);
        assert!(block.correlation.is_some_and(|id| id.starts_with(&format!("{}.", case.id))));
        let message = stage.until_told("verified in").await;
        assert!(message.everything().contains(&case.event.to_string()));
        for hop in ["signal_to_received", "received_to_acted", "acted_to_verified", "total"] {
            let counted = format!("lockstep_containment_seconds_count{{hop=\"{hop}\"}}");
            assert_eq!(stage.metric(&counted).await, Some(1.0), "{hop}");
        }
        assert_eq!(stage.metric("lockstep_unverified_containments").await, Some(0.0));
        stage.end().await;
    }

    a_small_tenants_rate_limits_slow_everybody_down_and_lose_nobody(
        stage, Setup { rate_limit: Some(RateLimit::ENTERPRISE_NON_PRODUCTION), ..Setup::default() }
    ) {
        stage.set_env("AUTH0_REQUESTS_PER_SECOND", "2");
        stage.set_env("AUTH0_BURST", "10");
        stage.set_env("LOCKSTEP_ATTEMPTS_MAX", "1");
        stage.start().await;
        let people = ["Ada One", "Ben Two", "Cleo Three"].map(|name| stage.at_risk(name, "high"));
        for (person, _) in &people {
            stage.alert(*person, "high").await;
        }
        for (person, account) in &people {
            stage.until_case(*person, CaseState::Verified).await;
            assert!(stage.is_locked_out(account));
        }
        assert_eq!(stage.writes(), 6);
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
