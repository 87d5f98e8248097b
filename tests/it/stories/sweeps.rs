//! What notifications miss: the delta sweep finds it, and a changed policy is followed for exactly the people whom it
//! concerns. What Graph does with the links is told in `links`.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::case::CaseState;
use lockstep_twin::send::Change;
use lockstep_twin::{AccountId, AccountSeed, Fault, Lag, Match, Mishap, PersonId, Setup, Times, Vendor};
use serde_json::json;

use super::directory::{SWEEPING, attribute, role, unprovisioned};
use super::verbs::BLOCK;
use crate::harness::{PATIENCE, Stage};

/// Strangers who are deleted at once; at Auth0's pace of the story that needs them, a minute's work.
const CROWD: usize = 300;
const SEARCH: &str = "GET /api/v2/users";

fn department() -> String {
    format!("{SWEEPING}{}", attribute("app_metadata.department", "department"))
}

/// The object ids of the people whom Graph was asked about.
fn looked_at(stage: &Stage) -> BTreeSet<String> {
    let asked = stage.requests(Vendor::Graph, "GET /v1.0/users/{id}");
    let id = |entry: &lockstep_twin::Entry| {
        let rest = entry.path.split_once("/users/")?.1;
        Some(rest[..36.min(rest.len())].to_owned())
    };
    asked.iter().filter_map(id).collect()
}

fn looks_at(stage: &Stage, person: PersonId) -> usize {
    let person = person.to_string();
    let asked = stage.requests(Vendor::Graph, "GET /v1.0/users/{id}");
    asked.iter().filter(|entry| entry.path.contains(&person)).count()
}

impl Stage {
    /// Somebody who was swept without an account and has one now, which Lockstep has never seen.
    async fn has_an_unseen_account(&self, person: PersonId) -> AccountId {
        let subject = self.subject(person);
        assert!(
            self.remembered(person).await.is_none() && self.store().links(subject).await.unwrap().is_empty()
        );
        let mut seed = AccountSeed {
            user_id: format!("waad|{person}"),
            connection: self.twin.setup().auth0_connection.clone(),
            ..Default::default()
        };
        seed.root.insert("oid".into(), json!(person.to_string()));
        self.twin.world().add_account_raw(seed)
    }
}

