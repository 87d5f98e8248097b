//! The writes that keep the directory in step: what leaves, and what each refusal is turned into.

use std::collections::BTreeMap;

use lockstep::action::sync::{NewAccount, Way};
use lockstep::auth0::Error;
use lockstep::case::Means;
use lockstep::event::ObjectId;
use lockstep::policy::sync::Target;
use lockstep::retry::WhatNow;
use lockstep::snapshot::sync::RootField;
use lockstep::snapshot::sync::{AccountKind, OrganizationId, RoleId};
use serde_json::{Value, json};

use super::id;
use super::script::{Said, Told, refusal, script, told};

const OBJECT: &str = "7a3c2b1e-5d64-4f0b-9c8a-0e1f2d3c4b5a";

pub fn ada(way: Way) -> NewAccount {
    NewAccount {
        object: ObjectId(OBJECT.parse().unwrap()),
        way,
        user_name: "ada@contoso.example".into(),
        email: Some("Ada@contoso.example".into()),
        values: [(Target::AppMetadata("department".into()), json!("Sales"))].into(),
        display_name: Some("Ada Lovelace".into()),
        given_name: Some("Ada".into()),
        family_name: Some("Lovelace".into()),
    }
}

fn in_database() -> NewAccount {
    ada(Way::Database { connection: "People".into() })
}

fn roles(list: &[&str]) -> Vec<RoleId> {
    list.iter().map(|id| RoleId((*id).into())).collect()
}

fn fine(said: &Said) -> Told {
    match said.method.as_str() {
        "GET" => told(200, json!([])),
        "PATCH" => told(
            200,
            json!({"user_id": "auth0|1", "identities": [
            {"provider": "auth0", "connection": "People", "user_id": "1"}], "nickname": "ada"}),
        ),
        "POST" if said.path == "/api/v2/users" => told(201, json!({"user_id": format!("auth0|{OBJECT}")})),
        _ => told(204, Value::Null),
    }
}

