//! Delta queries: the first round, later rounds, and what they do not tell.

use crate::client::{Client, start};
use lockstep_twin::{GroupId, Hire, PersonId, Setup};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const USERS: &str = "/users/delta?$select=id,displayName,department,accountEnabled";

/// One round: its rows, how many pages it took, and the deltaLink.
pub struct Round {
    pub rows: Vec<Value>,
    pub pages: usize,
    pub link: Value,
}

pub async fn round(c: &Client, first: Value) -> Round {
    let (mut rows, mut pages) = (Vec::new(), 1);
    let mut page = first;
    loop {
        rows.extend(page["value"].as_array().expect("rows").iter().cloned());
        if let Some(link) = page.get("@odata.deltaLink") {
            assert!(page.get("@odata.nextLink").is_none(), "the two never appear together");
            return Round { rows, pages, link: link.clone() };
        }
        page = c.follow(&page["@odata.nextLink"]).await.json();
        pages += 1;
    }
}

pub async fn begin(c: &Client, path: &str) -> Round {
    let got = c.graph("GET", path).await;
    assert_eq!(got.status, 200, "{}", got.text);
    round(c, got.json()).await
}

pub async fn again(c: &Client, link: &Value) -> Round {
    round(c, c.follow(link).await.json()).await
}

pub fn row<'a>(round: &'a Round, id: &str) -> &'a Value {
    round.rows.iter().find(|row| row["id"] == *id).unwrap_or_else(|| panic!("{id} is not told"))
}

fn hire(c: &Client, count: usize) -> Vec<PersonId> {
    (0..count).map(|n| c.twin.world().hire(Hire::named(&format!("Person Number{n}")))).collect()
}

/// The members told of one group over all its rows: added, removed.
fn told(round: &Round, group: GroupId) -> (BTreeSet<String>, BTreeSet<String>) {
    let rows = round.rows.iter().filter(|row| row["id"] == *group.to_string());
    let members = rows.flat_map(|row| row["members@delta"].as_array().cloned().unwrap_or_default());
    let id = |member: &Value| member["id"].as_str().expect("an id").to_owned();
    let (removed, added): (Vec<Value>, Vec<Value>) =
        members.partition(|member| member["@removed"]["reason"] == "deleted");
    (added.iter().map(id).collect(), removed.iter().map(id).collect())
}

#[tokio::test]
async fn the_first_round_tells_everybody_and_later_ones_what_changed() {
    let c = start(Setup { delta_page: 2, ..Setup::default() }).await;
    let people = hire(&c, 5);
    let first = begin(&c, USERS).await;
    assert_eq!((first.rows.len(), first.pages), (5, 3));
    assert!(first.rows[0].get("department").is_none(), "never set, so left out");
    assert!(again(&c, &first.link).await.rows.is_empty());
    c.twin.world().move_to(people[0], "Sales", "Clerk");
    c.twin.world().set_property(people[1], "officeLocation", "18/2111".into());
    c.twin.world().disable(people[2]);
    let second = again(&c, &first.link).await;
    assert_eq!(second.rows.len(), 2, "an unselected property is not tracked");
    assert_eq!(row(&second, &people[0].to_string())["department"], json!("Sales"));
    let disabled = row(&second, &people[2].to_string());
    assert_eq!(
        (&disabled["accountEnabled"], &disabled["displayName"]),
        (&json!(false), &json!("Person Number2"))
    );
    c.twin.world().clear_property(people[0], "department");
    let minimal = c.graph_with(second.link.as_str().unwrap(), ("Prefer", "return=minimal")).await.json();
    assert_eq!(minimal["value"], json!([{ "id": people[0].to_string(), "department": null }]));
    c.assert_no_complaints();
}

