//! The policy file: read, walked against the table of known keys, overridden by `LOCKSTEP__…` variables.
//!
//! Every mistake of the file is found in one go, with line and column. Reading again (after a change, or on SIGHUP)
//! gives either a whole new policy or mistakes; what to do with the old one is the caller's affair.

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
use walk::walk_file;

const PREFIX: &str = "LOCKSTEP__";
const DEFAULT_FILE: &str = "lockstep.toml";

/// Where the policy comes from; holds no secret and can be kept for reading again.
#[derive(Debug, Clone)]
pub struct PolicySource {
    path: PathBuf,
    needed: Needed,
    overrides: Environment,
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
        }
    }

    /// The file at `path`, which must exist, overridden by the variables of `environment`.
    pub fn at(path: &Path, environment: &Environment) -> PolicySource {
        PolicySource { path: path.to_owned(), needed: Needed::Yes, overrides: environment.only(PREFIX) }
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
        let mut table = match read_text(&self.path) {
            Ok(source) => walk_file(&file, &source, &mut mistakes),
            Err(Unread::Absent) if self.needed == Needed::No => Table::new(),
            Err(unread) => {
                mistakes.push(unreadable(&file, unread));
                Table::new()
            }
        };
        self.override_keys(&mut table, &mut mistakes);
        mistakes.or(())?;
        Policy::deserialize(Value::Table(table)).map_err(|error| {
            let mut mistakes = Mistakes::default();
            let place = Place::File { file };
            mistakes.push(Mistake { what: error.message().to_owned(), place, help: None });
            mistakes
        })
    }

    /// Lays `LOCKSTEP__SECTION__KEY` over `[section] key`.
    fn override_keys(&self, table: &mut Table, mistakes: &mut Mistakes) {
        let mut reader = Reader::new(&self.overrides);
        for (name, text) in self.overrides.beginning_with(PREFIX) {
            if text.is_empty() {
                continue;
            }
            match overridden(name, text) {
                Ok((path, value)) => put(table, &path, value),
                Err(wrong) => reader.wrong(name, Kind::Open, wrong),
            }
        }
        mistakes.extend(reader.mistakes);
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
    let (mut keys, mut path, mut found) = (shape::POLICY, Vec::new(), None);
    for part in name[PREFIX.len()..].split("__") {
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
    let names: Vec<String> = shape::paths().iter().map(|path| override_name(path)).collect();
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
          = help: the policy knows contain, protected

        3 mistakes in the configuration
        "#);
    }

    #[test]
    fn a_secret_in_the_wrong_file_is_not_shown() {
        let told = mistakes("client_secret = \"hunter2\"\n[slack]\ntoken = hunter2\n", &[]);
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains("lockstep.toml:1:1") && told.contains("secrets belong in"), "{told}");
    }
}
