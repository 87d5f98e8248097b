//! A case: one containment of one person, from signal to release.
//!
//! A case is opened durably *before* the first write to Auth0, so that whatever a crash leaves behind carries the id
//! of a case that exists. At most one case of a subject is open at a time; the store refuses a second, and refuses
//! a save whose `version` is not the one it holds. Pure data.

pub mod also;
pub mod look_alikes;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::also::{AlsoProgress, Extra};
use self::look_alikes::LookAlikes;
use crate::clock::Timestamp;
use crate::event::{EventId, RiskEvidence, Source, Subject};

/// Names a case in Auth0's stamp, in chat, on the command line and in the audit: `case_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(Uuid);

impl CaseId {
    /// The case that `event` opens. Derived, so that a second worker handling the same event names the same case.
    pub fn opened_by(event: EventId) -> CaseId {
        CaseId(event.0)
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case_{}", self.0.simple())
    }
}

impl std::str::FromStr for CaseId {
    type Err = NotACaseId;

    fn from_str(text: &str) -> Result<CaseId, NotACaseId> {
        let hex = text.strip_prefix("case_").filter(|hex| hex.len() == 32).ok_or(NotACaseId)?;
        Uuid::try_parse(hex).map(CaseId).map_err(|_| NotACaseId)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a case is named like case_0192f3c4a5b67c8d9e0f112233445566")]
pub struct NotACaseId;

impl Serialize for CaseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<CaseId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An Auth0 `user_id` (`waad|…`, `auth0|…`): opaque, compared whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(String);

impl AccountId {
    /// Auth0 allows 255 characters after the provider; anything longer, empty or with control characters is no id.
    pub fn read(text: &str) -> Option<AccountId> {
        let fits = !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control);
        fits.then(|| AccountId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    /// Decided and on record; nothing has been confirmed by Auth0 yet.
    Requested,
    /// Auth0 has accepted every block and end of access; the read-back still finds something, or has not run.
    Accepted,
    /// Read back: every account is blocked and nothing is left that could be used.
    Verified,
    /// Nothing was done on purpose: observe mode, a protected person, or a policy that only tells.
    NotActed,
    /// To be given back: decided and on record; the unblocking has not been read back yet. Entra need not be heard again
    /// for it, and only newer evidence turns it round.
    Releasing,
    /// Given back: what we blocked is unblocked, or there was nothing of ours left to unblock.
    Released,
}

impl CaseState {
    pub fn word(self) -> &'static str {
        match self {
            CaseState::Requested => "requested",
            CaseState::Accepted => "accepted",
            CaseState::Verified => "verified",
            CaseState::NotActed => "not acted",
            CaseState::Releasing => "releasing",
            CaseState::Released => "released",
        }
    }

    /// An open case has accounts that are, or are about to be, contained by us.
    pub fn is_open(self) -> bool {
        match self {
            CaseState::Requested | CaseState::Accepted | CaseState::Verified | CaseState::Releasing => true,
            CaseState::NotActed | CaseState::Released => false,
        }
    }
}

/// Why the person is contained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Risk(RiskEvidence),
    Disabled,
    Deleted,
    Operator { by: String, reason: String },
}

impl Reason {
    /// One short clause for people: stamp, chat, audit.
    pub fn sentence(&self) -> String {
        match self {
            Reason::Risk(evidence) => {
                let level = evidence.level.word();
                let state = evidence.state.word();
                match &evidence.detection {
                    Some(detection) => format!("risk {level}, {state}: {detection}"),
                    None => format!("risk {level}, {state}"),
                }
            }
            Reason::Disabled => "account disabled in Entra".into(),
            Reason::Deleted => "account deleted in Entra".into(),
            Reason::Operator { by, reason } => format!("asked for by {by}: {reason}"),
        }
    }
}

/// One reason of a case, and how new it is. A case holds one of each kind at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// As it was first told.
    pub reason: Reason,
    pub source: Source,
    /// How far containment goes for it by the policy of its day, before protection and the brake.
    pub response: Response,
    /// The instant of its newest evidence: what ends it, or answers it, is not older than this.
    pub as_of: Timestamp,
}

impl Cause {
    /// Whether it keeps a case open, rather than being told only.
    pub fn holds(&self) -> bool {
        self.response >= Response::EndSessions
    }

    pub fn is_same_kind(&self, other: &Cause) -> bool {
        std::mem::discriminant(&self.reason) == std::mem::discriminant(&other.reason)
    }
}

/// Whose word a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Releaser {
    /// A person's word answers every reason.
    Operator,
    /// Entra's word answers alerts; the account's state is read afresh each time.
    Entra,
}

