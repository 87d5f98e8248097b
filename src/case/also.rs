//! What a containment also ends where the policy says so, beyond sessions and refresh tokens, and how far that has come.
//!
//! None of it can be given back: whoever is released consents, connects devices and connected accounts anew.

use serde::{Deserialize, Serialize};

use super::Means;
use crate::clock::Timestamp;

/// What an account may hold beside its sessions and refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// Consents, with the refresh tokens that hang on them.
    Grants,
    /// Refresh tokens as the older endpoint knows them, one per device.
    DeviceCredentials,
    /// Upstream tokens of connected accounts, kept in Token Vault.
    TokenVault,
}

impl Extra {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Extra::Grants => "grants",
            Extra::DeviceCredentials => "device credentials",
            Extra::TokenVault => "Token Vault token sets",
        }
    }

    /// Whether ending access by `means` ends this as well.
    pub fn is_ended_by(self, means: Means) -> bool {
        means == Means::GrantsAndDevices && matches!(self, Extra::Grants | Extra::DeviceCredentials)
    }
}

/// How far one of them has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoProgress {
    #[serde(flatten)]
    pub state: AlsoState,
    /// The newest reason that it was asked for; `None` when none of the reasons had a newness of its own.
    #[serde(default)]
    pub as_of: Option<Timestamp>,
    /// When it was first tried for that reason.
    #[serde(default)]
    pub tried_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AlsoState {
    /// Decided; how it ended is not known yet.
    Wanted,
    /// Not done, and tried again.
    Failed { at: Timestamp, why: String },
    /// Accepted then.
    Ended { at: Timestamp },
    /// Accepted then; whether anything is left may not be listed.
    Unproven { at: Timestamp },
    /// Refused by the tenant's plan or for a missing permission: not tried again before a newer reason asks.
    Refused { at: Timestamp, why: String },
}

impl AlsoProgress {
    /// Nothing tried yet.
    pub fn wanted() -> AlsoProgress {
        AlsoProgress { state: AlsoState::Wanted, as_of: None, tried_since: None }
    }

    /// Tried now, for the reasons of which the newest is `newest`.
    pub fn tried(&self, newest: Option<Timestamp>, now: Timestamp) -> AlsoProgress {
        let since = self.tried_since.filter(|_| newest <= self.as_of).unwrap_or(now);
        AlsoProgress { state: AlsoState::Wanted, as_of: newest, tried_since: Some(since) }
    }

    /// Accepted and still to be read back.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, AlsoState::Ended { .. })
    }
}
