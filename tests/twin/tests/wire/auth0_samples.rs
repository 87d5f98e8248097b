//! What keeps the directory in step, held against Auth0's API description and recorded answers. Without the material these
//! tests say so and pass.

use crate::client::{Client, encoded, start};
use crate::samples::{Description, members, names, same, sample};
use lockstep_twin::{AccountId, Hire, Setup};
use serde_json::{Value, json};

type Request<'a> = (&'a str, &'a str, String, Option<Value>);

/// Adele with a role, in an organization, with a role there.
struct Scene {
    c: Client,
    account: AccountId,
    role: String,
    organization: String,
}

async fn scene() -> Scene {
    let mut c = start(Setup::default()).await;
    c.grant(&["create:roles", "update:roles", "delete:roles"]).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    let role = c.twin.world().create_role("Reader");
    let organization = c.twin.world().create_organization("acme");
    let connection = c.twin.world().enterprise_connection().id.clone();
    {
        let mut world = c.twin.world();
        world.grant_role(&account, &role);
        world.enable_connection(&organization, &connection, true);
        world.join_organization(&organization, &account);
        world.grant_member_role(&organization, &account, &role);
    }
    Scene { c, account, role, organization }
}

async fn check_all(c: &Client, all: Vec<Request<'_>>) {
    let Some(description) = Description::auth0() else {
        return;
    };
    for (method, template, path, body) in all {
        description.check(method, template, &c.auth0(method, &path, body).await);
    }
    c.assert_no_complaints();
}

#[tokio::test]
async fn roles_and_organizations_satisfy_the_description() {
    let s = scene().await;
    let (user, role) = (format!("/users/{}", encoded(&s.account)), format!("/roles/{}", s.role));
    let organization = format!("/organizations/{}", s.organization);
    let member = format!("{organization}/members/{}/roles", encoded(&s.account));
    let roles = Some(json!({"roles": [s.role]}));
    let users = Some(json!({"members": [&*s.account]}));
    let all: Vec<Request<'_>> = vec![
        ("GET", "/roles", "/roles".into(), None),
        ("GET", "/roles", "/roles?include_totals=true&name_filter=r".into(), None),
        ("POST", "/roles", "/roles".into(), Some(json!({"name": "Writer"}))),
        ("POST", "/roles", "/roles".into(), Some(json!({"name": "Writer"}))),
        ("GET", "/roles/{id}", role.clone(), None),
        ("GET", "/roles/{id}", "/roles/rol_0000000000000000".into(), None),
        ("PATCH", "/roles/{id}", role.clone(), Some(json!({"description": "x"}))),
        ("GET", "/roles/{id}/users", format!("{role}/users"), None),
        ("GET", "/roles/{id}/users", format!("{role}/users?include_totals=true"), None),
        ("GET", "/roles/{id}/users", format!("{role}/users?take=1"), None),
        ("POST", "/roles/{id}/users", format!("{role}/users"), Some(json!({"users": [&*s.account]}))),
        ("POST", "/roles/{id}/users", format!("{role}/users"), Some(json!({"users": ["auth0|nobody"]}))),
        ("GET", "/users/{id}/roles", format!("{user}/roles?include_totals=true"), None),
        ("POST", "/users/{id}/roles", format!("{user}/roles"), roles.clone()),
        ("DELETE", "/users/{id}/roles", format!("{user}/roles"), roles.clone()),
        ("GET", "/users/{id}/organizations", format!("{user}/organizations?include_totals=true"), None),
        ("GET", "/organizations", "/organizations".into(), None),
        ("GET", "/organizations", "/organizations?take=1".into(), None),
        ("GET", "/organizations", "/organizations?include_totals=true".into(), None),
        ("GET", "/organizations/{id}", organization.clone(), None),
        ("GET", "/organizations/{id}", "/organizations/org_0000000000000000".into(), None),
        ("GET", "/organizations/name/{name}", "/organizations/name/acme".into(), None),
        (
            "GET",
            "/organizations/{id}/enabled_connections",
            format!("{organization}/enabled_connections?include_totals=true"),
            None,
        ),
        ("GET", "/organizations/{id}/members", format!("{organization}/members?include_totals=true"), None),
        ("GET", "/organizations/{id}/members", format!("{organization}/members?take=1&fields=roles"), None),
        ("GET", "/organizations/{id}/members/{user_id}/roles", member.clone(), None),
        ("POST", "/organizations/{id}/members/{user_id}/roles", member.clone(), roles.clone()),
        ("DELETE", "/organizations/{id}/members/{user_id}/roles", member, roles),
        ("POST", "/organizations/{id}/members", format!("{organization}/members"), users.clone()),
        ("DELETE", "/organizations/{id}/members", format!("{organization}/members"), users),
        ("DELETE", "/roles/{id}", role.clone(), None),
        ("DELETE", "/roles/{id}", role, None),
    ];
    check_all(&s.c, all).await;
}

