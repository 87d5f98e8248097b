//! Subscriptions: made with a handshake, bounded, renewed, reauthorized, gone without a word.

use crate::client::{Client, Got, start};
use crate::receiver::{Manner, Receiver};
use jiff::{SignedDuration, Timestamp};
use lockstep_twin::{Patience, Setup};
use serde_json::{Value, json};
use std::time::Duration;

fn ahead(minutes: i64) -> String {
    (Timestamp::now() + SignedDuration::from_mins(minutes)).to_string()
}

pub fn body(receiver: &Receiver, resource: &str) -> Value {
    json!({
        "changeType": "updated,deleted",
        "notificationUrl": receiver.url("/webhooks/graph?t=1"),
        "lifecycleNotificationUrl": receiver.url("/webhooks/graph?t=1"),
        "resource": resource,
        "expirationDateTime": ahead(10_000),
        "clientState": "state-4b1d",
        "latestSupportedTlsVersion": "v1_2",
    })
}

/// Subscribes and returns the id.
pub async fn subscribe(c: &Client, receiver: &Receiver, resource: &str) -> String {
    let made = c.graph_send("POST", "/subscriptions", body(receiver, resource)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.json()["id"].as_str().expect("an id").to_owned()
}

fn minutes_left(got: &Got) -> i64 {
    let expires: Timestamp = got.json()["expirationDateTime"].as_str().unwrap().parse().unwrap();
    (expires.as_second() - Timestamp::now().as_second() + 30) / 60
}

#[tokio::test]
async fn a_subscription_is_made_with_a_handshake_for_each_url() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let made = c.graph_send("POST", "/subscriptions", body(&receiver, "users")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let shown = made.json();
    assert_eq!((&shown["resource"], &shown["clientState"]), (&json!("users"), &json!("state-4b1d")));
    assert_eq!(shown["applicationId"], json!(c.twin.setup().entra_client_id));
    let handshakes = receiver.received();
    assert_eq!(handshakes.len(), 2, "one for each URL, although they are the same");
    for one in &handshakes {
        assert!(one.target.starts_with("/webhooks/graph?t=1&validationToken=Validation%3A%20"), "{one:?}");
        assert_eq!(one.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!((one.method.as_str(), one.body.as_str()), ("POST", ""));
    }
    let id = shown["id"].as_str().unwrap();
    assert_eq!(c.graph("GET", &format!("/subscriptions/{id}")).await.json()["id"], json!(id));
    assert_eq!(c.graph("GET", "/subscriptions").await.json()["value"][0]["id"], json!(id));
    assert_eq!(c.graph("DELETE", &format!("/subscriptions/{id}")).await.status, 204);
    for method in ["GET", "DELETE"] {
        let gone = c.graph(method, &format!("/subscriptions/{id}")).await;
        assert_eq!((gone.status, &gone.json()["error"]["code"]), (404, &json!("ResourceNotFound")));
    }
    c.assert_no_complaints();
}

#[tokio::test]
async fn an_endpoint_that_does_not_echo_gets_no_subscription() {
    let patience = Patience { handshake: Duration::from_millis(200), ..Patience::GRAPH };
    let (c, receiver) = (start(Setup { patience, ..Setup::default() }).await, Receiver::open().await);
    for manner in [Manner::Encoded, Manner::Status(202), Manner::Html, Manner::Silent] {
        receiver.behave(manner);
        let refused = c.graph_send("POST", "/subscriptions", body(&receiver, "users")).await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("ValidationError")));
    }
    assert_eq!(c.twin.world().subscriptions().count(), 0);
    receiver.behave(Manner::Echo);
    let id = subscribe(&c, &receiver, "users").await;
    receiver.behave(Manner::Status(500));
    let elsewhere = json!({ "notificationUrl": receiver.url("/other") });
    let path = format!("/subscriptions/{id}");
    assert_eq!(c.graph_send("PATCH", &path, elsewhere.clone()).await.status, 400);
    receiver.behave(Manner::Echo);
    let moved = c.graph_send("PATCH", &path, elsewhere).await;
    assert_eq!(moved.json()["notificationUrl"], json!(receiver.url("/other")));
    c.assert_no_complaints();
}

#[tokio::test]
async fn what_graph_would_not_take_is_refused() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let wrong = [
        ("changeType", Value::Null),
        ("changeType", json!("updated,renamed")),
        ("resource", Value::Null),
        ("resource", json!("me/messages")),
        ("notificationUrl", Value::Null),
        ("notificationUrl", json!("http://lockstep.example/webhooks/graph")),
        ("lifecycleNotificationUrl", json!("ftp://127.0.0.1/")),
        ("expirationDateTime", Value::Null),
        ("expirationDateTime", json!("tomorrow")),
        ("expirationDateTime", json!(ahead(41_765))),
        ("clientState", json!("x".repeat(129))),
        ("latestSupportedTlsVersion", json!("v2_0")),
        ("includeResourceData", json!(true)),
        ("vapidPublicKey", json!("x")),
    ];
    for (name, value) in wrong {
        let mut body = body(&receiver, "users");
        body[name] = value;
        let refused = c.graph_send("POST", "/subscriptions", body).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (400, &json!("InvalidRequest")),
            "{name}"
        );
    }
    assert_eq!(receiver.received().len(), 0, "nobody is called before the body is right");
    let complaints = c.twin.journal().complaints();
    assert_eq!(complaints.len(), 3, "resource, rich and unknown property: {complaints:?}");
}

