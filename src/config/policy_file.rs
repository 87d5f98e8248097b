//! The policy file: read, walked against the table of known keys, overridden by `LOCKSTEP__…` variables.
//!
//! Every mistake of the file is found in one go, with line and column. Reading again (after a change, or on SIGHUP)
//! gives either a whole new policy or mistakes; what to do with the old one is the caller's affair.

mod across;
mod walk;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::environment::{Environment, Unread, read_text};
use super::mistakes::{Mistake, Mistakes, Place, nearest};
use super::reader::{Reader, Wrong};
use super::shape::{self, Shape};
use super::variables::{self, Kind};
use crate::policy::Policy;
use across::{Lacking, Spot};
use walk::Walk;

const PREFIX: &str = "LOCKSTEP__";
const DEFAULT_FILE: &str = "lockstep.toml";

/// Where the policy comes from; holds no secret and can be kept for reading again.
#[derive(Debug, Clone)]
pub struct PolicySource {
    path: PathBuf,
    needed: Needed,
    overrides: Environment,
    lacking: Lacking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// `LOCKSTEP_CONFIG` names it.
    Yes,
    /// Nobody asked for a file: without one the defaults hold.
    No,
}

/// Whether a policy file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    File,
    DefaultsOnly,
}

impl PolicySource {
    /// `LOCKSTEP_CONFIG`, or `lockstep.toml` in the working directory when there is one.
    pub fn of(environment: &Environment) -> PolicySource {
        let named = environment.get(variables::CONFIG.name);
        PolicySource {
            path: PathBuf::from(named.unwrap_or(DEFAULT_FILE)),
            needed: if named.is_some() { Needed::Yes } else { Needed::No },
            overrides: environment.only(PREFIX),
            lacking: Lacking::default(),
        }
    }

    /// For a process that carries the policy out: it must also have what the policy asks for.
    pub fn carried_out_with(mut self, environment: &Environment) -> PolicySource {
        let reader = Reader::new(environment);
        let for_scim = [variables::AUTH0_CONNECTION, variables::AUTH0_SCIM_TOKEN];
        let unset = for_scim.into_iter().filter(|variable| !reader.is_set(*variable));
        self.lacking = Lacking { for_scim: unset.map(|variable| variable.name).collect() };
        self
    }

    /// The file at `path`, which must exist, overridden by the variables of `environment`.
    pub fn at(path: &Path, environment: &Environment) -> PolicySource {
        PolicySource {
            path: path.to_owned(),
            needed: Needed::Yes,
            overrides: environment.only(PREFIX),
            lacking: Lacking::default(),
        }
    }

    /// The file to watch.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn found(&self) -> Found {
        if self.path.exists() { Found::File } else { Found::DefaultsOnly }
    }

    /// The policy as file and variables say it now, or everything that is wrong with them.
    pub fn read(&self) -> Result<Policy, Mistakes> {
        let mut mistakes = Mistakes::default();
        let file = self.path.display().to_string();
        let source = match read_text(&self.path) {
            Ok(source) => source,
            Err(Unread::Absent) if self.needed == Needed::No => String::new(),
            Err(unread) => {
                mistakes.push(unreadable(&file, unread));
                String::new()
            }
        };
        let mut walk = Walk::through(&file, &source);
        let mut reader = Reader::new(&self.overrides);
        self.override_keys(&mut walk, &mut reader);
        for (spot, wrong) in across::check(&walk.said, &self.lacking) {
            match spot {
                Spot::File(span) => walk.add(span, wrong),
                Spot::Variable(name) => reader.wrong(&name, Kind::Open, wrong),
            }
        }
        let table = walk.end(&mut mistakes);
        mistakes.extend(reader.mistakes);
        mistakes.or(())?;
        Policy::deserialize(Value::Table(table)).map_err(|error| {
            let mut mistakes = Mistakes::default();
            let place = Place::File { file };
            mistakes.push(Mistake { what: error.message().to_owned(), place, help: None });
            mistakes
        })
    }

    /// Lays `LOCKSTEP__SECTION__KEY` over `[section] key`.
    fn override_keys(&self, walk: &mut Walk<'_>, reader: &mut Reader<'_>) {
        for (name, text) in self.overrides.beginning_with(PREFIX) {
            if text.is_empty() {
                continue;
            }
            match overridden(name, text) {
                Ok((path, value)) => {
                    walk.said.replace(&path.join("."), &value, name);
                    put(&mut walk.table, &path, value);
                }
                Err(wrong) => reader.wrong(name, Kind::Open, wrong),
            }
        }
    }
}

