//! Tokens: one login for all who wait, a new one when the old is refused or about to die, and what refusals mean.

use std::time::Duration;

use futures_util::future::join_all;
use lockstep::event::Lane;
use lockstep::retry::WhatNow;
use lockstep_twin::{Fault, Hire, Match, Setup, Times, Vendor};

use super::{Vendors, object, stamp, vendors, with};

const AUTH0_TOKEN: &str = "POST /oauth/token";
const ENTRA_TOKEN: &str = "POST /{tenant}/oauth2/v2.0/token";

#[tokio::test]
async fn a_crowd_logs_in_once() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    let (reader, graph) = (v.reader(), v.graph());
    let crowd = join_all((0..50).map(|_| reader.account(&account))).await;
    assert!(crowd.iter().all(Result::is_ok));
    let crowd = join_all((0..50).map(|_| graph.person(ada))).await;
    assert!(crowd.iter().all(Result::is_ok));
    assert_eq!(v.twin.journal().count(Vendor::Auth0, AUTH0_TOKEN), 1);
    assert_eq!(v.twin.journal().count(Vendor::Login, ENTRA_TOKEN), 1);
    v.done();
}

#[tokio::test]
async fn a_token_that_expires_mid_way_costs_one_login_and_no_second_write() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.reader().account(&account).await.unwrap();
    v.graph().person(ada).await.unwrap();
    let wanted = Match::vendor(Vendor::Auth0).method("PATCH");
    v.twin.faults().inject(wanted, Fault::ExpireToken, Times::N(1));
    v.twin.faults().inject(Match::vendor(Vendor::Graph), Fault::ExpireToken, Times::N(1));
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.graph().person(ada).await.unwrap();
    assert_eq!(v.twin.journal().count(Vendor::Auth0, AUTH0_TOKEN), 2);
    assert_eq!(v.twin.journal().count(Vendor::Login, ENTRA_TOKEN), 2);
    assert_eq!(v.twin.journal().writes(Vendor::Auth0), 1);
    v.done();
}

#[tokio::test]
async fn a_vendor_that_refuses_every_token_is_asked_twice_and_then_a_person_is() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.faults().inject(Match::vendor(Vendor::Auth0).method("PATCH"), Fault::ExpireToken, Times::Forever);
    let refused = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::AskHuman, "{refused}");
    assert!(!refused.is_outcome_unknown() && !refused.is_vendor_away());
    assert_eq!(v.twin.journal().count(Vendor::Auth0, "PATCH /api/v2/users/{id}"), 2);
    v.done();
}

#[tokio::test]
async fn a_permission_that_was_granted_is_seen_without_waiting_for_the_token_to_die() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.world().revoke_auth0_scope("update:users");
    v.twin.world().revoke_auth0_scope("update:users_app_metadata");
    v.twin.world().revoke_graph_permission("User.Read.All");
    for _ in 0..3 {
        let refused = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
        assert_eq!(refused.what_now(), WhatNow::AskHuman, "{refused}");
        assert_eq!(v.graph().person(ada).await.unwrap_err().what_now(), WhatNow::AskHuman);
    }
    assert_eq!(v.twin.journal().count(Vendor::Auth0, AUTH0_TOKEN), 1, "no login per refusal");
    v.twin.world().grant_auth0_scope("update:users");
    v.twin.world().grant_auth0_scope("update:users_app_metadata");
    v.twin.world().grant_graph_permission("User.Read.All");
    v.clock.advance(Duration::from_secs(10));
    v.writer().block(&account, &stamp(ada)).await.unwrap_err();
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.graph().person(ada).await.unwrap_err();
    v.graph().person(ada).await.unwrap();
    assert_eq!(v.twin.journal().count(Vendor::Auth0, AUTH0_TOKEN), 2);
    v.done();
}

