//! What our tokens allow, compared with what policy and mode need: what is missing, and what is in excess.
//!
//! Both vendors write an application's permissions into its tokens. A token that says nothing about them is no mistake:
//! then only the calls can tell, which `doctor` tries beside this.

use std::collections::{BTreeMap, BTreeSet};

use super::Line;
use crate::auth0;
use crate::case::also::Extra;
use crate::cli::vendors::{Vendors, work};
use crate::config::Config;
use crate::policy::also::EntraSessions;
use crate::policy::sync::{Delete, Method, Switch};
use crate::policy::{Mode, Policy};

/// Permissions, and what does not work without them.
type Needs = BTreeMap<&'static str, &'static str>;

/// What includes the first: whoever has one of the others lacks nothing (Microsoft Graph, permissions reference).
const WIDER: [(&str, &[&str]); 5] = [
    ("User.Read.All", &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]),
    ("GroupMember.Read.All", &["Group.Read.All", "GroupMember.ReadWrite.All"]),
    ("Group.Read.All", &["Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]),
    ("IdentityRiskyUser.Read.All", &["IdentityRiskyUser.ReadWrite.All"]),
    ("User.RevokeSessions.All", &["User.ReadWrite.All", "Directory.ReadWrite.All"]),
];
/// Nothing needs them; `doctor` uses them where they are there.
const WELCOME: [&str; 1] = ["Application.Read.All"];

pub(super) async fn lines(vendors: &Vendors) -> Vec<Line> {
    let (graph, auth0) = futures_util::join!(vendors.entra.granted(), vendors.auth0.granted());
    let mut lines = match graph {
        Ok(Some(granted)) => {
            let config = &vendors.config;
            of_graph(&granted, &graph_reads(config), &graph_writes(&config.policy), work(config).worker.mode)
        }
        Ok(None) => vec![Line::good("Graph: the token does not say what it allows; only the calls can tell")],
        Err(error) => vec![Line::bad("Graph: no token is given", error.to_string())],
    };
    lines.extend(match auth0 {
        Ok(Some(granted)) => of_auth0(&granted, &vendors.config),
        Ok(None) => vec![Line::good("Auth0: the token does not say what it allows; only the calls can tell")],
        Err(error) => vec![Line::bad("Auth0: no token is given", error.to_string())],
    });
    lines
}

/// What is read whatever the mode.
fn graph_reads(config: &Config) -> Needs {
    let mut needs = Needs::from([
        ("User.Read.All", "people cannot be read"),
        ("IdentityRiskyUser.Read.All", "the risk of people cannot be read"),
    ]);
    if config.public_url.is_some() && config.client_state.is_some() {
        needs.insert("Group.Read.All", "Graph does not tell of changed groups");
    } else if !config.policy.groups().is_empty() {
        needs.insert("GroupMember.Read.All", "memberships in groups cannot be read");
    }
    needs
}

/// What is written in enforce mode.
fn graph_writes(policy: &Policy) -> Needs {
    match policy.contain.also.entra_sessions {
        EntraSessions::End => Needs::from([("User.RevokeSessions.All", "sessions in Entra cannot be ended")]),
        EntraSessions::Stay => Needs::new(),
    }
}

fn of_graph(granted: &BTreeSet<String>, reads: &Needs, writes: &Needs, mode: Mode) -> Vec<Line> {
    let lacked = |needs: &Needs| -> Needs {
        needs.iter().filter(|(need, _)| !is_covered(need, granted)).map(|(need, why)| (*need, *why)).collect()
    };
    let all: Needs = reads.iter().chain(writes).map(|(need, why)| (*need, *why)).collect();
    let (now, later) = match mode {
        Mode::Enforce => (&all, Needs::new()),
        Mode::Observe => (reads, lacked(writes)),
    };
    let mut lines: Vec<Line> = lacked(now).iter().map(|(need, without)| graph_lacks(need, without)).collect();
    if lines.is_empty() {
        lines.push(Line::good(format!("Graph: the token has the {} permissions needed", now.len())));
    }
    lines.extend(needed_later("Graph", later.keys().copied()));
    let adds = |has: &&str| !all.contains_key(has) && !WELCOME.contains(has) && !is_part_of_a_need(has, &all);
    lines.extend(excess("Graph", "app registration", granted.iter().map(String::as_str).filter(adds)));
    lines
}

fn graph_lacks(need: &str, without: &str) -> Line {
    let fix = format!(
        "add it to the app registration (API permissions, application permissions) and consent: without it {without}"
    );
    Line::bad(format!("Graph: the token lacks {need}"), fix)
}

/// Observe mode only reads.
fn needed_later<'a>(vendor: &str, later: impl Iterator<Item = &'a str>) -> Option<Line> {
    let later: Vec<&str> = later.collect();
    let what = format!("{vendor}: LOCKSTEP_MODE=enforce will also need {}", later.join(", "));
    (!later.is_empty()).then(|| Line::advice(what, "grant them before Lockstep is to act"))
}

