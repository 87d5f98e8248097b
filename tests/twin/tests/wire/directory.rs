//! Graph's directory: people's properties, groups, memberships, batches; permissions, limits and replication lag.

use crate::client::{Client, start};
use lockstep_twin::{Fault, GroupId, Hire, Lag, Match, PageFault, PersonId, Setup, Times, Vendor};
use serde_json::{Value, json};
use std::time::Duration;

const APP: &str = "7d0c9b52-1f3e-4a86-b1c4-90e2f5d7a318";

fn ids(page: &Value) -> Vec<&str> {
    page["value"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()).collect()
}

/// Adele in Shops, in Retail, in Staff, which is in Shops again.
fn circle(c: &Client) -> (PersonId, [GroupId; 3]) {
    let mut world = c.twin.world();
    let adele = world.hire(Hire::named("Adele Vance"));
    let groups = ["Shops", "Retail", "Staff"].map(|name| world.create_group(name));
    world.add_member(groups[0], adele);
    for (inner, outer) in [(0, 1), (1, 2), (2, 0)] {
        world.add_member(groups[outer], groups[inner]);
    }
    (adele, groups)
}

#[tokio::test]
async fn a_mover_shows_every_kind_of_property() {
    let c = start(Setup::default()).await;
    let adele = c.twin.world().hire(Hire::named("Adele Vance"));
    let boss = c.twin.world().hire(Hire::named("Miriam Graham"));
    let extension = c.twin.world().register_extension(APP, "costCenter");
    let path = format!(
        "/users/{adele}?$select=displayName,department,jobTitle,officeLocation,mobilePhone,userType,\
         onPremisesExtensionAttributes,{extension}&$expand=manager($select=id)"
    );
    let before = c.graph("GET", &path).await.json();
    assert_eq!((&before["department"], before.get(&extension)), (&json!(null), None));
    {
        let mut world = c.twin.world();
        world.rename(adele, "Adele \"Addie\" Vance 🦊");
        world.move_to(adele, "Retail", "Manager");
        world.set_property(adele, "officeLocation", "18/2111".into());
        world.set_manager(adele, Some(boss));
        world.set_extension_attribute(adele, 3, Some("gold"));
        world.set_directory_extension(adele, APP, "costCenter", "4711".into());
    }
    let moved = c.graph("GET", &path).await.json();
    assert_eq!(moved["displayName"], json!("Adele \"Addie\" Vance 🦊"));
    assert_eq!((&moved["department"], &moved["jobTitle"]), (&json!("Retail"), &json!("Manager")));
    assert_eq!(moved["onPremisesExtensionAttributes"]["extensionAttribute3"], json!("gold"));
    assert_eq!((&moved[&extension], &moved["manager"]["id"]), (&json!("4711"), &json!(boss.to_string())));
    c.twin.world().clear_property(adele, "department");
    c.twin.world().set_directory_extension(adele, APP, "costCenter", Value::Null);
    let cleared = c.graph("GET", &path).await.json();
    assert_eq!((&cleared["department"], cleared.get(&extension)), (&json!(null), None));
    c.assert_no_complaints();
    let unregistered = c.graph("GET", &format!("/users/{adele}?$select=extension_{:032}_x", 0)).await;
    assert_eq!(unregistered.status, 400);
}

#[tokio::test]
async fn guests_are_invited_and_accept() {
    let c = start(Setup::default()).await;
    let domain = c.twin.setup().tenant_domain.clone();
    let guest = Hire::guest("Lidia Holloway", "lidia@fabrikam.example", &domain);
    let guest = c.twin.world().hire(guest);
    let path = format!("/users/{guest}?$select=userPrincipalName,userType,externalUserState,mail");
    let shown = c.graph("GET", &path).await.json();
    assert_eq!(shown["userPrincipalName"], json!(format!("lidia_fabrikam.example#EXT#@{domain}")));
    assert_eq!(
        (&shown["userType"], &shown["externalUserState"]),
        (&json!("Guest"), &json!("PendingAcceptance"))
    );
    c.twin.world().accept_invitation(guest);
    assert_eq!(c.graph("GET", &path).await.json()["externalUserState"], json!("Accepted"));
    c.assert_no_complaints();
}

