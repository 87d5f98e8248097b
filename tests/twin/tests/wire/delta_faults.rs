//! Bad days of delta queries: links that expire in three ways, pages that lie, changes told twice or late.

use crate::client::{Client, start};
use crate::delta::{again, begin};
use lockstep_twin::{DeltaExpiry, Fault, Hire, Match, PageFault, PersonId, Setup, Times, Vendor};
use serde_json::{Value, json};

const USERS: &str = "/users/delta?$select=id,displayName";

fn hire(c: &Client, count: usize) -> Vec<PersonId> {
    (0..count).map(|n| c.twin.world().hire(Hire::named(&format!("Person Number{n}")))).collect()
}

fn strike(c: &Client, fault: Fault) {
    c.twin.faults().inject(Match::vendor(Vendor::Graph).route("/users/delta"), fault, Times::N(1));
}

fn rows(page: &Value) -> usize {
    page["value"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_link_expires_in_three_ways() {
    let c = start(Setup::default()).await;
    hire(&c, 2);
    let link = begin(&c, USERS).await.link;
    strike(&c, Fault::ExpireDelta(DeltaExpiry::Gone));
    let gone = c.follow(&link).await;
    assert_eq!((gone.status, &gone.json()["error"]["code"]), (410, &json!("resyncRequired")));
    let fresh: Value = gone.header("location").expect("where to begin anew").into();
    let anew = again(&c, &fresh).await;
    assert_eq!(anew.rows.len(), 2, "everybody is told again");
    assert_eq!(anew.rows[0].as_object().map(serde_json::Map::len), Some(2), "with the same options");
    for (expiry, code) in [
        (DeltaExpiry::SyncStateNotFound, "syncStateNotFound"),
        (DeltaExpiry::ResyncRequired, "resyncRequired"),
    ] {
        strike(&c, Fault::ExpireDelta(expiry));
        let refused = c.follow(&link).await;
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(code)));
    }
    assert_eq!(c.follow(&link).await.status, 200, "the faults are used up");
    c.twin.world().expire_links();
    assert_eq!(c.follow(&link).await.json()["error"]["code"], json!("syncStateNotFound"));
    c.assert_no_complaints();
    strike(&c, Fault::ExpireDelta(DeltaExpiry::Gone));
    assert_eq!(c.graph("GET", USERS).await.status, 200);
    assert_eq!(c.twin.journal().complaints().len(), 1, "a first call has no link that could expire");
}

#[tokio::test]
async fn pages_go_missing_shrink_and_end_too_early() {
    let c = start(Setup { delta_page: 3, ..Setup::default() }).await;
    hire(&c, 9);
    strike(&c, Fault::Page(PageFault::Missing));
    assert_eq!(begin(&c, USERS).await.rows.len(), 6);
    strike(&c, Fault::Page(PageFault::Short(1)));
    assert_eq!(begin(&c, USERS).await.rows.len(), 7);
    strike(&c, Fault::Page(PageFault::CutShort));
    let cut = begin(&c, USERS).await;
    assert_eq!((cut.rows.len(), cut.pages), (3, 1));
    assert!(again(&c, &cut.link).await.rows.is_empty(), "the rest is never told");
    strike(&c, Fault::Page(PageFault::Empty));
    let whole = begin(&c, USERS).await;
    assert_eq!((whole.rows.len(), whole.pages), (9, 4), "an empty page is normal");
    c.assert_no_complaints();
}

#[tokio::test]
async fn changes_are_told_twice_again_or_late() {
    let c = start(Setup::default()).await;
    let people = hire(&c, 3);
    let first = begin(&c, USERS).await;
    people.iter().for_each(|id| c.twin.world().rename(*id, "Somebody Else"));
    let second = again(&c, &first.link).await;
    c.twin.world().rename(people[0], "Somebody New");
    strike(&c, Fault::Page(PageFault::Replayed(2)));
    assert_eq!(rows(&c.follow(&second.link).await.json()), 3, "two old changes and the new one");
    strike(&c, Fault::Page(PageFault::Repeated));
    assert_eq!(rows(&c.follow(&second.link).await.json()), 2);
    strike(&c, Fault::Page(PageFault::Late(1)));
    let late = again(&c, &second.link).await;
    assert!(late.rows.is_empty());
    assert_eq!(again(&c, &late.link).await.rows.len(), 1, "told by the next round");
    strike(&c, Fault::Page(PageFault::Empty));
    let empty = again(&c, &second.link).await;
    assert_eq!((empty.rows.len(), empty.pages), (1, 2));
    c.assert_no_complaints();
}
