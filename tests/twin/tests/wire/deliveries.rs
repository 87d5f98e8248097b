//! What the twin tells its subscribers by itself, and what happens to it on its way.

use crate::client::{Client, start};
use crate::receiver::Receiver;
use crate::subscriptions::{body, subscribe};
use lockstep_twin::send::Lifecycle;
use lockstep_twin::{Hire, Mishap, Patience, Setup, Times};
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Retries after 10 ms, 20 ms, 40 ms, for 14 s.
const QUICK: f64 = 0.001;

async fn set_up(resource: &str) -> (Client, Receiver, String) {
    let setup = Setup { patience: Patience::scaled(QUICK), ..Setup::default() };
    let (c, receiver) = (start(setup).await, Receiver::open().await);
    let id = subscribe(&c, &receiver, resource).await;
    (c, receiver, id)
}

async fn settle(c: &Client) {
    assert!(c.twin.deliveries().settled(MINUTE).await);
}

#[tokio::test]
async fn changes_of_people_are_told_to_who_subscribed_before() {
    let setup = Setup::default();
    let (c, receiver) = (start(setup).await, Receiver::open().await);
    c.twin.world().hire(Hire::named("Alex Wilber"));
    let id = subscribe(&c, &receiver, "users").await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    settle(&c).await;
    c.twin.world().disable(person);
    settle(&c).await;
    c.twin.world().hard_delete(person);
    settle(&c).await;
    let posts = receiver.posts();
    assert!(posts.iter().all(|post| post.target == "/webhooks/graph?t=1"), "the query is repeated");
    let items = receiver.items();
    let kinds: Vec<_> = items.iter().map(|item| item["changeType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["updated", "updated", "deleted"], "and nothing of Alex");
    let item = &items[0];
    let resource = format!("Users/{person}");
    assert_eq!(item["resource"], json!(resource));
    assert_eq!(
        item["resourceData"],
        json!({
            "@odata.type": "#Microsoft.Graph.User",
            "@odata.id": resource,
            "id": person.to_string(),
            "organizationId": c.twin.setup().tenant_id,
        })
    );
    assert_eq!((&item["subscriptionId"], &item["clientState"]), (&json!(id), &json!("state-4b1d")));
    assert_eq!(item["tenantId"], json!(c.twin.setup().tenant_id));
    assert!(item["subscriptionExpirationDateTime"].is_string());
    c.assert_no_complaints();
}

#[tokio::test]
async fn changes_of_groups_carry_the_members_unless_they_are_lost_on_the_way() {
    let (c, receiver, _) = set_up("groups").await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let group = c.twin.world().create_group("Engineering");
    c.twin.world().add_member(group, person);
    c.twin.world().remove_member(group, person);
    settle(&c).await;
    let deltas: Vec<_> =
        receiver.items().iter().map(|item| item["resourceData"]["members@delta"].clone()).collect();
    let id = person.to_string();
    let removed = json!([{ "id": id, "@removed": "deleted" }]);
    assert_eq!(deltas, [json!(null), json!([{ "id": id }]), removed], "and nothing of the person");
    c.twin.faults().mishap("Groups/", Mishap::WithoutMembers, Times::N(1));
    c.twin.world().add_member(group, person);
    settle(&c).await;
    let last = receiver.items().pop().expect("a notification");
    assert_eq!(last["resource"], json!(format!("Groups/{group}")));
    assert_eq!(last["resourceData"].get("members@delta"), None);
}

#[tokio::test]
async fn one_object_or_one_kind_of_change_can_be_watched() {
    let setup = Setup::default();
    let (c, receiver) = (start(setup).await, Receiver::open().await);
    let watched = c.twin.world().hire(Hire::named("Adele Vance"));
    let other = c.twin.world().hire(Hire::named("Alex Wilber"));
    subscribe(&c, &receiver, &format!("users/{watched}")).await;
    let mut deletions = body(&receiver, "users");
    deletions["changeType"] = "deleted".into();
    assert_eq!(c.graph_send("POST", "/subscriptions", deletions).await.status, 201);
    for person in [watched, other] {
        c.twin.world().disable(person);
    }
    settle(&c).await;
    c.twin.world().hard_delete(other);
    settle(&c).await;
    let told: Vec<_> =
        receiver.items().iter().map(|i| (i["changeType"].clone(), i["resource"].clone())).collect();
    let expected = [("updated", watched), ("deleted", other)];
    assert_eq!(told, expected.map(|(kind, id)| (json!(kind), json!(format!("Users/{id}")))));
}

#[tokio::test]
async fn many_changes_go_in_few_posts_and_none_is_left_out() {
    let (c, receiver, _) = set_up("users").await;
    for number in 0..2_500 {
        c.twin
            .world()
            .hire(Hire { auth0_enterprise: false, ..Hire::named(&format!("Person Number{number}")) });
    }
    settle(&c).await;
    let mut resources = receiver.resources();
    assert!(receiver.posts().len() < 100, "{} posts", receiver.posts().len());
    resources.sort();
    resources.dedup();
    assert_eq!(resources.len(), 2_500);
}

#[tokio::test]
async fn whatever_is_no_success_is_tried_again() {
    let (c, receiver, _) = set_up("users").await;
    receiver.answer(&[503, 400, 302, 204]);
    c.twin.world().hire(Hire::named("Adele Vance"));
    settle(&c).await;
    assert_eq!(receiver.posts().len(), 4);
    let log = c.twin.deliveries().log();
    let answers: Vec<_> = log.iter().map(|one| (one.attempt, one.answer, one.given_up)).collect();
    let expected = [(1, Some(503)), (2, Some(400)), (3, Some(302)), (4, Some(204))];
    assert_eq!(answers, expected.map(|(attempt, answer)| (attempt, answer, false)));
    assert!(log.iter().all(|one| one.items == log[0].items));
}

#[tokio::test]
async fn silence_is_a_failure_and_patience_ends() {
    let patience = Patience {
        answer: Duration::from_millis(50),
        answer_again: Duration::from_millis(50),
        pause: Duration::from_millis(10),
        horizon: Duration::from_millis(250),
        ..Patience::GRAPH
    };
    let (c, receiver) = (start(Setup { patience, ..Setup::default() }).await, Receiver::open().await);
    subscribe(&c, &receiver, "users").await;
    receiver.answer(&[0; 20]);
    c.twin.world().hire(Hire::named("Adele Vance"));
    settle(&c).await;
    let log = c.twin.deliveries().log();
    let (last, before) = log.split_last().expect("attempts");
    assert!(last.given_up && !before.is_empty());
    assert!(before.iter().all(|one| !one.given_up) && log.iter().all(|one| one.answer.is_none()));
}

#[tokio::test]
async fn notifications_are_lost_doubled_and_overtaken() {
    let (c, receiver, _) = set_up("users").await;
    let people: Vec<_> =
        ["Adele Vance", "Alex Wilber", "Miriam Graham"].map(Hire::named).into_iter().collect();
    c.twin.faults().mishap("", Mishap::Lose, Times::N(1));
    c.twin.faults().mishap("", Mishap::Double, Times::N(2));
    c.twin.faults().mishap("", Mishap::Overtake, Times::N(1));
    // The first is lost and doubled: its double arrives. The second is doubled and overtaken by the third.
    let ids: Vec<_> = people.into_iter().map(|hire| c.twin.world().hire(hire)).collect();
    settle(&c).await;
    let resources = receiver.resources();
    let times = |nth: usize| resources.iter().filter(|one| **one == format!("Users/{}", ids[nth])).count();
    assert_eq!((times(0), times(1), times(2)), (1, 2, 1));
    assert_eq!(resources.last(), Some(&format!("Users/{}", ids[1])), "{resources:?}");
}

#[tokio::test]
async fn what_nobody_overtakes_goes_after_all() {
    let (c, receiver, _) = set_up("users").await;
    c.twin.faults().mishap("", Mishap::Overtake, Times::Forever);
    let ids = ["Adele Vance", "Alex Wilber"].map(|name| c.twin.world().hire(Hire::named(name)));
    settle(&c).await;
    assert_eq!(receiver.resources(), [ids[1], ids[0]].map(|id| format!("Users/{id}")));
}

#[tokio::test]
async fn notifications_come_late_or_when_they_are_let_go() {
    let (c, receiver, _) = set_up("users").await;
    c.twin.faults().mishap("", Mishap::Delay(Duration::from_millis(50)), Times::N(1));
    let late = c.twin.world().hire(Hire::named("Adele Vance"));
    let prompt = c.twin.world().hire(Hire::named("Alex Wilber"));
    settle(&c).await;
    assert_eq!(receiver.resources(), [prompt, late].map(|id| format!("Users/{id}")));
    let lift = c.twin.faults().mishap("", Mishap::Hold, Times::Forever);
    let held = c.twin.world().hire(Hire::named("Miriam Graham"));
    settle(&c).await;
    assert_eq!((receiver.items().len(), c.twin.deliveries().held()), (2, 1));
    c.twin.faults().lift(lift);
    assert_eq!(c.twin.deliveries().release(), 1);
    settle(&c).await;
    assert_eq!(receiver.resources().last(), Some(&format!("Users/{held}")));
}

#[tokio::test]
async fn nothing_goes_while_paused_or_lapsed_and_all_of_it_later() {
    let (c, receiver, id) = set_up("users").await;
    c.twin.deliveries().pause();
    c.twin.world().hire(Hire::named("Adele Vance"));
    assert!(!c.twin.deliveries().settled(Duration::from_millis(50)).await);
    assert!(receiver.posts().is_empty());
    c.twin.deliveries().resume();
    settle(&c).await;
    assert_eq!(receiver.items().len(), 1);
    c.twin.world().lapse_subscription(&id);
    c.twin.world().hire(Hire::named("Alex Wilber"));
    settle(&c).await;
    assert_eq!(receiver.items().len(), 1);
    assert_eq!(c.graph("POST", &format!("/subscriptions/{id}/reauthorize")).await.status, 204);
    assert!(c.twin.wait_until(MINUTE, |_| receiver.items().len() == 2).await);
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_told_nothing_more() {
    let (c, receiver, id) = set_up("users").await;
    c.twin.world().expire_subscription(&id);
    c.twin.world().hire(Hire::named("Adele Vance"));
    subscribe(&c, &receiver, "users").await;
    c.twin.world().hire(Hire::named("Alex Wilber"));
    settle(&c).await;
    assert_eq!(receiver.items().len(), 1, "what changed in between was told to nobody");
}

#[tokio::test]
async fn lifecycle_notifications_go_to_their_own_address() {
    let setup = Setup::default();
    let (c, receiver) = (start(setup).await, Receiver::open().await);
    let mut wanted = body(&receiver, "users");
    wanted["lifecycleNotificationUrl"] = receiver.url("/lifecycle").into();
    let made = c.graph_send("POST", "/subscriptions", wanted).await.json();
    let id = made["id"].as_str().unwrap();
    let events = [Lifecycle::ReauthorizationRequired, Lifecycle::Missed, Lifecycle::SubscriptionRemoved];
    for event in events {
        assert!(c.twin.deliveries().lifecycle(id, event));
        settle(&c).await;
    }
    assert!(!c.twin.deliveries().lifecycle(id, Lifecycle::Missed), "it was removed");
    assert!(receiver.posts().iter().all(|post| post.target == "/lifecycle"));
    let items = receiver.items();
    let words: Vec<_> = items.iter().map(|item| item["lifecycleEvent"].as_str().unwrap()).collect();
    assert_eq!(words, ["reauthorizationRequired", "missed", "subscriptionRemoved"]);
    for item in &items {
        assert_eq!((&item["subscriptionId"], &item["clientState"]), (&json!(id), &json!("state-4b1d")));
        assert_eq!((item.get("changeType"), item.get("resourceData")), (None, None));
    }
}

#[tokio::test]
async fn nothing_is_left_running_when_the_twin_is_dropped() {
    let (c, receiver, _) = set_up("users").await;
    receiver.answer(&[503; 1_000]);
    c.twin.world().hire(Hire::named("Adele Vance"));
    assert!(c.twin.wait_until(MINUTE, |_| receiver.posts().len() > 1).await);
    let (url, http) = (c.twin.urls().graph_url, reqwest::Client::new());
    drop(c);
    let mut gone = false;
    for _ in 0..1_000 {
        gone = http.get(&url).send().await.is_err_and(|error| error.is_connect());
        if gone {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(gone);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks < 10, "{tasks} tasks: the receiver's own and the connections of two clients");
}
