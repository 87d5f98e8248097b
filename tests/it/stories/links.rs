//! Delta links: what a sweep makes of the pages and links that Graph gives, of a link that is not honoured any more, and of
//! a link that does not track what it should.

use lockstep::case::CaseState;
use lockstep_twin::{
    AccountId, DeltaExpiry, Fault, FaultId, GroupId, Match, Mishap, PageFault, PersonId, Setup, Times, Vendor,
};
use serde_json::json;

use super::directory::{SWEEPING, attribute, role};
use crate::harness::Stage;

fn users() -> Match {
    Match::vendor(Vendor::Graph).route("/users/delta")
}

fn groups() -> Match {
    Match::vendor(Vendor::Graph).route("/groups/delta")
}

fn department() -> String {
    format!("{SWEEPING}{}", attribute("app_metadata.department", "department"))
}

/// Where everybody is listed from.
const LISTING: &str = "/users/delta?$select=id";

/// Where Graph says that a listing is to begin again.
const PLACE_TO_BEGIN: &str = "/users/delta?$deltatoken=&$select=id";

/// How often everybody was listed from the start.
fn starts(stage: &Stage) -> usize {
    let asked = stage.requests(Vendor::Graph, "GET /v1.0/users/delta").into_iter();
    asked.filter(|entry| entry.path.ends_with(LISTING)).count()
}

impl Stage {
    /// Somebody who is kept in step by this policy. From here on, nothing is notified: only sweeps find changes.
    pub async fn followed_by_sweeps_alone(&mut self, policy: &str) -> (PersonId, AccountId) {
        self.policy(policy);
        self.start_subscribed().await;
        let hired = self.hire("Ada Lovelace");
        self.until_told_and_done().await;
        self.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        hired
    }

    /// The same with the role of an engineer for the members of a group that is empty yet.
    async fn role_followed_by_sweeps_alone(&mut self) -> (GroupId, PersonId, AccountId) {
        let staff = self.twin.world().create_group("Staff");
        self.twin.world().create_role("Engineer");
        let policy = format!("{SWEEPING}{}", role("Engineer", &[staff]));
        let (person, account) = self.followed_by_sweeps_alone(&policy).await;
        (staff, person, account)
    }

    /// No sweep comes between the two: the link that replaces the lost one does not tell of the member.
    fn joins_as_the_link_of_groups_ends(
        &self,
        group: GroupId,
        person: PersonId,
        expiry: DeltaExpiry,
    ) -> FaultId {
        let mut world = self.twin.world();
        world.add_member(group, person);
        self.twin.faults().inject(groups(), Fault::ExpireDelta(expiry), Times::N(1))
    }
}

