//! Members page by page, what a group is in, what an id is.

use std::collections::BTreeMap;

use lockstep::entra::{Error, GroupSeen, Kind, Link, NamedGroup};
use lockstep::event::Lane;
use lockstep::retry::WhatNow;
use lockstep_twin::{GroupId, Hire, PersonId, Vendor};

use super::{group, sent};
use crate::clients::{object, vendors};

#[tokio::test]
async fn members_come_a_page_a_call_with_those_of_nested_groups() {
    let v = vendors().await;
    let (everybody, people) = {
        let mut world = v.twin.world();
        let people: Vec<_> = (0..1_500).map(|n| world.hire(Hire::named(&format!("Person {n}")))).collect();
        let (everybody, sales) = (world.create_group("Everybody"), world.create_group("Sales"));
        world.add_members(sales, people.iter().copied());
        world.add_member(everybody, sales);
        (everybody, people)
    };
    let reader = v.entra.reader(Lane::Bulk);
    let first = reader.members_page(group(everybody), None).await.unwrap();
    assert!(first.items.len() <= 999);
    let second = reader.members_page(group(everybody), first.next.as_ref()).await.unwrap();
    assert_eq!((second.next, sent(&v)), (None, 2));
    let mut found: Vec<_> = first.items.into_iter().chain(second.items).collect();
    found.sort();
    let mut expected: Vec<_> = people.into_iter().map(object).collect();
    expected.sort();
    assert_eq!(found, expected);
    v.done();
}

#[tokio::test]
async fn a_link_to_elsewhere_is_refused_and_nothing_is_sent() {
    let v = vendors().await;
    let everybody = v.twin.world().create_group("Everybody");
    let foreign = Link::new("https://graph.microsoft.com/v1.0/groups/x/transitiveMembers?$skiptoken=x");
    let refused =
        v.entra.reader(Lane::Bulk).members_page(group(everybody), Some(&foreign)).await.unwrap_err();
    assert_eq!(refused, Error::ForeignLink { operation: "group_members.list" });
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    assert_eq!(v.twin.journal().total(Vendor::Graph), 0);
    v.done();
}

#[tokio::test]
async fn an_old_page_link_means_reading_anew() {
    let v = vendors().await;
    let everybody = {
        let mut world = v.twin.world();
        let people: Vec<_> = (0..1_000).map(|n| world.hire(Hire::named(&format!("Person {n}")))).collect();
        let everybody = world.create_group("Everybody");
        world.add_members(everybody, people);
        everybody
    };
    let reader = v.entra.reader(Lane::Bulk);
    let first = reader.members_page(group(everybody), None).await.unwrap();
    v.twin.world().expire_links();
    let old = reader.members_page(group(everybody), first.next.as_ref()).await.unwrap_err();
    assert!(matches!(old, Error::ResyncNeeded { restart_at: None, .. }), "{old}");
    v.done();
}

#[tokio::test]
async fn what_a_group_is_nested_in_is_told_with_its_name() {
    let v = vendors().await;
    let (team, sales, everybody) = {
        let mut world = v.twin.world();
        let [team, sales, everybody] = ["Team", "Sales", "Everybody"].map(|name| world.create_group(name));
        world.add_member(sales, team);
        world.add_member(everybody, sales);
        (team, sales, everybody)
    };
    let reader = v.entra.reader(Lane::Sync);
    let seen = reader.group_above(group(team)).await.unwrap();
    let above = [group(sales), group(everybody)].into();
    assert_eq!(seen, GroupSeen::Present { display_name: Some("Team".into()), above });
    assert_eq!(sent(&v), 1);
    let parents = reader.parents(group(team)).await.unwrap();
    assert_eq!(parents, [NamedGroup { id: group(sales), display_name: Some("Sales".into()) }]);
    v.twin.world().soft_delete_group(team);
    assert_eq!(reader.group_above(group(team)).await.unwrap(), GroupSeen::Gone);
    assert_eq!(reader.group_above(group(GroupId::nothing())).await.unwrap(), GroupSeen::Gone);
    assert!(reader.members_page(group(team), None).await.unwrap_err().is_gone());
    v.done();
}

#[tokio::test]
async fn direct_groups_are_told_without_the_nested_ones() {
    let v = vendors().await;
    let (person, sales) = {
        let mut world = v.twin.world();
        let person = world.hire(Hire::named("Ada Lovelace"));
        world.give_directory_role(person, "User Administrator");
        let (sales, everybody) = (world.create_group("Sales"), world.create_group("Everybody"));
        world.add_member(sales, person);
        world.add_member(everybody, sales);
        (person, sales)
    };
    let reader = v.entra.reader(Lane::Sync);
    let direct = reader.direct_groups(object(person)).await.unwrap();
    assert_eq!(direct, [NamedGroup { id: group(sales), display_name: Some("Sales".into()) }]);
    assert!(reader.direct_groups(object(PersonId::nobody())).await.unwrap_err().is_gone());
    v.done();
}

#[tokio::test]
async fn ids_are_told_apart_and_those_of_nothing_are_left_out() {
    let v = vendors().await;
    let (person, gone, sales) = {
        let mut world = v.twin.world();
        let (person, gone) = (world.hire(Hire::named("Ada Lovelace")), world.hire(Hire::named("Gone")));
        world.soft_delete(gone);
        (person, gone, world.create_group("Sales"))
    };
    let mut asked = vec![object(person), object(gone), group(sales), object(PersonId::nobody())];
    let reader = v.entra.reader(Lane::Bulk);
    let expected = BTreeMap::from([(object(person), Kind::User), (group(sales), Kind::Group)]);
    assert_eq!(reader.kinds_of(&asked).await.unwrap(), expected);
    assert_eq!(reader.kinds_of(&[]).await.unwrap(), BTreeMap::new());
    assert_eq!(sent(&v), 1);
    asked.resize(1_001, object(PersonId::nobody()));
    assert_eq!(reader.kinds_of(&asked).await.unwrap(), expected);
    assert_eq!(sent(&v), 3, "a thousand cost one request");
    v.done();
}

#[tokio::test]
async fn without_the_permission_for_groups_nothing_is_said_of_them() {
    let v = vendors().await;
    let sales = v.twin.world().create_group("Sales");
    for permission in ["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"] {
        v.twin.world().revoke_graph_permission(permission);
    }
    let reader = v.entra.reader(Lane::Sync);
    let refused = reader.group_above(group(sales)).await.unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::AskHuman);
    assert!(refused.to_string().contains("needs GroupMember.Read.All"), "{refused}");
    let refused = reader.members_page(group(sales), None).await.unwrap_err();
    assert!(refused.to_string().contains("needs GroupMember.Read.All"), "{refused}");
    v.done();
}
