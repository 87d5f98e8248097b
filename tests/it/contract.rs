//! Every request that Lockstep makes, against the vendors' own API descriptions: the path and method exist, every query
//! parameter is declared and of its type, required ones are there, and the body fits its schema.
//!
//! [`check`] takes what the twin's journal has kept, so that any story can hold its conversation to the descriptions.
//! They are not part of the project; without them nothing is checked, and a line says so.

pub mod description;

use lockstep::case::Means;
use lockstep::case::also::Extra;
use lockstep::entra::{DeltaFrom, Then, Tracked};
use lockstep::event::{Lane, ObjectId};
use lockstep_twin::{Entry, Hire, Outcome, Plan, Setup, Twin, Vendor};

use crate::clients;
use description::Description;

/// What does not fit, one sentence each; empty when all is well or the descriptions are not here.
pub fn check(entries: &[Entry]) -> Vec<String> {
    let Some((graph, auth0)) = description::vendors() else {
        println!("skipped: the vendors' API descriptions are not here");
        return Vec::new();
    };
    // The twin hangs up on what it refuses before it reads the body.
    let arrived = entries.iter().filter(|entry| entry.outcome != Outcome::Refused);
    let described = arrived.filter_map(|entry| Some((entry, described_by(entry, graph, auth0)?)));
    let wrong = described.flat_map(|(entry, (description, path))| {
        let misfits = description.misfits(&entry.method, path, &entry.body);
        misfits.into_iter().map(move |misfit| format!("{} {}: {misfit}", entry.method, entry.path))
    });
    let mut wrong: Vec<String> = wrong.collect();
    wrong.sort();
    wrong.dedup();
    wrong
}

/// All that a twin has been asked, held to the descriptions.
pub fn assert_kept(twin: &Twin) {
    let wrong = check(&twin.journal().requests());
    assert!(wrong.is_empty(), "requests that the vendors do not describe:\n{}", wrong.join("\n"));
}

/// The description of the vendor and the path in it. Token endpoints and Slack have none.
fn described_by<'a>(
    entry: &'a Entry,
    graph: &'a Description,
    auth0: &'a Description,
) -> Option<(&'a Description, &'a str)> {
    match entry.vendor {
        Vendor::Graph => Some((graph, entry.path.strip_prefix("/v1.0")?)),
        Vendor::Auth0 => Some((auth0, entry.path.strip_prefix("/api/v2")?)),
        Vendor::Login | Vendor::Slack | Vendor::Mail | Vendor::Ticket => None,
    }
}

#[tokio::test]
async fn every_call_of_the_clients_is_as_described() {
    for plan in [Plan::Enterprise, Plan::Essentials] {
        let v = clients::with_setup(Setup { plan, ..Setup::unlimited() }).await;
        let (ada, account) = v.hire("Ada Lovelace");
        for _ in 0..3 {
            v.twin.world().sign_in(account.as_str()).unwrap();
        }
        v.graph().person(ada).await.unwrap();
        v.graph().person(clients::object(lockstep_twin::PersonId::nobody())).await.unwrap();
        v.entra.reader(Lane::Sync).risk(ada).await.unwrap();
        v.entra.writer().revoke_sessions(ada).await.unwrap();
        v.reader().accounts_of(ada).await.unwrap();
        v.reader().account(&account).await.unwrap();
        v.reader().holder_of(&account).await.unwrap();
        v.reader().longest_token_lifetime_seconds().await.unwrap();
        v.writer().block(&account, &clients::stamp(ada)).await.unwrap();
        for means in [Means::RevokeAccess, Means::SessionsAndTokens, Means::GrantsAndDevices] {
            v.reader().access(&account, means).await.unwrap();
            // Without the plan the first two are refused; what was sent is checked all the same.
            let _ = v.writer().end_access(&account, means).await;
        }
        v.twin.world().add_token_set(account.as_str(), "box");
        for extra in [Extra::Grants, Extra::DeviceCredentials, Extra::TokenVault] {
            v.reader().left_of(&account, extra).await.unwrap();
            v.writer().end_extra(&account, extra).await.unwrap();
        }
        v.writer().unblock(&account, ada).await.unwrap();
        assert!(v.twin.journal().requests().len() > 20);
        assert_kept(&v.twin);
        v.done();
    }
}

