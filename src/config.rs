//! Gathers every module's settings from the environment and the policy file, and reports everything wrong at once.
//!
//! Wiring and secrets come from variables (completed by `.env`), policy from `lockstep.toml`; docs/configuration.md
//! lists both. Nothing is contacted and nothing is written here. Loading is done once at start; reading the policy
//! again is [`PolicySource::read`].

mod address;
mod dotenv;
mod entra;
mod environment;
mod ingest;
mod local;
mod mistakes;
mod people;
mod policy_file;
mod reader;
mod shape;
mod variables;
mod vendors;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use mistakes::{Line, Mistake, Mistakes, Place};
pub use policy_file::{Found, PolicySource};

use crate::event::TenantId;
use crate::policy::Policy;
use reader::Reader;

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Take webhooks in, and the admin API.
    Ingest,
    /// Work on events.
    Worker,
    /// Keep subscriptions, sweep the directory. Of several processes one does it.
    Scheduler,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Ingest, Role::Worker, Role::Scheduler];

    pub fn word(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Worker => "worker",
            Role::Scheduler => "scheduler",
        }
    }
}

/// The roles of one process, never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    pub fn all() -> Roles {
        Roles(Role::ALL.into())
    }

    /// Only these; none given means all.
    pub fn only(roles: impl IntoIterator<Item = Role>) -> Roles {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        if roles.is_empty() { Roles::all() } else { Roles(roles) }
    }

    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|role| role.word()).collect();
        f.write_str(&words.join(", "))
    }
}

/// Everything `serve` needs.
#[derive(Debug, Clone)]
pub struct Config {
    pub roles: Roles,
    pub tenant: TenantId,
    pub policy: Policy,
    /// For reading the policy again.
    pub policy_source: PolicySource,
    pub local: Local,
    /// The address that Graph and other senders reach the public listener at.
    pub public_url: Option<reqwest::Url>,
    /// What subscriptions are made with: the first of `GRAPH_CLIENT_STATE`.
    pub client_state: Option<secrecy::SecretString>,
    pub queue: crate::queue::Settings,
    pub log: Log,
    /// With the role [`Role::Ingest`].
    pub ingest: Option<crate::ingest::Settings>,
    /// With the roles [`Role::Worker`] and [`Role::Scheduler`].
    pub work: Option<Work>,
}

/// What the roles [`Role::Worker`] and [`Role::Scheduler`] need.
#[derive(Debug, Clone)]
pub struct Work {
    pub worker: crate::worker::Settings,
    pub entra: crate::entra::Settings,
    pub auth0: crate::auth0::Settings,
    pub notify: crate::notify::Settings,
}

/// What every command needs, also those that run beside a server or without one.
#[derive(Debug, Clone)]
pub struct Local {
    pub data_dir: PathBuf,
    pub store: crate::store::Settings,
    pub server: crate::server::Settings,
}

/// How logs are written.
#[derive(Debug, Clone)]
pub struct Log {
    pub format: crate::telemetry::logging::Format,
    /// In the form of `RUST_LOG`.
    pub filter: String,
}

/// Everything for `roles`, or everything that is wrong. Only what the roles need has to be set.
pub fn load(environment: &Environment, roles: &Roles) -> Result<Config, Mistakes> {
    let mut reader = Reader::new(environment);
    let works = roles.has(Role::Worker) || roles.has(Role::Scheduler);
    let policy_source = PolicySource::of(environment);
    let policy_source = if works { policy_source.carried_out_with(environment) } else { policy_source };
    let local = local::local(&mut reader);
    let tenant = vendors::tenant(&mut reader);
    let queue = local::queue(&mut reader, local.as_ref());
    let public_url = reader.parsed(variables::PUBLIC_URL, address::base);
    let log = local::log(&mut reader);
    let places = entra::places(&mut reader);
    let states = ingest::client_states(&mut reader);
    let client_state = states.first().cloned();
    let ingest = roles.has(Role::Ingest).then(|| ingest::ingest(&mut reader, tenant, &places, states));
    let work = works.then(|| vendors::work(&mut reader, tenant, places));
    let mut mistakes = reader.mistakes;
    let policy = policy_source.read().map_err(|wrong| mistakes.extend(wrong)).ok();
    mistakes.or(())?;
    let complete = "a setting that could not be read is a mistake, and there was none";
    Ok(Config {
        roles: roles.clone(),
        tenant: tenant.expect(complete),
        policy: policy.expect(complete),
        policy_source,
        local: local.expect(complete),
        public_url,
        client_state,
        queue: queue.expect(complete),
        log,
        ingest: ingest.map(|read| read.expect(complete)),
        work: work.map(|read| read.expect(complete)),
    })
}

/// Only what every command needs: works at three in the morning with half of the wiring missing.
pub fn load_local(environment: &Environment) -> Result<Local, Mistakes> {
    let mut reader = Reader::new(environment);
    let local = local::local(&mut reader);
    reader.mistakes.or(())?;
    Ok(local.expect("a setting that could not be read is a mistake, and there was none"))
}

/// The policy alone, from `path`.
pub fn read_policy(path: &Path, environment: &Environment) -> Result<Policy, Mistakes> {
    PolicySource::at(path, environment).read()
}

/// Every variable that Lockstep reads, those for the files of secrets not counted.
pub fn variable_names() -> Vec<&'static str> {
    variables::ALL.iter().map(|variable| variable.name).collect()
}

/// Every key of the policy file, as `section.key`.
pub fn policy_keys() -> Vec<String> {
    shape::paths()
}