#[tokio::test]
async fn memberships_are_direct_or_transitive_and_of_several_types() {
    let c = start(Setup::default()).await;
    let (adele, [shops, retail, staff]) = circle(&c);
    c.twin.world().give_directory_role(adele, "User Administrator");
    c.twin.world().grant_graph_permission("Directory.Read.All");
    let direct = c.graph("GET", &format!("/users/{adele}/memberOf")).await.json();
    assert_eq!(ids(&direct)[0], shops.to_string());
    assert_eq!(direct["value"][1]["@odata.type"], json!("#microsoft.graph.directoryRole"));
    let path = format!("/users/{adele}/transitiveMemberOf");
    let all = c.graph("GET", &format!("{path}?$select=id,displayName&$top=2")).await;
    assert_eq!(
        all.header("x-ms-resource-unit"),
        Some("1"),
        "2, less one for $select and one for a small $top"
    );
    let all = all.json();
    let rest = c.follow(&all["@odata.nextLink"]).await.json();
    let mut groups = ids(&all);
    groups.extend(ids(&rest));
    assert_eq!(groups.len(), 4, "{groups:?}");
    assert!(rest.get("@odata.nextLink").is_none());
    let cast = format!("{path}/microsoft.graph.group?$count=true&$select=id,displayName");
    assert_eq!(c.graph("GET", &cast).await.json()["error"]["code"], json!("Request_UnsupportedQuery"));
    let cast = c.graph_with(&cast, ("ConsistencyLevel", "eventual")).await.json();
    assert_eq!((cast["@odata.count"].as_u64(), ids(&cast).len()), (Some(3), 3));
    assert!(cast["value"][0].get("@odata.type").is_none());
    let above = c.graph("GET", &format!("/groups/{retail}/transitiveMemberOf")).await.json();
    assert!(ids(&above).contains(&staff.to_string().as_str()));
    assert_eq!(c.graph("GET", &format!("{path}?$top=1000")).await.status, 400);
}

#[tokio::test]
async fn members_are_listed_page_by_page() {
    let c = start(Setup::default()).await;
    let people: Vec<PersonId> =
        (0..250).map(|n| c.twin.world().hire(Hire::named(&format!("Person Number{n}")))).collect();
    let [staff, inner] = ["Staff", "Inner"].map(|name| c.twin.world().create_group(name));
    c.twin.world().add_members(inner, people.clone());
    c.twin.world().add_member(staff, inner);
    let mut seen = Vec::new();
    let mut page = c.graph("GET", &format!("/groups/{inner}/members?$select=id")).await;
    assert_eq!(page.header("x-ms-resource-unit"), Some("2"));
    loop {
        let body = page.json();
        assert!(ids(&body).len() <= 100);
        seen.extend(ids(&body).into_iter().map(str::to_owned));
        if body.get("@odata.nextLink").is_none() {
            break;
        }
        page = c.follow(&body["@odata.nextLink"]).await;
    }
    let mut wanted: Vec<String> = people.iter().map(PersonId::to_string).collect();
    wanted.sort();
    assert_eq!(seen, wanted);
    let cast = format!("/groups/{staff}/transitiveMembers/microsoft.graph.user?$count=true&$top=999");
    let cast = c.graph_with(&cast, ("ConsistencyLevel", "eventual")).await.json();
    assert_eq!((cast["@odata.count"].as_u64(), ids(&cast).len()), (Some(250), 250));
    let direct = c.graph("GET", &format!("/groups/{staff}/members")).await.json();
    assert_eq!(ids(&direct), [inner.to_string()]);
    c.assert_no_complaints();
}

