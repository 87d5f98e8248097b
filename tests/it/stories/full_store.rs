//! The store's disk is full: people are locked out all the same, and what was done is on record once there is room.

use std::collections::BTreeMap;
use std::time::Duration;

use lockstep::case::{Case, CaseId, CaseState, Restraint};
use lockstep::store;
use lockstep_twin::{AccountId, PersonId, Setup, Vendor};

use super::verbs::{BLOCK, REVOKE};
use crate::command::program::Ran;
use crate::harness::Stage;

const READ_BACK: &str = "GET /api/v2/users/{id}/sessions";
const READ: &str = "GET /api/v2/users/{id}";
const LAG: &str = "lockstep_audit_lag_seconds";
const UNVERIFIED: &str = "lockstep_unverified_containments";

impl Stage {
    fn beside_the_store(&self) -> rusqlite::Connection {
        let beside = rusqlite::Connection::open(self.data_dir().join("lockstep.db")).unwrap();
        beside.busy_timeout(crate::harness::PATIENCE).unwrap();
        beside
    }

    fn names(beside: &rusqlite::Connection, of: &str) -> Vec<String> {
        let mut select = beside.prepare(&format!("SELECT name FROM sqlite_schema WHERE {of}")).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// From now on every write ends in `SQLITE_FULL`, as on a disk without room: each needs a row in a table whose last
    /// row number is used up (SQLite, Autoincrement). Reads go on.
    async fn fill_store(&self) {
        let beside = self.beside_the_store();
        let mut sql = String::from(
            "CREATE TABLE no_room (id INTEGER PRIMARY KEY AUTOINCREMENT);
             INSERT INTO no_room VALUES (9223372036854775807);",
        );
        for table in Stage::names(&beside, "type = 'table' AND name NOT LIKE 'sqlite%'") {
            for change in ["INSERT", "UPDATE", "DELETE"] {
                sql += &format!(
                    "CREATE TRIGGER no_room_{table}_{change} BEFORE {change} ON {table}
                     BEGIN INSERT INTO no_room VALUES (NULL); END;"
                );
            }
        }
        beside.execute_batch(&format!("BEGIN IMMEDIATE; {sql} COMMIT")).unwrap();
        let refused = self.store().set_note("anything", Some("at all".into())).await;
        assert!(matches!(refused, Err(store::Error::Full(_))), "{refused:?}");
    }

    fn make_room(&self) {
        let beside = self.beside_the_store();
        let triggers = Stage::names(&beside, "type = 'trigger' AND name LIKE 'no_room%'");
        let sql: String = triggers.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
        beside.execute_batch(&format!("BEGIN IMMEDIATE; {sql} DROP TABLE no_room; COMMIT")).unwrap();
    }

    /// Runs a command beside Lockstep, as its operators do.
    async fn lockstep(&self, arguments: &[&str]) -> Ran {
        let admin = self.admin_url();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(arguments).current_dir(self.dir.path()).env_clear().envs(&self.env);
        command.env("LOCKSTEP_ADMIN_LISTEN", admin.trim_start_matches("http://"));
        let ran = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
        Ran::from(tokio::time::timeout(crate::harness::PATIENCE, ran).await.expect("it did not end").unwrap())
    }

    /// Waits until the account is locked and that was read back, without a record of it.
    async fn until_locked_off_the_record(&self, account: &AccountId) {
        let id = account.replace('|', "%7C");
        self.until("the lockout is read back", async || {
            let read_back = self.requests(Vendor::Auth0, READ_BACK);
            let read_back = read_back.iter().any(|entry| entry.path.contains(&id));
            (read_back && self.is_locked_out(account)).then_some(())
        })
        .await;
        assert!(self.metric(LAG).await.unwrap() > 0.0);
    }

    /// Somebody at risk is locked out, and the store has no room to tell.
    async fn lock_off_the_record(&self, name: &str) -> (PersonId, AccountId) {
        let (person, account) = self.at_risk(name, "high");
        self.fill_store().await;
        self.alert(person, "high").await;
        self.until_locked_off_the_record(&account).await;
        (person, account)
    }

    async fn until_released(&self, case: &Case) {
        self.until("the case is released", async || {
            let released = self.store().case(case.id).await.unwrap().unwrap();
            (released.state == CaseState::Released).then_some(())
        })
        .await;
    }

    async fn until_all_is_on_record(&self) {
        self.until("nothing waits to be put on record", async || {
            self.metric(LAG).await.filter(|lag| *lag == 0.0).map(drop)
        })
        .await;
        self.until_idle().await;
    }

    /// What the audit says of a case, in its order; that Auth0 took its time is left out.
    async fn told_of(&self, case: CaseId) -> Vec<String> {
        let records = self.store().records(0, 10_000).await.unwrap().into_iter();
        let entries = records.map(|record| serde_json::from_slice(&record.entry).unwrap());
        let of_case = entries.filter(|entry: &lockstep::audit::Entry| entry.case == Some(case));
        of_case.map(|entry| entry.what).filter(|what| what != "case.accepted").collect()
    }

    /// How often each account was acted on, by the audit.
    async fn acted_on(&self, what: &str) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for entry in self.audited(what).await {
            assert_eq!(entry.outcome.as_deref(), Some("accepted"));
            *times.entry(entry.account.unwrap().to_string()).or_default() += 1;
        }
        times
    }
}

