//! What a file and the variables over it amount to.

mod across;
mod lines;

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