#[tokio::test]
async fn asking_about_groups_is_transitive_and_has_its_limits() {
    let c = start(Setup::unlimited()).await;
    let (adele, [shops, _, staff]) = circle(&c);
    let other = c.twin.world().create_group("Other");
    let path = format!("/users/{adele}/checkMemberGroups");
    let asked: Vec<String> = [shops, staff, other, GroupId::nothing()].map(|id| id.to_string()).into();
    let got = c.graph_post(&path, json!({ "groupIds": asked })).await;
    assert_eq!(got.json()["value"], json!([shops.to_string(), staff.to_string()]));
    assert_eq!(got.header("x-ms-resource-unit"), Some("4"));
    assert_eq!(c.twin.journal().writes(Vendor::Graph), 0, "a question is no write");
    let all =
        c.graph_post(&format!("/users/{adele}/getMemberGroups"), json!({"securityEnabledOnly": true})).await;
    assert_eq!(all.json()["value"].as_array().map(Vec::len), Some(3));
    c.assert_no_complaints();
    let many: Vec<String> = (0..21).map(|_| GroupId::nothing().to_string()).collect();
    assert_eq!(c.graph_post(&path, json!({ "groupIds": many })).await.status, 400);
    for n in 0..2_050 {
        let group = c.twin.world().create_group(&format!("Group {n}"));
        c.twin.world().add_member(group, adele);
    }
    let all =
        c.graph_post(&format!("/users/{adele}/getMemberGroups"), json!({"securityEnabledOnly": false})).await;
    assert_eq!(all.json()["error"]["code"], json!("Directory_ResultSizeLimitExceeded"));
}

#[tokio::test]
async fn groups_are_read_deleted_and_restored() {
    let c = start(Setup::default()).await;
    let staff = c.twin.world().create_group("Staff");
    c.twin.world().set_group_property(staff, "description", "Everybody".into());
    let path = format!("/groups/{staff}?$select=id,displayName,description,securityEnabled");
    let shown = c.graph("GET", &path).await.json();
    assert_eq!(
        (&shown["displayName"], &shown["description"], &shown["securityEnabled"]),
        (&json!("Staff"), &json!("Everybody"), &json!(true))
    );
    assert_eq!(ids(&c.graph("GET", "/groups?$select=id,displayName").await.json()), [staff.to_string()]);
    c.twin.world().soft_delete_group(staff);
    assert_eq!(c.graph("GET", &path).await.status, 404);
    let deleted = c.graph("GET", &format!("/directory/deletedItems/{staff}")).await.json();
    assert_eq!(deleted["@odata.type"], json!("#microsoft.graph.group"));
    let listed = c.graph("GET", "/directory/deletedItems/microsoft.graph.group").await.json();
    assert_eq!(ids(&listed), [staff.to_string()]);
    c.twin.world().restore_group(staff);
    assert_eq!(c.graph("GET", &path).await.status, 200);
    c.twin.world().purge_group(staff);
    assert_eq!(c.graph("GET", &format!("/directory/deletedItems/{staff}")).await.status, 404);
    c.assert_no_complaints();
}

#[tokio::test]
async fn objects_are_fetched_by_their_ids() {
    let c = start(Setup::default()).await;
    let (adele, [shops, ..]) = circle(&c);
    let ids_sent = json!([adele.to_string(), shops.to_string(), PersonId::nobody().to_string()]);
    let got =
        c.graph_post("/directoryObjects/getByIds?$select=id,displayName", json!({"ids": ids_sent})).await;
    assert_eq!(
        (got.json()["value"].as_array().map(Vec::len), got.header("x-ms-resource-unit")),
        (Some(2), Some("2"))
    );
    let users = c.graph_post("/directoryObjects/getByIds", json!({"ids": ids_sent, "types": ["user"]})).await;
    assert_eq!(
        (ids(&users.json()), users.header("x-ms-resource-unit")),
        (vec![adele.to_string().as_str()], Some("5"))
    );
    c.assert_no_complaints();
}

#[tokio::test]
async fn without_the_permission_for_groups_they_are_shadows() {
    let c = start(Setup::default()).await;
    let (adele, [shops, ..]) = circle(&c);
    c.twin.world().revoke_graph_permission("Group.Read.All");
    let all = c.graph("GET", &format!("/users/{adele}/transitiveMemberOf?$select=id,displayName")).await;
    assert_eq!(all.status, 200, "nothing but the nulls tells");
    for item in all.json()["value"].as_array().expect("a list") {
        assert_eq!(
            (&item["@odata.type"], &item["displayName"]),
            (&json!("#microsoft.graph.group"), &json!(null))
        );
        assert!(item["id"].is_string());
    }
    let asked = json!({"groupIds": [shops.to_string()]});
    assert_eq!(c.graph_post(&format!("/users/{adele}/checkMemberGroups"), asked).await.status, 403);
    let all = json!({"securityEnabledOnly": true});
    assert_eq!(c.graph_post(&format!("/users/{adele}/getMemberGroups"), all.clone()).await.status, 403);
    for path in ["/groups/delta".into(), format!("/groups/{shops}/members"), format!("/groups/{shops}")] {
        assert_eq!(c.graph("GET", &path).await.status, 403, "{path}");
    }
    c.twin.world().grant_graph_permission("Group.Read.All");
    c.twin.world().revoke_graph_permission("User.Read.All");
    assert_eq!(c.graph_post(&format!("/users/{adele}/getMemberGroups"), all).await.status, 403);
    for path in ["/users/delta".to_owned(), format!("/users/{adele}/memberOf")] {
        assert_eq!(c.graph("GET", &path).await.status, 403, "{path}");
    }
    c.assert_no_complaints();
}

