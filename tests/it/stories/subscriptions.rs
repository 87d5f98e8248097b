//! Graph tells what changes as long as somebody keeps the subscriptions: made, renewed, made anew, and told when only a
//! person can help.

use std::time::Duration;

use lockstep::clock::{Clock, SystemClock};
use lockstep_twin::send::Lifecycle;
use lockstep_twin::{Fault, Match, Setup, Times, Vendor};
use serde_json::json;

use super::directory::{SWEEPING, attribute};
use crate::harness::Stage;

const CREATE: &str = "POST /v1.0/subscriptions";
const LIST: &str = "GET /v1.0/subscriptions";
const DELETE: &str = "DELETE /v1.0/subscriptions/{id}";
const RENEW: &str = "PATCH /v1.0/subscriptions/{id}";
/// What is left of the subscription to users.
const LEFT: &str = "lockstep_subscription_expiry_seconds{resource=\"users\"}";
const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

fn id_of(stage: &Stage, resource: &str) -> String {
    found(stage, resource).unwrap_or_else(|| panic!("no subscription to {resource}"))
}

fn found(stage: &Stage, resource: &str) -> Option<String> {
    let world = stage.twin.world();
    let found = world.subscriptions().find(|one| one.resource.trim_matches('/') == resource);
    found.map(|one| one.id.clone())
}

impl Stage {
    /// Waits until Lockstep has written down that it made the subscription, which is after Graph has it.
    async fn until_known_as_ours(&self, resource: &str) {
        self.until(&format!("the subscription to {resource} is known as ours"), async || {
            let made = self.store().note("subscriptions.made").await.unwrap()?;
            // Between deleting and making anew there is none.
            made.contains(&found(self, resource)?).then_some(())
        })
        .await;
    }

    /// Both subscriptions stand, and Lockstep, which is stopped, does not know that they are its own.
    async fn subscribe_and_forget(&mut self) {
        self.start_subscribed().await;
        self.stop().await;
        self.store().set_note("subscriptions.made", None).await.unwrap();
    }

    /// Both expire in an hour, and Lockstep, which is stopped, has not seen that.
    async fn subscribe_and_let_it_come_to_an_end(&mut self) {
        self.start_subscribed().await;
        self.until_known_as_ours("groups").await;
        self.stop().await;
        let soon = lockstep::clock::after(Clock::now(&SystemClock), Duration::from_secs(3600));
        for resource in ["users", "groups"] {
            let id = id_of(self, resource);
            self.twin.world().set_subscription_expiry(&id, soon);
        }
    }

    async fn until_left(&self, what: &str, wanted: impl Fn(f64) -> bool) {
        self.until(what, async || self.metric(LEFT).await.filter(|left| wanted(*left)).map(drop)).await;
    }

    /// Hires somebody and waits until a change of theirs is followed, by whatever way it is told.
    async fn until_somebody_is_followed(&self) {
        let (person, account) = self.hire("Ada Lovelace");
        self.twin.world().set_property(person, "department", "Research".into());
        self.until_app_metadata(&account, "department", json!("Research")).await;
    }
}

