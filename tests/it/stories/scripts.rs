//! Names and values in every script, with quotes, markup and pictures, and ten kilobytes of them: each comes back byte for
//! byte, or is told as too long. Nothing of it stands in a finding.

use lockstep_twin::{AccountId, Hire, PersonId, Setup, World};
use serde_json::json;

use super::directory::{attribute, role, unprovisioned};
use crate::harness::Stage;

/// What people are called, and what departments are.
const TEXTS: [&str; 12] = [
    "Zoë Ångström-Đặng",
    "李小龍",
    "नेहा शर्मा",
    "محمد بن سلمان",
    "שרה כהן",
    "Ελένη Παπαδοπούλου",
    "Ғалия Нұрланқызы",
    "O'Brien \"Bo\" \\ `x` $(id) %s {{name}} {% if %}",
    "<!channel> <b>&amp; *bold* _it_ ~no~ @here",
    "👩‍🚀 Ada 🏳️‍🌈",
    "e\u{301} is not é, \u{200f}and this turns",
    "'; DROP TABLE people;-- ]]>",
];

/// A text of this many bytes, two to a letter.
fn long(bytes: usize) -> String {
    "é".repeat(bytes / 2)
}

/// Somebody whose every name and value is this text.
fn called(text: &str, number: usize) -> Hire {
    Hire {
        display_name: text.to_owned(),
        given_name: Some(text.to_owned()),
        surname: Some(text.to_owned()),
        department: Some(text.to_owned()),
        job_title: Some(text.to_owned()),
        ..unprovisioned(&format!("Person N{number}"))
    }
}

/// What the table makes of a text.
fn translated(text: &str) -> String {
    format!("«{text}»")
}

/// Every way of a value: as it is, by a template, by a table.
fn mapping() -> String {
    let mut toml: String = [
        ("name", "displayName"),
        ("given_name", "givenName"),
        ("family_name", "surname"),
        ("app_metadata.department", "department"),
        ("user_metadata.greeting", "'Dear ' ~ displayName ~ ' (' ~ department ~ ')'"),
        ("user_metadata.title", "tables.titles[jobTitle]"),
    ]
    .map(|(to, from)| attribute(to, from))
    .concat();
    toml.push_str("[tables.titles]\n");
    // A JSON string is a TOML one.
    toml.extend(TEXTS.map(|text| format!("{} = {}\n", json!(text), json!(translated(text)))));
    toml
}

fn holds(world: &World, account: &AccountId, text: &str) -> bool {
    let held = world.account(account);
    let root = |name: &str| held.root.get(name) == Some(&json!(text));
    let user = |key: &str| held.user_metadata.as_ref().and_then(|all| all.get(key)).cloned();
    root("name")
        && root("given_name")
        && root("family_name")
        && held.app_metadata.get("department") == Some(&json!(text))
        && user("greeting") == Some(json!(format!("Dear {text} ({text})")))
        && user("title") == Some(json!(translated(text)))
}

/// Everybody arrives and is made of what Entra says, then each takes the name of the next.
async fn everybody_comes_and_is_renamed(stage: &mut Stage, provision: &str) {
    let id = stage.twin.world().enterprise_connection().id.clone();
    stage.twin.world().set_connection_option(&id, "set_user_root_attributes", json!("on_first_login"));
    stage.policy(&format!("{provision}{}", mapping()));
    stage.start_subscribed().await;
    let people: Vec<PersonId> = {
        let mut world = stage.twin.world();
        TEXTS.iter().enumerate().map(|(number, text)| world.hire(called(text, number))).collect()
    };
    for (person, text) in people.iter().zip(TEXTS) {
        let account = stage.until_account(*person).await;
        stage.until_world(&format!("{text:?} arrives"), |world| holds(world, &account, text)).await;
    }
    stage.until_told_and_done().await;
    let next = TEXTS.iter().cycle().skip(1);
    for (person, text) in people.iter().zip(next.clone()) {
        let mut world = stage.twin.world();
        for property in ["displayName", "givenName", "surname", "department", "jobTitle"] {
            world.set_property(*person, property, (*text).into());
        }
    }
    for (person, text) in people.iter().zip(next) {
        let account = stage.until_account(*person).await;
        stage.until_world(&format!("{text:?} replaces"), |world| holds(world, &account, text)).await;
        stage.until_nothing_is_found(*person).await;
    }
    stage.until_told_and_done().await;
}