fn get(id: &str, url: String) -> Value {
    json!({ "id": id, "method": "GET", "url": url })
}

fn response<'a>(batch: &'a Value, id: &str) -> &'a Value {
    let responses = batch["responses"].as_array().expect("responses");
    responses.iter().find(|response| response["id"] == *id).expect("every request is answered")
}

#[tokio::test]
async fn a_batch_answers_each_request_for_itself() {
    let c = start(Setup::default()).await;
    let (adele, [shops, ..]) = circle(&c);
    let check = json!({
        "id": "check", "method": "POST", "url": format!("/users/{adele}/checkMemberGroups"),
        "headers": {"Content-Type": "application/json"}, "body": {"groupIds": [shops.to_string()]},
    });
    let dependent =
        json!({ "id": "d", "method": "GET", "url": format!("/users/{adele}"), "dependsOn": ["none"] });
    let requests = json!({"requests": [
        get("one", format!("/users/{adele}?$select=id,accountEnabled")),
        get("none", format!("users/{}", PersonId::nobody())),
        check,
        dependent,
    ]});
    let got = c.graph_post("/$batch", requests).await;
    assert_eq!(got.status, 200);
    let batch = got.json();
    assert_eq!(response(&batch, "one")["body"]["accountEnabled"], json!(true));
    assert_eq!(response(&batch, "one")["headers"]["x-ms-resource-unit"], json!("1"));
    assert_eq!(response(&batch, "none")["status"], json!(404));
    assert_eq!(response(&batch, "check")["body"]["value"], json!([shops.to_string()]));
    assert_eq!(response(&batch, "d")["status"], json!(424));
    let journal = c.twin.journal();
    assert_eq!(journal.count(Vendor::Graph, "GET /v1.0/users/{id}"), 2);
    assert_eq!((journal.count(Vendor::Graph, "POST /v1.0/$batch"), journal.total(Vendor::Graph)), (1, 1));
    c.assert_no_complaints();
}

