//! What the policy will do with the directory, and how it learns of changes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::line;
use crate::config::{Config, Role};
use crate::policy::sync::{Delete, Link, Method, Target};
use crate::policy::{Mode, Policy};
use crate::snapshot::sync::RootField;

/// How the directory is kept in step.
#[derive(Debug, Serialize)]
pub struct Directory {
    attributes: usize,
    tables: usize,
    roles: usize,
    organizations: usize,
    groups: usize,
    accounts: &'static str,
    linked: bool,
    second_factor: Option<String>,
    leavers: String,
    manages: bool,
    subscriptions: bool,
    /// Why Graph's subscriptions are kept, or are not.
    because: &'static str,
    sweep_every_seconds: u32,
    disabled_every_seconds: u32,
    whole_sweep_every_hours: Option<u32>,
}

impl Directory {
    pub fn of(config: &Config) -> Option<Directory> {
        let mode = config.work.as_ref()?.worker.mode;
        let policy = &config.policy;
        let roles: BTreeSet<&str> = policy.roles.iter().map(|rule| rule.role.as_str()).collect();
        let organizations: BTreeSet<&str> =
            policy.organizations.iter().map(|rule| rule.organization.as_str()).collect();
        let (subscriptions, because) = subscriptions(config, mode);
        Some(Directory {
            attributes: policy.attributes.len(),
            tables: policy.tables.len(),
            roles: roles.len(),
            organizations: organizations.len(),
            groups: policy.groups().len(),
            accounts: accounts(policy.provision.method),
            linked: policy.provision.link == Link::VerifiedEmail,
            second_factor: policy.mfa.metadata_key.as_ref().map(|key| format!("app_metadata.{key}")),
            leavers: leavers(policy),
            manages: policy.manages_directory(),
            subscriptions,
            because,
            sweep_every_seconds: policy.sweep.every_seconds,
            disabled_every_seconds: policy.sweep.disabled_every_seconds,
            whole_sweep_every_hours: policy.manages_directory().then_some(policy.sweep.whole_every_hours),
        })
    }

    pub fn lines(&self) -> Vec<String> {
        let mut lines = match self.manages {
            false => vec![line("directory", "not kept in step: the policy only contains")],
            true => vec![
                line("directory", &self.kept()),
                line("accounts", self.accounts),
                line("leavers", &self.leavers),
            ],
        };
        let on = if self.subscriptions { "kept" } else { "none" };
        lines.push(line("notified", &format!("subscriptions {on}: {}", self.because)));
        let whole = self.whole_sweep_every_hours.map(|hours| format!(", everybody every {hours} h"));
        let (switches, changes) = (self.disabled_every_seconds, self.sweep_every_seconds);
        let whole = whole.unwrap_or_default();
        let sweeps = format!("who was disabled every {switches} s, changes every {changes} s{whole}");
        lines.push(line("sweeps", &sweeps));
        lines
    }

    fn kept(&self) -> String {
        let mut parts = vec![
            count(self.attributes, "attribute"),
            count(self.roles, "role"),
            count(self.organizations, "organization"),
            format!("by {}", count(self.groups, "group")),
        ];
        parts.extend(self.second_factor.as_ref().map(|flag| format!("second factor in {flag}")));
        if self.linked {
            parts.push("verified look-alikes are linked".to_owned());
        }
        parts.join(", ")
    }
}

/// What is allowed, but probably not meant.
pub fn notes(policy: &Policy) -> Vec<String> {
    let mut notes = Vec::new();
    let open: BTreeSet<&str> = policy
        .roles
        .iter()
        .filter(|rule| rule.rule().reach().is_none())
        .map(|rule| rule.role.as_str())
        .collect();
    notes.extend(open.into_iter().map(|role| {
        format!("the role {role} is given to everybody: its rule names no any_of and no all_of")
    }));
    let open = policy.organizations.iter().filter(|rule| rule.rule().reach().is_none());
    let open: BTreeSet<&str> = open.map(|rule| rule.organization.as_str()).collect();
    notes.extend(open.into_iter().map(|name| {
        format!(
            "everybody becomes a member of the organization {name}: its rule names no any_of and no all_of"
        )
    }));
    let is_mapped = |field: &RootField| policy.attributes.iter().any(|one| one.to == Target::Root(*field));
    let mapped = RootField::OF_DATABASES.into_iter().filter(is_mapped);
    let mapped = mapped.filter(|_| policy.provision.method != Method::Database);
    notes.extend(mapped.map(|field| {
        format!("{} is written to database accounts only, and the policy makes none", field.word())
    }));
    if policy.has_lists_of_tables() {
        notes.push(
            "attributes, tables, roles and organizations come from the policy file alone: LOCKSTEP__… variables \
             override single keys, never lists of tables"
                .to_owned(),
        );
    }
    notes
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn accounts(method: Method) -> &'static str {
    match method {
        Method::FirstLogin => "made by Auth0 at the first login",
        Method::Scim => "made by the SCIM endpoint of the enterprise connection",
        Method::Database => "made in a database connection",
    }
}

fn leavers(policy: &Policy) -> String {
    let days = policy.leavers.grace_days;
    match policy.leavers.delete {
        Delete::Never => "accounts stay, locked".to_owned(),
        Delete::AfterGrace => format!("accounts are deleted after {days} days"),
        Delete::AfterGraceOrPurge => {
            format!("accounts are deleted after {days} days, or when Entra has purged the person")
        }
    }
}

/// As the scheduler decides it.
fn subscriptions(config: &Config, mode: Mode) -> (bool, &'static str) {
    match (&config.public_url, &config.client_state, mode) {
        _ if !config.roles.has(Role::Scheduler) => (false, "another process has the role scheduler"),
        (None, ..) => (false, "LOCKSTEP_PUBLIC_URL is not set, changes are found by sweeps"),
        (_, None, _) => (false, "GRAPH_CLIENT_STATE is not set, changes are found by sweeps"),
        (.., Mode::Observe) => (false, "in observe mode nothing is written to Entra either"),
        (Some(_), Some(_), Mode::Enforce) => (true, "Graph tells of changes as they happen"),
    }
}
