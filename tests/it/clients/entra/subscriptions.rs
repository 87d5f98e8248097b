//! Subscriptions: made, renewed, ended, and every way to be refused.

use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::post;
use lockstep::clock::{self, Clock, Timestamp};
use lockstep::entra::{Error, LIFETIME_MOST, SubscriptionId, Subscriptions, Wanted};
use lockstep::retry::WhatNow;
use lockstep_twin::{Fault, Match, Setup, Times, Twin, Vendor};

use crate::clients::{Vendors, vendors, with_setup};

const CLIENT_STATE: &str = "a-client-state-that-nobody-sees";

#[derive(serde::Deserialize)]
struct Handshake {
    #[serde(rename = "validationToken")]
    token: String,
}

/// A server that proves itself to Graph at `/webhooks/graph` and is not there at `/elsewhere`.
async fn door() -> reqwest::Url {
    let app = axum::Router::new()
        .route("/webhooks/graph", post(async |Query(handshake): Query<Handshake>| handshake.token))
        .route("/elsewhere", post(async || StatusCode::NOT_FOUND));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/graph", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url.parse().unwrap()
}

/// The twin looks at the real time; Graph shows tenths of microseconds, so whole seconds come back as they went.
fn in_days(days: u64) -> Timestamp {
    let second = Timestamp::from_second(now().as_second()).unwrap();
    clock::after(second, Duration::from_secs(days * 86_400))
}

fn now() -> Timestamp {
    clock::SystemClock.now()
}

fn wanted(resource: &str, door: &reqwest::Url) -> Wanted {
    Wanted {
        resource: resource.into(),
        change_type: "updated,deleted".into(),
        notification_url: door.clone(),
        lifecycle_url: door.clone(),
        client_state: CLIENT_STATE.into(),
        expires: in_days(2),
    }
}

fn subscriptions(v: &Vendors) -> Subscriptions {
    v.clock.set(now());
    v.entra.subscriptions().unwrap()
}

fn nothing() -> SubscriptionId {
    SubscriptionId("00000000-0000-0000-0000-000000000001".parse().unwrap())
}

fn own(twin: &Twin) -> Vec<String> {
    twin.world().subscriptions().map(|one| one.id.clone()).collect()
}

#[tokio::test]
async fn one_is_made_found_renewed_and_ended() {
    let v = vendors().await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let made = subscriptions.create(&wanted("users", &door)).await.unwrap();
    assert_eq!((made.resource.as_str(), made.change_type.as_str()), ("users", "updated,deleted"));
    assert_eq!(
        (made.notification_url.as_str(), made.lifecycle_url.as_deref()),
        (door.as_str(), Some(door.as_str()))
    );
    assert_eq!(made.application_id.as_deref(), Some(v.twin.setup().entra_client_id.as_str()));
    assert_eq!(subscriptions.get(made.id).await.unwrap(), made);
    let groups = subscriptions.create(&wanted("groups", &door)).await.unwrap();
    let mut all: Vec<_> = subscriptions.list().await.unwrap().into_iter().map(|one| one.id).collect();
    let mut expected = vec![made.id, groups.id];
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    let later = in_days(20);
    let renewed = subscriptions.renew(made.id, later).await.unwrap();
    assert_eq!((renewed.id, renewed.expires), (made.id, later));
    subscriptions.delete(made.id).await.unwrap();
    assert!(subscriptions.get(made.id).await.unwrap_err().is_gone());
    assert!(subscriptions.renew(made.id, later).await.unwrap_err().is_gone());
    assert!(subscriptions.delete(made.id).await.unwrap_err().is_gone());
    crate::contract::assert_kept(&v.twin);
    v.done();
}

#[tokio::test]
async fn nobody_asks_for_a_longer_life_than_there_is() {
    let v = vendors().await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let made =
        subscriptions.create(&Wanted { expires: in_days(365), ..wanted("users", &door) }).await.unwrap();
    assert!(made.expires <= clock::after(now(), LIFETIME_MOST));
    assert!(made.expires > in_days(28));
    v.done();
}

#[tokio::test]
async fn a_second_one_for_the_same_is_told_with_the_first() {
    let v = vendors().await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let made = subscriptions.create(&wanted("users", &door)).await.unwrap();
    let second = subscriptions.create(&wanted("users", &door)).await.unwrap_err();
    assert_eq!(second, Error::Duplicate { id: Some(made.id) });
    v.done();
}

#[tokio::test]
async fn an_address_that_does_not_prove_itself_is_for_a_person() {
    let v = vendors().await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let elsewhere = door.join("/elsewhere").unwrap();
    let refused = subscriptions.create(&wanted("users", &elsewhere)).await.unwrap_err();
    assert!(matches!(refused, Error::ValidationFailed { .. }), "{refused}");
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    assert!(own(&v.twin).is_empty());
    v.done();
}

#[tokio::test]
async fn a_used_up_quota_and_a_missing_permission_are_told_apart() {
    let v = with_setup(Setup { subscriptions_per_app: 0, ..Setup::unlimited() }).await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let full = subscriptions.create(&wanted("users", &door)).await.unwrap_err();
    assert!(matches!(full, Error::Quota { .. }), "{full}");
    assert_eq!(full.what_now(), WhatNow::AskHuman);
    for permission in ["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"] {
        v.twin.world().revoke_graph_permission(permission);
    }
    let refused = subscriptions.create(&wanted("groups", &door)).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden { needs: "Group.Read.All", .. }), "{refused}");
    v.done();
}

#[tokio::test]
async fn a_lost_reply_leaves_open_whether_there_is_one_and_the_list_tells() {
    let v = vendors().await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let wanted_call = Match::vendor(Vendor::Graph).method("POST").route("/subscriptions");
    v.twin.faults().inject(wanted_call, Fault::LoseReply, Times::N(1));
    let lost = subscriptions.create(&wanted("users", &door)).await.unwrap_err();
    let Error::Trouble { trouble, .. } = lost else { panic!("{lost}") };
    assert!(trouble.leaves_outcome_open());
    assert_eq!(subscriptions.list().await.unwrap().len(), 1);
    v.done();
}

#[tokio::test]
async fn throttling_here_does_not_hold_up_the_directory() {
    let v = vendors().await;
    let subscriptions = subscriptions(&v);
    let throttle = Fault::Throttle { retry_after: Some("7".into()) };
    v.twin.faults().inject(Match::vendor(Vendor::Graph).route("/subscriptions"), throttle, Times::N(1));
    let throttled = subscriptions.list().await.unwrap_err();
    assert_eq!(throttled.what_now(), WhatNow::RetryAt(v.clock.after(Duration::from_secs(7))));
    let nobody = crate::clients::object(lockstep_twin::PersonId::nobody());
    v.graph().person(nobody).await.unwrap();
    assert!(!subscriptions.get(nothing()).await.unwrap_err().is_gone(), "held back");
    v.done();
}

#[tokio::test]
async fn the_client_state_is_in_no_text() {
    let v = vendors().await;
    let (subscriptions, door) = (subscriptions(&v), door().await);
    let wanted = wanted("users", &door);
    let made = subscriptions.create(&wanted).await.unwrap();
    let second = subscriptions.create(&wanted).await.unwrap_err();
    let shown = format!("{wanted:?} {made:?} {second:?} {second} {subscriptions:?}");
    assert!(!shown.contains(CLIENT_STATE), "{shown}");
    v.done();
}
