//! Every request says who makes it and which one it is, so that the vendors' logs and support can be asked about it.

use std::collections::BTreeMap;

use lockstep_twin::{Entry, Twin, Vendor};

/// Fails on a request without our `User-Agent`, or without an id of its own where the vendor takes one.
pub fn assert_named(twin: &Twin) {
    let asked = twin.journal().requests();
    // The parts of a batch have neither, the batch has both; and mail is no HTTP.
    let is_http = |entry: &&Entry| !entry.in_batch && entry.vendor != Vendor::Mail;
    let asked: Vec<&Entry> = asked.iter().filter(is_http).collect();
    let ours = concat!("lockstep/", env!("CARGO_PKG_VERSION"));
    let nameless: Vec<_> = asked.iter().filter(|entry| entry.user_agent.as_deref() != Some(ours)).collect();
    assert!(nameless.is_empty(), "requests that do not say who makes them: {nameless:#?}");
    let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in asked.into_iter().filter(|entry| takes_an_id(entry)) {
        let id =
            entry.correlation.as_deref().unwrap_or_else(|| panic!("a request without an id: {entry:#?}"));
        assert!(id.len() <= 64, "Auth0 keeps 64 characters of {id}");
        if let Some(first) = seen.insert(id, entry) {
            panic!("two requests with the id {id}: {first:#?} and {entry:#?}");
        }
    }
}

/// Slack documents none, nor do the hosts of managed identities; what goes to a ticket system has an id of its own.
fn takes_an_id(entry: &Entry) -> bool {
    match entry.vendor {
        Vendor::Graph | Vendor::Auth0 => true,
        Vendor::Login => entry.route.ends_with("/oauth2/v2.0/token"),
        Vendor::Slack | Vendor::Ticket | Vendor::Mail => false,
    }
}