fn is_covered(need: &str, granted: &BTreeSet<String>) -> bool {
    granted.contains(need) || wider(need).iter().any(|wider| is_covered(wider, granted))
}

/// What a needed permission includes anyway is nothing more.
fn is_part_of_a_need(has: &str, needs: &Needs) -> bool {
    wider(has).iter().any(|wider| needs.contains_key(wider))
}

fn wider(permission: &str) -> &'static [&'static str] {
    WIDER.iter().find(|(narrow, _)| *narrow == permission).map_or(&[], |(_, wider)| wider)
}

fn of_auth0(granted: &BTreeSet<String>, config: &Config) -> Vec<Line> {
    let (policy, settings, mode) = (&config.policy, &work(config).auth0, work(config).worker.mode);
    let (reads, writes) = (reads(policy, settings), writes(policy));
    let missing = |needs: &Needs| -> Vec<(&'static str, &'static str)> {
        needs.iter().filter(|(need, _)| !granted.contains(**need)).map(|(need, why)| (*need, *why)).collect()
    };
    let mut now = missing(&reads);
    let later = missing(&writes);
    if mode == Mode::Enforce {
        now.extend(&later);
    }
    let mut lines: Vec<Line> = now.iter().map(|(need, without)| lacks(need, without)).collect();
    if lines.is_empty() {
        lines.push(Line::good("Auth0: the token has the scopes that policy and mode need"));
    }
    if mode == Mode::Observe {
        lines.extend(needed_later("Auth0", later.iter().map(|(need, _)| *need)));
    }
    let adds = |has: &&str| !reads.contains_key(has) && !writes.contains_key(has);
    lines.extend(excess("Auth0", "application", granted.iter().map(String::as_str).filter(adds)));
    lines
}

fn lacks(need: &str, without: &str) -> Line {
    let fix = format!(
        "grant it to the application (APIs, Auth0 Management API, machine-to-machine applications): without it {without}"
    );
    Line::bad(format!("Auth0: the token lacks {need}"), fix)
}

/// More than is needed breaks nothing; it is what whoever steals our credential gets.
fn excess<'a>(vendor: &str, whose: &str, more: impl Iterator<Item = &'a str>) -> Option<Line> {
    let more: Vec<&str> = more.collect();
    let what = format!("{vendor}: the token allows more than this policy needs: {}", more.join(", "));
    (!more.is_empty())
        .then(|| Line::advice(what, format!("take it from the {whose}, if nothing else uses it")))
}

/// What is read whatever the mode.
fn reads(policy: &Policy, settings: &auth0::Settings) -> Needs {
    let mut needs = Needs::from([
        ("read:users", "accounts cannot be read"),
        ("read:sessions", "nobody can prove that sessions have ended"),
        ("read:refresh_tokens", "nobody can prove that refresh tokens are gone"),
        ("read:grants", "nobody can prove that grants are gone"),
        ("read:device_credentials", "nobody can prove that device credentials are gone"),
        ("read:resource_servers", "the residual exposure cannot be computed"),
    ]);
    if settings.connection.is_some() {
        needs.insert("read:connections", "the enterprise connection cannot be read");
    }
    if policy.contain.also.extras.contains(&Extra::TokenVault) {
        let without = "nobody can prove that token sets are gone from the Token Vault";
        needs.insert("read:federated_connections_tokens", without);
    }
    if has_roles(policy) {
        needs.insert("read:roles", "roles cannot be read");
    }
    if !policy.roles.is_empty() {
        needs.insert("read:role_members", "who has which role cannot be read");
    }
    if !policy.organizations.is_empty() {
        let without = "organizations cannot be read";
        needs.extend([("read:organizations", without), ("read:organization_member_roles", without)]);
        needs.insert("read:organization_connections", "who may sign in to an organization cannot be read");
    }
    needs
}

