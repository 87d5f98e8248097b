//! What a configuration amounts to, in a few lines: for `check`, and on stderr when `serve` starts.
//!
//! Holds no secret: of a broker only host and port, of a webhook only whether it is on.

mod directory;

use std::collections::BTreeSet;

use owo_colors::OwoColorize;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::config::{Config, Found, Role, Roles, Work};
use crate::event::Source;
use crate::notify::slack;
use crate::policy::Mode;
use crate::policy::notify::{News, Notify};

/// What Lockstep allows itself of the vendors' limits.
#[derive(Debug, Serialize)]
struct Pace {
    graph_resource_units_per_second: u32,
    auth0_requests_per_second: f64,
    auth0_burst: u32,
}

impl Pace {
    fn of(work: &Work) -> Pace {
        Pace {
            graph_resource_units_per_second: work.entra.resource_units_per_second,
            auth0_requests_per_second: work.auth0.requests_per_second,
            auth0_burst: work.auth0.burst,
        }
    }

    fn line(&self) -> String {
        let Pace { graph_resource_units_per_second, auth0_requests_per_second, auth0_burst } = self;
        let graph = format!("Graph {graph_resource_units_per_second} ResourceUnits/s");
        let auth0 = format!("Auth0 {auth0_requests_per_second} requests/s, at most {auth0_burst} at once");
        line("pace", &format!("{graph}, {auth0}"))
    }
}

/// What holds.
#[derive(Debug, Serialize)]
pub struct Summary {
    version: &'static str,
    roles: String,
    mode: Option<&'static str>,
    tenant: String,
    policy: String,
    protected_people: usize,
    protected_accounts: usize,
    queue: String,
    store: String,
    listen: String,
    admin_listen: String,
    webhooks: Vec<&'static str>,
    /// With the roles that work.
    pace: Option<Pace>,
    /// With the roles that work.
    directory: Option<directory::Directory>,
    tells: Vec<String>,
    /// What is allowed, but probably not meant.
    notes: Vec<String>,
}

impl Summary {
    pub fn of(config: &Config, roles: &Roles) -> Summary {
        let crate::store::Settings::Sqlite(store) = &config.local.store;
        Summary {
            version: env!("CARGO_PKG_VERSION"),
            roles: roles.to_string(),
            mode: config.work.as_ref().map(|work| mode(work.worker.mode)),
            tenant: config.tenant.to_string(),
            policy: policy(config),
            protected_people: config.policy.protected.people.len(),
            protected_accounts: config.policy.protected.accounts.len(),
            queue: queue(&config.queue.backend),
            store: format!("SQLite in {}", store.file.display()),
            listen: config.local.server.listen.to_string(),
            admin_listen: config.local.server.admin_listen.to_string(),
            webhooks: webhooks(config),
            pace: config.work.as_ref().map(Pace::of),
            directory: directory::Directory::of(config),
            tells: config
                .work
                .as_ref()
                .map(|work| tells(&work.notify, &config.policy.notify))
                .unwrap_or_default(),
            notes: notes(config, roles),
        }
    }

    /// For people.
    pub fn lines(&self) -> String {
        let mut lines = vec![
            format!("lockstep {} ({})", self.version, self.roles),
            line("tenant", &self.tenant),
            line("policy", &self.policy),
            line(
                "protected",
                &format!("{} people, {} accounts", self.protected_people, self.protected_accounts),
            ),
            line("queue", &self.queue),
            line("store", &self.store),
            line("webhooks", &format!("{} on {}", none_or(&self.webhooks), self.listen)),
            line("admin", &self.admin_listen),
        ];
        lines.extend(self.pace.iter().map(Pace::line));
        lines.extend(self.directory.iter().flat_map(directory::Directory::lines));
        lines.extend(self.mode.map(|mode| line("mode", mode)));
        lines.extend(self.tells.iter().map(|who| line("tells", who)));
        lines.extend(self.notes.iter().map(|note| format!("{} {note}", "NOTE:".yellow().bold())));
        lines.join("\n")
    }
}

fn line(name: &str, text: &str) -> String {
    format!("  {name:<10} {text}")
}

fn none_or(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    }
}

fn policy(config: &Config) -> String {
    let path = config.policy_source.path().display();
    match config.policy_source.found() {
        Found::File => path.to_string(),
        Found::DefaultsOnly => format!("the defaults ({path} does not exist)"),
    }
}

fn queue(backend: &crate::queue::Backend) -> String {
    match backend {
        crate::queue::Backend::Embedded(settings) => format!("embedded in {}", settings.file.display()),
        crate::queue::Backend::RabbitMq(settings) => {
            let hosts: Vec<String> = settings.urls.iter().map(|url| host(url.expose_secret())).collect();
            format!("RabbitMQ at {}", hosts.join(", "))
        }
    }
}