crate::stories! {
    a_link_that_graph_no_longer_honours_means_everybody_anew_and_nobody_deleted(stage, Setup::unlimited()) {
        let (ada, account) = stage.followed_by_sweeps_alone(&department()).await;
        for (number, expiry) in [DeltaExpiry::Gone, DeltaExpiry::SyncStateNotFound, DeltaExpiry::ResyncRequired]
            .into_iter().enumerate()
        {
            let expired = stage.twin.faults().inject(users(), Fault::ExpireDelta(expiry), Times::N(1));
            let value = format!("Number {number}");
            stage.twin.world().set_property(ada, "department", value.clone().into());
            stage.until_app_metadata(&account, "department", json!(value)).await;
            stage.until_struck(expired).await;
            stage.until_swept_anew().await;
        }
        stage.twin.world().expire_links();
        stage.twin.world().set_property(ada, "department", "A week later".into());
        stage.until_app_metadata(&account, "department", json!("A week later")).await;
        stage.until_idle().await;
        assert!(!stage.is_blocked(&account) && stage.cases_of(ada).await.is_empty());
        stage.end().await;
    }

    a_link_of_groups_that_graph_no_longer_honours_means_everybody_anew_too(stage, Setup::unlimited()) {
        let (staff, ada, account) = stage.role_followed_by_sweeps_alone().await;
        stage.until_swept_anew().await;
        let before = starts(&stage);
        let expired = stage.joins_as_the_link_of_groups_ends(staff, ada, DeltaExpiry::Gone);
        stage.until_struck(expired).await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_swept_anew().await;
        assert_eq!(starts(&stage), before + 1);
        stage.end().await;
    }

    a_listing_that_graph_refuses_with_a_place_to_begin_begins_there(
        stage, Setup { delta_page: 1, ..Setup::unlimited() }
    ) {
        let (ada, account) = stage.followed_by_sweeps_alone(&department()).await;
        stage.hire("Boris Karl");
        stage.until_swept_anew().await;
        let before = starts(&stage);
        // A listing alone has more than one page.
        let second_page = Match::vendor(Vendor::Graph).route("skiptoken");
        let expired = stage.twin.faults().inject(second_page, Fault::ExpireDelta(DeltaExpiry::Gone), Times::N(1));
        stage.twin.world().set_app_metadata(&account, "department", json!("Forged"));
        stage.twin.world().set_property(ada, "department", "Research".into());
        assert_eq!(stage.sweep(&["--whole"]).code, 0);
        stage.until_struck(expired).await;
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        let asked = stage.requests(Vendor::Graph, "GET /v1.0/users/delta");
        assert!(asked.iter().any(|entry| entry.path.ends_with(PLACE_TO_BEGIN)), "{asked:#?}");
        assert_eq!(starts(&stage), before + 1, "no other place was made up");
        stage.until_idle().await;
        stage.end().await;
    }

    a_restart_that_fails_half_way_is_not_forgotten(stage, Setup::unlimited()) {
        let (staff, ada, account) = stage.role_followed_by_sweeps_alone().await;
        stage.until_swept_anew().await;
        let before = starts(&stage);
        let listing = Match::vendor(Vendor::Graph).route(LISTING);
        let failing = stage.twin.faults().inject(listing, Fault::Status(503), Times::Forever);
        let expired = stage.joins_as_the_link_of_groups_ends(staff, ada, DeltaExpiry::Gone);
        stage.until_struck(expired).await;
        stage.until("the users were asked for from the start", async || (starts(&stage) > before).then_some(())).await;
        stage.twin.faults().lift(failing);
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_link_that_graph_refuses_means_everybody_anew(stage, Setup::unlimited()) {
        let (staff, ada, account) = stage.role_followed_by_sweeps_alone().await;
        stage.until_swept_anew().await;
        let refused = stage.joins_as_the_link_of_groups_ends(staff, ada, DeltaExpiry::Refused);
        stage.until_struck(refused).await;
        stage.until_roles(&account, &["Engineer"]).await;
        // Only a link can be refused, so nobody may be listing.
        stage.until_swept_anew().await;
        let refused = stage.twin.faults().inject(users(), Fault::ExpireDelta(DeltaExpiry::Refused), Times::N(1));
        stage.until_struck(refused).await;
        stage.twin.world().disable(ada);
        stage.until_case(ada, CaseState::Verified).await;
        stage.until_swept_anew().await;
        stage.end().await;
    }

    links_that_graph_always_refuses_do_not_sweep_everybody_over_and_over(stage, Setup::unlimited()) {
        let (ada, account) = stage.followed_by_sweeps_alone(&department()).await;
        stage.until_swept_anew().await;
        let started = starts(&stage);
        let refusing = stage.twin.faults().inject(users(), Fault::ExpireDelta(DeltaExpiry::Refused), Times::Forever);
        let asked = || stage.requests(Vendor::Graph, "GET /v1.0/users/delta").len();
        let before = asked();
        // One is refused, one begins, and then only the new link is tried.
        stage.until("the links are tried again", async || (asked() >= before + 5).then_some(())).await;
        assert_eq!(starts(&stage), started + 1);
        stage.twin.faults().lift(refusing);
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_idle().await;
        // The fault struck the start too, which has no link to refuse.
        let complaints = stage.twin.journal().complaints();
        assert!(complaints.iter().all(|one| one.text.ends_with("a request that has none")), "{complaints:#?}");
        stage.complaints_expected = complaints.len();
        stage.end().await;
    }

    groups_that_cannot_be_followed_do_not_keep_users_from_being(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        let policy = format!("{}{}", department(), role("Engineer", &[staff]));
        let (ada, account) = stage.followed_by_sweeps_alone(&policy).await;
        stage.twin.faults().inject(groups(), Fault::Status(503), Times::Forever);
        stage.until("a sweep meets it", async || {
            let asked = stage.requests(Vendor::Graph, "GET /v1.0/groups/delta");
            asked.iter().any(|entry| entry.status == 503).then_some(())
        }).await;
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.until_idle().await;
        stage.end().await;
    }

    groups_that_cannot_be_followed_do_not_keep_everybody_from_being_swept(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        let refusing = stage.twin.faults().inject(groups(), Fault::Status(503), Times::Forever);
        let (ada, account) = stage.hire("Ada Lovelace");
        let (boris, _) = stage.hire("Boris Karl");
        stage.twin.world().add_member(staff, ada);
        stage.twin.world().disable(boris);
        stage.start().await;
        stage.until_roles(&account, &["Engineer"]).await;
        stage.until_case(boris, CaseState::Verified).await;
        stage.twin.faults().lift(refusing);
        stage.until("the groups are followed", async || {
            stage.store().note("sweep.groups").await.unwrap().map(drop)
        }).await;
        stage.until_idle().await;
        stage.end().await;
    }

    groups_that_no_policy_names_are_not_followed(stage, Setup::unlimited()) {
        stage.followed_by_sweeps_alone(&department()).await;
        stage.until_swept_anew().await;
        assert_eq!(stage.requests(Vendor::Graph, "GET /v1.0/groups/delta").len(), 0);
        stage.end().await;
    }

    a_property_that_users_get_later_is_followed_from_then_on(stage, Setup::unlimited()) {
        let app = "24d3b144-21ae-4080-943f-7067b395b913";
        let cost = format!("extension_{}_cost", app.replace('-', ""));
        let policy = format!("{}{}", department(), attribute("app_metadata.cost", &cost));
        let (ada, account) = stage.followed_by_sweeps_alone(&policy).await;
        stage.until_swept_anew().await;
        stage.twin.world().register_extension(app, "cost");
        // A sweep that sees the extension follows it, whole or not.
        stage.until_swept_anew().await;
        let complaints = stage.twin.journal().complaints();
        assert!(complaints.iter().all(|one| one.text.ends_with(&cost)), "{complaints:#?}");
        stage.complaints_expected = complaints.len();
        stage.twin.world().set_directory_extension(ada, app, "cost", json!("R-12"));
        stage.until_app_metadata(&account, "cost", json!("R-12")).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_property_that_the_policy_names_again_is_followed_again(stage, Setup::unlimited()) {
        let without = format!("{SWEEPING}{}", attribute("app_metadata.title", "jobTitle"));
        let (ada, account) = stage.followed_by_sweeps_alone(&department()).await;
        for (policy, key, property) in [
            (without, "title", "jobTitle"),
            (department(), "department", "department"),
        ] {
            stage.change_policy(&policy).await;
            stage.until_swept_anew().await;
            stage.twin.world().set_property(ada, property, "Changed".into());
            stage.until_app_metadata(&account, key, json!("Changed")).await;
        }
        stage.until_idle().await;
        stage.end().await;
    }

    empty_repeated_and_replayed_pages_change_nothing_twice(
        stage, Setup { delta_page: 2, ..Setup::unlimited() }
    ) {
        stage.policy(&department());
        stage.start_subscribed().await;
        let people: Vec<_> = (0..7).map(|number| stage.hire(&format!("Person N{number}"))).collect();
        stage.until_told_and_done().await;
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        for fault in [PageFault::Empty, PageFault::Repeated, PageFault::Replayed(5), PageFault::Late(3)] {
            let injected = {
                // No sweep comes between the two.
                let mut world = stage.twin.world();
                for (person, _) in &people {
                    world.set_property(*person, "department", format!("{fault:?}").into());
                }
                stage.twin.faults().inject(users(), Fault::Page(fault), Times::N(1))
            };
            stage.until_struck(injected).await;
            for (_, account) in &people {
                stage.until_app_metadata(account, "department", json!(format!("{fault:?}"))).await;
            }
        }
        stage.until_idle().await;
        let world = stage.twin.world();
        for (_, account) in &people {
            let writes: u64 = world.writes_to(account).values().sum();
            assert_eq!(writes, 4, "one write for each change");
        }
        drop(world);
        stage.end().await;
    }
}