#[tokio::test]
async fn people_go_and_come_back() {
    let c = start(Setup::default()).await;
    let people = hire(&c, 3);
    let first = begin(&c, USERS).await;
    c.twin.world().soft_delete(people[0]);
    c.twin.world().soft_delete(people[1]);
    let gone = again(&c, &first.link).await;
    let changed = json!({ "id": people[0].to_string(), "@removed": { "reason": "changed" } });
    assert_eq!((gone.rows.len(), &gone.rows[0]), (2, &changed));
    assert_eq!(begin(&c, USERS).await.rows.len(), 1);
    c.twin.world().restore(people[0]);
    c.twin.world().hard_delete(people[1]);
    let back = again(&c, &gone.link).await;
    assert_eq!(row(&back, &people[0].to_string())["displayName"], json!("Person Number0"));
    assert_eq!(row(&back, &people[1].to_string())["@removed"]["reason"], json!("deleted"));
    c.assert_no_complaints();
}

#[tokio::test]
async fn what_changes_during_a_round_is_told_by_the_next() {
    let c = start(Setup { delta_page: 2, ..Setup::default() }).await;
    let people = hire(&c, 4);
    let page = c.graph("GET", USERS).await.json();
    let new = c.twin.world().hire(Hire::named("Alex Wilber"));
    people.iter().for_each(|id| c.twin.world().disable(*id));
    let first = round(&c, page).await;
    let second = again(&c, &first.link).await;
    let told: BTreeSet<&str> = second.rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(told.len(), 5);
    assert!(told.contains(new.to_string().as_str()));
}

#[tokio::test]
async fn links_carry_the_options_and_take_none() {
    let c = start(Setup::default()).await;
    let people = hire(&c, 3);
    let filter = format!("id%20eq%20'{}'%20or%20id%20eq%20'{}'", people[0], people[1]);
    let first = begin(&c, &format!("{USERS}&$filter={filter}")).await;
    assert_eq!(first.rows.len(), 2);
    let latest = begin(&c, "/users/delta?$deltatoken=latest&$select=displayName").await;
    assert!(latest.rows.is_empty());
    people.iter().for_each(|id| c.twin.world().rename(*id, "Somebody Else"));
    assert_eq!(again(&c, &first.link).await.rows.len(), 2);
    let renamed = again(&c, &latest.link).await;
    assert_eq!(renamed.rows.len(), 3);
    assert_eq!(renamed.rows[0].as_object().map(serde_json::Map::len), Some(2), "id and what was selected");
    c.assert_no_complaints();
    for option in ["$top=5", "$orderby=displayName", "$expand=manager", "$filter=displayName%20eq%20'x'"] {
        assert_eq!(c.graph("GET", &format!("/users/delta?{option}")).await.status, 400, "{option}");
    }
    let both = format!("{}&$select=id", latest.link.as_str().unwrap());
    assert_eq!(c.follow(&both.into()).await.status, 400);
    assert_eq!(c.graph("GET", "/users/delta?$deltatoken=guessed").await.status, 400);
    let many: Vec<String> = (0..51).map(|_| format!("id%20eq%20'{}'", PersonId::nobody())).collect();
    assert_eq!(c.graph("GET", &format!("/users/delta?$filter={}", many.join("%20or%20"))).await.status, 400);
    assert_eq!(c.twin.journal().complaints().len(), 7);
}