#[tokio::test]
async fn every_read_of_the_directory_is_as_described() {
    let v = clients::with_setup(Setup { delta_page: 1, ..Setup::unlimited() }).await;
    let (ada, sales) = {
        let mut world = v.twin.world();
        let (ada, boss) =
            (world.hire(Hire::named("Ada Lovelace")), world.hire(Hire::named("Charles Babbage")));
        world.set_manager(ada, Some(boss));
        let (sales, everybody) = (world.create_group("Sales"), world.create_group("Everybody"));
        world.add_member(sales, ada);
        world.add_member(everybody, sales);
        (clients::object(ada), ObjectId(sales.to_string().parse().unwrap()))
    };
    let reader = v.entra.reader(Lane::Bulk);
    let properties = ["department", "manager", "onPremisesExtensionAttributes"].map(str::to_owned).into();
    reader.profile(ada, &properties).await.unwrap();
    reader.profile_without_groups(ada, &properties).await.unwrap();
    reader.members_page(sales, None).await.unwrap();
    reader.group_above(sales).await.unwrap();
    reader.kinds_of(&[ada, sales]).await.unwrap();
    reader.direct_groups(ada).await.unwrap();
    reader.parents(sales).await.unwrap();
    reader.organization().await.unwrap();
    for tracked in [Tracked::Users { properties }, Tracked::Groups] {
        reader.delta(&tracked, &DeltaFrom::Latest).await.unwrap();
        let page = reader.delta(&tracked, &DeltaFrom::Start).await.unwrap();
        let (Then::More(link) | Then::Done(link)) = page.then;
        reader.delta(&tracked, &DeltaFrom::Link(link)).await.unwrap();
    }
    // What is inside of a batch is checked too.
    assert!(v.twin.journal().requests().iter().filter(|entry| entry.in_batch).count() >= 4);
    assert_kept(&v.twin);
    v.done();
}

#[test]
fn a_request_that_does_not_fit_is_found() {
    let Some((graph, auth0)) = description::vendors() else {
        println!("skipped: the vendors' API descriptions are not here");
        return;
    };
    let wrong =
        |method: &str, path: &str, body: &str| !auth0.misfits(method, path, body.as_bytes()).is_empty();
    assert!(!wrong("PATCH", "/users/auth0%7C1", r#"{"blocked":true}"#));
    assert!(wrong("PATCH", "/users/auth0%7C1", r#"{"blocked":"yes"}"#), "a wrong type");
    assert!(wrong("PATCH", "/users/auth0%7C1", ""), "a missing body");
    assert!(wrong("POST", "/users/a/revoke-access", r#"{"everything":true}"#), "an unknown field");
    assert!(wrong("PUT", "/users/auth0%7C1", "{}"), "an unknown method");
    assert!(wrong("GET", "/users/auth0%7C1/secrets", ""), "an unknown path");
    assert!(wrong("GET", "/users?page=first", ""), "a page that is no number");
    assert!(wrong("GET", "/users?per_page=500", ""), "a page too large");
    assert!(wrong("GET", "/users?colour=red", ""), "an unknown parameter");
    assert!(wrong("DELETE", "/grants", ""), "a missing parameter");
    assert!(wrong("DELETE", "/grants?user_id=a", "{}"), "a body where none belongs");
    let user = "/users/87d349ed-44d7-43e1-9a83-5f2406dee5bd";
    assert!(graph.misfits("GET", &format!("{user}?$select=id,accountEnabled"), b"").is_empty());
    assert!(!graph.misfits("GET", &format!("{user}?$select=id,acountEnabled"), b"").is_empty());
    assert!(!graph.misfits("GET", &format!("{user}?$top=5"), b"").is_empty());
    let above = format!("{user}/transitiveMemberOf?$top=5&$select=id,displayName");
    assert!(graph.misfits("GET", &above, b"").is_empty());
    assert!(!graph.misfits("GET", &above.replace("displayName", "dislpayName"), b"").is_empty());
    assert!(!graph.misfits("GET", "/users/delta?$select=id&$top=5", b"").is_empty());
    assert!(!graph.misfits("GET", "/groups/delta?$select=id,membres", b"").is_empty());
    assert!(!graph.misfits("POST", "/directoryObjects/getByIds", br#"{"types":["user"]}"#).is_empty());
}
