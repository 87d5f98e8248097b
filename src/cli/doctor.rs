//! `doctor`: what only the vendors know, each with its fix. Reads only.

mod credentials;
mod permissions;

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::{Output, plain};
use super::vendors::{Vendors, work};
use crate::auth0;
use crate::case::AccountId;
use crate::clock::{self, SystemClock};
use crate::entra::{self, DeltaFrom, Tracked};
use crate::event::ObjectId;
use crate::notify::mail::Mail;
use crate::outbound::Deps;
use crate::policy::Policy;
use crate::policy::sync::{Method, Target};
use crate::snapshot::sync::OrganizationId;
use crate::telemetry::Metrics;

/// Ids of groups that are asked for at a time (Microsoft Graph, directoryObject: getByIds takes a thousand).
const GROUPS_AT_A_TIME: usize = 1000;

/// An account that nobody has: Auth0 looks it up only for whoever may read accounts.
const NOBODY: &str = "auth0|lockstep-doctor";

/// Check the deployment against Entra, Auth0 and the mail server: permissions, groups, roles, subscriptions; each line with its fix
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the environment that a worker has, and reaches Entra and Auth0; nothing is written.
Exit 0 when nothing is wrong, 1 otherwise; a note, such as a permission that nothing needs, fails nothing.

Examples:
  lockstep doctor
  lockstep doctor --json | jq '.[] | select(.ok | not)'")]
pub struct Doctor {}

#[derive(Debug, Serialize)]
struct Line {
    ok: bool,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Line {
    fn good(what: impl Into<String>) -> Line {
        Line { ok: true, what: what.into(), fix: None }
    }

    /// Nothing fails by it, and somebody should see to it.
    fn advice(what: impl Into<String>, fix: impl Into<String>) -> Line {
        Line { ok: true, what: what.into(), fix: Some(fix.into()) }
    }

    fn bad(what: impl Into<String>, fix: impl Into<String>) -> Line {
        Line { ok: false, what: what.into(), fix: Some(fix.into()) }
    }
}

impl Doctor {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let vendors = Vendors::of_environment()?;
        let mut lines = vec![tenant(&vendors).await];
        lines.extend(permissions::lines(&vendors).await);
        lines.extend(credentials::lines(&vendors).await);
        lines.extend(graph(&vendors).await);
        lines.extend(groups(&vendors).await);
        lines.extend(auth0(&vendors).await);
        lines.extend(subscriptions(&vendors).await);
        lines.extend(mail(&vendors).await);
        output.data(&lines, || lines.iter().map(text).collect::<Vec<_>>().join("\n"))?;
        Ok(if lines.iter().all(|line| line.ok) { Exit::Done } else { Exit::Error })
    }
}

fn text(line: &Line) -> String {
    let word = match (&line.fix, line.ok) {
        (None, true) => "ok     ",
        (Some(_), true) => "note   ",
        (_, false) => "wrong  ",
    };
    let fix = line.fix.iter().map(|fix| format!("\n       {}", plain(fix)));
    format!("{word}{}{}", plain(&line.what), fix.collect::<String>())
}

/// A token is for the tenant of ENTRA_TENANT_ID; a managed identity's is for the tenant of the machine.
async fn tenant(vendors: &Vendors) -> Line {
    let ours = vendors.config.tenant;
    match vendors.entra.organization().await {
        Ok(theirs) if theirs == ours => Line::good(format!("Graph: this is the tenant {theirs}")),
        Ok(theirs) => {
            let fix = "correct ENTRA_TENANT_ID, or give the identity of that tenant";
            Line::bad(format!("Graph: this is the tenant {theirs}, and ENTRA_TENANT_ID says {ours}"), fix)
        }
        Err(error) => Line::bad("Graph: the tenant cannot be read", error.to_string()),
    }
}

/// Each permission is tried with the cheapest call that needs it.
async fn graph(vendors: &Vendors) -> Vec<Line> {
    let policy = &vendors.config.policy;
    let properties: BTreeSet<String> = policy.properties().into_iter().map(str::to_owned).collect();
    let (told, unknown) = told(vendors, properties).await;
    let tried = [
        ("users can be read", told),
        ("groups can be read", vendors.entra.delta(&Tracked::Groups, &DeltaFrom::Latest).await.map(drop)),
        ("risk can be read", vendors.entra.risk(ObjectId(uuid::Uuid::nil())).await.map(drop)),
    ];
    let line = |(what, tried): (&str, Result<(), entra::Error>)| match tried {
        Ok(()) => Line::good(format!("Graph: {what}")),
        Err(error) => Line::bad(format!("Graph: not so that {what}"), error.to_string()),
    };
    tried.into_iter().map(line).chain(unknown).collect()
}