#[tokio::test]
async fn every_change_is_one_request_of_the_described_form() {
    let s = script(fine).await;
    let (keeper, ada) = (s.keeper(), id("waad|contoso-entra|1"));
    let organization = OrganizationId("org_0000000000000001".into());
    let two = roles(&["rol_0000000000000001", "rol_0000000000000002"]);
    keeper.assign_roles(&ada, &two).await.unwrap();
    keeper.remove_roles(&ada, &two[..1]).await.unwrap();
    keeper.join_organization(&ada, &organization).await.unwrap();
    keeper.leave_organization(&ada, &organization).await.unwrap();
    keeper.assign_organization_roles(&ada, &organization, &two[..1]).await.unwrap();
    keeper.remove_organization_roles(&ada, &organization, &two[..1]).await.unwrap();
    keeper.link(&ada, &id("auth0|2")).await.unwrap();
    keeper.end_access(&ada, Means::RevokeAccess).await.unwrap();
    keeper.mail_enrolment(&ada).await.unwrap();
    keeper.delete(&ada).await.unwrap();
    keeper.assign_roles(&ada, &[]).await.unwrap();
    keeper.mail_password_link("People", "ada@contoso.example").await.unwrap();
    insta::assert_snapshot!(s.lines().join("\n"), @r#"
    POST /api/v2/users/waad%7Ccontoso-entra%7C1/roles {"roles":["rol_0000000000000001","rol_0000000000000002"]}
    DELETE /api/v2/users/waad%7Ccontoso-entra%7C1/roles {"roles":["rol_0000000000000001"]}
    POST /api/v2/organizations/org_0000000000000001/members {"members":["waad|contoso-entra|1"]}
    DELETE /api/v2/organizations/org_0000000000000001/members {"members":["waad|contoso-entra|1"]}
    POST /api/v2/organizations/org_0000000000000001/members/waad%7Ccontoso-entra%7C1/roles {"roles":["rol_0000000000000001"]}
    DELETE /api/v2/organizations/org_0000000000000001/members/waad%7Ccontoso-entra%7C1/roles {"roles":["rol_0000000000000001"]}
    POST /api/v2/users/waad%7Ccontoso-entra%7C1/identities {"provider":"auth0","user_id":"2"}
    POST /api/v2/users/waad%7Ccontoso-entra%7C1/revoke-access {}
    POST /api/v2/guardian/enrollments/ticket {"send_mail":true,"user_id":"waad|contoso-entra|1"}
    DELETE /api/v2/users/waad%7Ccontoso-entra%7C1
    POST /dbconnections/change_password {"client_id":"client","connection":"People","email":"ada@contoso.example"}
    "#);
    assert!(s.said().iter().take(10).all(|said| said.authorization == "Bearer management"));
    assert_eq!(s.said().last().unwrap().authorization, "", "the Authentication API is told no token");
}

#[tokio::test]
async fn more_roles_than_fit_into_a_call_go_in_several() {
    let s = script(fine).await;
    let many: Vec<RoleId> = (0..120).map(|n| RoleId(format!("rol_{n:016}"))).collect();
    s.keeper().assign_roles(&id("auth0|1"), &many).await.unwrap();
    let sizes: Vec<_> = s.said().iter().map(|said| said.body["roles"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

#[tokio::test]
async fn an_account_in_a_database_is_made_with_a_password_that_nobody_sees_and_without_a_mail() {
    let s = script(fine).await;
    let made = s.keeper().provision(&in_database()).await.unwrap();
    assert_eq!(made, id(&format!("auth0|{OBJECT}")));
    s.keeper().provision(&in_database()).await.unwrap();
    let said = s.said();
    let password = |said: &Said| said.body["password"].as_str().unwrap().to_owned();
    assert_eq!(password(&said[0]).len(), 64);
    assert_ne!(password(&said[0]), password(&said[1]));
    let mut body = said[0].body.clone();
    body.as_object_mut().unwrap().remove("password");
    let expected = json!({
        "connection": "People",
        "user_id": OBJECT,
        "email": "Ada@contoso.example",
        "email_verified": false,
        "verify_email": false,
        "app_metadata": {
            "department": "Sales",
            "external_id": OBJECT,
            "lockstep": {"entra_object_id": OBJECT},
        },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_exists_is_told_from_a_tenant_that_wants_a_domain_and_can_be_looked_up_at_once() {
    let code = |code: &'static str| {
        script(move |said: &Said| match said.method.as_str() {
            "GET" if code == "auth0_idp_error" => told(200, json!({"user_id": format!("auth0|{OBJECT}")})),
            "GET" => refusal(404, "The user does not exist.", Some("inexistent_user")),
            _ => refusal(409, "The user already exists.", Some(code)),
        })
    };
    let s = code("auth0_idp_error").await;
    let exists = s.keeper().provision(&in_database()).await.unwrap_err();
    assert!(exists.is_exists() && exists.what_now() == WhatNow::GiveUp, "{exists}");
    let found = s.keeper().provisioned(&in_database()).await.unwrap();
    assert_eq!(found, Some(id(&format!("auth0|{OBJECT}"))));
    let linked = s.keeper().link(&id("auth0|1"), &id("auth0|2")).await.unwrap_err();
    assert!(linked.is_exists(), "{linked}");
    let s = code("custom_domain_conflict").await;
    let refused = s.keeper().provision(&in_database()).await.unwrap_err();
    assert!(!refused.is_exists() && refused.what_now() == WhatNow::AskHuman, "{refused}");
    assert_eq!(s.keeper().provisioned(&in_database()).await.unwrap(), None);
}

#[tokio::test]
async fn the_answer_to_a_write_of_attributes_is_the_read_back() {
    let s = script(fine).await;
    let values = [
        (Target::Root(RootField::Nickname), Some(json!("ada"))),
        (Target::AppMetadata("department".into()), None),
    ];
    let after = s.keeper().set_attributes(&id("auth0|1"), &values.into()).await.unwrap();
    assert_eq!(after.kind, AccountKind::Database { connection: "People".into() });
    assert_eq!(after.root[&RootField::Nickname], "ada");
    assert_eq!(
        s.lines(),
        [r#"PATCH /api/v2/users/auth0%7C1 {"app_metadata":{"department":null},"nickname":"ada"}"#]
    );
}

#[tokio::test]
async fn what_auth0_does_not_let_be_written_is_named_and_nothing_else_of_its_text_is_shown() {
    let synced = "The following user attributes cannot be updated: family_name, given_name, name, nickname, picture. \
                  The connection must either be a database connection (using the Auth0 store), a passwordless \
                  connection (email or sms) or has disabled 'Sync user profile attributes at each login'.";
    for (text, what) in [
        (synced, Some("nickname, name")),
        (
            "The following user attributes cannot be removed: foo, nickname. The connection (x) should",
            Some("nickname"),
        ),
        ("Cannot update email for non-database user.", Some("email")),
        ("Your account is not allowed to update the following user attributes: name.", Some("name")),
        ("Cannot change email or password for users in a disabled connection.", Some("email")),
        (
            "Payload validation error: 'Object didn't pass validation for format email: ada@x' on property email (The \
             user's name).",
            Some("email"),
        ),
        ("Cannot set username for connection without requires_username.", Some("username")),
        ("Payload validation error: 'x' on property app_metadata (The user's name).", None),
        ("Connection does not exist.", None),
    ] {
        let s = script(move |_: &Said| refusal(400, text, Some("invalid_body"))).await;
        let root = |field, value: &str| (Target::Root(field), Some(json!(value)));
        let values: BTreeMap<_, _> = [
            root(RootField::Nickname, "ada"),
            root(RootField::Name, "Ada"),
            root(RootField::Email, "ada@contoso.example"),
            root(RootField::Username, "ada"),
        ]
        .into();
        let refused = s.keeper().set_attributes(&id("waad|1"), &values).await.unwrap_err();
        assert_eq!(refused.what_now(), WhatNow::GiveUp, "{text}");
        let named = match &refused {
            Error::Unwritable { what, .. } => Some(what.as_str()),
            _ => None,
        };
        assert_eq!(named, what, "{text}");
        assert!(!refused.to_string().contains("ada"), "{refused}");
    }
}

#[tokio::test]
async fn a_role_that_is_gone_is_looked_for_again_and_a_proxys_404_is_not_believed() {
    let s = script(|said: &Said| match said.path.as_str() {
        "/api/v2/users/auth0%7Cgone/roles" => {
            refusal(404, "The user does not exist.", Some("inexistent_user"))
        }
        path if path.contains("organizations") => told(404, json!("no such page")),
        _ => refusal(404, "The role does not exist.", None),
    })
    .await;
    let role = roles(&["rol_0000000000000001"]);
    let stale = s.keeper().assign_roles(&id("auth0|1"), &role).await.unwrap_err();
    assert!(stale.is_stale() && stale.what_now() == WhatNow::BackOff, "{stale}");
    let gone = s.keeper().assign_roles(&id("auth0|gone"), &role).await.unwrap_err();
    assert!(gone.is_gone(), "{gone}");
    let organization = OrganizationId("org_0000000000000001".into());
    let odd = s.keeper().join_organization(&id("auth0|1"), &organization).await.unwrap_err();
    assert!(!odd.is_stale() && odd.what_now() == WhatNow::TryAgain, "{odd}");
}

#[tokio::test]
async fn only_auth0_itself_says_that_an_account_is_deleted() {
    let s = script(|said: &Said| match said.path.ends_with("gone") {
        true => refusal(404, "The user does not exist.", Some("inexistent_user")),
        false => refusal(404, "Not Found", None),
    })
    .await;
    s.keeper().delete(&id("auth0|gone")).await.unwrap();
    assert!(s.keeper().delete(&id("auth0|1")).await.is_err());
}

#[tokio::test]
async fn a_refusal_names_the_permission_to_grant() {
    let s = script(|_: &Said| refusal(403, "Insufficient scope", Some("insufficient_scope"))).await;
    let refused = s.keeper().mail_enrolment(&id("auth0|1")).await.unwrap_err();
    let shown = "auth0 enrolment.mail: 403 insufficient_scope (needs create:guardian_enrollment_tickets)";
    assert_eq!((refused.to_string().as_str(), refused.what_now()), (shown, WhatNow::AskHuman));
}

#[tokio::test]
async fn a_mail_that_may_have_left_is_said_to_be_unknown_and_a_throttled_one_stops_no_other_call() {
    let s = script(|said: &Said| match said.path.as_str() {
        "/dbconnections/change_password" if said.body["connection"] == "slow" => {
            (429, vec![("retry-after", "60".into())], json!({"error": "too_many_requests"}))
        }
        "/dbconnections/change_password" if said.body["connection"] == "lost" => told(502, Value::Null),
        "/dbconnections/change_password" => told(400, json!({"error": "connection is disabled"})),
        _ => fine(said),
    })
    .await;
    let mail = |connection: &'static str| {
        let keeper = s.keeper();
        async move { keeper.mail_password_link(connection, "ada@contoso.example").await.unwrap_err() }
    };
    let lost = mail("lost").await;
    assert!(lost.is_outcome_unknown(), "{lost}");
    let refused = mail("closed").await;
    assert_eq!(refused.to_string(), "auth0 password.mail: 400 connectionisdisabled");
    assert!(matches!(mail("slow").await.what_now(), WhatNow::RetryAt(_)));
    assert!(matches!(mail("slow").await.what_now(), WhatNow::RetryAt(_)));
    assert_eq!(s.count("POST /dbconnections"), 3, "nothing is sent while the pause lasts");
    s.keeper().delete(&id("auth0|1")).await.unwrap();
}
