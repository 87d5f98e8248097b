//! Attributes: set, cleared, refused, never touched.

use serde_json::json;

use super::scene::{Scene, account, adele};
use crate::plan::sync::kept;
use crate::policy::sync::Target;
use crate::snapshot::sync::RootField;
use crate::snapshot::sync::{AccountKind, RootWritable};

#[test]
fn a_cleared_value_clears_and_an_equal_one_writes_nothing() {
    let scene = adele().settled().tells("department", json!(null));
    insta::assert_snapshot!(scene.printed(), @"Clear app_metadata.department of waad|adele");
    assert_eq!(scene.settled().printed(), "");
}

#[test]
fn what_graph_does_not_tell_is_kept() {
    let mut scene = adele().settled();
    scene.snapshot.profile.0.remove("department");
    insta::assert_snapshot!(scene.printed(), @"held: app_metadata.department is kept: Graph does not tell department");
}

#[test]
fn keys_that_no_line_names_are_never_written() {
    let mut scene = adele();
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.app_metadata.insert("plan".into(), json!({"seats": 5}));
    let settled = scene.settled();
    assert_eq!(settled.snapshot.accounts[&account("waad|adele")].app_metadata["plan"], json!({"seats": 5}));
}

#[test]
fn root_attributes_belong_to_the_connection_that_overwrites_them() {
    let policy = "[[attributes]]\nto = \"name\"\nfrom = \"displayName\"\n[[attributes]]\nto = \"email\"\nfrom = \"mail | lower\"\n";
    let mut scene = adele().policy(policy);
    scene.holding("auth0|twin").email = Some("old@contoso.example".into());
    insta::assert_snapshot!(scene.printed(), @"
    Set name, email of auth0|twin
    held: name of waad|adele is kept: the connection overwrites it at each login (set_user_root_attributes)
    held: email of waad|adele is kept: only a database account's can be written
    ");
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.kind = AccountKind::Enterprise { root: RootWritable::Yes };
    assert!(scene.printed().contains("Set name of waad|adele"));
}

#[test]
fn a_database_address_differs_only_in_more_than_case() {
    let policy = "[[attributes]]\nto = \"email\"\nfrom = \"mail\"\n";
    let mut scene = adele().policy(policy).tells("mail", json!("Adele@Contoso.example"));
    scene.snapshot.accounts.clear();
    scene.holding("auth0|twin");
    assert_eq!(scene.printed(), "");
    assert!(scene.tells("mail", json!(null)).printed().contains("an address cannot be cleared"));
}

#[test]
fn what_one_signs_in_with_is_written_in_a_database_only_and_a_name_never_beside_an_address() {
    let lines =
        [("email", "mail"), ("phone_number", "mobilePhone | replace(' ', '')"), ("username", "mailNickname")];
    let line = |(to, from)| format!("[[attributes]]\nto = \"{to}\"\nfrom = \"{from}\"\n");
    let tells = |mail: &str| {
        let scene = adele().policy(&lines.map(line).concat()).tells("mail", json!(mail));
        scene.tells("mobilePhone", json!("+49 30 123456")).tells("mailNickname", json!("Adele.V"))
    };
    let mut scene = tells("adele@contoso.example");
    scene.holding("auth0|twin").email = Some("old@contoso.example".into());
    insta::assert_snapshot!(scene.printed(), @"
    Set email, phone_number of auth0|twin
    Set username of auth0|twin
    held: email of waad|adele is kept: only a database account's can be written
    held: phone_number of waad|adele is kept: only a database account's can be written
    held: username of waad|adele is kept: only a database account's can be written
    ");
    let mut scene = tells("adele@contoso.example");
    scene.snapshot.accounts.clear();
    scene.holding("auth0|twin").email = Some("adele@contoso.example".into());
    insta::assert_snapshot!(scene.printed(), @"Set phone_number, username of auth0|twin");
    scene.holding("auth0|twin").root =
        [(RootField::PhoneNumber, "+4930123456".into()), (RootField::Username, "adele.v".into())].into();
    scene.holding("auth0|twin").email = Some("adele@contoso.example".into());
    assert_eq!(scene.printed(), "", "names are not told apart by their case");
    let cleared = scene.tells("mobilePhone", json!(null)).tells("mailNickname", json!(null));
    insta::assert_snapshot!(cleared.printed(), @"
    Clear phone_number of auth0|twin
    held: username of auth0|twin is kept: a name to sign in with cannot be cleared
    ");
    let odd = cleared.tells("mobilePhone", json!("030 123456")).tells("mailNickname", json!("adele vance"));
    insta::assert_snapshot!(odd.printed(), @"
    held: phone_number is kept: the value has to be a plus sign and digits only, such as +4930123456
    held: username is kept: the value has to be letters, digits and _ + - . ! # $ ^ ` ~ @ ' only
    ");
}

#[test]
fn every_script_quotes_and_emoji_pass_as_they_are() {
    for value in ["Ünïcödé \"quoted\" 'x'", "部署・研究", "قسم", "🦀🚀", "a\\b\nc", "' OR 1=1 --"]
    {
        let scene = adele().tells("department", json!(value)).settled();
        assert_eq!(scene.snapshot.accounts[&account("waad|adele")].app_metadata["department"], json!(value));
    }
}

#[test]
fn ten_kilobytes_of_text_are_a_finding_and_everything_else_is_written() {
    let scene = adele().tells("department", json!("x".repeat(10_000)));
    let printed = scene.printed();
    assert!(
        printed.contains("app_metadata.department is kept: the value has 10002 bytes, at most 2048 fit"),
        "{printed}"
    );
    assert!(printed.contains("Set user_metadata.title of waad|adele"), "{printed}");
}

#[test]
fn a_profile_that_would_grow_past_what_auth0_supports_is_left_and_said() {
    let mut scene = adele();
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.app_metadata.insert("theirs".into(), json!("x".repeat(10_300)));
    let printed = scene.printed();
    assert!(printed.contains("its profile would be"), "{printed}");
    assert!(!printed.contains("Set app_metadata"), "{printed}");
}

#[test]
fn a_root_value_that_does_not_fit_is_kept() {
    let policy = "[[attributes]]\nto = \"given_name\"\nfrom = \"givenName\"\n";
    let mut scene = adele().policy(policy).tells("givenName", json!("x".repeat(151)));
    scene.snapshot.accounts.clear();
    scene.holding("auth0|twin").root.insert(RootField::GivenName, "Adele".into());
    insta::assert_snapshot!(scene.printed(), @"held: given_name is kept: the value has 151 characters, at most 150 fit");
}

#[test]
fn a_value_that_is_kept_otherwise_is_left_until_another_is_wanted_or_there() {
    let mut scene = adele().settled();
    let (id, subject) = (account("waad|adele"), scene.snapshot.subject);
    let holds = |scene: &mut Scene, value: &str| {
        let holding = scene.snapshot.accounts.get_mut(&id).unwrap();
        holding.app_metadata.insert("department".into(), json!(value));
    };
    holds(&mut scene, "r&d");
    let written = [(Target::AppMetadata("department".into()), Some(json!("R&D")))].into();
    let odd = kept::otherwise(subject, &written, &scene.snapshot.accounts[&id]);
    assert!(!format!("{odd:?}").contains("r&d"), "values are not remembered");
    scene.snapshot.remembered.as_mut().unwrap().kept_otherwise.insert(id.clone(), odd.clone());
    insta::assert_snapshot!(scene.printed(), @"held: app_metadata.department of waad|adele: Auth0 keeps another value than was written");
    assert_eq!(scene.plan().remembered.unwrap().kept_otherwise[&id], odd);
    let wanted = scene.clone().tells("department", json!("Sales"));
    insta::assert_snapshot!(wanted.printed(), @"Set app_metadata.department of waad|adele");
    holds(&mut scene, "forged");
    insta::assert_snapshot!(scene.printed(), @"Set app_metadata.department of waad|adele");
    assert!(scene.plan().remembered.unwrap().kept_otherwise.is_empty());
}

#[test]
fn a_number_is_the_same_however_it_is_spelt() {
    let policy = "[[attributes]]\nto = \"app_metadata.seats\"\nfrom = \"seats\"\n";
    let mut scene = adele().policy(policy).tells("seats", json!([5.0, { "of": 7.0 }]));
    let holding = scene.snapshot.accounts.get_mut(&account("waad|adele")).unwrap();
    holding.app_metadata.insert("seats".into(), json!([5, { "of": 7 }]));
    assert_eq!(scene.printed(), "");
    let scene = scene.tells("seats", json!([5.5, { "of": 7.0 }]));
    assert!(scene.printed().contains("Set app_metadata.seats"), "{}", scene.printed());
}