/// How far containment goes; ordered, the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// Count and forget.
    Ignore,
    /// Tell people, touch nothing.
    Notify,
    /// End sessions and refresh tokens only; sign-in stays possible. What the contain brake falls back to.
    EndSessions,
    /// Block, then end sessions and refresh tokens.
    Contain,
}

impl Response {
    pub fn word(self) -> &'static str {
        match self {
            Response::Contain => "contain",
            Response::EndSessions => "end-sessions",
            Response::Notify => "notify",
            Response::Ignore => "ignore",
        }
    }
}

/// Why a case did less than the policy's response, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restraint {
    /// `LOCKSTEP_MODE=observe`.
    ObserveMode,
    /// The person or one of the accounts is protected; two people must act.
    Protected,
    /// Too many containments in the window: sessions end, sign-in stays.
    ContainBrake,
}

impl Restraint {
    pub fn sentence(self) -> &'static str {
        match self {
            Restraint::ObserveMode => "observe mode: nothing is written",
            Restraint::Protected => "protected by policy: never acted on without two people",
            Restraint::ContainBrake => "contain brake: only sessions were ended, sign-in is still possible",
        }
    }
}

/// What the tenant's plan lets us use to end access; learned from the first refusal and recorded in the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// `POST /users/{id}/revoke-access`: one write.
    RevokeAccess,
    /// `DELETE /users/{id}/sessions` and `/refresh-tokens`.
    SessionsAndTokens,
    /// `DELETE /grants?user_id=` and every device credential: works on every plan.
    GrantsAndDevices,
}

impl Means {
    /// What to try when the plan refuses this.
    pub fn next(self) -> Option<Means> {
        match self {
            Means::RevokeAccess => Some(Means::SessionsAndTokens),
            Means::SessionsAndTokens => Some(Means::GrantsAndDevices),
            Means::GrantsAndDevices => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Means::RevokeAccess => "revoke-access",
            Means::SessionsAndTokens => "sessions and refresh tokens",
            Means::GrantsAndDevices => "grants and device credentials",
        }
    }
}

/// How far one account of the case has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountProgress {
    pub block: BlockProgress,
    /// Which call ended access, once one has been accepted.
    pub ended_by: Option<Means>,
    /// When Auth0 last accepted that call; it deletes asynchronously.
    pub ended_at: Option<Timestamp>,
    /// What the policy wants ended beside that, once access was ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also: BTreeMap<Extra, AlsoProgress>,
    /// What the last read-back still found, in words; empty when proven.
    pub open: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockProgress {
    /// Not asked for: the response is to end sessions only.
    NotWanted,
    Wanted,
    /// Blocked with our stamp.
    Ours,
    /// Somebody else had blocked it; never claimed, never released by us.
    Theirs,
    /// The account was deleted; nothing is left to contain.
    Gone,
    /// Protected by policy and found in a case that is open already: left as it is, the others are contained.
    Protected,
}

impl AccountProgress {
    /// Nothing asked for yet.
    pub fn wanted(response: Response) -> AccountProgress {
        let block = match response {
            Response::Contain => BlockProgress::Wanted,
            Response::EndSessions | Response::Notify | Response::Ignore => BlockProgress::NotWanted,
        };
        AccountProgress { block, ended_by: None, ended_at: None, also: BTreeMap::new(), open: Vec::new() }
    }

    /// Auth0 has accepted what keeps somebody out: the block, and the end of sessions and refresh tokens.
    pub fn is_accepted(&self) -> bool {
        match self.block {
            BlockProgress::Gone | BlockProgress::Protected => true,
            BlockProgress::Wanted => false,
            BlockProgress::NotWanted | BlockProgress::Ours | BlockProgress::Theirs => self.ended_by.is_some(),
        }
    }
}

/// The deletion of a person as the case has followed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletion {
    /// First told then; the grace counts from here.
    Told(Timestamp),
    /// The person was seen in Entra since: only what is told anew counts.
    TakenBack,
}