/// Whether users can be read with what the policy maps. One property that they do not have refuses all of them: then each
/// is asked for alone.
async fn told(vendors: &Vendors, properties: BTreeSet<String>) -> (Result<(), entra::Error>, Vec<Line>) {
    let together = vendors.entra.tells(properties.clone()).await;
    if !matches!(together, Err(entra::Error::Refused { .. })) {
        return (together, Vec::new());
    }
    let mut lines = Vec::new();
    for property in properties {
        if let Err(error @ entra::Error::Refused { .. }) =
            vendors.entra.tells([property.clone()].into()).await
        {
            let what = format!("Graph: users have no property {property} ({error})");
            let fix =
                "correct its name in the policy; a directory extension must be registered in the tenant";
            lines.push(Line::bad(what, fix));
        }
    }
    (vendors.entra.tells(BTreeSet::new()).await, lines)
}

async fn groups(vendors: &Vendors) -> Vec<Line> {
    let named: Vec<ObjectId> = vendors.config.policy.groups().into_iter().collect();
    let mut lines = Vec::new();
    for chunk in named.chunks(GROUPS_AT_A_TIME) {
        match vendors.entra.kinds_of(chunk).await {
            Ok(kinds) => {
                let lost = chunk.iter().filter(|id| kinds.get(*id) != Some(&entra::Kind::Group));
                lines.extend(lost.map(|id| {
                    let fix = "a rule names it: correct the object id, or remove it from the policy";
                    Line::bad(format!("Graph: {id} is no group of this tenant"), fix)
                }));
            }
            Err(error) => {
                lines.push(Line::bad("Graph: the policy's groups cannot be read", error.to_string()))
            }
        }
    }
    if lines.is_empty() && !named.is_empty() {
        lines.push(Line::good(format!("Graph: all {} groups of the policy exist", named.len())));
    }
    lines
}

async fn auth0(vendors: &Vendors) -> Vec<Line> {
    let policy = &vendors.config.policy;
    let (names, reader) = (crate::worker::names(policy), &vendors.auth0);
    let nobody = AccountId::read(NOBODY).expect("an id of ours is one");
    let (users, apis, roles, organizations, found) = futures_util::join!(
        reader.account(&nobody),
        reader.longest_token_lifetime_seconds(),
        reader.roles(&names.roles),
        reader.organizations(&names.organizations),
        reader.connection(),
    );
    let mut lines = vec![read("accounts", &users), read("the tenant's APIs", &apis)];
    lines.extend(named("role", &names.roles, &roles));
    lines.extend(named("organization", &names.organizations, &organizations));
    match found {
        Ok(found) => {
            lines.extend(connection(vendors, &found, policy));
            lines.extend(user_ids(vendors).await);
            lines.extend(enabled(vendors, &organizations.unwrap_or_default(), &found).await);
        }
        Err(_) => lines.push(read("connections", &found)),
    }
    lines
}

/// Whether something of Auth0's can be read.
fn read<T>(what: &str, tried: &Result<T, auth0::Error>) -> Line {
    match tried {
        Ok(_) => Line::good(format!("Auth0: {what} can be read")),
        Err(error) => Line::bad(format!("Auth0: not so that {what} can be read"), error.to_string()),
    }
}

/// What of a kind the policy names, and what of it is not there; nothing is missed that was not read.
fn named<Id>(
    kind: &str,
    names: &BTreeSet<String>,
    found: &Result<BTreeMap<String, Id>, auth0::Error>,
) -> Vec<Line> {
    if names.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![read(&format!("{kind}s"), found)];
    let Ok(found) = found else { return lines };
    lines.extend(names.iter().filter(|name| !found.contains_key(*name)).map(|name| {
        let fix = "create it, or correct its name in the policy";
        Line::bad(format!("Auth0: there is no {kind} {name}"), fix)
    }));
    lines
}

/// Whoever is a member of an organization gets in only by a connection that is enabled there (Auth0, Enable Organization
/// Connections).
async fn enabled(
    vendors: &Vendors,
    organizations: &BTreeMap<String, OrganizationId>,
    connection: &Option<String>,
) -> Vec<Line> {
    let names = connections(vendors, connection);
    if names.is_empty() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (organization, organization_id) in organizations {
        match vendors.auth0.enabled_connections(organization_id).await {
            Ok(enabled) => {
                let shut = names.iter().filter(|name| !enabled.iter().any(|one| one.name == **name));
                lines.extend(shut.map(|name| {
                    let what = format!("Auth0: {name} is not enabled in the organization {organization}");
                    let fix =
                        "enable it there (Organizations, Connections), or its members cannot sign in with it";
                    Line::bad(what, fix)
                }));
            }
            Err(error) => {
                let what =
                    format!("Auth0: the connections of the organization {organization} cannot be read");
                lines.push(Line::bad(what, error.to_string()));
            }
        }
    }
    if lines.is_empty() && !organizations.is_empty() {
        let (count, names) = (organizations.len(), names.join(" and "));
        let what = format!("Auth0: {names} is enabled in all {count} organizations of the policy");
        lines.push(Line::good(what));
    }
    lines
}