#[tokio::test]
async fn roles_and_members_have_what_the_recorded_ones_have() {
    if sample("auth0/roles/roles-page.json").is_none() {
        return;
    }
    let s = scene().await;
    s.c.auth0("PATCH", &format!("/roles/{}", s.role), Some(json!({"description": "Reads"}))).await;
    let user = format!("/users/{}/roles?include_totals=true", encoded(&s.account));
    let organization = format!("/organizations/{}/members", s.organization);
    let member_roles = format!("{organization}/{}/roles?include_totals=true", encoded(&s.account));
    let with_roles = format!("{organization}?fields=user_id,roles&include_totals=true");
    for (name, path) in [
        ("auth0/roles/roles-page.json", "/roles?include_totals=true"),
        ("auth0/roles/user-roles-page.json", &user),
        ("auth0/organizations/member-roles-page.json", &member_roles),
    ] {
        members(name, "", &s.c, path, &[]).await;
        members(name, "/roles/0", &s.c, path, &[]).await;
    }
    members("auth0/organizations/members-page.json", "", &s.c, &with_roles, &[]).await;
    members("auth0/organizations/members-page.json", "/members/0/roles/0", &s.c, &with_roles, &[]).await;
    let users = format!("/roles/{}/users?take=1", s.role);
    members("auth0/roles/role-users-checkpoint-page.json", "/users/0", &s.c, &users, &["picture"]).await;
}

#[tokio::test]
async fn refusals_about_roles_are_the_recorded_ones() {
    if sample("auth0/errors/404-role-no-error-code.json").is_none() {
        return;
    }
    let s = scene().await;
    same("404-role-no-error-code", &s.c.auth0("GET", "/roles/rol_Gy427JeNTubJSX6a", None).await);
    let roles: Vec<String> = (0..51).map(|n| s.c.twin.world().create_role(&format!("R{n}"))).collect();
    let path = format!("/organizations/{}/members/{}/roles", s.organization, encoded(&s.account));
    same("409-max-member-roles", &s.c.auth0("POST", &path, Some(json!({"roles": roles}))).await);
}

#[tokio::test]
async fn users_and_links_satisfy_the_description() {
    let s = scene().await;
    let person = s.c.twin.world().hire(Hire::named("Miriam Graham"));
    let database = s.c.twin.world().add_database_account(person);
    let (user, other) = (format!("/users/{}", encoded(&s.account)), format!("/users/{}", encoded(&database)));
    let identities = format!("{user}/identities");
    let local = database.split_once('|').expect("a provider").1.to_owned();
    let link = Some(json!({"provider": "auth0", "user_id": local}));
    let both = Some(json!({"username": "x", "email": "y@contoso.example"}));
    let all: Vec<Request<'_>> = vec![
        ("PATCH", "/users/{id}", other.clone(), Some(json!({"name": "M", "email": "m@contoso.example"}))),
        ("PATCH", "/users/{id}", other.clone(), both),
        ("PATCH", "/users/{id}", user.clone(), Some(json!({"name": null}))),
        ("POST", "/users/{id}/identities", identities.clone(), link.clone()),
        ("POST", "/users/{id}/identities", identities.clone(), link),
        ("GET", "/users/{id}", user.clone(), None),
        (
            "DELETE",
            "/users/{id}/identities/{provider}/{user_id}",
            format!("{identities}/auth0/{local}"),
            None,
        ),
        ("GET", "/users/{id}", other.clone(), None),
        ("DELETE", "/users/{id}", other.clone(), None),
        ("DELETE", "/users/{id}", other, None),
    ];
    check_all(&s.c, all).await;
}

#[tokio::test]
async fn users_are_made_and_linked_as_recorded() {
    let (Some(created), Some(linked)) =
        (sample("auth0/users/create-database-user.json"), sample("auth0/users/link-response.json"))
    else {
        return;
    };
    let s = scene().await;
    let database = s.c.twin.world().database_connection().id.clone();
    s.c.twin.world().set_connection_option(&database, "requires_username", true.into());
    let made = s.c.auth0("POST", "/users", Some(created["request"].clone())).await;
    assert_eq!(json!(made.status), created["status"]);
    let told = names(&made.json());
    let missing =
        names(&created["response"]).into_iter().filter(|name| !told.contains(name) && name != "picture");
    assert_eq!(missing.count(), 0, "{told:?}");
    let user_id = made.json()["user_id"].as_str().expect("an id").to_owned();
    let body = json!({"provider": "auth0", "user_id": user_id, "connection_id": database});
    let got = s.c.auth0("POST", &format!("/users/{}/identities", encoded(&s.account)), Some(body)).await;
    assert_eq!(names(&got.json()[1]), names(&linked[1]));
    s.c.twin.world().set_custom_domains(2);
    same("409-custom-domain-conflict", &s.c.auth0("POST", "/users", Some(created["request"].clone())).await);
}