/// One containment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub id: CaseId,
    /// Rises by one with every save; a save with another expectation is refused.
    pub version: u64,
    pub subject: Subject,
    /// The display name at the time, for people only.
    pub display_name: Option<String>,
    pub state: CaseState,
    /// What it was opened for; stays.
    pub reason: Reason,
    pub source: Source,
    /// Every reason so far, the first included. A case of a former program has none: see [`Case::every_cause`].
    #[serde(default)]
    pub causes: Vec<Cause>,
    pub response: Response,
    pub restraint: Option<Restraint>,
    pub accounts: BTreeMap<AccountId, AccountProgress>,
    /// How far the end of the person's sign-in sessions in Entra has come; `None` when nothing asks for it. No part of what
    /// proves the lockout from Auth0.
    #[serde(default)]
    pub entra_sessions: Option<AlsoProgress>,
    /// Other accounts with the person's e-mail address; `None` until they were looked for.
    #[serde(default)]
    pub look_alikes: Option<LookAlikes>,
    /// What is still open beyond single accounts ("Auth0 cannot be reached since 08:03:10"), in words.
    pub open: Vec<String>,
    /// The event that opened the case: the correlation id.
    pub event: EventId,
    pub signal_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub opened_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
    pub verified_at: Option<Timestamp>,
    pub released_at: Option<Timestamp>,
    /// Why it is, or was, released, for people.
    pub released_because: Option<String>,
    /// The release answers evidence up to this instant: when Entra cleared the risk, or the operator asked. `None` when
    /// only the account came back: that says nothing about alerts.
    pub released_as_of: Option<Timestamp>,
    /// Whose word the release is. `None` in cases of a former program: taken for a person's.
    #[serde(default)]
    pub released_by: Option<Releaser>,
    /// When an end-sessions case was last made to block: then it counts for the brake.
    #[serde(default)]
    pub escalated_at: Option<Timestamp>,
    /// When it had to be contained anew, and when that was accepted: pace, deadline and exposure count from here.
    #[serde(default)]
    pub renewed_at: Option<Timestamp>,
    /// What became of the person's deletion in Entra. `None`: nobody told of one, or the case is a former program's.
    #[serde(default)]
    pub deletion: Option<Deletion>,
    /// The read-back should have succeeded by then; afterwards people are paged and looking goes on.
    pub verify_by: Timestamp,
    /// When the last access token that may have been issued dies; `None` until it was computed.
    pub exposed_until: Option<Timestamp>,
}

impl Case {
    /// Whether the person was deleted in Entra: what follows is a leaver's.
    pub fn is_about_deletion(&self) -> bool {
        self.deletion_told_at().is_some()
    }

    /// When the deletion was first told. A case of a former program did not keep that: then no earlier than anything that
    /// is known of it.
    pub fn deletion_told_at(&self) -> Option<Timestamp> {
        match self.deletion {
            Some(Deletion::Told(at)) => Some(at),
            Some(Deletion::TakenBack) => None,
            None => {
                let causes = self.every_cause();
                let told = causes.iter().find(|cause| cause.reason == Reason::Deleted);
                told.map(|cause| cause.as_of.max(self.opened_at))
            }
        }
    }

    /// Whether the case keeps somebody from signing in, or is about to: what the contain brake counts.
    pub fn is_blocking(&self) -> bool {
        self.response == Response::Contain && self.restraint.is_none()
    }

    /// Every reason of the case. A case of a former program has the one that it was opened for.
    pub fn every_cause(&self) -> Vec<Cause> {
        if !self.causes.is_empty() {
            return self.causes.clone();
        }
        let (reason, source) = (self.reason.clone(), self.source);
        let as_of = match &reason {
            Reason::Risk(evidence) => evidence.seen_at(self.received_at),
            Reason::Disabled | Reason::Deleted | Reason::Operator { .. } => self.received_at,
        };
        let response = match self.restraint {
            Some(Restraint::ContainBrake) => Response::Contain,
            Some(Restraint::ObserveMode | Restraint::Protected) | None => self.response,
        };
        vec![Cause { reason, source, response, as_of }]
    }

    /// What it was opened for, and what came to it since, for people.
    pub fn why(&self) -> String {
        let first = std::mem::discriminant(&self.reason);
        let others = self.causes.iter().filter(|cause| std::mem::discriminant(&cause.reason) != first);
        others.fold(self.reason.sentence(), |why, cause| format!("{why}; also {}", cause.reason.sentence()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_id_reads_back_and_nothing_else_does() {
        let id = CaseId::opened_by(EventId(Uuid::from_u128(0x1234)));
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "case_", "case_12", "1234", "case_zz000000000000000000000000000000", "CASE_00"] {
            assert_eq!(wrong.parse::<CaseId>(), Err(NotACaseId), "{wrong}");
        }
    }

    #[test]
    fn an_account_id_is_opaque_but_bounded() {
        assert!(AccountId::read("waad|con|3b1f").is_some());
        assert!(AccountId::read("").is_none());
        assert!(AccountId::read("auth0|a\nb").is_none());
        assert!(AccountId::read(&"x".repeat(513)).is_none());
    }
}
