//! Users of databases and of the enterprise connection: made, changed, linked.

use crate::client::{Client, Got, encoded, start};
use lockstep_twin::{AccountId, AccountSeed, Hire, MailKind, Setup, Write};
use serde_json::{Value, json};

const DATABASE: &str = "Username-Password-Authentication";

fn new(email: &str) -> Value {
    json!({"connection": DATABASE, "email": email, "password": "Long-enough-1"})
}

fn with(mut body: Value, more: Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

fn refused(got: &Got, status: u16, text: &str) {
    let body = got.json();
    let message = body["message"].as_str().unwrap_or_default();
    assert!(got.status == status && message.contains(text), "{} {message}", got.status);
}

/// Adele's enterprise account, her database account, and the path of a user.
fn adele(c: &Client) -> (AccountId, AccountId) {
    let mut world = c.twin.world();
    let person = world.hire(Hire::named("Adele Vance"));
    let database = world.add_database_account(person);
    let enterprise =
        world.accounts_of(person).into_iter().find(|id| id.provider() == "waad").expect("hired with it");
    (enterprise, database)
}

fn path(id: &str) -> String {
    format!("/users/{}", encoded(id))
}

#[tokio::test]
async fn a_database_user_is_made_with_the_id_that_was_asked_for() {
    let c = start(Setup::default()).await;
    let more = json!({"user_id": "7a3c2b1e", "verify_email": false, "app_metadata": {"a": 1}, "name": "Adele Vance"});
    let made = c.auth0("POST", "/users", Some(with(new("Adele@Contoso.example"), more))).await;
    assert_eq!((made.status, &made.json()["user_id"]), (201, &json!("auth0|7a3c2b1e")));
    assert_eq!(
        (&made.json()["email"], &made.json()["nickname"]),
        (&json!("adele@contoso.example"), &json!("adele"))
    );
    assert!(c.twin.world().mails().is_empty(), "no mail was wanted");
    c.auth0("POST", "/users", Some(new("b@contoso.example"))).await;
    assert_eq!(
        c.twin.world().mails().iter().map(|mail| (mail.kind, mail.to.clone())).collect::<Vec<_>>(),
        [(MailKind::Verification, "b@contoso.example".to_owned())]
    );
    assert_eq!(c.twin.world().writes_to("auth0|7a3c2b1e")[&Write::Created], 1);
    c.assert_no_complaints();
}

#[tokio::test]
async fn what_cannot_be_made_is_refused() {
    let c = start(Setup::default()).await;
    let base = || new("a@contoso.example");
    for (body, text) in [
        (with(base(), json!({"password": "weak"})), "PasswordStrengthError"),
        (with(base(), json!({"password": format!("Aa1{}", "x".repeat(70))})), "too long"),
        (with(base(), json!({"connection": "nowhere"})), "Connection does not exist."),
        (
            with(base(), json!({"username": "adele"})),
            "Cannot set username for connection without requires_username.",
        ),
        (with(base(), json!({"user_id": "a b"})), "user_id"),
        (with(base(), json!({"name": ""})), "too short"),
        (with(base(), json!({"family_name": null})), "Expected type string but found type null"),
        (with(base(), json!({"app_metadata": {"blocked": true}})), "Invalid key blocked"),
        (with(base(), json!({"user_metadata": {"a.b": true}})), "Invalid key a.b"),
        (json!({"connection": DATABASE, "email": "a@contoso.example"}), "password"),
        (json!({"connection": DATABASE, "password": "Long-enough-1"}), "email"),
        (json!({"email": "a@contoso.example"}), "connection"),
    ] {
        refused(&c.auth0("POST", "/users", Some(body)).await, 400, text);
    }
    assert_eq!(c.twin.world().account_count(), 0);
    c.assert_no_complaints();
}

#[tokio::test]
async fn two_users_of_a_database_share_no_address_and_no_id() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    let email = "adele.vance@contoso.example";
    refused(&c.auth0("POST", "/users", Some(new(email))).await, 409, "The user already exists.");
    c.twin.world().delete_account(&database);
    let made = c.auth0("POST", "/users", Some(with(new(email), json!({"user_id": "one"})))).await;
    assert_eq!(made.status, 201, "the enterprise account with the same address is nobody's hindrance");
    let same_id = with(new("other@contoso.example"), json!({"user_id": "one"}));
    refused(&c.auth0("POST", "/users", Some(same_id.clone())).await, 409, "The user already exists.");
    c.twin.world().link_accounts(&enterprise, "auth0|one");
    refused(&c.auth0("POST", "/users", Some(same_id)).await, 409, "The user already exists.");
    refused(&c.auth0("POST", "/users", Some(new(email))).await, 409, "The user already exists.");
}

