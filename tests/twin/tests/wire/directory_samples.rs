//! Graph's directory held against its API description and the published answers. Without the material these tests say so
//! and pass.

use crate::client::{Client, start};
use crate::samples::{Description, names, published, sample};
use lockstep_twin::{DeltaExpiry, Fault, GroupId, Hire, Match, PersonId, Setup, Times, Vendor};
use serde_json::{Value, json};

/// Adele, her manager, her group, and somebody who is deleted.
fn populate(c: &Client) -> (PersonId, GroupId, PersonId) {
    let mut world = c.twin.world();
    let manager = world.hire(Hire::named("Miriam Graham"));
    let adele = world.hire(Hire { manager: Some(manager), ..Hire::named("Adele Vance") });
    let gone = world.hire(Hire::named("Alex Wilber"));
    let [staff, inner] = ["Staff", "Inner"].map(|name| world.create_group(name));
    world.add_member(staff, inner);
    world.add_member(inner, adele);
    world.give_directory_role(adele, "User Administrator");
    world.soft_delete(gone);
    (adele, inner, gone)
}

#[tokio::test]
async fn directory_answers_satisfy_the_description() {
    let Some(description) = Description::graph() else {
        return;
    };
    let c = start(Setup::unlimited()).await;
    let (adele, inner, _) = populate(&c);
    let eventual = ("ConsistencyLevel", "eventual");
    let cast = "microsoft.graph.group?$count=true";
    let all = [
        ("/users", "/users?$top=1".to_owned()),
        ("/users/delta", "/users/delta".to_owned()),
        ("/users/delta", "/users/delta?$select=id,manager,onPremisesExtensionAttributes".to_owned()),
        ("/users/delta", "/users/delta?$deltatoken=latest".to_owned()),
        ("/users/{id}/memberOf", format!("/users/{adele}/memberOf")),
        ("/users/{id}/memberOf/microsoft.graph.group", format!("/users/{adele}/memberOf/{cast}")),
        ("/users/{id}/transitiveMemberOf", format!("/users/{adele}/transitiveMemberOf")),
        (
            "/users/{id}/transitiveMemberOf/microsoft.graph.group",
            format!("/users/{adele}/transitiveMemberOf/{cast}"),
        ),
        ("/groups", "/groups?$top=1".to_owned()),
        ("/groups/delta", "/groups/delta".to_owned()),
        ("/groups/{id}", format!("/groups/{inner}")),
        ("/groups/{id}", format!("/groups/{}", GroupId::nothing())),
        ("/groups/{id}/members", format!("/groups/{inner}/members")),
        ("/groups/{id}/transitiveMembers", format!("/groups/{inner}/transitiveMembers?$select=id")),
    ];
    for (template, path) in all {
        description.check("GET", template, &c.graph_with(&path, eventual).await);
    }
    let posts = [
        (
            "/users/{id}/checkMemberGroups",
            format!("/users/{adele}/checkMemberGroups"),
            json!({"groupIds": [inner.to_string()]}),
        ),
        (
            "/users/{id}/getMemberGroups",
            format!("/users/{adele}/getMemberGroups"),
            json!({"securityEnabledOnly": true}),
        ),
        (
            "/directoryObjects/getByIds",
            "/directoryObjects/getByIds".to_owned(),
            json!({"ids": [adele.to_string()]}),
        ),
        (
            "/$batch",
            "/$batch".to_owned(),
            json!({"requests": [{"id": "1", "method": "GET", "url": "/organization"}]}),
        ),
    ];
    for (template, path, body) in posts {
        description.check("POST", template, &c.graph_post(&path, body).await);
    }
    c.assert_no_complaints();
}

/// The page's own members are those of the sample, and its context; so is every row.
fn same_shape(name: &str, got: &Value, contexts_too: bool) {
    let wanted = sample(&format!("graph/{name}.json")).expect("the samples are there");
    assert_eq!(names(got), names(&wanted), "{name}");
    if contexts_too {
        assert_eq!(got["@odata.context"], wanted["@odata.context"], "{name}");
    }
    let rows = |page: &Value| page["value"].as_array().cloned().unwrap_or_default();
    let shapes: Vec<Vec<String>> = rows(&wanted).iter().map(names).collect();
    for row in rows(got) {
        assert!(shapes.contains(&names(&row)), "{name} has no row like {row}");
    }
}

