//! Organizations of the Auth0 tenant, their members and what these may do there.

use crate::client::{Client, encoded, start};
use lockstep_twin::{AccountId, Hire, Setup, Write};
use serde_json::{Value, json};

struct Scene {
    c: Client,
    organization: String,
    account: AccountId,
    role: String,
}

async fn scene() -> Scene {
    let c = start(Setup::default()).await;
    let person = c.twin.world().hire(Hire::named("Adele Vance"));
    let account = c.twin.world().accounts_of(person)[0].clone();
    let organization = c.twin.world().create_organization("acme");
    let role = c.twin.world().create_role("Reader");
    Scene { c, organization, account, role }
}

impl Scene {
    fn members(&self) -> String {
        format!("/organizations/{}/members", self.organization)
    }

    fn roles(&self) -> String {
        format!("{}/{}/roles", self.members(), encoded(&self.account))
    }

    fn memberships(&self) -> String {
        format!("/users/{}/organizations", encoded(&self.account))
    }

    async fn listed(&self) -> usize {
        self.c.auth0("GET", &self.members(), None).await.json().as_array().map_or(0, Vec::len)
    }
}

#[tokio::test]
async fn organizations_are_found_by_id_and_by_name() {
    let s = scene().await;
    let by_id = s.c.auth0("GET", &format!("/organizations/{}", s.organization), None).await.json();
    let by_name = s.c.auth0("GET", "/organizations/name/acme", None).await.json();
    assert_eq!((&by_id, &by_id["display_name"]), (&by_name, &json!("acme")));
    let page = s.c.auth0("GET", "/organizations?include_totals=true", None).await.json();
    assert_eq!((&page["total"], &page["organizations"][0]), (&json!(1), &by_id));
    for path in
        ["/organizations/org_nothing", "/organizations/name/nothing", "/organizations/org_nothing/members"]
    {
        let gone = s.c.auth0("GET", path, None).await;
        assert_eq!(gone.status, 404, "{path}");
        assert_eq!(gone.json().get("errorCode"), None);
    }
    let connection = s.c.twin.world().enterprise_connection().id.clone();
    s.c.twin.world().enable_connection(&s.organization, &connection, true);
    let enabled =
        s.c.auth0("GET", &format!("/organizations/{}/enabled_connections", s.organization), None).await;
    assert_eq!(enabled.json()[0]["connection"]["strategy"], json!("waad"));
    s.c.assert_no_complaints();
}

#[tokio::test]
async fn members_come_and_go_with_their_roles() {
    let s = scene().await;
    let body = json!({"members": [&*s.account]});
    assert_eq!(s.c.auth0("POST", &s.members(), Some(body.clone())).await.status, 204);
    let roles = json!({"roles": [s.role]});
    assert_eq!(s.c.auth0("POST", &s.roles(), Some(roles.clone())).await.status, 204);
    assert_eq!(s.c.auth0("GET", &s.roles(), None).await.json()[0]["name"], json!("Reader"));
    assert_eq!(s.c.auth0("GET", &s.memberships(), None).await.json()[0]["name"], json!("acme"));
    let listed =
        s.c.auth0("GET", &format!("{}?fields=user_id,roles&include_totals=true", s.members()), None).await;
    assert_eq!(
        listed.json()["members"],
        json!([{"user_id": &*s.account, "roles": [{"id": s.role, "name": "Reader"}]}])
    );
    let state = s.c.twin.world().account_state(&s.account);
    assert_eq!(state.organizations[&s.organization].len(), 1);
    assert_eq!(s.c.auth0("DELETE", &s.roles(), Some(roles.clone())).await.status, 204);
    assert_eq!(s.c.auth0("DELETE", &s.roles(), Some(roles)).await.status, 204, "again");
    assert_eq!(s.c.auth0("DELETE", &s.members(), Some(body.clone())).await.status, 204);
    assert_eq!(s.c.auth0("DELETE", &s.members(), Some(body)).await.status, 204, "again");
    assert_eq!(s.c.auth0("GET", &s.memberships(), None).await.json(), json!([]));
    assert_eq!(s.c.twin.world().writes_to(&s.account)[&Write::MemberRolesGranted], 1);
    s.c.assert_no_complaints();
}

#[tokio::test]
async fn ten_members_a_call_and_fifty_roles_a_member() {
    let s = scene().await;
    let many: Vec<String> = (0..11).map(|n| format!("auth0|{n}")).collect();
    assert_eq!(s.c.auth0("POST", &s.members(), Some(json!({"members": many}))).await.status, 400);
    assert_eq!(s.c.auth0("POST", &s.members(), Some(json!({"members": many[..1]}))).await.status, 404);
    let roles: Vec<String> = (0..51).map(|n| s.c.twin.world().create_role(&format!("R{n}"))).collect();
    assert_eq!(s.c.auth0("POST", &s.roles(), Some(json!({"roles": roles[..50]}))).await.status, 204);
    let beyond = s.c.auth0("POST", &s.roles(), Some(json!({"roles": roles[50..]}))).await;
    assert_eq!((beyond.status, beyond.json().get("errorCode")), (409, None));
    s.c.twin.world().delete_role(&roles[0]);
    assert_eq!(s.c.twin.world().member_roles(&s.organization, &s.account).len(), 49);
}

#[tokio::test]
async fn the_list_of_members_lags_and_memberships_do_not() {
    let s = scene().await;
    s.c.twin.world().freeze_member_lists();
    s.c.twin.world().join_organization(&s.organization, &s.account);
    assert_eq!(s.listed().await, 0, "the list is behind");
    assert_eq!(s.c.auth0("GET", &s.memberships(), None).await.json().as_array().map(Vec::len), Some(1));
    s.c.twin.world().thaw_member_lists();
    assert_eq!(s.listed().await, 1);
    s.c.twin.world().freeze_member_lists();
    s.c.twin.world().delete_account(&s.account);
    assert_eq!(s.listed().await, 0, "whoever is deleted is nobody to show");
}

#[tokio::test]
async fn members_are_paged_until_an_empty_page_as_recorded() {
    let s = scene().await;
    s.c.twin.world().join_organization(&s.organization, &s.account);
    let first = s.c.auth0("GET", &format!("{}?take=2", s.members()), None).await.json();
    let next = first["next"].as_str().expect("the last page may have one too").to_owned();
    let last = s.c.auth0("GET", &format!("{}?take=2&from={next}", s.members()), None).await.json();
    assert_eq!(last, json!({"members": []}));
    let odd = s.c.auth0("GET", &format!("{}?from=%20", s.members()), None).await;
    assert_eq!((odd.status, &odd.json()["errorCode"]), (400, &json!("invalid_paging")));
}

#[tokio::test]
async fn roles_of_members_need_a_scope_of_their_own() {
    let s = scene().await;
    s.c.twin.world().revoke_auth0_scope("read:organization_member_roles");
    let path = format!("{}?fields=roles", s.members());
    assert_eq!(s.c.auth0("GET", &path, None).await.status, 403);
    assert_eq!(s.c.auth0("GET", &s.members(), None).await.json(), Value::Array(vec![]));
}