#[tokio::test]
async fn with_several_custom_domains_a_mail_needs_to_know_its_own() {
    let c = start(Setup::default()).await;
    c.twin.world().set_custom_domains(2);
    let ambiguous = c.auth0("POST", "/users", Some(new("a@contoso.example"))).await;
    assert_eq!((ambiguous.status, &ambiguous.json()["errorCode"]), (409, &json!("custom_domain_conflict")));
    let named = c.auth0_request("POST", "/users", Some(new("a@contoso.example")));
    assert_eq!(c.send(named.header("auth0-custom-domain", "id.contoso.example")).await.status, 201);
}

#[tokio::test]
async fn profile_attributes_follow_the_kind_of_the_connection() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    let (e, d) = (path(&enterprise), path(&database));
    let renamed = json!({"name": "Adele Turner", "family_name": "Turner"});
    assert_eq!(c.auth0("PATCH", &d, Some(renamed.clone())).await.json()["name"], json!("Adele Turner"));
    refused(
        &c.auth0("PATCH", &d, Some(json!({"given_name": null}))).await,
        400,
        "cannot be removed: given_name. The connection (Username-Password-Authentication) must either",
    );
    refused(&c.auth0("PATCH", &e, Some(renamed.clone())).await, 400, "cannot be updated: family_name, name.");
    refused(
        &c.auth0("PATCH", &e, Some(json!({"given_name": null}))).await,
        400,
        "cannot be removed: given_name. The connection (contoso-entra) should have",
    );
    let connection = c.twin.world().enterprise_connection().id.clone();
    c.twin.world().set_connection_option(&connection, "set_user_root_attributes", "on_first_login".into());
    assert_eq!(c.auth0("PATCH", &e, Some(renamed)).await.json()["family_name"], json!("Turner"));
    assert!(c.auth0("PATCH", &e, Some(json!({"given_name": null}))).await.json().get("given_name").is_none());
    refused(&c.auth0("PATCH", &e, Some(json!({"email": "x@contoso.example"}))).await, 400, "non-database");
    refused(&c.auth0("PATCH", &e, Some(json!({"username": "adele"}))).await, 400, "not supported");
    assert_eq!(c.twin.world().writes_to(&enterprise)[&Write::Updated], 2, "refused writes count for nothing");
}

#[tokio::test]
async fn a_new_address_ends_sessions_is_not_verified_and_is_nobody_elses() {
    let c = start(Setup::default()).await;
    let (_, database) = adele(&c);
    c.auth0("POST", "/users", Some(new("taken@contoso.example"))).await;
    c.twin.world().sign_in(&database);
    let d = path(&database);
    let changed = c
        .auth0("PATCH", &d, Some(json!({"email": "New@contoso.example", "verify_email": true})))
        .await
        .json();
    assert_eq!(
        (&changed["email"], &changed["email_verified"]),
        (&json!("new@contoso.example"), &json!(false))
    );
    assert!(c.twin.world().sessions(&database).is_empty());
    assert_eq!(
        c.twin.world().mails().last().map(|mail| mail.to.clone()).as_deref(),
        Some("new@contoso.example")
    );
    let both = json!({"email": "newer@contoso.example", "email_verified": true});
    assert_eq!(c.auth0("PATCH", &d, Some(both)).await.json()["email_verified"], json!(true));
    refused(
        &c.auth0("PATCH", &d, Some(json!({"email": "Taken@contoso.example"}))).await,
        400,
        "already exists",
    );
    refused(&c.auth0("PATCH", &d, Some(json!({"password": "weak"}))).await, 400, "PasswordStrengthError");
    c.assert_no_complaints();
}

#[tokio::test]
async fn a_secondary_identity_is_changed_through_its_connection() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    c.twin.world().link_accounts(&enterprise, &database);
    let e = path(&enterprise);
    let through = |more: Value| with(json!({"connection": DATABASE}), more);
    let changed = c.auth0("PATCH", &e, Some(through(json!({"email": "new@contoso.example"})))).await.json();
    assert_eq!(changed["identities"][1]["profileData"]["email"], json!("new@contoso.example"));
    assert_eq!(changed["email"], json!("adele.vance@contoso.example"), "the user's own stays");
    refused(&c.auth0("PATCH", &e, Some(through(json!({"name": "A"})))).await, 400, "secondary identity");
    refused(&c.auth0("PATCH", &e, Some(json!({"email": "new@contoso.example"}))).await, 400, "non-database");
    refused(&c.auth0("PATCH", &e, Some(json!({"connection": "nowhere"}))).await, 400, "does not exist");
}

