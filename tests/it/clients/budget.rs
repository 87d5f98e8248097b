//! The shares of the vendors' rate limits that we take, and the part of them that is containment's.

use std::time::Duration;

use futures_util::future::join_all;
use lockstep::case::Means;
use lockstep::event::Lane;
use lockstep::policy::sync::Target;
use lockstep::retry::WhatNow;
use lockstep_twin::{Fault, Match, Plan, RateLimit, Setup, Times, Vendor};

use super::{Vendors, stamp, with, with_setup};

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
    v.twin.journal().wait_for(spent, Duration::from_secs(10)).await.expect("a storm");
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

/// Essentials: a limit for each kind of request, none of the tenant's.
async fn small_plan() -> Vendors {
    with_setup(Setup { plan: Plan::Essentials, endpoint_limits: true, ..Setup::unlimited() }).await
}

fn throttle(seconds: &str) -> Fault {
    Fault::Throttle { retry_after: Some(seconds.into()) }
}

#[tokio::test]
async fn what_one_kind_of_request_has_used_up_stops_no_other() {
    let v = small_plan().await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.twin.faults().inject(Match::vendor(Vendor::Auth0).route("/roles"), throttle("60"), Times::N(1));
    let until = v.clock.after(Duration::from_secs(60));
    for lane in Lane::ALL {
        let held = v.auth0.reader(lane).roles_of(&account).await.unwrap_err();
        assert_eq!(held.what_now(), WhatNow::RetryAt(until), "{held}");
        assert!(held.is_kind_throttled() && !held.is_vendor_away() && !held.is_outcome_unknown(), "{held}");
    }
    let asked = v.twin.journal().requests();
    assert_eq!(asked.iter().filter(|entry| entry.route.ends_with("/roles")).count(), 1, "asked once");
    let grants = v.writer().end_access(&account, Means::GrantsAndDevices).await.unwrap_err();
    assert!(grants.is_kind_throttled(), "grants are of the same kind as roles: {grants}");
    for lane in Lane::ALL {
        v.auth0.reader(lane).account(&account).await.unwrap();
    }
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.clock.advance(Duration::from_secs(60));
    v.reader().roles_of(&account).await.unwrap();
    v.done();
}

#[tokio::test]
async fn a_pause_that_may_be_the_tenants_stops_the_directory_and_not_containment() {
    let v = super::vendors().await;
    let (ada, account) = v.hire("Ada Lovelace");
    // One answer with a number that is nobody's: it may be this kind's new limit or the tenant's.
    let reading = Match::vendor(Vendor::Auth0).method("GET").route("/users/{id}");
    v.twin.faults().inject(reading, throttle("60"), Times::N(1));
    assert!(v.auth0.reader(Lane::Sync).account(&account).await.unwrap_err().is_kind_throttled());
    for lane in [Lane::Sync, Lane::Bulk] {
        let held = v.auth0.reader(lane).roles_of(&account).await.unwrap_err();
        assert!(held.is_vendor_away(), "{held}");
    }
    assert!(v.reader().account(&account).await.unwrap_err().is_kind_throttled(), "this kind rests for all");
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.done();
}

#[tokio::test]
async fn sync_keeps_to_the_pace_of_each_kind_and_leaves_containment_its_share() {
    let v = small_plan().await;
    let (ada, account) = v.hire("Ada Lovelace");
    let values = [(Target::AppMetadata("department".into()), Some("Sales".into()))].into();
    let keeper = v.auth0.keeper(Lane::Sync);
    let storm = async { join_all((0..40).map(|_| keeper.set_attributes(&account, &values))).await };
    let containment = async {
        // Sync may write fourteen times at once, of twenty.
        let spent = |entry: &lockstep_twin::Entry| entry.seq >= 15;
        v.twin.journal().wait_for(spent, Duration::from_secs(10)).await.expect("a storm");
        for _ in 0..3 {
            v.writer().block(&account, &stamp(ada)).await.unwrap();
        }
    };
    let (told, ()) = futures_util::future::join(storm, containment).await;
    let (done, put_back): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    assert!(done.len() >= 20 && !put_back.is_empty(), "{} of 40 in five seconds", done.len());
    for error in put_back.into_iter().filter_map(Result::err) {
        assert!(matches!(error.what_now(), WhatNow::RetryAt(_)), "{error}");
    }
    let asked = v.twin.journal().requests();
    assert!(asked.iter().all(|entry| entry.status != 429), "the limit was never met");
    let text = v.metrics.render();
    let line = "lockstep_vendor_budget_remaining_ratio{vendor=\"auth0_users_write\",class=\"sync\"}";
    assert!(text.contains(line), "{line} is missing in\n{text}");
    v.done();
}

#[tokio::test]
async fn a_tenant_without_limits_by_kind_shows_and_keeps_to_its_own_alone() {
    let v = limited(RateLimit::ENTERPRISE).await;
    let (ada, account) = v.hire("Ada Lovelace");
    v.reader().account(&account).await.unwrap();
    v.writer().block(&account, &stamp(ada)).await.unwrap();
    v.reader().account(&account).await.unwrap();
    let text = v.metrics.render();
    let kinds = text.lines().filter(|line| line.contains("budget") && line.contains("vendor=\"auth0_users"));
    assert_eq!(kinds.collect::<Vec<_>>(), Vec::<&str>::new());
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
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    v.done();
}