#[tokio::test]
async fn managers_and_extensions_are_tracked_when_selected() {
    let c = start(Setup::default()).await;
    let people = hire(&c, 3);
    let app = "7d0c9b52-1f3e-4a86-b1c4-90e2f5d7a318";
    let tier = c.twin.world().register_extension(app, "tier");
    let cost = c.twin.world().register_extension(app, "cost");
    c.twin.world().set_directory_extension(people[0], app, "cost", "4711".into());
    let first =
        begin(&c, &format!("/users/delta?$select=id,manager,onPremisesExtensionAttributes,{tier},{cost}"))
            .await;
    c.twin.world().set_manager(people[0], Some(people[1]));
    c.twin.world().set_directory_extension(people[0], app, "tier", "gold".into());
    c.twin.world().set_extension_attribute(people[2], 1, Some("x"));
    let second = again(&c, &first.link).await;
    let moved = row(&second, &people[0].to_string());
    assert_eq!(moved["manager@delta"][0]["id"], json!(people[1].to_string()));
    let minimal = c.graph_with(first.link.as_str().unwrap(), ("Prefer", "return=minimal")).await.json();
    let moved = &minimal["value"][0];
    assert_eq!(
        (&moved[&tier], &moved[&cost]),
        (&json!("gold"), &json!("4711")),
        "one extension brings the others"
    );
    assert_eq!(minimal["value"][1]["onPremisesExtensionAttributes"]["extensionAttribute1"], json!("x"));
    c.twin.world().set_manager(people[0], None);
    let third = again(&c, &second.link).await;
    let gone = &row(&third, &people[0].to_string())["manager@delta"][0];
    assert_eq!(
        (&gone["id"], &gone["@removed"]["reason"]),
        (&json!(people[1].to_string()), &json!("deleted"))
    );
    c.assert_no_complaints();
}

#[tokio::test]
async fn a_big_group_is_repeated_with_more_of_its_members() {
    let c = start(Setup { delta_members_per_page: 30, ..Setup::default() }).await;
    let people = hire(&c, 100);
    let [big, small, none] = ["Big", "Small", "None"].map(|name| c.twin.world().create_group(name));
    c.twin.world().add_members(big, people.clone());
    c.twin.world().add_members(small, people[..3].to_vec());
    c.twin.world().add_member(small, big);
    let all: BTreeSet<String> = people.iter().map(PersonId::to_string).collect();
    let first = begin(&c, "/groups/delta").await;
    assert_eq!(told(&first, big), (all, BTreeSet::new()));
    assert_eq!(told(&first, small).0.len(), 4);
    assert!(row(&first, &none.to_string()).get("members@delta").is_none());
    assert!(first.pages >= 4 && first.rows.len() > 3, "{} rows on {} pages", first.rows.len(), first.pages);
    c.twin.world().remove_members(big, people[..50].to_vec());
    c.twin.world().add_member(big, people[0]);
    let second = again(&c, &first.link).await;
    assert!(second.pages >= 2);
    let (added, removed) = told(&second, big);
    assert!(added.contains(&people[0].to_string()) && removed.len() >= 49, "{added:?} {}", removed.len());
    c.twin.world().rename_group(big, "Bigger");
    let without_members = begin(&c, "/groups/delta?$select=id,displayName").await;
    assert!(without_members.rows.iter().all(|row| row.get("members@delta").is_none()));
    c.twin.world().remove_member(big, people[60]);
    assert!(again(&c, &without_members.link).await.rows.is_empty(), "members are not tracked");
    c.twin.world().soft_delete_group(big);
    let third = again(&c, &second.link).await;
    assert_eq!(row(&third, &big.to_string())["@removed"]["reason"], json!("changed"));
    c.twin.world().restore_group(big);
    assert_eq!(told(&again(&c, &third.link).await, big).0.len(), 50, "it appears as new");
    c.twin.world().purge_group(small);
    let last = again(&c, &third.link).await;
    assert_eq!(row(&last, &small.to_string())["@removed"]["reason"], json!("deleted"));
    c.assert_no_complaints();
}

#[tokio::test]
async fn a_hundred_thousand_people_are_cheap() {
    let c = start(Setup { delta_page: 20_000, journal_cap: 10, ..Setup::unlimited() }).await;
    {
        let mut world = c.twin.world();
        let staff = world.create_group("Staff");
        let people: Vec<PersonId> = (0..100_000)
            .map(|n| {
                world.hire(Hire { auth0_enterprise: false, ..Hire::named(&format!("Person Number{n}")) })
            })
            .collect();
        world.add_members(staff, people);
    }
    let first = begin(&c, "/users/delta?$select=id").await;
    assert_eq!((first.rows.len(), first.pages), (100_000, 5));
}
