//! Connections and their inbound SCIM; tickets and mails.

use crate::client::{Client, encoded, start};
use lockstep_twin::{AccountId, Hire, MailKind, Setup, TicketKind};
use serde_json::{Value, json};

fn adele(c: &Client) -> (AccountId, AccountId) {
    let mut world = c.twin.world();
    let person = world.hire(Hire::named("Adele Vance"));
    let database = world.add_database_account(person);
    (world.account_with_identity("waad", &person.to_string()).expect("hired with it").clone(), database)
}

fn mails(c: &Client) -> Vec<(MailKind, String)> {
    c.twin.world().mails().iter().map(|mail| (mail.kind, mail.to.clone())).collect()
}

#[tokio::test]
async fn connections_are_found_by_name_with_the_fields_that_were_asked_for() {
    let c = start(Setup::default()).await;
    let named = c
        .auth0("GET", "/connections?name=contoso-entra&fields=id,name,options&include_fields=true", None)
        .await
        .json();
    let only = &named[0];
    assert_eq!((named.as_array().map(Vec::len), only.as_object().map(|it| it.len())), (Some(1), Some(3)));
    assert!(only["options"]["client_secret"].is_string(), "shown in clear, as recorded");
    let path = format!("/connections/{}", only["id"].as_str().unwrap());
    assert_eq!(c.auth0("GET", &path, None).await.json()["strategy"], json!("waad"));
    let databases = c.auth0("GET", "/connections?strategy=auth0&include_totals=true", None).await.json();
    assert_eq!(
        (&databases["total"], &databases["connections"][0]["name"]),
        (&json!(1), &json!("Username-Password-Authentication"))
    );
    assert_eq!(c.auth0("GET", "/connections?name=nothing", None).await.json(), json!([]));
    let gone = c.auth0("GET", "/connections/con_0000000000000000", None).await;
    assert_eq!((gone.status, &gone.json()["errorCode"]), (404, &json!("inexistent_connection")));
    c.assert_no_complaints();
}

#[tokio::test]
async fn options_are_replaced_whole() {
    let c = start(Setup::default()).await;
    let connection = c.twin.world().enterprise_connection().id.clone();
    let path = format!("/connections/{connection}");
    let options = json!({"set_user_root_attributes": "on_first_login", "userid_attribute": "oid"});
    let changed = c.auth0("PATCH", &path, Some(json!({"options": options}))).await.json();
    assert_eq!(changed["options"], options, "what was left out is gone");
    for refused in [json!({"set_user_root_attributes": "sometimes"}), json!({"useCommonEndpoint": true})] {
        assert_eq!(c.auth0("PATCH", &path, Some(json!({"options": refused}))).await.status, 400);
    }
    let database = format!("/connections/{}", c.twin.world().database_connection().id);
    assert_eq!(c.auth0("PATCH", &database, Some(json!({"options": options}))).await.status, 400);
}

#[tokio::test]
async fn inbound_scim_is_set_up_changed_and_taken_down() {
    let mut c = start(Setup::default()).await;
    c.grant(&["delete:scim_config", "read:scim_token"]).await;
    let path = |id: &str| format!("/connections/{id}/scim-configuration");
    let database = path(&c.twin.world().database_connection().id.clone());
    assert_eq!(c.auth0("POST", &database, None).await.status, 404, "not for databases");
    let own = path(&c.twin.world().enterprise_connection().id.clone());
    assert_eq!(c.auth0("POST", &own, Some(json!({}))).await.status, 400, "there is one");
    assert_eq!(c.auth0("DELETE", &own, None).await.status, 204);
    assert_eq!(c.auth0("DELETE", &own, None).await.status, 204, "twice, as recorded");
    let gone = c.auth0("GET", &own, None).await;
    assert_eq!((gone.status, &gone.json()["message"]), (404, &json!("Not Found")));
    assert_eq!(c.scim("GET", "/Users", None).await.status, 401, "the tokens went with it");
    let made = c.auth0("POST", &own, None).await;
    assert_eq!((made.status, made.json()["mapping"].as_array().map(Vec::len)), (201, Some(30)));
    let half = json!({"user_id_attribute": "userName"});
    assert_eq!(c.auth0("PATCH", &own, Some(half)).await.status, 400, "both or nothing");
    let whole = json!({"user_id_attribute": "userName", "mapping": [{"auth0": "upn", "scim": "userName"}]});
    assert_eq!(
        c.auth0("PATCH", &own, Some(whole)).await.json()["mapping"],
        json!([{"auth0": "upn", "scim": "userName"}])
    );
    let default = c.auth0("GET", &format!("{own}/default-mapping"), None).await.json();
    assert_eq!(default["mapping"].as_array().map(Vec::len), Some(30));
    assert_eq!(c.auth0("GET", &format!("{own}/tokens"), None).await.json(), json!([]));
    let short = json!({"token_lifetime": 60});
    assert_eq!(c.auth0("POST", &format!("{own}/tokens"), Some(short)).await.status, 400);
    c.assert_no_complaints();
}

