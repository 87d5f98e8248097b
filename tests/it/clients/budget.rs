//! The shares of the vendors' rate limits that we take, and the part of them that is containment's.

use futures_util::future::join_all;
use lockstep::case::Means;
use lockstep::event::Lane;
use lockstep::retry::WhatNow;
use lockstep_twin::{RateLimit, Setup, Vendor};

use super::{Vendors, stamp, with};

async fn limited(limit: RateLimit) -> Vendors {
    let setup = Setup { rate_limit: Some(limit), ..Setup::unlimited() };
    with(
        setup,
        |_| {},
        |auth0| {
            auth0.requests_per_second = limit.per_second;
            auth0.burst = limit.burst;
        },
    )
    .await
}

#[tokio::test]
async fn a_containment_gets_through_while_sync_has_used_up_its_share() {
    let v = limited(RateLimit::ENTERPRISE).await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.reader().account(&account).await.unwrap();
    let storm = tokio::spawn({
        let (reader, account) = (v.auth0.reader(Lane::Sync), account.clone());
        async move { join_all((0..300).map(|_| reader.account(&account))).await }
    });
    // Sync's share of the burst of fifty is thirty-five, less what has gone already.
    let spent = |entry: &lockstep_twin::Entry| entry.vendor == Vendor::Auth0 && entry.seq >= 34;
    v.twin.journal().wait_for(spent, std::time::Duration::from_secs(10)).await.expect("a storm");
    for _ in 0..5 {
        v.writer().block(&account, &stamp(ada)).await.unwrap();
        v.writer().end_access(&account, Means::RevokeAccess).await.unwrap();
    }
    assert!(!storm.is_finished(), "the storm goes on behind it");
    let told: Vec<_> = storm.await.unwrap().into_iter().filter_map(Result::err).collect();
    assert!(!told.is_empty(), "300 do not fit into five seconds");
    for error in told {
        assert!(matches!(error.what_now(), WhatNow::RetryAt(_)), "{error}");
        assert!(!error.is_vendor_away(), "Auth0 is well; it is our own share that is spent: {error}");
    }
    let throttled = v.twin.journal().requests().iter().filter(|entry| entry.status == 429).count();
    assert_eq!(throttled, 0, "the tenant's limit was never met");
    v.done();
}

#[tokio::test]
async fn what_others_use_of_the_limit_is_not_ours() {
    let v = limited(RateLimit { burst: 50, per_second: 0.01 }).await;
    let (_, account) = v.hire("Ada Lovelace");
    let other =
        lockstep::outbound::Deps { clock: v.clock.clone(), metrics: lockstep::telemetry::Metrics::new() };
    let mut settings = super::auth0_settings(&v.twin);
    settings.requests_per_second = 1000.0;
    let greedy = lockstep::auth0::Client::new(&settings, &other).unwrap();
    for _ in 0..45 {
        greedy.reader(Lane::Contain).account(&account).await.unwrap();
    }
    v.reader().account(&account).await.unwrap();
    let text = v.metrics.render();
    let line = "lockstep_vendor_budget_remaining_ratio{vendor=\"auth0\",class=\"sync\"} 0";
    assert!(text.contains(line), "one answer told that little is left:\n{text}");
    v.done();
}

#[tokio::test]
async fn the_pace_towards_graph_is_the_one_that_was_set() {
    let v = with(Setup::default(), |graph| graph.resource_units_per_second = 2, |_| {}).await;
    let (ada, _) = v.hire("Ada Lovelace");
    let started = std::time::Instant::now();
    // Two seconds of the pace may come at once: four reads of one unit each. The next two wait for theirs.
    for _ in 0..6 {
        v.graph().person(ada).await.unwrap();
    }
    assert!(started.elapsed() >= std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    v.done();
}