crate::stories! {
    every_script_arrives_byte_for_byte_by_scim(stage, Setup::unlimited()) {
        everybody_comes_and_is_renamed(&mut stage, "[provision]\nmethod = \"scim\"\n").await;
        stage.end().await;
    }

    every_script_arrives_byte_for_byte_in_a_database(stage, Setup::unlimited()) {
        let provision =
            "[provision]\nmethod = \"database\"\nconnection = \"Username-Password-Authentication\"\n";
        everybody_comes_and_is_renamed(&mut stage, provision).await;
        stage.end().await;
    }

    ten_kilobytes_are_a_finding_and_the_rest_of_the_person_arrives(stage, Setup::unlimited()) {
        let provision =
            "[provision]\nmethod = \"database\"\nconnection = \"Username-Password-Authentication\"\n";
        stage.policy(&format!(
            "{provision}{}{}{}",
            attribute("name", "displayName"),
            attribute("app_metadata.department", "department"),
            attribute("user_metadata.title", "jobTitle"),
        ));
        stage.start_subscribed().await;
        let text = long(10_000);
        let ada = stage.twin.world().hire(Hire {
            display_name: text.clone(),
            department: Some(text.clone()),
            job_title: Some("Countess".into()),
            ..unprovisioned("Ada Lovelace")
        });
        let account = stage.until_account(ada).await;
        let name = stage.until_finding(ada, "name is kept").await;
        assert_eq!(name, "name is kept: the value has 5000 characters, at most 300 fit");
        let department = stage.until_finding(ada, "app_metadata.department is kept").await;
        assert_eq!(department, "app_metadata.department is kept: the value has 10002 bytes, at most 2048 fit");
        stage.until_told_and_done().await;
        {
            let world = stage.twin.world();
            let held = world.account(&account);
            assert_eq!(held.user_metadata.as_ref().unwrap()["title"], "Countess");
            assert!(held.app_metadata.get("department").is_none());
        }
        let fits = long(300);
        stage.twin.world().set_property(ada, "displayName", fits.clone().into());
        stage.until_world("what fits arrives", |world| world.account(&account).root["name"] == json!(fits)).await;
        stage.end().await;
    }

    a_profile_beyond_what_auth0_supports_is_a_finding_from_the_first_moment_on(stage, Setup::unlimited()) {
        let values: String = (0..6)
            .map(|n| attribute(&format!("app_metadata.part{n}"), "department"))
            .collect();
        for provision in [
            "[provision]\nmethod = \"database\"\nconnection = \"Username-Password-Authentication\"\n",
            "[provision]\nmethod = \"scim\"\n",
        ] {
            stage.policy(&format!("{provision}{}{values}", attribute("user_metadata.title", "jobTitle")));
            stage.start_subscribed().await;
            let number = stage.twin.world().people().count();
            let person = stage.twin.world().hire(Hire {
                department: Some(long(2_000)),
                ..unprovisioned(&format!("Person N{number}"))
            });
            let account = stage.until_account(person).await;
            stage.until_finding(person, "its profile would be").await;
            stage.until_told_and_done().await;
            {
                let world = stage.twin.world();
                assert_eq!(world.oversized(), &[] as &[AccountId]);
                assert!(world.account(&account).app_metadata.get("part0").is_none());
            }
            stage.twin.world().set_property(person, "department", "Research".into());
            stage.until_app_metadata(&account, "part5", json!("Research")).await;
            stage.until_nothing_is_found(person).await;
            stage.until_told_and_done().await;
            stage.stop().await;
        }
        stage.end().await;
    }

    roles_in_every_script_are_given_and_those_that_are_missing_told_by_their_names(stage, Setup::unlimited()) {
        let staff = stage.twin.world().create_group("Staff");
        let mut policy = "[provision]\nmethod = \"scim\"\n".to_owned();
        let quoted = |name: &str| json!(name).to_string();
        for text in TEXTS {
            stage.twin.world().create_role(text);
            // Names of organizations that nobody has made.
            let (role, missing) = (quoted(text), quoted(&format!("missing {text}")));
            policy.push_str(&format!("[[roles]]\nrole = {role}\nany_of = [\"{staff}\"]\n"));
            policy.push_str(&format!("[[organizations]]\norganization = {missing}\nany_of = [\"{staff}\"]\n"));
        }
        policy.push_str(&role("Nobody has made this", &[staff]));
        stage.policy(&policy);
        stage.start_subscribed().await;
        let ada = {
            let mut world = stage.twin.world();
            let ada = world.hire(unprovisioned("Ada Lovelace"));
            world.add_member(staff, ada);
            ada
        };
        let account = stage.until_account(ada).await;
        stage.until_roles(&account, &TEXTS).await;
        stage.until_finding(ada, "the role Nobody has made this").await;
        stage.until_told_and_done().await;
        let findings = stage.remembered(ada).await.unwrap().findings;
        let shown = stage.run(&["findings", "--json"]).json().to_string();
        for text in TEXTS {
            let told = format!("the policy names the organization missing {text}, which Auth0 does not have");
            assert!(findings.contains(&told), "{findings:#?}");
            assert!(shown.contains(json!(told).to_string().trim_matches('"')), "{shown}");
        }
        assert_eq!(stage.run(&["plan", "--user", &ada.to_string()]).code, 0);
        stage.end().await;
    }

    people_in_every_script_are_told_of_in_slack_by_their_names(stage, Setup::unlimited()) {
        stage.policy("[contain.brake]\ncontainments = 1000\n");
        stage.start().await;
        let people: Vec<PersonId> = {
            let mut world = stage.twin.world();
            let hired = TEXTS.iter().enumerate().map(|(number, text)| {
                let person = world.hire(Hire { auth0_enterprise: true, ..called(text, number) });
                world.raise_risk(person, "high", "leakedCredentials");
                person
            });
            hired.collect()
        };
        for person in people {
            stage.alert(person, "high").await;
            stage.until_case(person, lockstep::case::CaseState::Verified).await;
        }
        for text in TEXTS {
            // Slack reads markup, so that there must be none.
            let shown = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let message = stage.until_told(json!(shown).to_string().trim_matches('"')).await;
            assert!(message.text().contains(&shown), "{}", message.text());
        }
        assert_eq!(stage.messages().len(), TEXTS.len());
        stage.until_idle().await;
        stage.end().await;
    }
}
