//! What has changed since a link, and what happens when the link is no longer known.

use std::collections::BTreeMap;

use lockstep::entra::{
    Change, DeltaFrom, DeltaPage, DeltaRow, Error, Link, Membership, Reader, Then, Tracked,
};
use lockstep::event::{Lane, ObjectId};
use lockstep::retry::WhatNow;
use lockstep_twin::{DeltaExpiry, Fault, Hire, Match, PageFault, Setup, Times, Vendor};

use super::{group, sent};
use crate::clients::{object, vendors, with_setup};

fn users() -> Tracked {
    Tracked::Users { properties: ["department".to_owned(), "manager".to_owned()].into() }
}

/// All pages of one round, and the link for the next.
async fn round(reader: &Reader, what: &Tracked, from: DeltaFrom) -> (Vec<DeltaRow>, Link) {
    let (mut rows, mut from) = (Vec::new(), from);
    for _ in 0..100 {
        let DeltaPage { rows: more, then, .. } = reader.delta(what, &from).await.unwrap();
        rows.extend(more);
        match then {
            Then::More(link) => from = DeltaFrom::Link(link),
            Then::Done(link) => return (rows, link),
        }
    }
    panic!("a hundred pages and no end");
}

fn changes(rows: &[DeltaRow]) -> BTreeMap<ObjectId, Change> {
    rows.iter().map(|row| (row.id, row.change)).collect()
}

#[tokio::test]
async fn a_first_round_has_everybody_and_the_next_what_has_changed() {
    let v = with_setup(Setup { delta_page: 3, ..Setup::unlimited() }).await;
    let reader = v.entra.reader(Lane::Bulk);
    let people: Vec<_> = (0..8).map(|n| v.twin.world().hire(Hire::named(&format!("Person {n}")))).collect();
    let (rows, link) = round(&reader, &users(), DeltaFrom::Start).await;
    let everybody = people.iter().map(|person| (object(*person), Change::Changed)).collect();
    assert_eq!(changes(&rows), everybody);
    {
        let mut world = v.twin.world();
        world.disable(people[0]);
        world.move_to(people[1], "Sales", "Lead");
        world.soft_delete(people[2]);
        world.soft_delete(people[3]);
        world.hard_delete(people[3]);
        world.set_manager(people[4], Some(people[0]));
    }
    let (rows, link) = round(&reader, &users(), DeltaFrom::Link(link)).await;
    let told = changes(&rows);
    for (person, change) in [
        (people[0], Change::Changed),
        (people[1], Change::Changed),
        (people[2], Change::SoftDeleted),
        (people[3], Change::Purged),
        (people[4], Change::Changed),
    ] {
        assert_eq!(told.get(&object(person)), Some(&change));
    }
    assert_eq!(told.len(), 5);
    v.twin.world().restore(people[2]);
    // Kept in between as text.
    let link = DeltaFrom::Link(Link::new(link.as_str()));
    let (rows, _) = round(&reader, &users(), link).await;
    assert_eq!(changes(&rows), [(object(people[2]), Change::Changed)].into());
    v.done();
}

#[tokio::test]
async fn latest_skips_what_there_is() {
    let v = vendors().await;
    let reader = v.entra.reader(Lane::Bulk);
    v.twin.world().hire(Hire::named("Ada Lovelace"));
    let (rows, link) = round(&reader, &users(), DeltaFrom::Latest).await;
    assert_eq!((rows, sent(&v)), (vec![], 1));
    let later = v.twin.world().hire(Hire::named("Grace Hopper"));
    let (rows, _) = round(&reader, &users(), DeltaFrom::Link(link)).await;
    assert_eq!(changes(&rows), [(object(later), Change::Changed)].into());
    v.done();
}