crate::stories! {
    both_subscriptions_are_made_at_the_start_with_our_address_and_secret(stage, Setup::unlimited()) {
        stage.start_subscribed().await;
        let url = format!("{}/webhooks/graph", stage.public_url());
        {
            let world = stage.twin.world();
            for one in world.subscriptions() {
                assert_eq!(one.notification_url, url);
                assert_eq!(one.lifecycle_url.as_deref(), Some(&*url));
                assert_eq!(one.client_state.as_deref(), Some(&*stage.twin.setup().graph_client_state));
            }
        }
        stage.stop().await;
        let listed = stage.requests(Vendor::Graph, LIST).len();
        stage.start().await;
        stage.until("they are looked at again", async || {
            (stage.requests(Vendor::Graph, LIST).len() > listed).then_some(())
        }).await;
        stage.until_swept_anew().await;
        assert_eq!(stage.requests(Vendor::Graph, CREATE).len(), 2, "they still stand after a restart");
        let listed = stage.run(&["subscriptions", "list", "--json"]);
        let listed = listed.json();
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert!(listed.as_array().unwrap().iter().all(|one| one["ours"] == true), "{listed:#}");
        stage.end().await;
    }

    one_that_expires_soon_is_renewed_by_patch_and_never_reauthorized(stage, Setup::unlimited()) {
        stage.start_subscribed().await;
        let id = id_of(&stage, "users");
        let now = Clock::now(&SystemClock);
        let soon = lockstep::clock::after(now, Duration::from_secs(3600));
        stage.twin.world().set_subscription_expiry(&id, soon);
        assert!(stage.twin.deliveries().lifecycle(&id, Lifecycle::ReauthorizationRequired));
        stage.until_world("it was renewed", |world| {
            world.find_subscription(&id).is_some_and(|one| one.expires > lockstep::clock::after(now, Duration::from_secs(6 * 24 * 3600)))
        }).await;
        stage.until_idle().await;
        let renewed = stage.requests(Vendor::Graph, RENEW);
        assert_eq!(renewed.iter().filter(|entry| entry.path.contains(&id)).count(), 1, "{renewed:#?}");
        assert!(stage.requests(Vendor::Graph, "POST /v1.0/subscriptions/{id}/reauthorize").is_empty());
        stage.until_idle().await;
        stage.end().await;
    }

    those_that_expire_soon_are_renewed_although_graph_asks_for_nothing(stage, Setup::unlimited()) {
        stage.subscribe_and_let_it_come_to_an_end().await;
        let ids = ["users", "groups"].map(|resource| id_of(&stage, resource));
        stage.start().await;
        stage.until_left("the one to users was renewed", |left| left > 6.0 * DAY).await;
        stage.until("both were renewed", async || {
            (stage.requests(Vendor::Graph, RENEW).len() == 2).then_some(())
        }).await;
        stage.until_idle().await;
        assert_eq!(["users", "groups"].map(|resource| id_of(&stage, resource)), ids);
        let asked = "lockstep_events_total{source=\"graph\",kind=\"subscription_lifecycle\",outcome=\"accepted\"}";
        assert_eq!(stage.metric(asked).await, None, "nobody asked for it");
        stage.end().await;
    }

    those_that_cannot_be_renewed_are_told_while_they_live_and_measured_to_their_end(stage, Setup::unlimited()) {
        stage.subscribe_and_let_it_come_to_an_end().await;
        let renewing = Match::vendor(Vendor::Graph).method("PATCH").route("/subscriptions");
        let refused = stage.twin.faults().inject(renewing, Fault::Status(403), Times::N(2));
        stage.start().await;
        for resource in ["users", "groups"] {
            let told = stage.until_told(&format!("The subscription to changes of {resource} is not kept")).await;
            assert!(told.everything().contains("Graph notifies until 20"), "{}", told.everything());
        }
        stage.until_struck(refused).await;
        let is_known = |left| 0.0 < left && left <= HOUR;
        stage.until_left("the end is known", is_known).await;
        stage.until_idle().await;
        stage.stop().await;
        let listing = Match::vendor(Vendor::Graph).method("GET").route("/subscriptions");
        let refused = stage.twin.faults().inject(listing, Fault::Status(403), Times::N(1));
        stage.start().await;
        stage.until_struck(refused).await;
        stage.until_left("the end is known after a restart", is_known).await;
        stage.until_idle().await;
        assert_eq!(stage.messages().len(), 2, "each is told once a day");
        stage.end().await;
    }

    those_that_may_not_be_listed_are_told_and_measured_as_none(stage, Setup::unlimited()) {
        let listing = Match::vendor(Vendor::Graph).method("GET").route("/subscriptions");
        let refused = stage.twin.faults().inject(listing, Fault::Status(403), Times::N(1));
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.be_reachable();
        stage.start().await;
        stage.until_told("Graph does not notify of changes to users").await;
        stage.until_told("Graph does not notify of changes to groups").await;
        stage.until_struck(refused).await;
        stage.until_left("none stands", |left| left == 0.0).await;
        stage.until_swept().await;
        stage.end().await;
    }

    one_that_only_a_listing_shows_to_be_lost_is_made_anew_and_a_sweep_closes_the_gap(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        stage.until_known_as_ours("groups").await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        // No sweep is to come by itself.
        stage.until_swept_anew().await;
        let id = id_of(&stage, "users");
        stage.twin.world().expire_subscription(&id);
        stage.twin.world().set_property(ada, "department", "In the gap".into());
        // It is about the other one, and asks for no sweep.
        assert!(stage.twin.deliveries().lifecycle(&id_of(&stage, "groups"), Lifecycle::ReauthorizationRequired));
        stage.until_app_metadata(&account, "department", json!("In the gap")).await;
        assert_ne!(id_of(&stage, "users"), id);
        stage.until_told_and_done().await;
        stage.end().await;
    }

    one_that_is_lost_is_made_anew_and_a_sweep_closes_the_gap(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        let id = id_of(&stage, "users");
        stage.twin.world().expire_subscription(&id);
        stage.twin.world().set_property(ada, "department", "In the gap".into());
        let groups = id_of(&stage, "groups");
        assert!(stage.twin.deliveries().lifecycle(&groups, Lifecycle::Missed));
        stage.until_app_metadata(&account, "department", json!("In the gap")).await;
        stage.until_subscribed().await;
        assert_ne!(id_of(&stage, "users"), id);
        stage.twin.world().set_property(ada, "department", "Afterwards".into());
        stage.until_app_metadata(&account, "department", json!("Afterwards")).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }

    one_that_graph_has_removed_is_made_anew(stage, Setup::unlimited()) {
        stage.start_subscribed().await;
        let id = id_of(&stage, "users");
        assert!(stage.twin.deliveries().lifecycle(&id, Lifecycle::SubscriptionRemoved));
        stage.until_world("another one stands", |world| {
            world.subscriptions().count() == 2 && world.find_subscription(&id).is_none()
        }).await;
        stage.until_idle().await;
        stage.end().await;
    }

    a_quota_that_is_used_up_is_told_once_and_the_sweep_goes_on(
        stage, Setup { subscriptions_per_app: 0, ..Setup::unlimited() }
    ) {
        stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
        stage.be_reachable();
        stage.start().await;
        stage.until_told("Graph does not notify of changes to users").await;
        stage.until_told("Graph does not notify of changes to groups").await;
        stage.until_swept().await;
        stage.until_somebody_is_followed().await;
        stage.until_idle().await;
        assert_eq!(stage.messages().len(), 2);
        stage.end().await;
    }

    one_whose_reply_was_lost_is_made_anew_and_nobody_is_told(stage, Setup::unlimited()) {
        let making = Match::vendor(Vendor::Graph).method("POST").route("/subscriptions");
        let lost = stage.twin.faults().inject(making, Fault::LoseReply, Times::N(1));
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        stage.until_struck(lost).await;
        stage.until_known_as_ours("users").await;
        stage.until_known_as_ours("groups").await;
        stage.until_somebody_is_followed().await;
        stage.until_told_and_done().await;
        assert!(stage.messages().is_empty());
        stage.end().await;
    }

    those_that_a_lost_store_does_not_know_are_made_anew(stage, Setup::unlimited()) {
        stage.subscribe_and_forget().await;
        let before = [id_of(&stage, "users"), id_of(&stage, "groups")];
        stage.start().await;
        stage.until_world("others stand", |world| {
            world.subscriptions().count() == 2 && before.iter().all(|id| world.find_subscription(id).is_none())
        }).await;
        stage.until_idle().await;
        assert!(stage.messages().is_empty());
        stage.end().await;
    }

    a_subscription_of_another_installation_is_told_deleted_and_ensured(stage, Setup::unlimited()) {
        stage.subscribe_and_forget().await;
        // They are unknown, and lead elsewhere.
        stage.be_reachable();
        stage.start().await;
        let told = stage.until_told("another subscription of this application for users").await;
        assert!(told.everything().contains("lockstep subscriptions delete"), "{}", told.everything());
        stage.until_idle().await;
        stage.stop().await;
        for resource in ["users", "groups"] {
            let ran = stage.run(&["subscriptions", "delete", &id_of(&stage, resource), "--yes"]);
            assert_eq!(ran.code, 0, "{ran:?}");
        }
        assert_eq!(stage.twin.world().subscriptions().count(), 0);
        stage.start().await;
        stage.until_subscribed().await;
        stage.until_known_as_ours("groups").await;
        let ran = stage.run(&["subscriptions", "ensure", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.json().as_array().unwrap().iter().all(|one| one["done"] == "stands"), "{ran:?}");
        stage.until_idle().await;
        stage.end().await;
    }

    an_address_that_graph_cannot_validate_is_told_and_survived(stage, Setup::unlimited()) {
        stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
        stage.set_env("LOCKSTEP_PUBLIC_URL", "http://127.0.0.1:9");
        stage.start().await;
        stage.until_told("Graph does not notify of changes to users").await;
        stage.until_somebody_is_followed().await;
        stage.until_idle().await;
        let ran = stage.run(&["subscriptions", "ensure", "--json"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        stage.end().await;
    }

    a_secret_that_is_rotated_makes_them_anew_and_both_are_accepted_meanwhile(stage, Setup::unlimited()) {
        stage.start_subscribed().await;
        let old = stage.twin.setup().graph_client_state.clone();
        stage.stop().await;
        stage.set_env("GRAPH_CLIENT_STATE", &format!("a-new-client-state-of-today-0001,{old}"));
        stage.start().await;
        stage.until_world("both carry the new secret", |world| {
            let new = |state: &Option<String>| state.as_deref() == Some("a-new-client-state-of-today-0001");
            world.subscriptions().filter(|one| new(&one.client_state)).count() == 2
        }).await;
        assert_eq!(stage.twin.world().subscriptions().count(), 2);
        stage.until_idle().await;
        stage.end().await;
    }

    one_of_yesterday_that_is_gone_before_it_is_deleted_is_made_anew(stage, Setup::unlimited()) {
        stage.start_subscribed().await;
        stage.until_known_as_ours("groups").await;
        stage.stop().await;
        stage.set_env("GRAPH_CLIENT_STATE", "a-new-client-state-of-today-0001");
        let id = id_of(&stage, "users");
        let listing = Match::vendor(Vendor::Graph).method("GET").route("/subscriptions");
        stage.twin.faults().after(listing, 1, move |world| world.expire_subscription(&id));
        stage.start().await;
        stage.until_world("both carry the new secret", |world| {
            let new = |state: &Option<String>| state.as_deref() == Some("a-new-client-state-of-today-0001");
            world.subscriptions().filter(|one| new(&one.client_state)).count() == 2
        }).await;
        let deleted: Vec<u16> = stage.requests(Vendor::Graph, DELETE).iter().map(|entry| entry.status).collect();
        assert_eq!(deleted, [404, 204]);
        stage.until_idle().await;
        assert!(stage.messages().is_empty());
        stage.end().await;
    }

    an_ensure_beside_a_server_that_is_making_them_waits_for_it(stage, Setup::unlimited()) {
        let making = Match::vendor(Vendor::Graph).method("POST").route("/subscriptions");
        let held = stage.twin.faults().inject(making, Fault::Stall(Duration::from_secs(3)), Times::N(1));
        stage.be_reachable();
        stage.start().await;
        stage.until_struck(held).await;
        let ran = stage.run(&["subscriptions", "ensure", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.json().as_array().unwrap().iter().all(|one| one["done"] == "stands"), "{ran:?}");
        assert_eq!(stage.requests(Vendor::Graph, CREATE).len(), 2, "each was made once");
        stage.until_swept().await;
        stage.end().await;
    }

    a_graph_that_is_away_for_a_moment_pages_nobody(stage, Setup::unlimited()) {
        let making = Match::vendor(Vendor::Graph).method("POST").route("/subscriptions");
        let away = stage.twin.faults().inject(making, Fault::Status(503), Times::N(1));
        stage.start_subscribed().await;
        stage.until_struck(away).await;
        stage.until_idle().await;
        assert!(stage.messages().is_empty());
        stage.end().await;
    }

    observe_mode_subscribes_to_nothing_and_still_looks(stage, Setup::unlimited()) {
        stage.set_env("LOCKSTEP_MODE", "observe");
        stage.policy(&format!("{SWEEPING}{}", attribute("app_metadata.department", "department")));
        stage.be_reachable();
        stage.start().await;
        stage.until_swept().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_finding(ada, "would").await;
        stage.until_idle().await;
        assert_eq!((stage.writes(), stage.twin.world().subscriptions().count()), (0, 0));
        assert!(!stage.twin.world().account(&account).app_metadata.contains_key("department"));
        stage.end().await;
    }

    a_lapsed_subscription_is_renewed_and_what_came_meanwhile_arrives(stage, Setup::unlimited()) {
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        let id = id_of(&stage, "users");
        stage.twin.world().lapse_subscription(&id);
        stage.twin.world().set_property(ada, "department", "Lapsed".into());
        assert!(stage.twin.deliveries().lifecycle(&id, Lifecycle::ReauthorizationRequired));
        stage.until_app_metadata(&account, "department", json!("Lapsed")).await;
        stage.until_told_and_done().await;
        stage.end().await;
    }
}
