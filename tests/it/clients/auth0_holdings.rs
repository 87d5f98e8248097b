//! What an account holds, what the tenant has of what a policy names, and who has the same e-mail address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lockstep::auth0::{Error, Names};
use lockstep::retry::WhatNow;
use lockstep::snapshot::sync::{AccountKind, Entrance, OrganizationId, RoleId, RootWritable};
use serde_json::{Value, json};

use super::id;
use super::script::{Said, Told, refusal, script, told};

fn strings(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|one| (*one).to_owned()).collect()
}

fn connections(option: Value) -> Told {
    let options = json!({"client_secret": "x", "set_user_root_attributes": option});
    told(200, json!([{"id": "con_0000000000000001", "name": "contoso-entra", "options": options}]))
}

fn enterprise() -> Told {
    told(
        200,
        json!({
            "user_id": "waad|contoso-entra|1",
            "email": "ada@contoso.example",
            "name": "Ada",
            "app_metadata": {"department": "Sales"},
            "identities": [
                {"provider": "waad", "connection": "contoso-entra", "user_id": "contoso-entra|1"},
                {"provider": "auth0", "connection": "People", "user_id": "2"},
            ],
        }),
    )
}

#[tokio::test]
async fn an_account_is_read_whole_and_the_connection_once_a_minute() {
    for (option, root) in [
        (json!("on_first_login"), RootWritable::Yes),
        (json!("never_on_login"), RootWritable::Yes),
        (json!("on_each_login"), RootWritable::No),
        (Value::Null, RootWritable::No),
        (json!("on_full_moon"), RootWritable::NotTold),
    ] {
        let s = script(move |said: &Said| match said.path.starts_with("/api/v2/connections") {
            true => connections(option.clone()),
            false => enterprise(),
        })
        .await;
        let account = id("waad|contoso-entra|1");
        let holding = s.reader().holding(&account).await.unwrap().unwrap();
        assert_eq!(holding.kind, AccountKind::Enterprise { root });
        assert_eq!(holding.absorbed, [id("auth0|2")].into());
        assert_eq!((holding.roles, holding.organizations), (None, None));
        assert_eq!(holding.app_metadata["department"], "Sales");
        s.reader().holding(&account).await.unwrap();
        assert_eq!(s.count("GET /api/v2/connections"), 1);
        s.clock.advance(Duration::from_secs(61));
        s.reader().holding(&account).await.unwrap();
        assert_eq!(s.count("GET /api/v2/connections"), 2);
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_for_the_connection_costs_no_request_per_account() {
    let s = script(|said: &Said| match said.path.starts_with("/api/v2/connections") {
        true => refusal(403, "Insufficient scope", Some("insufficient_scope")),
        false => enterprise(),
    })
    .await;
    for _ in 0..5 {
        let holding = s.reader().holding(&id("waad|contoso-entra|1")).await.unwrap().unwrap();
        assert_eq!(holding.kind, AccountKind::Enterprise { root: RootWritable::NotTold });
    }
    assert_eq!(s.count("GET /api/v2/connections"), 1);
    assert_eq!(s.reader().tenant(&Names::default()).await.unwrap().connection, None);
    assert_eq!(s.count("GET /api/v2/connections"), 1);
}

#[tokio::test]
async fn a_profile_from_before_the_limits_is_read() {
    let s = script(|_: &Said| {
        let large = "x".repeat(1_200_000);
        told(200, json!({"user_id": "auth0|1", "user_metadata": {"large": large}}))
    })
    .await;
    let holding = s.reader().holding(&id("auth0|1")).await.unwrap().unwrap();
    assert_eq!(holding.user_metadata["large"].as_str().unwrap().len(), 1_200_000);
}

/// A tenant with 120 roles that answers with pages of fifty, whatever is asked for.
fn tenant(said: &Said) -> Told {
    let path = said.path.strip_prefix("/api/v2").unwrap();
    if path.starts_with("/connections") {
        return connections(Value::Null);
    }
    if let Some(query) = path.strip_prefix("/roles?page=") {
        let page: usize = query.split('&').next().unwrap().parse().unwrap();
        let numbers = (page * 50)..(page * 50 + 50).min(120);
        let roles: Vec<Value> =
            numbers.map(|n| json!({"id": format!("rol_{n:016}"), "name": format!("role {n}")})).collect();
        return told(200, json!({"start": page * 50, "limit": 50, "total": 120, "roles": roles}));
    }
    if path.starts_with("/organizations/org_0000000000000001/enabled_connections") {
        let enabled =
            json!({"connection_id": "con_0000000000000001", "connection": {"name": "contoso-entra"}});
        return told(200, json!({"start": 0, "limit": 100, "total": 1, "enabled_connections": [enabled]}));
    }
    match path {
        "/organizations/name/acme" => told(200, json!({"id": "org_0000000000000001", "name": "acme"})),
        "/organizations/org_0000000000000002" => told(200, json!({"id": "org_0000000000000002"})),
        _ => refusal(404, "No organization found by that id or name", None),
    }
}

#[tokio::test]
async fn what_the_policy_names_is_found_by_name_and_by_id_and_what_is_missing_is_absent() {
    let s = script(tenant).await;
    let names = Names {
        roles: strings(&["role 7", "rol_0000000000000119", "no such role"]),
        organizations: strings(&["acme", "org_0000000000000002", "org_0000000000000003", "nobody"]),
    };
    let found = s.reader().tenant(&names).await.unwrap();
    let roles = [("role 7", "rol_0000000000000007"), ("rol_0000000000000119", "rol_0000000000000119")];
    let roles = roles.map(|(name, id)| (name.to_owned(), RoleId(id.into())));
    assert_eq!(found.roles, BTreeMap::from(roles));
    let organizations = [("acme", "org_0000000000000001"), ("org_0000000000000002", "org_0000000000000002")];
    let organizations = organizations.map(|(name, id)| (name.to_owned(), OrganizationId(id.into())));
    assert_eq!(found.organizations, BTreeMap::from(organizations));
    assert_eq!(found.connection.as_deref(), Some("con_0000000000000001"));
    let contoso = Entrance { id: "con_0000000000000001".into(), name: "contoso-entra".into() };
    let entrances = [(OrganizationId("org_0000000000000001".into()), BTreeSet::from([contoso]))];
    assert_eq!(found.entrances, BTreeMap::from(entrances), "one was deleted in between: it is absent");
    assert_eq!(s.said().len(), 3 + 4 + 1 + 2);

    futures_util::future::join_all((0..20).map(|_| async { s.reader().tenant(&names).await.unwrap() })).await;
    assert_eq!(s.said().len(), 10, "at most a minute old");
    s.reader().forget_tenant();
    futures_util::future::join_all((0..20).map(|_| async { s.reader().tenant(&names).await.unwrap() })).await;
    assert_eq!(s.said().len(), 20, "and read once for all who wait");
    let fewer = Names { roles: BTreeSet::new(), ..names.clone() };
    assert!(s.reader().tenant(&fewer).await.unwrap().roles.is_empty());
    assert_eq!(
        s.said().len(),
        24,
        "another policy is another question, but for the organizations that both name"
    );
}

#[tokio::test]
async fn that_it_is_not_told_how_members_sign_in_costs_nothing_else() {
    for status in [429, 503] {
        let trouble = Arc::new(AtomicBool::new(true));
        let is_troubled = Arc::clone(&trouble);
        let s = script(move |said: &Said| {
            let of = |organization: &str| said.path.contains(&format!("/{organization}/enabled_connections"));
            match is_troubled.load(Ordering::Relaxed) {
                true if of("org_0000000000000002") => told(status, json!({"statusCode": status})),
                _ if of("org_0000000000000002") => told(200, json!({"total": 0, "enabled_connections": []})),
                _ => tenant(said),
            }
        })
        .await;
        let names =
            Names { organizations: strings(&["acme", "org_0000000000000002"]), roles: strings(&["role 7"]) };
        let [acme, other] = ["org_0000000000000001", "org_0000000000000002"];
        let of = |found: &lockstep::snapshot::sync::Tenant| -> Vec<String> {
            assert_eq!((found.roles.len(), found.organizations.len()), (1, 2), "{status}");
            found.entrances.keys().map(|organization| organization.0.clone()).collect()
        };
        let first = s.reader().tenant(&names).await.unwrap();
        assert_eq!(of(&first), [acme], "{status}: the one that was read is told");
        trouble.store(false, Ordering::Relaxed);
        s.clock.advance(Duration::from_secs(301));
        assert_eq!(of(&s.reader().tenant(&names).await.unwrap()), [acme, other], "{status}");
        trouble.store(true, Ordering::Relaxed);
        s.clock.advance(Duration::from_secs(301));
        let last = s.reader().tenant(&names).await.unwrap();
        assert_eq!(of(&last), [acme, other], "{status}: what it told last stands in");
    }
}

#[tokio::test]
async fn an_organization_is_missing_only_when_auth0_says_so() {
    let s = script(|said: &Said| match said.path.contains("/organizations/") {
        true => told(404, json!("no such page")),
        false => tenant(said),
    })
    .await;
    let names = Names { organizations: strings(&["acme"]), ..Names::default() };
    let odd = s.reader().tenant(&names).await.unwrap_err();
    assert!(!odd.is_gone(), "{odd}");
    assert_eq!(odd.what_now(), WhatNow::TryAgain, "{odd}");
}

#[tokio::test]
async fn what_is_stale_is_read_anew_by_itself() {
    let deleted = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&deleted);
    let s = script(move |said: &Said| match said.method.as_str() {
        "POST" => refusal(404, "The role does not exist.", None),
        _ if gone.load(Ordering::Relaxed) && said.path.contains("/roles") => {
            told(200, json!({"total": 0, "roles": []}))
        }
        _ => tenant(said),
    })
    .await;
    let names = Names { roles: strings(&["role 7"]), ..Names::default() };
    let role = s.reader().tenant(&names).await.unwrap().roles["role 7"].clone();
    deleted.store(true, Ordering::Relaxed);
    assert_eq!(s.reader().tenant(&names).await.unwrap().roles.len(), 1, "within the minute");
    assert!(s.keeper().assign_roles(&id("auth0|1"), &[role]).await.unwrap_err().is_stale());
    assert!(s.reader().tenant(&names).await.unwrap().roles.is_empty());
}

#[tokio::test]
async fn a_tenant_with_more_roles_than_there_can_be_is_not_believed() {
    let s = script(|said: &Said| match said.path.starts_with("/api/v2/roles") {
        true => told(200, json!({"total": 1001, "roles": [{"id": "rol_1", "name": "x"}]})),
        false => tenant(said),
    })
    .await;
    let refused = s.reader().tenant(&Names { roles: strings(&["x"]), ..Names::default() }).await.unwrap_err();
    assert_eq!(refused, Error::TooMany { operation: "roles.list", found: 1001, most: 1000 });
}

#[tokio::test]
async fn roles_are_read_by_account_and_only_in_managed_organizations() {
    let s = script(|said: &Said| match said.path.split('?').next().unwrap() {
        "/api/v2/users/auth0%7C1/roles" => told(200, json!({"total": 1, "roles": [{"id": "rol_1"}]})),
        "/api/v2/users/auth0%7C1/organizations" => {
            let listed: Vec<Value> = ["org_a", "org_b", "org_c"].map(|id| json!({"id": id})).into();
            told(200, json!({"total": 3, "organizations": listed}))
        }
        "/api/v2/organizations/org_a/members/auth0%7C1/roles" => {
            told(200, json!({"total": 1, "roles": [{"id": "rol_2"}]}))
        }
        path if path.contains("/org_b/") => told(200, json!({"total": 0, "roles": []})),
        _ => refusal(404, "The user does not exist.", Some("inexistent_user")),
    })
    .await;
    let (reader, ada) = (s.reader(), id("auth0|1"));
    assert_eq!(reader.roles_of(&ada).await.unwrap(), [RoleId("rol_1".into())].into());
    let managed: BTreeSet<_> = ["org_a", "org_b", "org_z"].map(|id| OrganizationId(id.into())).into();
    let found = reader.organizations_of(&ada, &managed).await.unwrap();
    let expected = [
        (OrganizationId("org_a".into()), [RoleId("rol_2".into())].into()),
        (OrganizationId("org_b".into()), BTreeSet::new()),
    ];
    assert_eq!(found, expected.into());
    assert_eq!(s.count("GET /api/v2/organizations/org_c"), 0, "nobody manages it");
    let sent = s.said().len();
    assert!(reader.organizations_of(&ada, &BTreeSet::new()).await.unwrap().is_empty());
    assert_eq!(s.said().len(), sent, "nothing to compare, nothing to ask");
    assert!(reader.roles_of(&id("auth0|2")).await.unwrap_err().is_gone());
}

#[tokio::test]
async fn an_address_is_asked_for_in_both_spellings_and_shown_nowhere() {
    let hit = |id: &str, email: &str, provider: &str, verified: bool| {
        let identity = json!({"provider": provider, "connection": "c", "user_id": "1"});
        json!({"user_id": id, "email": email, "email_verified": verified, "identities": [identity]})
    };
    let s = script(move |said: &Said| {
        let lower = "ada+work@contoso.example";
        match said.path.contains("email=ada%2Bwork%40contoso.example&") {
            true => told(
                200,
                json!([
                    hit("auth0|1", lower, "auth0", true),
                    hit("auth0|9", "somebody@else.example", "auth0", true),
                ]),
            ),
            false => told(
                200,
                json!([
                    hit("waad|1", "Ada+Work@contoso.example", "waad", false),
                    hit("auth0|1", lower, "auth0", true),
                ]),
            ),
        }
    })
    .await;
    let found = s.reader().accounts_with_email("Ada+Work@contoso.example").await.unwrap();
    let shown: Vec<_> =
        found.iter().map(|one| (one.id.as_str(), one.is_database, one.email_verified)).collect();
    assert_eq!(shown, [("auth0|1", true, true), ("waad|1", false, false)]);
    assert_eq!(s.said().len(), 2);
    s.reader().accounts_with_email("ada+work@contoso.example").await.unwrap();
    assert_eq!(s.said().len(), 3, "one spelling, one question");

    let s = script(|_: &Said| refusal(400, "bad: ada@contoso.example", Some("invalid_query_string"))).await;
    let refused = s.reader().accounts_with_email("ada@contoso.example").await.unwrap_err();
    assert_eq!(refused.what_now(), WhatNow::GiveUp);
    assert!(!format!("{refused} {refused:?}").contains("ada"), "{refused}");
}