#[tokio::test]
async fn members_come_and_go_and_a_large_group_is_spread_over_pages() {
    let v = with_setup(Setup { delta_members_per_page: 2, ..Setup::unlimited() }).await;
    let reader = v.entra.reader(Lane::Bulk);
    let (sales, team, people) = {
        let mut world = v.twin.world();
        let people: Vec<_> = (0..5).map(|n| world.hire(Hire::named(&format!("Person {n}")))).collect();
        let (sales, team) = (world.create_group("Sales"), world.create_group("Team"));
        world.add_members(sales, people.iter().copied());
        world.add_member(sales, team);
        (sales, team, people)
    };
    let (rows, link) = round(&reader, &Tracked::Groups, DeltaFrom::Start).await;
    let members: BTreeMap<_, _> =
        rows.iter().filter(|row| row.id == group(sales)).flat_map(|row| row.members.clone()).collect();
    let all = people.iter().map(|person| object(*person)).chain([group(team)]);
    assert_eq!(members, all.map(|id| (id, Membership::Added)).collect());
    v.twin.world().remove_member(sales, people[0]);
    v.twin.world().remove_member(sales, team);
    let (rows, link) = round(&reader, &Tracked::Groups, DeltaFrom::Link(link)).await;
    let members: BTreeMap<_, _> = rows.iter().flat_map(|row| row.members.clone()).collect();
    let left = [(object(people[0]), Membership::Removed), (group(team), Membership::Removed)];
    assert_eq!(members, left.into());
    v.twin.world().soft_delete_group(team);
    let (rows, _) = round(&reader, &Tracked::Groups, DeltaFrom::Link(link)).await;
    assert_eq!(changes(&rows).get(&group(team)), Some(&Change::SoftDeleted));
    v.done();
}

#[tokio::test]
async fn an_empty_page_is_no_end() {
    let v = vendors().await;
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let wanted = Match::vendor(Vendor::Graph).route("/users/delta");
    v.twin.faults().inject(wanted, Fault::Page(PageFault::Empty), Times::N(2));
    let (rows, _) = round(&v.entra.reader(Lane::Bulk), &users(), DeltaFrom::Start).await;
    assert_eq!(changes(&rows), [(object(person), Change::Changed)].into());
    v.done();
}

#[tokio::test]
async fn a_link_that_is_no_longer_known_means_reading_everything_again() {
    let v = vendors().await;
    let reader = v.entra.reader(Lane::Bulk);
    let person = v.twin.world().hire(Hire::named("Ada Lovelace"));
    let (_, link) = round(&reader, &users(), DeltaFrom::Start).await;
    for (expiry, has_location) in [
        (DeltaExpiry::Gone, true),
        (DeltaExpiry::SyncStateNotFound, false),
        (DeltaExpiry::ResyncRequired, false),
    ] {
        let wanted = Match::vendor(Vendor::Graph).route("/users/delta");
        v.twin.faults().inject(wanted, Fault::ExpireDelta(expiry), Times::N(1));
        let from = DeltaFrom::Link(link.clone());
        let error = reader.delta(&users(), &from).await.unwrap_err();
        assert_eq!(error.what_now(), WhatNow::GiveUp);
        let Error::ResyncNeeded { restart_at, .. } = error else { panic!("{expiry:?}: {error}") };
        assert_eq!(restart_at.is_some(), has_location, "{expiry:?}");
        let anew = restart_at.map_or(DeltaFrom::Start, DeltaFrom::Link);
        let (rows, _) = round(&reader, &users(), anew).await;
        assert_eq!(changes(&rows), [(object(person), Change::Changed)].into());
    }
    v.done();
}

#[tokio::test]
async fn a_kept_link_to_elsewhere_is_refused() {
    let v = vendors().await;
    let link = Link::new("https://evil.example/v1.0/users/delta?$deltatoken=x");
    let refused = v.entra.reader(Lane::Bulk).delta(&users(), &DeltaFrom::Link(link)).await.unwrap_err();
    assert_eq!(refused, Error::ForeignLink { operation: "users.delta" });
    assert_eq!(v.twin.journal().total(Vendor::Graph), 0);
    v.done();
}

#[tokio::test]
async fn a_lost_permission_is_for_a_person() {
    let v = vendors().await;
    for permission in ["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"] {
        v.twin.world().revoke_graph_permission(permission);
    }
    let refused = v.entra.reader(Lane::Bulk).delta(&Tracked::Groups, &DeltaFrom::Start).await.unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    v.done();
}