#[tokio::test]
async fn limits_and_faults_strike_single_requests_of_a_batch() {
    let c = start(Setup { resource_units_per_ten_seconds: Some(3), ..Setup::default() }).await;
    let (adele, _) = circle(&c);
    let requests: Vec<Value> =
        (0..4).map(|n| get(&n.to_string(), format!("/users/{adele}?$select=id"))).collect();
    let batch = c.graph_post("/$batch", json!({ "requests": requests })).await.json();
    let throttled = response(&batch, "3");
    assert_eq!(throttled["status"], json!(429));
    let wait: f64 = throttled["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
    assert!(wait > 2.0, "{wait}");
    assert_eq!(response(&batch, "2")["status"], json!(200));
    let c = start(Setup::unlimited()).await;
    let (adele, _) = circle(&c);
    c.twin.faults().inject(
        Match::vendor(Vendor::Graph).route("/users/{id}"),
        Fault::Status(503),
        Times::N(1),
    );
    let requests =
        json!({"requests": [get("a", format!("/users/{adele}")), get("b", format!("/users/{adele}"))]});
    let batch = c.graph_post("/$batch", requests).await.json();
    assert_eq!(
        (&response(&batch, "a")["status"], &response(&batch, "b")["status"]),
        (&json!(503), &json!(200))
    );
}

#[tokio::test]
async fn a_wrong_batch_is_refused_as_a_whole() {
    let c = start(Setup::default()).await;
    let organization = |id: &str| get(id, "/organization".into());
    let many: Vec<Value> = (0..21).map(|n| organization(&n.to_string())).collect();
    let body_without_type = json!({ "id": "1", "method": "POST", "url": "/x", "body": {} });
    for requests in [
        json!([organization("1"), organization("1")]),
        json!(many),
        json!([]),
        json!([body_without_type]),
        json!([get("1", "https://graph.microsoft.com/v1.0/organization".into())]),
    ] {
        assert_eq!(c.graph_post("/$batch", json!({ "requests": requests })).await.status, 400, "{requests}");
    }
    assert_eq!(c.twin.journal().count(Vendor::Graph, "GET /v1.0/organization"), 0);
    assert_eq!(c.twin.journal().complaints().len(), 5);
}

#[tokio::test]
async fn a_lagging_replica_shows_what_was() {
    let c = start(Setup::default()).await;
    let (adele, [shops, ..]) = circle(&c);
    let other = c.twin.world().create_group("Other");
    c.twin.world().set_replication_lag(Some(Lag::Reads(1)));
    let new = c.twin.world().hire(Hire::named("Alex Wilber"));
    c.twin.world().disable(adele);
    c.twin.world().remove_member(shops, adele);
    c.twin.world().add_member(other, adele);
    let delta = c.graph("GET", "/users/delta?$select=id,accountEnabled").await.json();
    assert_eq!(ids(&delta).len(), 2, "the delta query has told of both");
    let person = |id: PersonId| format!("/users/{id}?$select=id,accountEnabled");
    assert_eq!(c.graph("GET", &person(new)).await.status, 404);
    assert_eq!(c.graph("GET", &person(new)).await.status, 200);
    let groups = format!("/users/{adele}/memberOf?$select=id");
    // Two reads of two things: of the person, and of what they are in.
    assert_eq!(ids(&c.graph("GET", &groups).await.json()), [shops.to_string()]);
    assert_eq!(ids(&c.graph("GET", &groups).await.json()), [other.to_string()]);
    c.twin.world().set_replication_lag(Some(Lag::For(Duration::from_secs(3_600))));
    c.twin.world().enable(adele);
    assert_eq!(c.graph("GET", &person(adele)).await.json()["accountEnabled"], json!(false));
    c.twin.world().set_replication_lag(None);
    assert_eq!(c.graph("GET", &person(adele)).await.json()["accountEnabled"], json!(true));
    c.assert_no_complaints();
}

#[tokio::test]
async fn lists_can_lose_and_repeat_and_end_too_early() {
    let c = start(Setup::default()).await;
    for name in ["One", "Two", "Three", "Four", "Five"] {
        c.twin.world().create_group(name);
    }
    let struck = |fault| {
        c.twin.faults().inject(
            Match::vendor(Vendor::Graph).route("/groups"),
            Fault::Page(fault),
            Times::N(1),
        );
        c.graph("GET", "/groups?$top=2")
    };
    let missing = struck(PageFault::Missing).await.json();
    assert_eq!((ids(&missing).len(), missing["@odata.nextLink"].is_string()), (0, true));
    let rest = c.follow(&missing["@odata.nextLink"]).await.json();
    assert_eq!(ids(&rest).len(), 2, "the first two are never told");
    assert_eq!(ids(&struck(PageFault::Short(1)).await.json()).len(), 1);
    let cut = struck(PageFault::CutShort).await.json();
    assert_eq!((ids(&cut).len(), cut.get("@odata.nextLink")), (2, None));
    assert_eq!(ids(&struck(PageFault::Repeated).await.json()).len(), 4);
    let empty = struck(PageFault::Empty).await.json();
    assert_eq!(ids(&empty).len(), 0);
    assert_eq!(ids(&c.follow(&empty["@odata.nextLink"]).await.json()).len(), 2);
    c.assert_no_complaints();
    struck(PageFault::Late(1)).await;
    c.twin.world().expire_links();
    let old = c.follow(&empty["@odata.nextLink"]).await;
    assert_eq!(old.json()["error"]["code"], json!("Directory_ExpiredPageToken"));
    let nobody = format!("/users/{}", PersonId::nobody());
    let single = Match::vendor(Vendor::Graph).route("/users/");
    c.twin.faults().inject(single, Fault::Page(PageFault::Missing), Times::N(1));
    c.graph("GET", &nobody).await;
    assert_eq!(c.twin.journal().complaints().len(), 2, "faults that could not strike are told");
}