fn unreadable(file: &str, unread: Unread) -> Mistake {
    let place = Place::File { file: file.to_owned() };
    match unread {
        Unread::Absent => {
            let help = Some(format!("{} names it", variables::CONFIG.name));
            Mistake { what: "the policy file does not exist".to_owned(), place, help }
        }
        Unread::Failed(what) => Mistake { what, place, help: None },
    }
}

fn overridden(name: &str, text: &str) -> Result<(Vec<&'static str>, Value), Wrong> {
    let (mut keys, mut path, mut found) = (shape::POLICY, Vec::new(), None::<&Shape>);
    for part in name[PREFIX.len()..].split("__") {
        if let Some(many @ (Shape::Rows { .. } | Shape::Named { .. })) = found {
            many.read(text)?;
        }
        let Some(key) = shape::find(keys, &part.to_ascii_lowercase()) else {
            return Err(no_such_override(name));
        };
        path.push(key.name);
        found = Some(&key.shape);
        keys = if let Shape::Table(inner) = key.shape { inner } else { &[] };
    }
    let shape = found.ok_or_else(|| no_such_override(name))?;
    Ok((path, shape.read(text)?))
}

fn no_such_override(name: &str) -> Wrong {
    let single = shape::paths().into_iter().filter(|path| !path.contains(['[', '*']));
    let names: Vec<String> = single.map(|path| override_name(&path)).collect();
    let wrong = Wrong::new("no such key of the policy");
    match nearest(&name.to_ascii_uppercase(), names.iter().map(String::as_str)) {
        Some(meant) => wrong.help(format!("did you mean {meant}?")),
        None => wrong.help("docs/configuration.md lists every key"),
    }
}

/// `LOCKSTEP__SECTION__KEY` for `section.key`.
pub fn override_name(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))
}