#[tokio::test]
async fn tickets_are_made_for_whoever_has_a_password() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    let ticket = "/tickets/password-change";
    let made = c
        .auth0(
            "POST",
            ticket,
            Some(json!({"user_id": &*database, "ttl_sec": 3600, "mark_email_as_verified": true})),
        )
        .await;
    assert!(
        made.status == 201
            && made.json()["ticket"].as_str().is_some_and(|url| url.contains("/u/reset-password?ticket="))
    );
    let connection = c.twin.world().database_connection().id.clone();
    let by_email = json!({"connection_id": connection, "email": "Adele.Vance@contoso.example"});
    assert_eq!(c.auth0("POST", ticket, Some(by_email)).await.status, 201);
    let kept: Vec<_> =
        c.twin.world().tickets().iter().map(|it| (it.kind, it.account.clone(), it.seconds)).collect();
    let own = |seconds| (TicketKind::PasswordChange, database.clone(), Some(seconds));
    assert_eq!(kept, [own(3_600), own(432_000)]);
    assert_eq!(mails(&c), [], "a ticket mails nobody");
    for (body, status) in [
        (json!({"user_id": &*enterprise}), 400),
        (json!({"user_id": "auth0|nobody"}), 404),
        (json!({"connection_id": "con_0000000000000000", "email": "a@b.example"}), 400),
        (json!({"email": "a@b.example"}), 400),
        (json!({"user_id": &*database, "organization_id": "org_0000000000000000"}), 400),
    ] {
        assert_eq!(c.auth0("POST", ticket, Some(body.clone())).await.status, status, "{body}");
    }
    c.assert_no_complaints();
}

#[tokio::test]
async fn mails_leave_where_they_are_asked_for() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    let enrol = "/guardian/enrollments/ticket";
    let silent = c.auth0("POST", enrol, Some(json!({"user_id": &*enterprise}))).await;
    assert!(silent.status == 200 && silent.json()["ticket_url"].is_string(), "200, as recorded");
    c.auth0("POST", enrol, Some(json!({"user_id": &*enterprise, "send_mail": true}))).await;
    let job = c.auth0("POST", "/jobs/verification-email", Some(json!({"user_id": &*database}))).await;
    assert_eq!((job.status, &job.json()["type"]), (201, &json!("verification_email")));
    let url = format!("{}/dbconnections/change_password", c.twin.urls().auth0_url);
    for email in ["adele.vance@contoso.example", "nobody@contoso.example"] {
        let body = json!({"client_id": c.twin.setup().auth0_client_id, "connection": "Username-Password-Authentication", "email": email});
        let request = c.http.post(&url).header("content-type", "application/json").body(body.to_string());
        assert_eq!(c.send(request).await.status, 200, "nobody learns who has an account");
    }
    let to = || "adele.vance@contoso.example".to_owned();
    assert_eq!(
        mails(&c),
        [(MailKind::Enrolment, to()), (MailKind::Verification, to()), (MailKind::PasswordChange, to())]
    );
    c.assert_no_complaints();
}

#[tokio::test]
async fn whoever_signs_in_through_entra_follows_it_and_joins() {
    let c = start(Setup::default()).await;
    let (enterprise, _) = adele(&c);
    let person = enterprise.split_once('|').unwrap().1.parse().expect("an object id");
    let (organization, connection) = {
        let mut world = c.twin.world();
        (world.create_organization("acme"), world.enterprise_connection().id.clone())
    };
    c.twin.world().enable_connection(&organization, &connection, true);
    c.twin.world().set_property(person, "surname", "Turner".into());
    c.twin.world().sign_in_through_entra(person).expect("let in");
    let shown = c.auth0("GET", &format!("/users/{}", encoded(&enterprise)), None).await.json();
    assert_eq!(shown["family_name"], json!("Turner"));
    assert!(c.twin.world().is_member(&organization, &enterprise));
    c.twin.world().set_connection_option(&connection, "set_user_root_attributes", "never_on_login".into());
    c.twin.world().set_property(person, "surname", Value::from("Vance"));
    c.twin.world().sign_in_through_entra(person).expect("let in");
    assert_eq!(c.twin.world().account(&enterprise).root["family_name"], json!("Turner"));
    c.twin.world().disable(person);
    assert_eq!(c.twin.world().sign_in_through_entra(person), None);
}
