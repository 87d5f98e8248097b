//! What Entra ID Protection says of a person's risk, in its words, and what an alert proves by itself.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Entra ID Protection's risk levels, ordered. `Hidden` (no licence to see it) and words we do not know are
/// [`RiskLevel::Unknown`], which is *not* "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskLevel {
    Unknown,
    None,
    Low,
    Medium,
    High,
}

impl RiskLevel {
    /// Reads Microsoft's word, in any case; an unknown word is [`RiskLevel::Unknown`], never an error
    /// (Graph's enums may grow).
    pub fn read(word: &str) -> RiskLevel {
        match word.to_ascii_lowercase().as_str() {
            "none" => RiskLevel::None,
            "low" => RiskLevel::Low,
            "medium" => RiskLevel::Medium,
            "high" => RiskLevel::High,
            _ => RiskLevel::Unknown,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            RiskLevel::Unknown => "unknown",
            RiskLevel::None => "none",
            RiskLevel::Low => "low",
            RiskLevel::Medium => "medium",
            RiskLevel::High => "high",
        }
    }
}

/// Entra ID Protection's risk states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskState {
    Unknown,
    None,
    AtRisk,
    ConfirmedCompromised,
    ConfirmedSafe,
    Remediated,
    Dismissed,
}

impl RiskState {
    /// Reads Microsoft's word (`atRisk`, `confirmedCompromised`, …), in any case.
    pub fn read(word: &str) -> RiskState {
        match word.to_ascii_lowercase().as_str() {
            "none" => RiskState::None,
            "atrisk" => RiskState::AtRisk,
            "confirmedcompromised" => RiskState::ConfirmedCompromised,
            "confirmedsafe" => RiskState::ConfirmedSafe,
            "remediated" => RiskState::Remediated,
            "dismissed" => RiskState::Dismissed,
            _ => RiskState::Unknown,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            RiskState::Unknown => "unknown",
            RiskState::None => "none",
            RiskState::AtRisk => "at risk",
            RiskState::ConfirmedCompromised => "confirmed compromised",
            RiskState::ConfirmedSafe => "confirmed safe",
            RiskState::Remediated => "remediated",
            RiskState::Dismissed => "dismissed",
        }
    }

    /// A person, or Entra itself, has said that the risk is over.
    pub fn is_cleared(self) -> bool {
        matches!(self, RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed)
    }
}

/// What an alert itself proves. Containment acts on it even when Graph cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskEvidence {
    pub level: RiskLevel,
    pub state: RiskState,
    /// Microsoft's detection type (`leakedCredentials`, …) or the alert's title; at most [`crate::event::EVENT_TEXT_CHARS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection: Option<String>,
    /// When the source saw it; decides which of two contradicting statements is newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_at: Option<Timestamp>,
}

impl RiskEvidence {
    /// The instant that it speaks of. Nothing is detected after it was received: a clock that runs ahead must not keep a
    /// person's word from answering it.
    pub fn seen_at(&self, received_at: Timestamp) -> Timestamp {
        self.detected_at.map_or(received_at, |detected_at| detected_at.min(received_at))
    }
}