fn put(table: &mut Table, path: &[&'static str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Response;
    use crate::event::{RiskLevel, Source};
    use crate::policy::ReleaseWhenCleared;
    use crate::policy::sync::Switch;

    fn source(text: &str, overrides: &[(&str, &str)]) -> (tempfile::TempDir, PolicySource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lockstep.toml");
        std::fs::write(&path, text).unwrap();
        let variables = overrides.iter().copied().chain([("LOCKSTEP_CONFIG", path.to_str().unwrap())]);
        let source = PolicySource::of(&variables.collect());
        (dir, source)
    }

    fn read(text: &str, overrides: &[(&str, &str)]) -> Result<Policy, Mistakes> {
        source(text, overrides).1.read()
    }

    fn mistakes(text: &str, overrides: &[(&str, &str)]) -> String {
        let (dir, source) = source(text, overrides);
        source.read().unwrap_err().to_string().replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn an_empty_file_is_the_default_policy() {
        assert_eq!(read("", &[]), Ok(Policy::default()));
    }

    #[test]
    fn without_a_file_the_defaults_hold_unless_one_was_named() {
        let named: Environment = [("LOCKSTEP_CONFIG", "/nowhere/lockstep.toml")].into_iter().collect();
        let told = PolicySource::of(&named).read().unwrap_err().to_string();
        assert!(told.contains("/nowhere/lockstep.toml: the policy file does not exist"), "{told}");
    }

    #[test]
    fn every_key_reaches_the_policy() {
        let policy = read(
            r#"
            [contain]
            risk_level = "medium"
            on_disabled = "end-sessions"
            on_deleted = "notify"
            verify_within_seconds = 0x3c
            release_when_cleared = false
            [contain.sources.azure_monitor]
            risk_level = "low"
            response = "notify"
            [contain.brake]
            containments = 5
            window_seconds = 1_200
            [protected]
            people = ["00000000-0000-0000-0000-000000000001"]
            accounts = ["auth0|1", "waad|c|2"]
            "#,
            &[],
        )
        .unwrap();
        assert_eq!(policy.contain.risk_level, RiskLevel::Medium);
        assert_eq!(policy.contain.on_disabled, Response::EndSessions);
        assert_eq!(policy.contain.on_deleted, Response::Notify);
        assert_eq!(policy.contain.verify_within_seconds, 60);
        assert_eq!(policy.contain.release_when_cleared, ReleaseWhenCleared::No);
        assert_eq!(policy.risk_level(Source::AzureMonitor), RiskLevel::Low);
        assert_eq!(policy.response(Source::AzureMonitor), Response::Notify);
        assert_eq!((policy.contain.brake.containments, policy.contain.brake.window_seconds), (5, 1200));
        assert_eq!((policy.protected.people.len(), policy.protected.accounts.len()), (1, 2));
    }

    #[test]
    fn a_variable_overrides_its_key_and_leaves_the_rest() {
        let policy = read(
            "[contain]\nrisk_level = \"medium\"\non_deleted = \"notify\"\n",
            &[
                ("LOCKSTEP__CONTAIN__RISK_LEVEL", "low"),
                ("LOCKSTEP__CONTAIN__BRAKE__CONTAINMENTS", "7"),
                ("LOCKSTEP__CONTAIN__RELEASE_WHEN_CLEARED", "false"),
                ("LOCKSTEP__CONTAIN__SOURCES__RISK__RESPONSE", "end-sessions"),
                ("LOCKSTEP__PROTECTED__ACCOUNTS", "auth0|1, auth0|2"),
                ("LOCKSTEP__CONTAIN__VERIFY_WITHIN_SECONDS", ""),
            ],
        )
        .unwrap();
        assert_eq!(policy.contain.risk_level, RiskLevel::Low);
        assert_eq!(policy.contain.on_deleted, Response::Notify);
        assert_eq!(policy.contain.brake.containments, 7);
        assert_eq!(policy.contain.release_when_cleared, ReleaseWhenCleared::No);
        assert_eq!(policy.response(Source::Risk), Response::EndSessions);
        assert_eq!(policy.protected.accounts.len(), 2);
        assert_eq!(policy.contain.verify_within_seconds, 120, "an empty variable overrides nothing");
    }

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
          = help: the policy knows people, provision, attributes, tables, roles, organizations, mfa, leavers, sweep, contain, protected

        3 mistakes in the configuration
        "#);
    }

    #[test]
    fn lists_of_tables_reach_the_policy_and_no_variable_reaches_into_them() {
        let text = r#"
            [[attributes]]
            to = "app_metadata.country"
            from = "tables.country[usageLocation]"
            [tables.country]
            DE = "Germany"
            [[roles]]
            role = "Admin"
            any_of = ["00000000-0000-0000-0000-000000000001"]
            privileged = true
            [[organizations]]
            organization = "acme"
            all_of = ["00000000-0000-0000-0000-000000000002"]
            [[organizations.roles]]
            role = "Editor"
            none_of = ["00000000-0000-0000-0000-000000000003"]
            [provision]
            method = "database"
            connection = "staff"
            password_mail = true
        "#;
        let policy = read(text, &[("LOCKSTEP__PROVISION__CONNECTION", "others")]).unwrap();
        assert_eq!(policy.attributes[0].from.source(), "tables.country[usageLocation]");
        assert_eq!(policy.tables["country"]["DE"], "Germany");
        assert_eq!(policy.roles[0].privileged, Switch::Yes);
        assert_eq!(policy.organizations[0].roles[0].role, "Editor");
        assert_eq!(policy.provision.connection.as_deref(), Some("others"));
        assert_eq!(policy.groups().len(), 3);
        for name in ["LOCKSTEP__ROLES", "LOCKSTEP__ROLES__ROLE", "LOCKSTEP__TABLES__COUNTRY__DE"] {
            let told = mistakes(text, &[(name, "x")]);
            assert!(told.contains("a variable cannot hold tables"), "{name}: {told}");
        }
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
    fn what_is_wrong_across_lines_is_found_with_the_rest() {
        let told = mistakes(
            r#"
[[attributes]]
to = "app_metadata.country"
from = "tables.countries[usageLocation]"
[[attributes]]
to = "app_metadata.country"
from = "country or tables['cuontry'][usageLocation]"
[tables.country]
DE = "Germany"
[mfa]
metadata_key = "country"
[[roles]]
role = "Admin"
any_of = ["00000000-0000-0000-0000-00000000000A"]
none_of = ["00000000-0000-0000-0000-00000000000a"]
privileged = true
[[roles]]
role = "Admin"
privileged = false
[[organizations]]
organization = "acme"
[[organizations.roles]]
role = "Admin"
privileged = false
all_of = ["00000000-0000-0000-0000-00000000000b"]
none_of = ["00000000-0000-0000-0000-00000000000b"]
[provision]
connection = "staff"
method = "frist-login"
"#,
            &[],
        );
        for (place, what) in [
            ("lockstep.toml:4:8", "there is no [tables.countries]"),
            ("lockstep.toml:6:6", "app_metadata.country is mapped twice"),
            ("lockstep.toml:7:8", "there is no [tables.cuontry]"),
            ("lockstep.toml:11:16", "app_metadata.country is mapped by [[attributes]] already"),
            ("lockstep.toml:14:11", "the same group is in none_of of this rule"),
            ("lockstep.toml:19:14", "another line says the opposite of the role Admin"),
            ("lockstep.toml:25:11", "nobody in it falls under the rule"),
            ("lockstep.toml:29:10", "did you mean first-login?"),
        ] {
            assert!(told.contains(place) && told.contains(what), "{place} {what}: {told}");
        }
        assert!(told.contains("8 mistakes"), "{told}");
    }

    #[test]
    fn what_needs_something_else_says_what() {
        let told = |text: &str| mistakes(text, &[]);
        for (text, needs) in [
            ("[provision]\nmethod = \"database\"\n", "provision.connection"),
            ("[provision]\nconnection = \"staff\"\n", "provision.method = \"database\""),
            ("[provision]\nmethod = \"scim\"\npassword_mail = true\n", "provision.method = \"database\""),
            ("[mfa]\nenrolment_mail = true\n", "mfa.metadata_key"),
            ("[mfa]\nany_of = [\"00000000-0000-0000-0000-000000000001\"]\n", "mfa.metadata_key"),
        ] {
            assert!(told(text).contains(&format!("this has no effect without {needs}")), "{}", told(text));
        }
        // A value that is wrong by itself is the only mistake.
        assert!(told("[provision]\nmethod = \"database\"\nconnection = 3\n").contains("1 mistake"));
        let variable = [("LOCKSTEP__PROVISION__METHOD", "database")];
        assert!(read("[provision]\nconnection = \"staff\"\n", &variable).is_ok());
        assert!(mistakes("", &variable).contains("LOCKSTEP__PROVISION__METHOD: this has no effect without"));
    }

    #[test]
    fn accounts_by_scim_need_the_connection_and_its_token_where_they_are_made() {
        let (_dir, source) = source("[provision]\nmethod = \"scim\"\n", &[]);
        assert!(source.read().is_ok(), "whoever only takes webhooks in makes none");
        let with = |variables: &[(&str, &str)]| {
            source.clone().carried_out_with(&variables.iter().copied().collect()).read()
        };
        let told = with(&[("AUTH0_CONNECTION", "c")]).unwrap_err().to_string();
        assert!(told.contains("lockstep.toml:2:10") && told.contains("without AUTH0_SCIM_TOKEN"), "{told}");
        assert!(with(&[("AUTH0_CONNECTION", "c"), ("AUTH0_SCIM_TOKEN_FILE", "/f")]).is_ok());
    }

    #[test]
    fn more_groups_than_a_policy_may_name_are_refused() {
        let ids = |count: usize| {
            (0..count).map(|n| format!("\"00000000-0000-0000-0000-{n:012}\"")).collect::<Vec<_>>()
        };
        let text = |count| format!("[[roles]]\nrole = \"a\"\nany_of = [{}]\n", ids(count).join(",\n"));
        assert!(read(&text(crate::policy::GROUPS_MAX), &[]).is_ok());
        let told = mistakes(&text(crate::policy::GROUPS_MAX + 2), &[]);
        assert!(told.contains("more than 2000 groups") && told.contains("lockstep.toml:2003:1"), "{told}");
    }

    #[test]
    fn a_secret_in_the_wrong_file_is_not_shown() {
        let told = mistakes("client_secret = \"hunter2\"\n[slack]\ntoken = hunter2\n", &[]);
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains("lockstep.toml:1:1") && told.contains("secrets belong in"), "{told}");
    }
}