/// What is written in enforce mode.
fn writes(policy: &Policy) -> Needs {
    let mut needs = Needs::from([
        ("update:users", "nobody can be blocked or kept in step"),
        ("update:users_app_metadata", "a block cannot be stamped with its case"),
        ("delete:sessions", "sessions cannot be ended"),
        ("delete:refresh_tokens", "refresh tokens cannot be revoked"),
        ("delete:grants", "grants cannot be taken"),
        ("delete:device_credentials", "device credentials cannot be taken"),
    ]);
    if policy.contain.also.extras.contains(&Extra::TokenVault) {
        let without = "token sets cannot be taken from the Token Vault";
        needs.insert("delete:federated_connections_tokens", without);
    }
    if !policy.roles.is_empty() {
        needs.insert("create:role_members", "roles cannot be given");
        needs.insert("delete:role_members", "roles cannot be taken");
    }
    if !policy.organizations.is_empty() {
        needs.insert("create:organization_members", "nobody can join an organization");
        needs.insert("delete:organization_members", "nobody can leave an organization");
    }
    if policy.organizations.iter().any(|organization| !organization.roles.is_empty()) {
        needs.insert("create:organization_member_roles", "roles in organizations cannot be given");
        needs.insert("delete:organization_member_roles", "roles in organizations cannot be taken");
    }
    if policy.provision.method == Method::Database {
        needs.insert("create:users", "accounts cannot be made");
    }
    if policy.leavers.delete != Delete::Never {
        needs.insert("delete:users", "accounts of leavers cannot be deleted");
    }
    if policy.mfa.enrolment_mail == Switch::Yes {
        needs.insert("create:guardian_enrollment_tickets", "enrolment mails cannot be sent");
    }
    needs
}

fn has_roles(policy: &Policy) -> bool {
    !crate::worker::names(policy).roles.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn whats(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.what.as_str()).collect()
    }

    fn reading(granted: &BTreeSet<String>, needs: &Needs) -> Vec<Line> {
        of_graph(granted, needs, &Needs::new(), Mode::Enforce)
    }

    #[test]
    fn what_includes_a_permission_covers_it_and_what_a_need_includes_is_no_excess() {
        let needs = Needs::from([("User.Read.All", ""), ("GroupMember.Read.All", "")]);
        let whole = ["Graph: the token has the 2 permissions needed"];
        assert_eq!(whats(&reading(&set(&["User.Read.All", "GroupMember.Read.All"]), &needs)), whole);
        let wide = reading(&set(&["Directory.Read.All", "Application.Read.All"]), &needs);
        let told = "Graph: the token allows more than this policy needs: Directory.Read.All";
        assert_eq!(whats(&wide), [whole[0], told]);
        assert!(wide.iter().all(|line| line.ok), "more is no failure");
        let needs = Needs::from([("Group.Read.All", "")]);
        let both = reading(&set(&["Group.Read.All", "GroupMember.Read.All"]), &needs);
        assert_eq!(both.len(), 1, "{both:?}");
        let narrow = reading(&set(&["GroupMember.Read.All"]), &needs);
        assert_eq!(narrow[0].what, "Graph: the token lacks Group.Read.All");
    }

    #[test]
    fn ending_sessions_in_entra_is_needed_to_enforce_where_the_policy_asks_for_it() {
        let mut policy = Policy::default();
        let reads = Needs::from([("User.Read.All", "")]);
        let told = |granted: &[&str], policy: &Policy, mode| {
            let lines = of_graph(&set(granted), &reads, &graph_writes(policy), mode);
            lines.iter().map(|line| (line.ok, line.what.clone())).collect::<Vec<_>>()
        };
        let whole = |count: u32| (true, format!("Graph: the token has the {count} permissions needed"));
        let more = |has: &str| (true, format!("Graph: the token allows more than this policy needs: {has}"));
        let (read, revoke) = ("User.Read.All", "User.RevokeSessions.All");
        assert_eq!(told(&[read, revoke], &policy, Mode::Enforce), [whole(1), more(revoke)]);
        policy.contain.also.entra_sessions = EntraSessions::End;
        assert_eq!(told(&[read, revoke], &policy, Mode::Enforce), [whole(2)]);
        assert_eq!(told(&[read, revoke], &policy, Mode::Observe), [whole(1)]);
        for wider in ["User.ReadWrite.All", "Directory.ReadWrite.All"] {
            assert_eq!(told(&[wider], &policy, Mode::Enforce), [whole(2), more(wider)]);
        }
        let lacks = (false, format!("Graph: the token lacks {revoke}"));
        assert_eq!(told(&[read], &policy, Mode::Enforce), [lacks]);
        let later = (true, format!("Graph: LOCKSTEP_MODE=enforce will also need {revoke}"));
        assert_eq!(told(&[read], &policy, Mode::Observe), [whole(1), later]);
    }
}