#[tokio::test]
async fn linking_carries_the_profile_and_nothing_else() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    let role = c.twin.world().create_role("Reader");
    c.twin.world().grant_role(&database, &role);
    let local = database.split_once('|').unwrap().1.to_owned();
    let identities = format!("{}/identities", path(&enterprise));
    let body = json!({"provider": "auth0", "user_id": &*database});
    let linked = c.auth0("POST", &identities, Some(body.clone())).await;
    assert_eq!((linked.status, linked.json().as_array().map(Vec::len)), (201, Some(2)));
    assert_eq!(
        linked.json()[0]["profileData"]["name"],
        json!("Adele Vance"),
        "the primary's too, as recorded"
    );
    assert_eq!(c.auth0("GET", &path(&database), None).await.status, 404);
    assert!(c.twin.world().roles_of(&enterprise).is_empty());
    refused(&c.auth0("POST", &identities, Some(body)).await, 409, "already exists");
    let itself = json!({"provider": "waad", "user_id": enterprise.split_once('|').unwrap().1});
    refused(&c.auth0("POST", &identities, Some(itself)).await, 400, "are the same");
    let nobody = json!({"provider": "auth0", "user_id": "nobody"});
    refused(&c.auth0("POST", &identities, Some(nobody)).await, 400, "inexistent");
    let unlinked = c.auth0("DELETE", &format!("{identities}/auth0/{local}"), None).await;
    assert_eq!((unlinked.status, unlinked.json().as_array().map(Vec::len)), (200, Some(1)));
    let again = c.auth0("GET", &path(&database), None).await.json();
    assert_eq!((again.get("app_metadata"), &again["email"]), (None, &json!("adele.vance@contoso.example")));
    let main = format!("{identities}/waad/{}", enterprise.split_once('|').unwrap().1);
    refused(&c.auth0("DELETE", &main, None).await, 400, "Main identity");
    c.assert_no_complaints();
}

#[tokio::test]
async fn a_big_profile_is_taken_with_a_remark() {
    let c = start(Setup::default()).await;
    let (enterprise, _) = adele(&c);
    let patch = |size: usize| json!({"app_metadata": {"long": "ü".repeat(size)}});
    assert_eq!(c.auth0("PATCH", &path(&enterprise), Some(patch(100))).await.status, 200);
    assert!(c.twin.world().oversized().is_empty());
    assert_eq!(c.auth0("PATCH", &path(&enterprise), Some(patch(10_000))).await.status, 200);
    assert_eq!(c.twin.world().oversized(), [enterprise]);
}

#[tokio::test]
async fn what_nobody_touched_compares_equal() {
    let c = start(Setup::default()).await;
    let (enterprise, database) = adele(&c);
    let before = c.twin.world().account_states();
    c.twin.world().sign_in(&enterprise);
    assert_eq!(c.twin.world().account_states(), before, "a login changes nothing that lasts");
    c.auth0("PATCH", &path(&enterprise), Some(json!({"app_metadata": {"a": 1}}))).await;
    let after = c.twin.world().account_states();
    assert_eq!(after[&database], before[&database]);
    assert_ne!(after[&enterprise], before[&enterprise]);
    assert_eq!(
        c.twin.world().written_accounts().map(|(id, n)| (id.clone(), n)).collect::<Vec<_>>(),
        [(enterprise, 1)]
    );
}

#[tokio::test]
async fn addresses_are_searched_by_domain_and_compared_by_case_only_by_id() {
    let c = start(Setup::default()).await;
    let seed = |id: &str, connection: &str, email: &str| AccountSeed {
        user_id: id.into(),
        connection: connection.into(),
        email: Some(email.into()),
        email_verified: true,
        ..AccountSeed::default()
    };
    c.twin.world().add_account_raw(seed("waad|1", "contoso-entra", "Adele@Contoso.example"));
    c.twin.world().add_account_raw(seed("auth0|2", DATABASE, "adele@contoso.example"));
    let count = async |path: String| c.auth0("GET", &path, None).await.json().as_array().map(Vec::len);
    let q = |query: &str| format!("/users?search_engine=v3&q={}", encoded(query));
    assert_eq!(count(q("email:\"ADELE@contoso.example\" AND email_verified:true")).await, Some(2));
    assert_eq!(count(q("email.domain:\"contoso.example\"")).await, Some(1));
    assert_eq!(count("/users-by-email?email=adele%40contoso.example".into()).await, Some(1));
    assert_eq!(count("/users-by-email?email=Adele%40Contoso.example".into()).await, Some(1));
    c.assert_no_complaints();
}