#[tokio::test]
async fn delta_pages_look_like_the_published_ones() {
    if sample("graph/users-delta-1-first-page.json").is_none() {
        return;
    }
    let c = start(Setup { delta_page: 2, ..Setup::default() }).await;
    let (adele, inner, gone) = populate(&c);
    c.twin.world().set_group_property(inner, "description", "Inside".into());
    c.twin.world().restore(gone);
    let first = c.graph("GET", "/users/delta?$select=displayName,givenName,surname").await.json();
    same_shape("users-delta-1-first-page", &first, true);
    let last = c.follow(&first["@odata.nextLink"]).await.json();
    same_shape("users-delta-2-last-page", &last, true);
    same_shape("users-delta-3-no-changes", &c.follow(&last["@odata.deltaLink"]).await.json(), true);
    c.twin.world().rename(adele, "Testuser7");
    c.twin.world().soft_delete(gone);
    same_shape("users-delta-4-changes", &c.follow(&last["@odata.deltaLink"]).await.json(), true);
    let c = start(Setup { delta_page: 1, ..Setup::default() }).await;
    let (adele, inner, _) = populate(&c);
    let all: Vec<GroupId> = c.twin.world().groups().map(|group| group.id).collect();
    all.iter().for_each(|id| c.twin.world().set_group_property(*id, "description", "Some".into()));
    let first = c.graph("GET", "/groups/delta?$select=displayName,description,members").await.json();
    assert_eq!(names(&first), names(&sample("graph/groups-delta-1-first-page.json").expect("seen above")));
    let last = c.follow(&first["@odata.nextLink"]).await.json();
    same_shape("groups-delta-2-next-page", &first, false);
    let none = c.follow(&last["@odata.deltaLink"]).await.json();
    same_shape("groups-delta-4-no-changes", &none, true);
    let other = c.twin.world().hire(Hire::named("Nestor Wilke"));
    c.twin.world().remove_member(inner, adele);
    c.twin.world().add_member(inner, other);
    let changed = c.follow(&none["@odata.deltaLink"]).await.json();
    same_shape("groups-delta-5-changes", &changed, true);
    let members = changed["value"][0]["members@delta"].as_array().cloned().unwrap_or_default();
    let wanted = sample("graph/groups-delta-5-changes.json").expect("seen above");
    let told = wanted["value"][0]["members@delta"].as_array().cloned().unwrap_or_default();
    assert_eq!(members.iter().map(names).collect::<Vec<_>>(), told.iter().map(names).collect::<Vec<_>>());
    let link = last["@odata.deltaLink"].clone();
    let gone = Fault::ExpireDelta(DeltaExpiry::Gone);
    c.twin.faults().inject(Match::vendor(Vendor::Graph).route("/groups/delta"), gone, Times::N(1));
    published("error-410-resync", 410, &c.follow(&link).await);
}

#[tokio::test]
async fn memberships_look_like_the_published_ones() {
    let Some(wanted) = sample("graph/users-transitive-member-of.json") else {
        return;
    };
    let c = start(Setup::default()).await;
    let (adele, inner, _) = populate(&c);
    c.twin.world().revoke_graph_permission("Group.Read.All");
    let select = "displayName,mailEnabled,mailNickname,securityEnabled";
    let got =
        c.graph("GET", &format!("/users/{adele}/transitiveMemberOf?$select={select}&$top=1")).await.json();
    assert_eq!(names(&got), names(&wanted));
    assert_eq!(names(&got["value"][0]), names(&wanted["value"][2]), "what may not be seen is null");
    assert!(got["value"][0]["displayName"].is_null());
    c.twin.world().grant_graph_permission("Group.Read.All");
    let check = json!({"groupIds": [inner.to_string()]});
    let check = c.graph_post(&format!("/users/{adele}/checkMemberGroups"), check).await.json();
    let wanted = sample("graph/check-member-groups-response.json").expect("seen above");
    assert!(names(&wanted).iter().all(|name| check.get(name).is_some()), "{check}");
    let all = json!({"securityEnabledOnly": true});
    let all = c.graph_post(&format!("/users/{adele}/getMemberGroups"), all).await.json();
    let wanted = sample("graph/get-member-groups-response.json").expect("seen above");
    assert_eq!((names(&all), &all["@odata.context"]), (names(&wanted), &wanted["@odata.context"]));
}

#[tokio::test]
async fn people_look_like_the_published_ones() {
    let Some(wanted) = sample("graph/user-get-selected.json") else {
        return;
    };
    let c = start(Setup::default()).await;
    let (adele, _, gone) = populate(&c);
    let context = wanted["@odata.context"].as_str().expect("a context");
    let select =
        context.split_once("users(").and_then(|(_, rest)| rest.split_once(",manager()")).expect("a list").0;
    let path = format!("/users/{adele}?$select={select}&$expand=manager($select=id,displayName,mail)");
    let got = c.graph("GET", &path).await.json();
    assert_eq!((names(&got), &got["@odata.context"]), (names(&wanted), &wanted["@odata.context"]));
    assert_eq!(names(&got["manager"]), names(&wanted["manager"]));
    let wanted = sample("graph/deleted-users-list.json").expect("seen above");
    let select = names(&wanted["value"][0]).join(",");
    let path = format!("/directory/deletedItems/microsoft.graph.user?$select={select}");
    let got = c.graph("GET", &path).await.json();
    same_shape("deleted-users-list", &got, true);
    let upn = got["value"][0]["userPrincipalName"].as_str().expect("a UPN");
    assert!(upn.starts_with(&gone.to_string().replace('-', "")));
}

#[tokio::test]
async fn batches_look_like_the_published_ones() {
    let (Some(request), Some(wanted)) =
        (sample("graph/batch-request.json"), sample("graph/batch-response.json"))
    else {
        return;
    };
    let c = start(Setup::default()).await;
    let got = c.graph_post("/$batch", request).await.json();
    assert_eq!(names(&got), names(&wanted));
    let responses = got["responses"].as_array().expect("responses");
    assert_eq!(responses.len(), 5);
    for response in responses {
        assert_eq!(names(response), names(&wanted["responses"][0]), "{response}");
    }
    let organization = json!({"requests": [{"id": "1", "method": "GET", "url": "organization"}]});
    let got = c.graph_post("/$batch", organization).await.json();
    let headers = &got["responses"][0]["headers"];
    for name in ["Cache-Control", "x-ms-resource-unit", "Content-Type"] {
        assert!(headers[name].is_string(), "no {name} in {headers}");
    }
}
