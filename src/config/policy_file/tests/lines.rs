//! What is wrong with single lines, and where.

use insta::assert_snapshot;

use super::{mistakes, read};
use crate::case::also::Extra;

#[test]
fn every_mistake_of_a_file_and_its_overrides_is_found() {
    insta::assert_snapshot!(mistakes(
        r#"
contian = 1
risk_level = "high"
[contain]
risk_level = "hihg"
verify_within_seconds = 4
on_disabled = true
sources = "graph"
brake.containments = "many"
brake.window_seconds = 99999999999999999999
[contain.on_deleted]
[protected]
people = ["ann@example.com", "nobody", 3]
accounts = "auth0|1"
"#,
        &[
            ("LOCKSTEP__CONTAIN__RISK_LEVL", "low"),
            ("LOCKSTEP__CONTAIN", "x"),
            ("LOCKSTEP__CONTAIN__BRAKE__WINDOW_SECONDS", "1"),
            ("LOCKSTEP__PROTECTED__PEOPLE", "ann@example.com"),
        ],
    ), @r#"
    error: this is no key of the policy
     --> lockstep.toml:2:1
      |
    2 | contian = 1
      | ^^^^^^^
      |
      = help: did you mean contain?

    error: this is no key of the policy
     --> lockstep.toml:3:1
      |
    3 | risk_level = "high"
      | ^^^^^^^^^^
      |
      = help: it belongs under [contain], [contain.sources.graph], [contain.sources.risk], [contain.sources.azure_monitor] or [contain.sources.operator]

    error: expected low, medium or high
     --> lockstep.toml:5:14
      |
    5 | risk_level = "hihg"
      |              ^^^^^^
      |
      = help: did you mean high?

    error: expected a whole number from 5 to 3600
     --> lockstep.toml:6:25
      |
    6 | verify_within_seconds = 4
      |                         ^

    error: expected contain, end-sessions, notify or ignore, found true or false
     --> lockstep.toml:7:15
      |
    7 | on_disabled = true
      |               ^^^^

    error: expected the section [contain.sources]
     --> lockstep.toml:8:1
      |
    8 | sources = "graph"
      | ^^^^^^^
      |
      = help: write [contain.sources] on a line of its own, its keys below

    error: expected a whole number from 1 to 100000, found a string
     --> lockstep.toml:9:22
      |
    9 | brake.containments = "many"
      |                      ^^^^^^

    error: expected a whole number from 60 to 86400
      --> lockstep.toml:10:24
       |
    10 | brake.window_seconds = 99999999999999999999
       |                        ^^^^^^^^^^^^^^^^^^^^

    error: expected contain, end-sessions, notify or ignore, found a table
      --> lockstep.toml:11:10
       |
    11 | [contain.on_deleted]
       |          ^^^^^^^^^^

    error: people are named by Entra object id, never by e-mail
      --> lockstep.toml:13:11
       |
    13 | people = ["ann@example.com", "nobody", 3]
       |           ^^^^^^^^^^^^^^^^^
       |
       = help: Entra admin center, Users: the object id on the person's page

    error: this is no Entra object id
      --> lockstep.toml:13:30
       |
    13 | people = ["ann@example.com", "nobody", 3]
       |                              ^^^^^^^^
       |
       = help: it is a GUID, like 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c

    error: expected a string, found a whole number
      --> lockstep.toml:13:40
       |
    13 | people = ["ann@example.com", "nobody", 3]
       |                                        ^

    error: expected a list of Auth0 user ids, found a string
      --> lockstep.toml:14:12
       |
    14 | accounts = "auth0|1"
       |            ^^^^^^^^^

    error: LOCKSTEP__CONTAIN: this names a section, not a key

    error: LOCKSTEP__CONTAIN__BRAKE__WINDOW_SECONDS: expected a whole number from 60 to 86400

    error: LOCKSTEP__CONTAIN__RISK_LEVL: no such key of the policy
     |
     = help: did you mean LOCKSTEP__CONTAIN__RISK_LEVEL?

    error: LOCKSTEP__PROTECTED__PEOPLE: people are named by Entra object id, never by e-mail
     |
     = help: Entra admin center, Users: the object id on the person's page

    17 mistakes in the configuration
    "#);
}

#[test]
fn what_is_not_toml_is_shown_once_per_line_with_the_mistakes_around_it() {
    let text = "[contain]\nrisk_level = high\n[contain\nx = 1\non_deletd = \"notify\"\n";
    insta::assert_snapshot!(mistakes(text, &[]), @r#"
    error: this is not TOML: string values must be quoted, expected literal string
     --> lockstep.toml:2:14
      |
    2 | risk_level = high
      |              ^^^^

    error: this is not TOML: unclosed table, expected `]`
     --> lockstep.toml:3:9
      |
    3 | [contain
      |         ^

    error: this is no key of the policy
     --> lockstep.toml:5:1
      |
    5 | on_deletd = "notify"
      | ^^^^^^^^^
      |
      = help: the policy knows people, provision, attributes, tables, roles, organizations, mfa, leavers, sweep, contain, protected, notify

    3 mistakes in the configuration
    "#);
}

#[test]
fn every_mistake_inside_lists_of_tables_is_found() {
    let told = mistakes(
        r#"
attributes = "mail"
[[roles]]
any_of = ["Engineers", "00000000-0000-0000-0000-00000000000"]
privilegd = true
[[roles]]
role = ""
privileged = "perhaps"
[[organizations]]
role = "Editor"
[[organizations.roles]]
organization = "acme"
any_of = "Engineers"
[tables]
country = "Germany"
[tables.city]
x = 1
[provision]
password_mail = "maybe"
[contain.sources.sweep]
response = "ignore"
"#,
        &[],
    );
    for (place, what) in [
        ("lockstep.toml:2:1", "expected tables, each under [[attributes]]"),
        ("lockstep.toml:3:1", "[[roles]] needs the key role"),
        ("lockstep.toml:4:11", "groups are named by Entra object id, never by name"),
        ("lockstep.toml:4:24", "its name fits in a comment behind it"),
        ("lockstep.toml:5:1", "did you mean privileged?"),
        ("lockstep.toml:7:8", "a name has 1 to 300 characters"),
        ("lockstep.toml:8:14", "expected true or false"),
        ("lockstep.toml:9:1", "[[organizations]] needs the key organization"),
        ("lockstep.toml:10:1", "it belongs under [[roles]] or [[organizations.roles]]"),
        ("lockstep.toml:11:1", "[[organizations.roles]] needs the key role"),
        ("lockstep.toml:12:1", "it belongs under [[organizations]]"),
        ("lockstep.toml:13:10", "expected a list of object ids of Entra groups, found a string"),
        ("lockstep.toml:15:1", "expected a table, found a string"),
        ("lockstep.toml:17:5", "expected a text, found a whole number"),
        ("lockstep.toml:19:17", "expected true or false"),
        ("lockstep.toml:20:18", "this is no key of [contain.sources]"),
    ] {
        assert!(told.contains(place) && told.contains(what), "{place} {what}: {told}");
    }
    assert!(told.contains("16 mistakes"), "{told}");
}

#[test]
fn every_wrong_attribute_is_told_what_would_be_right() {
    let told = mistakes(
        r#"
[[attributes]]
to = "app_metadata.blocked"
from = "departement"
[[attributes]]
to = "nick_name"
from = "mail | lowr"
[[attributes]]
to = "user_metadata.boss"
from = "manager.department"
"#,
        &[],
    );
    for (place, what) in [
        ("lockstep.toml:3:6", "app_metadata.blocked belongs to Auth0"),
        ("lockstep.toml:4:8", "did you mean department?"),
        ("lockstep.toml:6:6", "expected app_metadata.KEY"),
        ("lockstep.toml:7:8", "no expression"),
        ("lockstep.toml:10:8", "of a manager there are id, displayName, mail"),
    ] {
        assert!(told.contains(place) && told.contains(what), "{place} {what}: {told}");
    }
    assert!(told.contains("5 mistakes"), "{told}");
}

#[test]
fn a_secret_in_the_wrong_file_is_not_shown() {
    let told = mistakes("client_secret = \"hunter2\"\n[slack]\ntoken = hunter2\n", &[]);
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("lockstep.toml:1:1") && told.contains("secrets belong in"), "{told}");
}

#[test]
fn what_is_also_ended_is_a_list_of_words_each_with_its_suggestion() {
    let policy = read("[contain]\nalso = [\"token-vault\", \"grants\"]\n", &[]).unwrap();
    assert_eq!(policy.contain.also.extras, [Extra::Grants, Extra::TokenVault].into());
    let by_variable = read("", &[("LOCKSTEP__CONTAIN__ALSO", "grants, device-credentials")]).unwrap();
    assert_eq!(by_variable.contain.also.extras, [Extra::Grants, Extra::DeviceCredentials].into());
    assert_snapshot!(mistakes("[contain]\nalso = [\"grants\", \"token-vualt\", \"sessions\"]\n", &[]), @r#"
    error: expected grants, device-credentials, token-vault or entra-sessions
     --> lockstep.toml:2:19
      |
    2 | also = ["grants", "token-vualt", "sessions"]
      |                   ^^^^^^^^^^^^^
      |
      = help: did you mean token-vault?

    error: expected grants, device-credentials, token-vault or entra-sessions
     --> lockstep.toml:2:34
      |
    2 | also = ["grants", "token-vualt", "sessions"]
      |                                  ^^^^^^^^^^

    2 mistakes in the configuration
    "#);
    assert_snapshot!(mistakes("[contain]\nalso = \"grants\"\n", &[]), @r#"
    error: expected a list of grants, device-credentials, token-vault or entra-sessions, found a string
     --> lockstep.toml:2:8
      |
    2 | also = "grants"
      |        ^^^^^^^^

    1 mistake in the configuration
    "#);
    assert_snapshot!(mistakes("", &[("LOCKSTEP__CONTAIN__ALSO", "grant")]), @"
    error: LOCKSTEP__CONTAIN__ALSO: expected grants, device-credentials, token-vault or entra-sessions
     |
     = help: did you mean grants?

    1 mistake in the configuration
    ");
}
