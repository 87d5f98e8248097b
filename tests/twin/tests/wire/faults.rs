//! How the world misbehaves, seen from outside.

use crate::client::{Client, encoded, start};
use lockstep_twin::{AccountId, Fault, Hire, Match, Outcome, Setup, Times, Vendor};
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn adele(c: &Client) -> AccountId {
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    c.twin.world().accounts_of(person)[0].clone()
}

fn patch(c: &Client, account: &str) -> reqwest::RequestBuilder {
    c.auth0_request("PATCH", &format!("/users/{}", encoded(account)), Some(json!({"blocked": true})))
}

#[tokio::test]
async fn a_lost_reply_has_written() {
    let c = start(Setup::default()).await;
    let account = adele(&c);
    c.twin.faults().inject(Match::vendor(Vendor::Auth0).method("PATCH"), Fault::LoseReply, Times::N(1));
    assert!(patch(&c, &account).send().await.is_err());
    assert!(c.twin.world().account(&account).blocked);
    assert_eq!(c.twin.journal().requests().last().map(|entry| entry.outcome), Some(Outcome::ReplyLost));
    assert_eq!(c.twin.journal().writes(Vendor::Auth0), 1);
}

#[tokio::test]
async fn a_refused_request_has_not() {
    let c = start(Setup::default()).await;
    let account = adele(&c);
    c.twin.faults().inject(Match::vendor(Vendor::Auth0).route("/users/{id}"), Fault::Refuse, Times::Forever);
    assert!(patch(&c, &account).send().await.is_err());
    assert!(!c.twin.world().account(&account).blocked);
    assert_eq!(c.twin.journal().writes(Vendor::Auth0), 0);
    c.twin.faults().clear();
    assert_eq!(c.send(patch(&c, &account)).await.status, 200);
}

#[tokio::test]
async fn throttling_says_when_only_if_told() {
    let c = start(Setup::default()).await;
    let account = adele(&c);
    let all = Match::vendor(Vendor::Auth0);
    c.twin.faults().inject(all.clone(), Fault::Throttle { retry_after: Some("2.128".into()) }, Times::N(1));
    c.twin.faults().inject(all, Fault::Throttle { retry_after: None }, Times::N(1));
    let first = c.send(patch(&c, &account)).await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("2.128")));
    assert!(first.header("x-ratelimit-reset").is_some());
    let second = c.send(patch(&c, &account)).await;
    assert_eq!((second.status, second.header("retry-after")), (429, None));
    assert_eq!(c.send(patch(&c, &account)).await.status, 200);
}

#[tokio::test]
async fn a_stalled_reply_has_been_performed_meanwhile() {
    let c = start(Setup::default()).await;
    let account = adele(&c);
    c.twin.faults().inject(Match::vendor(Vendor::Auth0), Fault::Stall(MINUTE), Times::N(1));
    let stalled = tokio::spawn(patch(&c, &account).send());
    let seen = c.twin.journal().wait_for(|entry| &*entry.method == "PATCH", MINUTE).await;
    assert_eq!(seen.map(|entry| entry.status), Some(200));
    assert!(c.twin.world().account(&account).blocked);
    assert!(!stalled.is_finished());
    stalled.abort();
}

#[tokio::test]
async fn an_expired_token_is_refused_until_there_is_a_new_one() {
    let mut c = start(Setup::default()).await;
    let account = adele(&c);
    c.twin.faults().inject(Match::vendor(Vendor::Auth0), Fault::ExpireToken, Times::N(1));
    assert_eq!(c.send(patch(&c, &account)).await.status, 401);
    assert_eq!(c.send(patch(&c, &account)).await.status, 401, "expired for good");
    c.auth0_token = c.management_token(&[]).await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(c.send(patch(&c, &account)).await.status, 200);
}

#[tokio::test]
async fn a_vendor_that_is_down_refuses_connections_and_comes_back_on_its_port() {
    let c = start(Setup::default()).await;
    let account = adele(&c);
    assert_eq!(c.send(patch(&c, &account)).await.status, 200);
    c.twin.faults().down(Vendor::Auth0);
    // The listener closes a moment after the call; a request that still slips in is hung up on.
    let mut refused = false;
    for _ in 0..1_000 {
        let error = patch(&c, &account).send().await.expect_err("nobody answers");
        refused = error.is_connect();
        if refused {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused, "connection refused");
    let url = format!("{}/v1.0/organization", c.twin.urls().graph_url);
    let graph = c.http.get(url).header("authorization", format!("Bearer {}", c.graph_token));
    assert_eq!(c.send(graph).await.status, 200, "the others are up");
    c.twin.faults().up(Vendor::Auth0);
    let mut back = None;
    for _ in 0..1_000 {
        back = patch(&c, &account).send().await.ok();
        if back.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(back.map(|answer| answer.status().as_u16()), Some(200));
}

#[tokio::test]
async fn graph_can_be_down_while_the_login_beside_it_is_up() {
    let c = start(Setup::default()).await;
    c.twin.faults().down(Vendor::Graph);
    let url = format!("{}/v1.0/organization", c.twin.urls().graph_url);
    assert!(c.http.get(url).send().await.is_err());
    assert_eq!(c.entra_token(&[]).await.status, 200);
}

#[tokio::test]
async fn the_world_can_change_right_after_a_request() {
    let c = start(Setup::default()).await;
    let account = adele(&c);
    let gone = account.clone();
    c.twin
        .faults()
        .after(Match::vendor(Vendor::Auth0).method("PATCH"), 2, move |world| world.delete_account(&gone));
    assert_eq!(c.send(patch(&c, &account)).await.status, 200);
    assert_eq!(c.send(patch(&c, &account)).await.status, 200);
    assert_eq!(c.send(patch(&c, &account)).await.status, 404);
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_twin() {
    let c = start(Setup::default()).await;
    let (url, http) = (c.twin.urls().auth0_url, reqwest::Client::new());
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
}