/// What people sign in by: the enterprise connection, where it was found, and the database that accounts are made in.
fn connections<'a>(vendors: &'a Vendors, found: &Option<String>) -> Vec<&'a str> {
    let enterprise = work(&vendors.config).auth0.connection.as_deref().filter(|_| found.is_some());
    let provision = &vendors.config.policy.provision;
    let database = provision.connection.as_deref().filter(|_| provision.method == Method::Database);
    enterprise.into_iter().chain(database).collect()
}

fn connection(vendors: &Vendors, found: &Option<String>, policy: &Policy) -> Option<Line> {
    let settings: &auth0::Settings = &work(&vendors.config).auth0;
    let named = settings.connection.as_ref()?;
    if found.is_none() {
        let fix = "correct AUTH0_CONNECTION, or grant read:connections";
        return Some(Line::bad(format!("Auth0: the connection {named} was not found"), fix));
    }
    let writes_root = policy.attributes.iter().any(|attribute| matches!(attribute.to, Target::Root(_)));
    let what = match writes_root {
        true => format!(
            "Auth0: the connection {named} exists; root attributes of its accounts can be written only where its \
             set_user_root_attributes is not on_each_login"
        ),
        false => format!("Auth0: the connection {named} exists"),
    };
    Some(Line::good(what))
}

/// Greets the mail server and signs in; no mail leaves. A ticket's webhook cannot be tried without making a ticket.
async fn mail(vendors: &Vendors) -> Option<Line> {
    let settings = work(&vendors.config).notify.mail.as_ref()?;
    let deps = Deps { clock: std::sync::Arc::new(SystemClock), metrics: Metrics::new() };
    let checked = match Mail::new(settings, &deps) {
        Ok(mail) => mail.check().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Some(match checked {
        Ok(()) => Line::good("Mail: the server in SMTP_URL lets Lockstep in"),
        Err(why) => Line::bad("Mail: the server in SMTP_URL does not let Lockstep in", why),
    })
}

/// Accounts are found by their person's object id, which is a part of their own only where the connection says so.
async fn user_ids(vendors: &Vendors) -> Option<Line> {
    let named = work(&vendors.config).auth0.connection.as_ref()?;
    let Ok(Some(auth0::UserIds::Other(claim))) = vendors.auth0.user_ids().await else { return None };
    let says = claim.map_or_else(|| "does not say oid".to_owned(), |claim| format!("says {claim}"));
    let what = format!(
        "Auth0: the connection {named} {says} for userid_attribute: accounts are not found by their person's Entra \
         object id, and whom SCIM or Lockstep has not marked is not locked out"
    );
    let fix = "set its userid_attribute to oid; accounts that exist keep their ids, and who signs in anew may get another: \
               check both with `lockstep explain`";
    Some(Line::bad(what, fix))
}

async fn subscriptions(vendors: &Vendors) -> Vec<Line> {
    let config = &vendors.config;
    let (Some(url), Some(_)) = (&config.public_url, &config.client_state) else {
        let what =
            "Graph does not notify: LOCKSTEP_PUBLIC_URL or GRAPH_CLIENT_STATE is not set; changes are swept";
        return vec![Line::good(what)];
    };
    let url = crate::outbound::address(url, "/webhooks/graph").to_string();
    let deps = Deps { clock: std::sync::Arc::new(SystemClock), metrics: Metrics::new() };
    let listed =
        match entra::Client::new(&work(config).entra, &deps).and_then(|client| client.subscriptions()) {
            Ok(client) => client.list().await,
            Err(error) => Err(error),
        };
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => return vec![Line::bad("Graph: subscriptions cannot be listed", error.to_string())],
    };
    let line = |resource: &str| {
        let ours = listed.iter().find(|one| one.resource == resource && one.notification_url == url);
        match ours {
            Some(one) => {
                let hours = clock::elapsed(vendors.clock.now(), one.expires).as_secs() / 3600;
                Line::good(format!("Graph: notifies of {resource} for {hours} more hours"))
            }
            None => {
                let fix = "run `lockstep subscriptions ensure`, or a server with LOCKSTEP_MODE=enforce";
                Line::bad(format!("Graph: does not notify of {resource}"), fix)
            }
        }
    };
    ["users", "groups"].map(line).into()
}