const ONE_LOCKOUT: [&str; 6] =
    ["case.requested", "plan.decided", "plan.decided", "action.block", "action.end_access", "case.verified"];

crate::stories! {
    a_full_store_holds_up_no_lockout_and_all_of_it_is_recorded_once(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, _) = stage.lock_off_the_record("Anna Berg").await;
        assert!(stage.cases_of(anna).await.is_empty(), "nothing can be written");
        stage.make_room();
        let case = stage.until_case(anna, CaseState::Verified).await;
        stage.until_all_is_on_record().await;
        assert_eq!(stage.told_of(case.id).await, ONE_LOCKOUT);
        assert_eq!(stage.writes(), 2, "what is not on record is not done again");
        stage.until_told("verified in").await;
        assert_eq!(stage.messages().len(), 1);
        assert_eq!(stage.cases_of(anna).await.len(), 1);
        stage.end().await;
    }

    what_several_looks_do_while_the_store_is_full_is_recorded_once(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, first) = stage.lock_off_the_record("Anna Berg").await;
        let second = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&second);
        stage.alert(anna, "high").await;
        stage.until_locked_off_the_record(&second).await;
        let third = stage.twin.world().add_database_account(anna);
        stage.twin.world().sign_in(&third);
        stage.ask_to_contain(anna).await;
        stage.until_locked_off_the_record(&third).await;
        stage.make_room();
        let case = stage.until_case(anna, CaseState::Verified).await;
        stage.until_all_is_on_record().await;
        let once: BTreeMap<String, usize> =
            [&first, &second, &third].map(|account| (account.to_string(), 1)).into();
        assert_eq!(stage.acted_on("action.block").await, once);
        assert_eq!(stage.acted_on("action.end_access").await, once);
        assert_eq!(stage.writes(), 6);
        let told = stage.told_of(case.id).await;
        assert_eq!(told[..6], ONE_LOCKOUT, "in the order in which it was done: {told:?}");
        let counted = |what: &str| told.iter().filter(|told| *told == what).count();
        assert_eq!([counted("plan.decided"), counted("case.reason_added")], [6, 1], "{told:?}");
        stage.until_told("verified in").await;
        assert_eq!((stage.messages().len(), stage.cases_of(anna).await.len()), (1, 1));
        stage.end().await;
    }

    a_restart_while_the_store_is_full_ends_with_one_case_of_what_stands(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.lock_off_the_record("Anna Berg").await;
        stage.stop().await;
        stage.start().await;
        stage.until("the lockout is found again", async || {
            stage.metric(LAG).await.filter(|lag| *lag > 0.0).map(drop)
        })
        .await;
        assert!(stage.is_locked_out(&account));
        stage.make_room();
        let case = stage.until_case(anna, CaseState::Verified).await;
        stage.until_all_is_on_record().await;
        // What the first life did is known from Auth0: the block by its stamp; access is ended again, to be sure.
        let told = [
            "case.requested", "action.found", "plan.decided", "action.end_access", "case.verified",
        ];
        assert_eq!(stage.told_of(case.id).await, told);
        assert_eq!(stage.requests(Vendor::Auth0, BLOCK).len(), 1);
        assert_eq!(stage.requests(Vendor::Auth0, REVOKE).len(), 2);
        stage.until_told("verified in").await;
        assert_eq!((stage.messages().len(), stage.cases_of(anna).await.len()), (1, 1));
        stage.end().await;
    }

    whose_reason_is_over_after_such_a_restart_is_released(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.lock_off_the_record("Anna Berg").await;
        stage.stop().await;
        stage.twin.world().dismiss_risk(anna);
        stage.make_room();
        stage.start().await;
        let case = stage.until_case(anna, CaseState::Released).await;
        stage.until_all_is_on_record().await;
        assert!(stage.twin.world().can_sign_in(&account));
        let told = stage.told_of(case.id).await;
        assert_eq!(told.first().map(String::as_str), Some("case.requested"), "{told:?}");
        assert!(told.contains(&"action.found".to_owned()), "{told:?}");
        stage.until_told("Released").await;
        assert_eq!(stage.cases_of(anna).await.len(), 1);
        stage.end().await;
    }

    a_release_waits_for_a_full_store(stage, Setup::unlimited()) {
        stage.start().await;
        let (_, account, case) = stage.contained("Anna Berg").await;
        stage.until_idle().await;
        stage.fill_store().await;
        let before = stage.requests(Vendor::Auth0, READ).len();
        stage.ask_to_release(&case).await;
        stage.until("two looks have been made", async || {
            (stage.requests(Vendor::Auth0, READ).len() >= before + 2).then_some(())
        })
        .await;
        assert!(stage.is_blocked(&account), "nobody is let in without a record");
        stage.make_room();
        stage.until_released(&case).await;
        assert!(stage.twin.world().can_sign_in(&account));
        assert_eq!(stage.audited("action.unblock").await.len(), 1);
        stage.end().await;
    }

    operators_are_told_of_a_lockout_that_is_not_on_record_and_can_take_it_back(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.hire("Anna Berg");
        stage.fill_store().await;
        let person = anna.to_string();
        let ran = stage.lockstep(&["contain", &person, "--reason", "drill", "--yes", "--wait", "--json"]).await;
        assert_eq!(ran.code, 0, "proven is proven: {ran:#?}");
        assert!(stage.is_locked_out(&account));
        assert!(ran.talk.contains("NOT ON RECORD") && ran.talk.contains("make room"), "{}", ran.talk);
        let shown = ran.json();
        assert_eq!((&shown["state"], shown["unrecorded_since"].is_string()), (&"verified".into(), true));
        assert!(stage.cases_of(anna).await.is_empty(), "nothing can be written");

        let case = shown["id"].as_str().unwrap();
        let release = ["release", case, "--reason", "false alarm", "--yes", "--wait", "--timeout", "2"];
        let ran = stage.lockstep(&release).await;
        assert_eq!(ran.code, 75, "{ran:#?}");
        for told in ["NOT ON RECORD", "the store cannot be written (the store's disk is full)", "by itself"] {
            assert!(ran.talk.contains(told), "{told}: {}", ran.talk);
        }
        assert!(stage.is_blocked(&account), "nobody is let in without a record");

        stage.make_room();
        let released = stage.until_case(anna, CaseState::Released).await;
        assert_eq!(released.id.to_string(), case);
        assert!(stage.twin.world().can_sign_in(&account));
        stage.until_all_is_on_record().await;
        let ran = stage.lockstep(&release).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(ran.talk.contains("released already"), "{}", ran.talk);
        stage.end().await;
    }

    a_release_that_waits_for_a_full_store_says_so(stage, Setup::unlimited()) {
        stage.start().await;
        let (_, account, case) = stage.contained("Anna Berg").await;
        stage.until_idle().await;
        stage.fill_store().await;
        let id = case.id.to_string();
        let ran =
            stage.lockstep(&["release", &id, "--reason", "x", "--yes", "--wait", "--timeout", "2"]).await;
        assert_eq!(ran.code, 75, "{ran:#?}");
        assert!(ran.talk.contains("the store cannot be written (the store's disk is full)"), "{}", ran.talk);
        assert!(stage.is_blocked(&account));
        stage.make_room();
        stage.until_released(&case).await;
        stage.end().await;
    }

    a_lockout_that_is_neither_proven_nor_on_record_is_counted_as_unverified(
        stage, Setup { deletion_delay: Duration::from_secs(3600), ..Setup::unlimited() }
    ) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.fill_store().await;
        stage.alert(anna, "high").await;
        // What is scraped is at most two seconds old.
        stage.until("it is counted", async || {
            stage.metric(UNVERIFIED).await.filter(|count| *count == 1.0).map(drop)
        })
        .await;
        let person = anna.to_string();
        let contain = ["contain", &person, "--reason", "drill", "--yes", "--wait", "--timeout", "3"];
        let ran = stage.lockstep(&contain).await;
        assert_eq!(ran.code, 4, "{ran:#?}");
        assert!(ran.talk.contains("NOT ON RECORD") && ran.talk.contains("not verified: "), "{}", ran.talk);
        assert!(stage.cases_of(anna).await.is_empty() && stage.is_blocked(&account));
        stage.make_room();
        stage.until_case(anna, CaseState::Accepted).await;
        stage.until("it is counted once", async || {
            stage.metric(UNVERIFIED).await.filter(|count| *count == 1.0).map(drop)
        })
        .await;
        stage.end().await;
    }

    the_brake_counts_lockouts_that_are_not_on_record(stage, Setup::unlimited()) {
        stage.policy("[contain.brake]\ncontainments = 1\n");
        stage.start().await;
        let (ben, let_off) = stage.at_risk("Ben Carr", "high");
        let (anna, _) = stage.lock_off_the_record("Anna Berg").await;
        stage.alert(ben, "high").await;
        stage.make_room();
        let case = stage.until_case(ben, CaseState::Verified).await;
        assert_eq!(case.restraint, Some(Restraint::ContainBrake));
        assert!(!stage.is_blocked(&let_off));
        stage.until_case(anna, CaseState::Verified).await;
        stage.until_all_is_on_record().await;
        stage.end().await;
    }
}
