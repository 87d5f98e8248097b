//! The policy: what should hold. Parsed once from the operator's `lockstep.toml`, checked once, then only read.
//!
//! Every field has a safe default, so that an empty file is a valid policy. Pure data; reading the file and
//! reporting mistakes with line and suggestion is `config`'s work.

pub mod affected;
pub mod also;
pub mod groups;
pub mod mapping;
pub mod notify;
pub mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::case::{AccountId, Response};
use crate::event::{ObjectId, RiskLevel, Source};

/// Groups that a policy may name in all: each is asked for with every person, and listed when it changes.
pub const GROUPS_MAX: usize = 2000;

/// `lockstep.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// From `LOCKSTEP_MODE`, not from the file.
    #[serde(skip)]
    pub mode: Mode,
    pub contain: Contain,
    pub protected: Protected,
    pub people: sync::People,
    pub provision: sync::Provision,
    pub attributes: Vec<sync::Attribute>,
    pub tables: mapping::Tables,
    pub roles: Vec<sync::RoleRule>,
    pub organizations: Vec<sync::OrganizationRule>,
    pub mfa: sync::Mfa,
    pub leavers: sync::Leavers,
    pub sweep: sync::Sweep,
    pub notify: notify::Notify,
}

/// `LOCKSTEP_MODE`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Compute and show everything, write nothing.
    #[default]
    Observe,
    Enforce,
}

/// `[contain]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contain {
    /// The lowest risk level that is acted on: `low`, `medium` or `high`.
    pub risk_level: RiskLevel,
    /// What an account disabled in Entra leads to.
    pub on_disabled: Response,
    /// What an account deleted in Entra leads to.
    pub on_deleted: Response,
    /// Seconds within which the read-back should prove the containment; afterwards people are paged.
    pub verify_within_seconds: u64,
    /// Release by itself when Entra says that the risk is dismissed, remediated or confirmed safe.
    pub release_when_cleared: ReleaseWhenCleared,
    /// What is ended beside sessions and refresh tokens, once an account is blocked: `grants`, `device-credentials`,
    /// `token-vault`, and of the person `entra-sessions`. Not where only sessions are ended: none of it can be given back.
    pub also: also::Also,
    /// Per source, what differs: `[contain.sources.azure_monitor]`.
    pub sources: BTreeMap<Source, SourcePolicy>,
    pub brake: Brake,
}

impl Default for Contain {
    fn default() -> Self {
        Contain {
            risk_level: RiskLevel::High,
            on_disabled: Response::Contain,
            on_deleted: Response::Contain,
            verify_within_seconds: 120,
            release_when_cleared: ReleaseWhenCleared::Yes,
            also: also::Also::default(),
            sources: BTreeMap::new(),
            brake: Brake::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseWhenCleared {
    Yes,
    No,
}

/// `[contain.sources.NAME]`: a source may be trusted more or less than the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcePolicy {
    pub risk_level: Option<RiskLevel>,
    pub response: Option<Response>,
}

/// `[contain.brake]`: past this many containments in the window only sessions are ended, and people are paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brake {
    pub containments: u32,
    pub window_seconds: u64,
}

impl Default for Brake {
    fn default() -> Self {
        Brake { containments: 25, window_seconds: 600 }
    }
}

impl Brake {
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_seconds)
    }
}

/// `[protected]`: break-glass and last administrators; never acted on without two people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protected {
    /// Entra object ids.
    pub people: BTreeSet<ObjectId>,
    /// Auth0 user ids.
    pub accounts: BTreeSet<AccountId>,
}

impl Policy {
    /// The lowest level that is acted on for alerts of `source`.
    pub fn risk_level(&self, source: Source) -> RiskLevel {
        self.source(source).risk_level.unwrap_or(self.contain.risk_level)
    }

    /// How far containment goes for alerts of `source`.
    pub fn response(&self, source: Source) -> Response {
        self.source(source).response.unwrap_or(Response::Contain)
    }

    fn source(&self, source: Source) -> SourcePolicy {
        self.contain.sources.get(&source).copied().unwrap_or_default()
    }
}