fn host(url: &str) -> String {
    let read = reqwest::Url::parse(url).ok();
    let host = read.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host,
        None => "an address that cannot be read".to_owned(),
    }
}

fn webhooks(config: &Config) -> Vec<&'static str> {
    let Some(ingest) = &config.ingest else { return Vec::new() };
    let azure_monitor = !ingest.azure_monitor_secrets.is_empty() || ingest.azure_monitor_jwt.is_some();
    let event_grid = !ingest.event_grid_secrets.is_empty() && !ingest.graph_client_states.is_empty();
    let all = [
        (!ingest.graph_client_states.is_empty(), "/webhooks/graph"),
        (!ingest.risk_secrets.is_empty(), "/webhooks/risk"),
        (azure_monitor, "/webhooks/azure-monitor"),
        (event_grid, "/webhooks/eventgrid"),
    ];
    all.into_iter().filter(|(on, _)| *on).map(|(_, path)| path).collect()
}

fn tells(notify: &crate::notify::Settings, policy: &Notify) -> Vec<String> {
    let slack = notify.slack.as_ref().map(|slack| match slack {
        slack::Settings::Bot { .. } => "Slack, one message per case".to_owned(),
        slack::Settings::Webhook { .. } => "Slack, by incoming webhook".to_owned(),
    });
    let mail = notify
        .mail
        .as_ref()
        .map(|mail| format!("mail to {} addresses: {}", mail.to.len(), words(&policy.mail)));
    let ticket = notify.ticket.as_ref().map(|_| format!("ticket by webhook: {}", words(&policy.ticket)));
    slack.into_iter().chain(mail).chain(ticket).collect()
}

fn words(news: &BTreeSet<News>) -> String {
    let words: Vec<&str> = news.iter().map(|one| one.word()).collect();
    none_or(&words)
}

fn notes(config: &Config, roles: &Roles) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(work) = &config.work {
        if work.worker.mode == Mode::Observe {
            notes.push("OBSERVE MODE: nothing is written to Auth0; LOCKSTEP_MODE=enforce acts".to_owned());
        }
        if tells(&work.notify, &config.policy.notify).is_empty() {
            notes.push("nobody will be told: neither Slack nor mail nor a ticket address is set".to_owned());
        }
        notes.extend(directory::notes(&config.policy));
    }
    if roles.has(Role::Ingest) {
        notes.extend(ingest_notes(config));
    }
    if !config.local.server.admin_listen.ip().is_loopback() {
        notes.push(
            "the admin listener is reachable from other machines: keep it behind a firewall".to_owned(),
        );
    }
    notes
}

fn ingest_notes(config: &Config) -> Vec<String> {
    let on = webhooks(config);
    let mut notes: Vec<String> = example_secrets(config)
        .into_iter()
        .map(|name| format!("{name} is the one of .env.example, which everybody knows: make your own"))
        .collect();
    let lacks_state = |ingest: &crate::ingest::Settings| {
        !ingest.event_grid_secrets.is_empty() && ingest.graph_client_states.is_empty()
    };
    if config.ingest.as_ref().is_some_and(lacks_state) {
        let why = "/webhooks/eventgrid is off: GRAPH_CLIENT_STATE, by which its events prove themselves, is not set";
        notes.push(why.to_owned());
    }
    let route = |source: Source| match source {
        Source::Graph => Some("/webhooks/graph"),
        Source::Risk => Some("/webhooks/risk"),
        Source::AzureMonitor => Some("/webhooks/azure-monitor"),
        Source::Operator | Source::Sweep => None,
    };
    let sources =
        config.policy.contain.sources.keys().filter(|s| route(**s).is_some_and(|r| !on.contains(&r)));
    notes
        .extend(sources.map(|s| format!("[contain.sources.{}] has no effect: its webhook is off", s.word())));
    notes
}

/// Secrets that were left as the example has them, where it is no longer the twin that is meant: anybody could sign.
fn example_secrets(config: &Config) -> Vec<&'static str> {
    const EXAMPLE: &str = include_str!("../../.env.example");
    // Plain HTTP is accepted on this machine only.
    let is_twin = config.work.as_ref().is_some_and(|work| work.auth0.url.scheme() == "http");
    let Some(ingest) = config.ingest.as_ref().filter(|_| !is_twin) else { return Vec::new() };
    let all = [
        ("GRAPH_CLIENT_STATE", &ingest.graph_client_states),
        ("RISK_WEBHOOK_SECRET", &ingest.risk_secrets),
        ("AZURE_MONITOR_SECRET", &ingest.azure_monitor_secrets),
        ("EVENT_GRID_SECRET", &ingest.event_grid_secrets),
    ];
    let known = |secret: &SecretString| {
        EXAMPLE
            .lines()
            .filter_map(|line| line.split_once('='))
            .any(|(_, value)| value == secret.expose_secret())
    };
    all.into_iter().filter(|(_, secrets)| secrets.iter().any(known)).map(|(name, _)| name).collect()
}
