//! Every call to Graph: where a person is, how risky they are, and the pace that Identity Protection wants.

mod credentials;
mod delta;
mod groups;
mod profile;
mod short;
mod subscriptions;

use std::time::Duration;

use lockstep::entra::Error;
use lockstep::event::{Lane, RiskLevel, RiskState};
use lockstep::outbound::Trouble;
use lockstep::retry::WhatNow;
use lockstep::snapshot::{Directory, Enabled, RiskView};
use lockstep_twin::{Fault, Hire, Match, PersonId, Times, Vendor};

use super::{Vendors, object, vendors};

/// Requests that went over the wire to Graph: what is inside of a batch went with it.
fn sent(v: &Vendors) -> usize {
    v.twin.journal().requests().iter().filter(|it| it.vendor == Vendor::Graph && !it.in_batch).count()
}

fn group(id: lockstep_twin::GroupId) -> lockstep::event::ObjectId {
    lockstep::event::ObjectId(id.to_string().parse().unwrap())
}

#[tokio::test]
async fn a_person_is_present_disabled_soft_deleted_or_missing() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let look = async || v.graph().person(object(person)).await.unwrap();
    let Directory::Present(present) = look().await else { panic!("not present") };
    assert_eq!((present.object, present.enabled), (object(person), Enabled::Yes));
    assert_eq!(present.display_name.as_deref(), Some("Ada Lovelace"));
    v.twin.world().disable(person);
    assert!(matches!(look().await, Directory::Present(p) if p.enabled == Enabled::No));
    v.twin.world().soft_delete(person);
    let Directory::SoftDeleted(deleted) = look().await else { panic!("not among the deleted items") };
    assert_eq!(deleted.enabled, Enabled::NotTold, "deleted items do not say");
    v.twin.world().restore(person);
    assert!(matches!(look().await, Directory::Present(_)));
    v.twin.world().soft_delete(person);
    v.twin.world().hard_delete(person);
    assert_eq!(look().await, Directory::Missing);
    assert_eq!(v.graph().person(object(PersonId::nobody())).await.unwrap(), Directory::Missing);
    v.done();
}

#[tokio::test]
async fn a_404_that_is_not_graphs_own_is_no_evidence_of_absence() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    for route in ["/users/", "/directory/deletedItems/"] {
        v.twin.world().soft_delete(person);
        let wanted = Match::vendor(Vendor::Graph).route(route);
        let fault = v.twin.faults().inject(wanted, Fault::Status(404), Times::Forever);
        let error = v.graph().person(object(person)).await.unwrap_err();
        assert!(!error.is_gone(), "{route}: {error}");
        assert_eq!(error.what_now(), WhatNow::GiveUp, "{route}: {error}");
        v.twin.faults().lift(fault);
        v.twin.world().restore(person);
    }
    v.done();
}

#[tokio::test]
async fn risk_is_known_or_not_listed() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let sync = v.entra.reader(Lane::Sync);
    assert_eq!(sync.risk(object(person)).await.unwrap(), RiskView::NotListed);
    v.twin.world().raise_risk(person, "high", "leakedCredentials");
    let RiskView::Known(risk) = sync.risk(object(person)).await.unwrap() else { panic!("not known") };
    assert_eq!((risk.level, risk.state), (RiskLevel::High, RiskState::AtRisk));
    assert!(risk.updated_at.is_some());
    v.twin.world().dismiss_risk(person);
    let RiskView::Known(risk) = sync.risk(object(person)).await.unwrap() else { panic!("not known") };
    assert!(risk.state.is_cleared());
    v.done();
}

#[tokio::test]
async fn containment_is_told_when_the_second_is_taken_and_sends_nothing() {
    let v = super::with_setup(lockstep_twin::Setup::default()).await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    assert_eq!(v.graph().risk(person).await.unwrap(), RiskView::NotListed);
    let sent = v.twin.journal().total(Vendor::Graph);
    let paced = v.graph().risk(person).await.unwrap_err();
    let Error::Paced { until } = paced else { panic!("{paced}") };
    assert_eq!(paced.what_now(), WhatNow::RetryAt(until));
    assert!(!paced.is_vendor_away());
    assert!(until <= v.clock.after(Duration::from_secs(2)));
    assert_eq!(v.twin.journal().total(Vendor::Graph), sent);
    // Sync waits for its turn instead, and at this pace the real limit of one a second is never met.
    assert_eq!(v.entra.reader(Lane::Sync).risk(person).await.unwrap(), RiskView::NotListed);
    assert!(v.twin.journal().requests().iter().all(|entry| entry.status != 429));
    v.done();
}

#[tokio::test]
async fn other_applications_may_use_up_the_second_and_only_risk_waits() {
    let v = vendors().await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    let throttle = Fault::Throttle { retry_after: None };
    v.twin.faults().inject(Match::vendor(Vendor::Graph).route("/riskyUsers/"), throttle, Times::N(1));
    let throttled = v.graph().risk(person).await.unwrap_err();
    assert_eq!(throttled.what_now(), WhatNow::BackOff, "Identity Protection names no time: {throttled}");
    assert!(throttled.is_vendor_away());
    let held = v.entra.reader(Lane::Sync).risk(person).await.unwrap_err();
    let Error::Trouble { trouble: Trouble::HeldBack { until }, .. } = held else { panic!("{held}") };
    assert!(until <= v.clock.after(Duration::from_secs(1)));
    assert!(v.graph().person(person).await.is_ok(), "the directory has a limit of its own");
    v.clock.advance(Duration::from_secs(1));
    assert_eq!(v.entra.reader(Lane::Sync).risk(person).await.unwrap(), RiskView::NotListed);
    v.done();
}

#[tokio::test]
async fn a_lost_permission_is_for_a_person_and_names_it() {
    let v = vendors().await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    v.twin.world().revoke_graph_permission("IdentityRiskyUser.Read.All");
    let refused = v.graph().risk(person).await.unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    let told = "graph risk.get: 403 Authorization_RequestDenied (needs IdentityRiskyUser.Read.All)";
    assert_eq!(refused.to_string(), told);
    v.done();
}

#[tokio::test]
async fn containment_does_not_wait_for_a_graph_that_hangs() {
    let v = vendors().await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    let hang = Fault::Stall(Duration::from_secs(60));
    v.twin.faults().inject(Match::vendor(Vendor::Graph), hang, Times::N(1));
    let asked = tokio::time::timeout(Duration::from_secs(8), v.graph().person(person)).await;
    let error = asked.expect("the contain lane gives up after two seconds").unwrap_err();
    assert!(error.is_vendor_away(), "{error}");
    assert_eq!(error.what_now(), WhatNow::BackOff);
    assert!(v.graph().person(person).await.is_ok());
    v.done();
}

#[tokio::test]
async fn close_to_the_limit_what_is_left_is_containments() {
    // Ten units in ten seconds, of which each of our reads costs one.
    let setup =
        lockstep_twin::Setup { resource_units_per_ten_seconds: Some(10), ..lockstep_twin::Setup::default() };
    let v = super::with_setup(setup).await;
    let person = object(v.twin.world().hire(Hire::named("Ada Lovelace")));
    let line = "lockstep_vendor_budget_remaining_ratio{vendor=\"graph\",class=\"sync\"} 0.0\n";
    let mut reads = 0;
    while !v.metrics.render().contains(line) {
        v.graph().person(person).await.expect("throttled before any warning was heard");
        reads += 1;
    }
    assert!(reads >= 8, "the warning comes at 80 %, not after {reads} of ten");
    v.done();
}