#[tokio::test]
async fn connections_and_tickets_satisfy_the_description() {
    let mut s = scene().await;
    s.c.grant(&["delete:scim_config", "read:scim_token", "delete:scim_token"]).await;
    let person = s.c.twin.world().hire(Hire::named("Miriam Graham"));
    let database = s.c.twin.world().add_database_account(person);
    let connection = format!("/connections/{}", s.c.twin.world().enterprise_connection().id);
    let plain = format!("/connections/{}/scim-configuration", s.c.twin.world().database_connection().id);
    let (scim, tokens) =
        (format!("{connection}/scim-configuration"), format!("{connection}/scim-configuration/tokens"));
    let user = Some(json!({"user_id": &*database}));
    let options = Some(json!({"options": {"userid_attribute": "oid"}}));
    let mapping =
        Some(json!({"user_id_attribute": "externalId", "mapping": [{"scim": "userName", "auth0": "upn"}]}));
    let all: Vec<Request<'_>> = vec![
        ("GET", "/connections", "/connections".into(), None),
        ("GET", "/connections", "/connections?include_totals=true".into(), None),
        ("GET", "/connections", "/connections?take=1".into(), None),
        ("GET", "/connections/{id}", connection.clone(), None),
        ("GET", "/connections/{id}", "/connections/con_0000000000000000".into(), None),
        ("PATCH", "/connections/{id}", connection.clone(), options),
        ("GET", "/connections-scim-configurations", "/connections-scim-configurations".into(), None),
        ("GET", "/connections/{id}/scim-configuration", scim.clone(), None),
        ("POST", "/connections/{id}/scim-configuration", plain, None),
        ("POST", "/connections/{id}/scim-configuration", scim.clone(), None),
        ("PATCH", "/connections/{id}/scim-configuration", scim.clone(), mapping),
        (
            "GET",
            "/connections/{id}/scim-configuration/default-mapping",
            format!("{scim}/default-mapping"),
            None,
        ),
        (
            "POST",
            "/connections/{id}/scim-configuration/tokens",
            tokens.clone(),
            Some(json!({"token_lifetime": 900})),
        ),
        ("POST", "/connections/{id}/scim-configuration/tokens", tokens.clone(), Some(json!({}))),
        ("GET", "/connections/{id}/scim-configuration/tokens", tokens.clone(), None),
        (
            "DELETE",
            "/connections/{id}/scim-configuration/tokens/{tokenId}",
            format!("{tokens}/tok_TwinScimToken001"),
            None,
        ),
        ("DELETE", "/connections/{id}/scim-configuration", scim.clone(), None),
        ("POST", "/connections/{id}/scim-configuration", scim, None),
        ("POST", "/tickets/password-change", "/tickets/password-change".into(), user.clone()),
        ("POST", "/tickets/email-verification", "/tickets/email-verification".into(), user.clone()),
        ("POST", "/guardian/enrollments/ticket", "/guardian/enrollments/ticket".into(), user.clone()),
        ("POST", "/jobs/verification-email", "/jobs/verification-email".into(), user),
    ];
    check_all(&s.c, all).await;
}

#[tokio::test]
async fn connections_and_tickets_are_as_recorded() {
    let (Some(scim), Some(ticket), Some(enrolment)) = (
        sample("auth0/scim/scim-configuration-waad.json"),
        sample("auth0/tickets/password-change.json"),
        sample("auth0/mfa/enrollment-ticket.json"),
    ) else {
        return;
    };
    let s = scene().await;
    let connection = s.c.twin.world().enterprise_connection().id.clone();
    let path = format!("/connections/{connection}");
    members("auth0/connections/waad-get.json", "", &s.c, &path, &["provisioning_ticket_url", "display_name"])
        .await;
    let tenant =
        ["ext_groups", "app_domain", "thumbprints", "domain_aliases", "upstream_params", "strategy_version"];
    members("auth0/connections/waad-get.json", "/options", &s.c, &path, &tenant).await;
    let shown = s.c.auth0("GET", &format!("{path}/scim-configuration"), None).await.json();
    assert_eq!((names(&shown), &shown["mapping"]), (names(&scim), &scim["mapping"]));
    let person = s.c.twin.world().hire(Hire::named("Miriam Graham"));
    let database = s.c.twin.world().add_database_account(person);
    for (sample, path) in [(ticket, "/tickets/password-change"), (enrolment, "/guardian/enrollments/ticket")]
    {
        let mut request = sample["request"].clone();
        request["user_id"] = (*database).into();
        let got = s.c.auth0("POST", path, Some(request)).await;
        assert_eq!(
            (json!(got.status), names(&got.json())),
            (sample["status"].clone(), names(&sample["response"]))
        );
    }
    let made = sample("auth0/scim/scim-token-create.json").expect("seen above");
    let tokens = format!("{path}/scim-configuration/tokens");
    let got = s.c.auth0("POST", &tokens, Some(made["request"].clone())).await;
    assert_eq!((json!(got.status), names(&got.json())), (made["status"].clone(), names(&made["response"])));
    s.c.assert_no_complaints();
}