#[tokio::test]
async fn lifetimes_have_a_floor_and_a_ceiling() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let mut short = body(&receiver, "users");
    short["expirationDateTime"] = ahead(5).into();
    let made = c.graph_send("POST", "/subscriptions", short).await;
    assert_eq!((made.status, minutes_left(&made)), (201, 45));
    let path = format!("/subscriptions/{}", made.json()["id"].as_str().unwrap());
    let renewed = c.graph_send("PATCH", &path, json!({ "expirationDateTime": ahead(41_760) })).await;
    assert_eq!((renewed.status, minutes_left(&renewed)), (200, 41_760));
    let later = c.graph_send("PATCH", &path, json!({ "expirationDateTime": ahead(41_765) })).await;
    assert_eq!(later.status, 400);
    c.assert_no_complaints();
    for (name, value) in [("lifecycleNotificationUrl", receiver.url("/new")), ("clientState", "new".into())] {
        assert_eq!(c.graph_send("PATCH", &path, json!({ name: value })).await.status, 400);
    }
    assert_eq!(c.twin.journal().complaints().len(), 2);
}

#[tokio::test]
async fn duplicates_and_quotas_are_refused_and_say_which() {
    let setup = Setup { subscriptions_per_app: 1, subscriptions_per_tenant: 2, ..Setup::default() };
    let (c, receiver) = (start(setup).await, Receiver::open().await);
    let id = subscribe(&c, &receiver, "users").await;
    let mut same = body(&receiver, "/Users/");
    same["changeType"] = "deleted, updated".into();
    let twice = c.graph_send("POST", "/subscriptions", same).await;
    assert_eq!(twice.status, 409);
    let text = format!("Subscription Id <{id}> already exists for the requested combination");
    assert_eq!(twice.json()["error"]["message"], json!(text));
    let mut other = body(&receiver, "users");
    other["changeType"] = "deleted".into();
    let full = c.graph_send("POST", "/subscriptions", other.clone()).await;
    assert_eq!((full.status, &full.json()["error"]["code"]), (403, &json!("ExtensionError")));
    assert!(full.text.contains("limit of 1"), "{}", full.text);
    c.twin.world().expire_subscription(&id);
    for _ in 0..2 {
        c.twin.world().subscribe_elsewhere("users", "updated");
    }
    let full = c.graph_send("POST", "/subscriptions", other).await;
    assert!(full.status == 403 && full.text.contains("limit of 2"), "{}", full.text);
    subscribe(&c, &receiver, "groups").await;
    c.assert_no_complaints();
}

#[tokio::test]
async fn each_resource_wants_its_own_permission_and_each_application_sees_its_own() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let groups = subscribe(&c, &receiver, "groups").await;
    let foreign = c.twin.world().subscribe_elsewhere("users", "updated");
    assert_eq!(c.graph("GET", "/subscriptions").await.json()["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(c.graph("GET", &format!("/subscriptions/{foreign}")).await.status, 404);
    c.twin.world().revoke_graph_permission("Group.Read.All");
    subscribe(&c, &receiver, "users").await;
    let path = format!("/subscriptions/{groups}");
    for refused in [
        c.graph_send("POST", "/subscriptions", body(&receiver, "groups/a")).await,
        c.graph_send("PATCH", &path, json!({ "expirationDateTime": ahead(100) })).await,
        c.graph("GET", &path).await,
    ] {
        let code = &refused.json()["error"]["code"];
        assert_eq!((refused.status, code), (403, &json!("Authorization_RequestDenied")));
    }
    c.assert_no_complaints();
}

#[tokio::test]
async fn an_expired_subscription_is_gone_without_a_word() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let id = subscribe(&c, &receiver, "users").await;
    c.twin.world().set_subscription_expiry(&id, Timestamp::now());
    let path = format!("/subscriptions/{id}");
    assert_eq!(c.graph("GET", &path).await.status, 404);
    assert_eq!(c.graph_send("PATCH", &path, json!({ "expirationDateTime": ahead(100) })).await.status, 404);
    assert_eq!(c.graph("POST", &format!("{path}/reauthorize")).await.status, 404);
    assert_eq!(c.graph("GET", "/subscriptions").await.json()["value"], json!([]));
    subscribe(&c, &receiver, "users").await;
    assert!(receiver.posts().is_empty());
    c.assert_no_complaints();
}

#[tokio::test]
async fn renewing_and_reauthorizing_together_is_loud() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let path = format!("/subscriptions/{}", subscribe(&c, &receiver, "users").await);
    let renewal = json!({ "expirationDateTime": ahead(100) });
    for _ in 0..2 {
        assert_eq!(c.graph("POST", &format!("{path}/reauthorize")).await.status, 204);
    }
    c.assert_no_complaints();
    assert_eq!(c.graph_send("PATCH", &path, renewal.clone()).await.status, 200);
    assert_eq!(c.twin.journal().complaints().len(), 1);
    c.twin.journal().clear();
    let path = format!("/subscriptions/{}", subscribe(&c, &receiver, "groups").await);
    assert_eq!(c.graph_send("PATCH", &path, renewal).await.status, 200);
    assert_eq!(c.graph("POST", &format!("{path}/reauthorize")).await.status, 204);
    assert_eq!(c.twin.journal().complaints().len(), 1);
}

#[tokio::test]
async fn the_list_may_be_asked_for_twenty_five_times() {
    let (c, receiver) = (start(Setup::default()).await, Receiver::open().await);
    let id = subscribe(&c, &receiver, "users").await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(c.graph("GET", "/subscriptions").await.status);
    }
    assert!(statuses[..25].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(c.graph("GET", &format!("/subscriptions/{id}")).await.status, 200, "another limit");
    let c = start(Setup::unlimited()).await;
    for _ in 0..60 {
        assert_eq!(c.graph("GET", "/subscriptions").await.status, 200);
    }
}