#[tokio::test]
async fn a_token_about_to_die_is_replaced_while_it_still_works() {
    let v = vendors().await;
    let (_, account) = v.hire("Ada Lovelace");
    v.reader().account(&account).await.unwrap();
    // The token endpoint is away just when the token should be replaced: nobody notices.
    let down = v.twin.faults().inject(
        Match::vendor(Vendor::Auth0).route("/oauth/token"),
        Fault::Status(503),
        Times::Forever,
    );
    v.clock.advance(Duration::from_secs(86_400 - 200));
    v.reader().account(&account).await.unwrap();
    let again = |n: usize| nth_login(&v, n);
    assert!(again(2).await, "it was tried in the background");
    v.reader().account(&account).await.unwrap();
    v.twin.faults().lift(down);
    v.clock.advance(Duration::from_secs(20));
    v.reader().account(&account).await.unwrap();
    assert!(again(3).await, "and again a little later");
    v.clock.advance(Duration::from_secs(3600));
    v.reader().account(&account).await.unwrap();
    assert_eq!(v.twin.journal().count(Vendor::Auth0, AUTH0_TOKEN), 3, "the new one is in use");
    v.done();
}

/// Whether there have been, or soon are, `n` logins at Auth0.
async fn nth_login(v: &Vendors, n: usize) -> bool {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let one_more = |entry: &lockstep_twin::Entry| {
        let login = usize::from(entry.route == AUTH0_TOKEN);
        seen.fetch_add(login, std::sync::atomic::Ordering::Relaxed) + login >= n
    };
    v.twin.journal().wait_for(one_more, Duration::from_secs(10)).await.is_some()
}

#[tokio::test]
async fn a_dead_token_endpoint_is_trouble_that_passes_and_leaves_no_write_in_doubt() {
    let v = vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    for fault in [
        Fault::Status(500),
        Fault::Refuse,
        Fault::LoseReply,
        Fault::Throttle { retry_after: None },
        Fault::Throttle { retry_after: Some("7".into()) },
    ] {
        let named = matches!(&fault, Fault::Throttle { retry_after: Some(_) });
        v.twin.faults().inject(
            Match::vendor(Vendor::Auth0).route("/oauth/token"),
            fault.clone(),
            Times::N(1),
        );
        v.twin.faults().inject(Match::vendor(Vendor::Login), fault.clone(), Times::N(1));
        let write = v.writer().block(&account, &stamp(ada)).await.unwrap_err();
        let read = v.graph().person(ada).await.unwrap_err();
        assert!(write.is_vendor_away() && !write.is_outcome_unknown(), "{fault:?}: {write}");
        assert!(read.is_vendor_away(), "{fault:?}: {read}");
        let at = WhatNow::RetryAt(v.clock.after(Duration::from_secs(7)));
        assert_eq!(write.what_now() == at, named, "{fault:?}: {write}");
        assert_eq!(read.what_now() == at, named, "{fault:?}: {read}");
    }
    assert_eq!(v.management_requests(), 0);
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.done();
}

#[tokio::test]
async fn wrong_credentials_are_for_a_person_and_are_not_shown() {
    let secret = "wrong-secret-value";
    let v = with(
        Setup::unlimited(),
        |entra| {
            let client_id = entra.credential.client_id().unwrap().to_owned();
            entra.credential = lockstep::entra::Credential::Secret { client_id, secret: secret.into() };
        },
        |auth0| auth0.client_secret = secret.to_owned().into(),
    )
    .await;
    let (ada, account) = v.hire("Ada Lovelace");
    let graph = v.graph().person(ada).await.unwrap_err();
    let auth0 = v.reader().account(&account).await.unwrap_err();
    assert_eq!((graph.what_now(), auth0.what_now()), (WhatNow::AskHuman, WhatNow::AskHuman));
    assert!(!graph.is_vendor_away() && !auth0.is_vendor_away());
    assert!(
        graph.to_string().starts_with("entra token: AADSTS7000215: the client secret is wrong"),
        "{graph}"
    );
    let shown = format!("{graph} {graph:?} {auth0} {auth0:?}");
    assert!(!shown.contains(secret), "{shown}");
    v.done();
}

#[tokio::test]
async fn both_lanes_share_one_token() {
    let v = vendors().await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    for lane in Lane::ALL {
        v.entra.reader(lane).person(person).await.unwrap();
        v.auth0.reader(lane).accounts_of(person).await.unwrap();
    }
    assert_eq!(v.twin.journal().count(Vendor::Auth0, AUTH0_TOKEN), 1);
    assert_eq!(v.twin.journal().count(Vendor::Login, ENTRA_TOKEN), 1);
    v.done();
}