crate::stories! {
    strangers_who_are_deleted_stand_before_no_alert(stage, Setup::unlimited()) {
        stage.set_env("AUTH0_REQUESTS_PER_SECOND", "4");
        stage.set_env("AUTH0_BURST", "4");
        stage.start().await;
        for _ in 0..CROWD {
            stage.changed(PersonId::nobody(), Change::Deleted).await;
        }
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let searched = stage.requests(Vendor::Auth0, SEARCH).len();
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_blocked(&account));
        let blocked = stage.requests(Vendor::Auth0, BLOCK).first().expect("she is blocked").seq;
        let searches = stage.requests(Vendor::Auth0, SEARCH);
        let before = searches.iter().filter(|entry| entry.seq < blocked).count() - searched;
        assert!(before < CROWD / 3, "{before} accounts of strangers were searched for before hers was blocked");
        stage.end().await;
    }

    somebody_deleted_whose_account_was_never_seen_is_locked_and_a_stranger_is_looked_for_once(
        stage, Setup::unlimited()
    ) {
        let [ada, boris] = {
            let mut world = stage.twin.world();
            ["Ada Lovelace", "Boris Karl"].map(|name| world.hire(unprovisioned(name)))
        };
        stage.policy(&department());
        stage.start_subscribed().await;
        let nobody = PersonId::nobody();
        stage.changed(nobody, Change::Deleted).await;
        stage.until("nobody was looked for", async || (looks_at(&stage, nobody) > 0).then_some(())).await;
        stage.until_idle().await;
        assert_eq!(looks_at(&stage, nobody), 1);
        let account = stage.has_an_unseen_account(ada).await;
        stage.twin.world().hard_delete(ada);
        stage.until_case(ada, CaseState::Verified).await;
        assert!(stage.is_blocked(&account), "as notified");
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        let account = stage.has_an_unseen_account(boris).await;
        stage.twin.world().hard_delete(boris);
        stage.until_case(boris, CaseState::Verified).await;
        assert!(stage.is_blocked(&account), "as swept");
        stage.until_idle().await;
        stage.end().await;
    }

    what_notifications_lose_the_sweep_finds(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!("{}{}", department(), role("Engineer", &[staff])));
        stage.start_subscribed().await;
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        let (ada, account) = stage.hire("Ada Lovelace");
        {
            let mut world = stage.twin.world();
            world.set_property(ada, "department", "Research".into());
            world.add_member(staff, ada);
        }
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.twin.world().remove_member(staff, ada);
        stage.until_roles(&account, &[]).await;
        stage.until_idle().await;
        stage.end().await;
    }

    notifications_doubled_overtaking_and_an_hour_late_end_where_entra_is(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&format!(
            "{}{}",
            attribute("app_metadata.department", "department"),
            role("Engineer", &[staff]),
        ));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        let faults = stage.twin.faults();
        faults.mishap("Users/", Mishap::Hold, Times::N(1));
        faults.mishap("", Mishap::Double, Times::Forever);
        faults.mishap("Groups/", Mishap::WithoutMembers, Times::Forever);
        stage.twin.world().set_property(ada, "department", "Long ago".into());
        faults.mishap("Users/", Mishap::Overtake, Times::N(2));
        for number in 0..5 {
            stage.twin.world().set_property(ada, "department", format!("Number {number}").into());
            stage.twin.world().add_member(staff, ada);
            if number < 4 {
                stage.twin.world().remove_member(staff, ada);
            }
        }
        stage.until_app_metadata(&account, "department", json!("Number 4")).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        let writes = stage.writes();
        assert_eq!(stage.twin.deliveries().release(), 1);
        stage.until_told_and_done().await;
        stage.until_app_metadata(&account, "department", json!("Number 4")).await;
        assert_eq!(stage.writes(), writes, "an hour late it finds nothing to do");
        stage.end().await;
    }

    somebody_whom_graph_does_not_show_yet_is_looked_at_again(stage, Setup::unlimited()) {
        stage.policy("[provision]\nmethod = \"scim\"\n");
        stage.start_subscribed().await;
        stage.twin.world().set_replication_lag(Some(Lag::Reads(2)));
        let ada = stage.twin.world().hire(unprovisioned("Ada Lovelace"));
        stage.until_account(ada).await;
        stage.until_told_and_done().await;
        assert!(stage.cases_of(ada).await.is_empty());
        stage.end().await;
    }

    somebody_unknown_to_graph_waits_on_the_queue_and_holds_up_nobody(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_CONCURRENCY", "1");
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        let nobody = PersonId::nobody();
        let looks = || looks_at(&stage, nobody);
        stage.changed(nobody, Change::Updated).await;
        stage.until("nobody was looked for", async || (looks() > 0).then_some(())).await;
        // The lane's only place is free while it waits, which is two minutes in all.
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        let so_far = looks();
        stage.until("it is looked for again", async || (looks() > so_far).then_some(())).await;
        stage.end().await;
    }

    a_sweep_on_demand_has_looked_at_everybody_when_it_ends(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let people = ["Ada Lovelace", "Boris Karl"].map(|name| stage.hire(name));
        for (person, account) in &people {
            stage.twin.world().set_property(*person, "department", "Research".into());
            stage.until_app_metadata(account, "department", json!("Research")).await;
        }
        stage.until_told_and_done().await;
        for (_, account) in &people {
            stage.twin.world().set_app_metadata(account, "department", json!("Forged"));
        }
        let swept = stage.sweep(&["--whole"]);
        assert_eq!((swept.code, swept.out.trim()), (0, "done: everybody was looked at"), "{swept:?}");
        for (_, account) in &people {
            let department = stage.twin.world().account(account).app_metadata["department"].clone();
            assert_eq!(department, "Research");
        }
        stage.end().await;
    }

    what_changed_while_lockstep_was_away_is_found_at_its_return(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        stage.stop().await;
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.start().await;
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_idle().await;
        stage.end().await;
    }

    what_hands_did_in_auth0_the_whole_sweep_sets_right(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        let engineer = stage.twin.world().create_role("Engineer");
        let theirs = stage.twin.world().create_role("Theirs");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        let (boris, second) = stage.hire("Boris Karl");
        stage.twin.world().add_member(staff, ada);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_told_and_done().await;
        {
            let mut world = stage.twin.world();
            world.revoke_role(&account, &engineer);
            world.grant_role(&account, &theirs);
            world.grant_role(&second, &engineer);
        }
        stage.store().set_note("sweep.whole_at", Some("2020-01-01T00:00:00Z".into())).await.unwrap();
        stage.until_roles(&account, &["Engineer", "Theirs"]).await;
        stage.until_roles(&second, &[]).await;
        stage.until_idle().await;
        let _ = boris;
        stage.end().await;
    }

    vendors_that_are_away_cost_nobody_and_all_is_caught_up(stage, Setup::unlimited()) {
        stage.policy(&department());
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        for vendor in [Vendor::Auth0, Vendor::Graph] {
            stage.twin.faults().down(vendor);
            let value = format!("during {vendor:?}");
            stage.twin.world().set_property(ada, "department", value.clone().into());
            stage.until("the lane has met it", async || {
                let (_, depths) = stage.admin(reqwest::Method::GET, "/queue", json!(null)).await;
                (depths["sync"]["events"].as_u64()? > 0).then_some(())
            }).await;
            stage.twin.faults().up(vendor);
            stage.until_app_metadata(&account, "department", json!(value)).await;
        }
        assert!(stage.twin.deliveries().settled(PATIENCE).await);
        stage.until_idle().await;
        stage.end().await;
    }

    a_changed_policy_is_followed_for_exactly_the_people_whom_it_concerns(stage, Setup::unlimited()) {
        let (staff, sales) = {
            let mut world = stage.twin.world();
            world.create_role("Engineer");
            world.create_role("Seller");
            world.create_role("Closer");
            (world.create_group("Staff"), world.create_group("Sales"))
        };
        stage.policy(&format!("{}{}", role("Engineer", &[staff]), role("Seller", &[sales])));
        let (ada, account) = stage.hire("Ada Lovelace");
        let (boris, second) = stage.hire("Boris Karl");
        let (_, third) = stage.hire("Clara Cole");
        stage.twin.world().add_member(staff, ada);
        stage.twin.world().add_member(sales, boris);
        stage.start_subscribed().await;
        stage.until_roles(&second, &["Seller"]).await;
        stage.until_told_and_done().await;
        stage.twin.journal().clear();
        stage.policy(&format!(
            "{}{}{}", role("Engineer", &[staff]), role("Seller", &[sales]), role("Closer", &[sales])
        ));
        stage.until_roles(&second, &["Closer", "Seller"]).await;
        stage.until_told_and_done().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_roles(&third, &[]).await;
        assert_eq!(looked_at(&stage), [boris.to_string()].into());
        stage.end().await;
    }

    a_policy_that_changes_while_everybody_is_swept_for_the_first_time_reaches_those_who_were_swept_before_it(
        stage, Setup { delta_page: 1, ..Setup::unlimited() }
    ) {
        stage.policy(&attribute("app_metadata.department", "department"));
        let people = ["Ada Lovelace", "Boris Karl"].map(|name| stage.hire(name));
        for (person, _) in &people {
            stage.twin.world().set_property(*person, "department", "Research".into());
        }
        let second_page = Match::vendor(Vendor::Graph).route("skiptoken");
        let held = stage.twin.faults().inject(second_page, Fault::Status(503), Times::Forever);
        stage.start().await;
        let first = stage.until("the first page is worked on", async || {
            let world = stage.twin.world();
            people.iter().map(|(_, account)| account).find(|account| {
                world.account(account).app_metadata.contains_key("department")
            })
        }).await;
        stage.change_policy(&attribute("app_metadata.team", "department")).await;
        stage.twin.faults().lift(held);
        stage.until_app_metadata(first, "team", json!("Research")).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_catalogue_that_cannot_be_read_holds_everybody_until_it_can(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        let roles = Match::vendor(Vendor::Auth0).method("GET").route("/api/v2/roles");
        stage.twin.faults().inject(roles, Fault::Status(503), Times::N(3));
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().add_member(staff, ada);
        stage.start_subscribed().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_nothing_is_found(ada).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    graph_that_throttles_is_obeyed(stage, Setup::unlimited()) {
        stage.policy(&department());
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        let about_her = Match::vendor(Vendor::Graph).route(&format!("/users/{ada}"));
        let throttle = Fault::Throttle { retry_after: Some("1".into()) };
        stage.twin.faults().inject(about_her, throttle, Times::N(2));
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_told_and_done().await;
        let asked: Vec<_> = stage.calls().into_iter().filter(|entry| entry.path.contains(&ada.to_string())).collect();
        let throttled: Vec<_> = asked.iter().filter(|entry| entry.status == 429).collect();
        assert_eq!(throttled.len(), 2, "{asked:#?}");
        for refused in throttled {
            let next = asked.iter().find(|entry| entry.vendor == Vendor::Graph && entry.seq > refused.seq);
            let waited = next.expect("it is asked again").at.duration_since(refused.at);
            assert!(waited >= Duration::from_secs(1), "asked again after {waited:?}");
        }
        stage.end().await;
    }
}
