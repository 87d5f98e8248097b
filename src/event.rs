//! What a source told us, already validated: "look at this subject, for this reason".
//!
//! An [`Event`] is the one thing the queue carries: a small versioned JSON envelope of at most
//! [`EVENT_BYTES_MAX`] bytes, with ids and the alert's own evidence, no tokens and no names or addresses.
//! It may arrive twice, late or out of order. Pure data.

mod risk;

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::case::CaseId;
use crate::clock::Timestamp;

pub use self::risk::{RiskEvidence, RiskLevel, RiskState};

/// The largest envelope the queue takes (DESIGN: at most 16 KiB).
pub const EVENT_BYTES_MAX: usize = 16 * 1024;
/// The longest free text (a reason, a detection type) an event keeps, in characters.
pub const EVENT_TEXT_CHARS_MAX: usize = 200;
/// Member hints of one group notification that an event keeps; with more, the group must be listed anyway.
pub const GROUP_MEMBER_HINTS_MAX: usize = 200;

const VERSION: u8 = 1;

/// The Entra tenant id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

/// An Entra object id (a user's or a group's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(pub Uuid);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A person, keyed by Entra tenant id and object id, never by e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    pub tenant: TenantId,
    pub object: ObjectId,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.object)
    }
}

/// Identifies one event. What a look asks of another has an id of its own, and the first one's as its cause:
/// [`Event::correlation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub Uuid);

impl EventId {
    /// A new, time-ordered id.
    pub fn new() -> EventId {
        EventId(Uuid::now_v7())
    }
}

impl Default for EventId {
    fn default() -> Self {
        EventId::new()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Who told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Graph,
    Risk,
    AzureMonitor,
    Operator,
    /// Found by Lockstep itself: a delta sweep, the members of a group, a changed policy, a grace that is over.
    Sweep,
}

impl Source {
    pub const ALL: [Source; 5] =
        [Source::Graph, Source::Risk, Source::AzureMonitor, Source::Operator, Source::Sweep];

    /// The word used in metrics, logs, policy files and the audit.
    pub fn word(self) -> &'static str {
        match self {
            Source::Graph => "graph",
            Source::Risk => "risk",
            Source::AzureMonitor => "azure_monitor",
            Source::Operator => "operator",
            Source::Sweep => "sweep",
        }
    }
}

/// Lockouts have a lane of their own: they never wait behind a directory sync; and what one change made never waits
/// behind what a whole directory made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Contain,
    Sync,
    Bulk,
}

impl Lane {
    pub const ALL: [Lane; 3] = [Lane::Contain, Lane::Sync, Lane::Bulk];

    pub fn word(self) -> &'static str {
        match self {
            Lane::Contain => "contain",
            Lane::Sync => "sync",
            Lane::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    Person(Subject),
    Group { tenant: TenantId, group: ObjectId },
    Tenant(TenantId),
}

impl About {
    /// Events with the same key are handled in turn; the key picks the partition.
    pub fn key(&self) -> String {
        match self {
            About::Person(subject) => format!("person/{subject}"),
            About::Group { tenant, group } => format!("group/{tenant}/{group}"),
            About::Tenant(tenant) => format!("tenant/{tenant}"),
        }
    }
}

/// Why to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Created, changed, disabled, soft-deleted or restored: Graph does not say which.
    UserUpdated,
    /// Permanently deleted.
    UserDeleted,
    /// The same of somebody of whom no account is known: they wait with what changes, not with whom is to be locked.
    StrangerDeleted,
    /// Members that Graph named as a hint; empty means "list the group".
    GroupUpdated {
        members: Vec<ObjectId>,
    },
    GroupDeleted,
    RiskReported(RiskEvidence),
    /// A subscription needs care: `missed`, `subscriptionRemoved` or `reauthorizationRequired`.
    SubscriptionLifecycle {
        event: LifecycleEvent,
    },
    ContainRequested {
        by: String,
        reason: String,
    },
    ReleaseRequested {
        by: String,
        case: CaseId,
        reason: String,
    },
    /// A look of the sync lane, or the sweep, found somebody to contain, or news of an open case: for the contain lane.
    Escalated,
    /// One of many: found by a sweep of everybody, among the members of a group, or due by itself.
    Swept {
        depth: SweepDepth,
    },
}

/// How much a look at one of many reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepDepth {
    /// What may have changed.
    Changed,
    /// Everything, also what a person may have changed by hand in Auth0.
    Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleEvent {
    Missed,
    SubscriptionRemoved,
    ReauthorizationRequired,
}

impl EventKind {
    /// The word used in metrics and logs; a bounded set.
    pub fn word(&self) -> &'static str {
        match self {
            EventKind::UserUpdated => "user_updated",
            EventKind::UserDeleted => "user_deleted",
            EventKind::StrangerDeleted => "stranger_deleted",
            EventKind::GroupUpdated { .. } => "group_updated",
            EventKind::GroupDeleted => "group_deleted",
            EventKind::RiskReported(_) => "risk_reported",
            EventKind::SubscriptionLifecycle { .. } => "subscription_lifecycle",
            EventKind::ContainRequested { .. } => "contain_requested",
            EventKind::ReleaseRequested { .. } => "release_requested",
            EventKind::Escalated => "escalated",
            EventKind::Swept { .. } => "swept",
        }
    }
}

/// One validated event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub source: Source,
    pub about: About,
    pub kind: EventKind,
    /// When the source says that it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_at: Option<Timestamp>,
    pub received_at: Timestamp,
    /// When it was put on the queue, where that was later: a dead letter that was replayed, or what a look asked for because
    /// of an older event. Older envelopes leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enqueued_at: Option<Timestamp>,
    /// The event that came from outside, when a look at it asked for this one. Older envelopes leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<EventId>,
}

impl Event {
    /// What somebody has told. Nobody saw it later than we heard of it: a clock that is ahead must not outdo every later
    /// statement.
    pub fn told(
        source: Source,
        about: About,
        kind: EventKind,
        signal_at: Option<Timestamp>,
        received_at: Timestamp,
    ) -> Event {
        let (id, signal_at) = (EventId::new(), signal_at.map(|at| at.min(received_at)));
        Event { id, source, about, kind, signal_at, received_at, enqueued_at: None, caused_by: None }
    }

    /// What a look asks for by itself: a new event that nobody else has told of.
    pub fn of_ours(about: About, kind: EventKind, received_at: Timestamp) -> Event {
        Event::told(Source::Sweep, about, kind, None, received_at)
    }

    /// The same, as a consequence of the first of `asks`.
    pub fn because_of(self, asks: &[Event]) -> Event {
        Event { caused_by: asks.first().map(Event::correlation), ..self }
    }

    /// The id of whatever began this, from the webhook to the proof: in every log line and audit record of it.
    pub fn correlation(&self) -> EventId {
        self.caused_by.unwrap_or(self.id)
    }

    /// Since when it waits to be worked on.
    pub fn waits_since(&self) -> Timestamp {
        self.enqueued_at.unwrap_or(self.received_at)
    }

    /// Where it waits. What may lock somebody out never stands behind what cannot.
    pub fn lane(&self) -> Lane {
        match self.kind {
            EventKind::UserUpdated
            | EventKind::StrangerDeleted
            | EventKind::GroupUpdated { .. }
            | EventKind::GroupDeleted
            | EventKind::SubscriptionLifecycle { .. } => Lane::Sync,
            EventKind::Swept { .. } => Lane::Bulk,
            EventKind::UserDeleted
            | EventKind::RiskReported(_)
            | EventKind::ContainRequested { .. }
            | EventKind::ReleaseRequested { .. }
            | EventKind::Escalated => Lane::Contain,
        }
    }

    /// The envelope, as the queue carries it.
    pub fn to_envelope(&self) -> Result<Vec<u8>, EnvelopeError> {
        let bytes = serde_json::to_vec(&EnvelopeOut { v: VERSION, event: self })
            .map_err(|error| EnvelopeError::Unreadable(error.to_string()))?;
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads an envelope back. A newer version is refused rather than half understood.
    pub fn from_envelope(bytes: &[u8]) -> Result<Event, EnvelopeError> {
        if bytes.len() > EVENT_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: bytes.len() });
        }
        let read: EnvelopeIn =
            serde_json::from_slice(bytes).map_err(|error| EnvelopeError::Unreadable(error.to_string()))?;
        match read.v {
            VERSION => Ok(read.event),
            other => Err(EnvelopeError::Version(other)),
        }
    }
}

#[derive(Serialize)]
struct EnvelopeOut<'a> {
    v: u8,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Deserialize)]
struct EnvelopeIn {
    v: u8,
    #[serde(flatten)]
    event: Event,
}

/// Why an envelope could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the event is {bytes} bytes, over the limit of {EVENT_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("the event has envelope version {0}, this program reads version {VERSION}")]
    Version(u8),
    #[error("the event cannot be read: {0}")]
    Unreadable(String),
}

/// Cuts free text from outside to what an event may carry, and drops control characters.
pub fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(EVENT_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind) -> Event {
        let subject = Subject { tenant: TenantId(Uuid::from_u128(1)), object: ObjectId(Uuid::from_u128(2)) };
        Event {
            id: EventId(Uuid::from_u128(3)),
            source: Source::Risk,
            about: About::Person(subject),
            kind,
            signal_at: None,
            received_at: "2026-03-02T08:00:00Z".parse().unwrap(),
            enqueued_at: None,
            caused_by: None,
        }
    }

    #[test]
    fn the_first_cause_is_handed_on_and_an_older_envelope_has_none() {
        let first = event(EventKind::GroupDeleted);
        let ours = |asks: &[Event]| {
            Event::of_ours(first.about, EventKind::Escalated, first.received_at).because_of(asks)
        };
        let second = ours(std::slice::from_ref(&first));
        let third = ours(&[second.clone(), event(EventKind::UserDeleted)]);
        assert!(first.id != second.id && second.id != third.id);
        assert_eq!([&first, &second, &third].map(Event::correlation), [first.id; 3]);
        assert_eq!(Event::from_envelope(&third.to_envelope().unwrap()).unwrap(), third);
        let older = String::from_utf8(first.to_envelope().unwrap()).unwrap();
        assert!(!older.contains("caused_by"), "{older}");
        assert_eq!(Event::from_envelope(older.as_bytes()).unwrap().correlation(), first.id);
    }

    #[test]
    fn an_event_waits_since_it_was_enqueued_and_an_older_envelope_does_not_say_when() {
        let first = event(EventKind::UserDeleted);
        assert_eq!(first.waits_since(), first.received_at);
        let older = String::from_utf8(first.to_envelope().unwrap()).unwrap();
        assert!(!older.contains("enqueued_at"), "{older}");
        let enqueued_at = "2026-03-06T08:00:00Z".parse().unwrap();
        let replayed = Event { enqueued_at: Some(enqueued_at), ..first };
        let read = Event::from_envelope(&replayed.to_envelope().unwrap()).unwrap();
        assert_eq!((read.waits_since(), read), (enqueued_at, replayed));
    }

    #[test]
    fn an_envelope_reads_back_as_it_was_written() {
        let written = event(EventKind::RiskReported(RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: Some("leakedCredentials".into()),
            detected_at: None,
        }));
        let bytes = written.to_envelope().unwrap();
        assert_eq!(Event::from_envelope(&bytes).unwrap(), written);
    }

    #[test]
    fn a_newer_envelope_is_refused_not_half_understood() {
        let text = String::from_utf8(event(EventKind::UserDeleted).to_envelope().unwrap()).unwrap();
        let newer = text.replacen("\"v\":1", "\"v\":2", 1);
        assert_eq!(Event::from_envelope(newer.as_bytes()), Err(EnvelopeError::Version(2)));
    }

    #[test]
    fn an_oversized_envelope_is_refused() {
        let members = vec![ObjectId(Uuid::from_u128(9)); 1000];
        let refused = event(EventKind::GroupUpdated { members }).to_envelope();
        assert!(matches!(refused, Err(EnvelopeError::TooLarge { .. })));
    }

    #[test]
    fn unknown_words_of_microsoft_are_not_taken_for_none() {
        assert_eq!(RiskLevel::read("hidden"), RiskLevel::Unknown);
        assert_eq!(RiskLevel::read("unknownFutureValue"), RiskLevel::Unknown);
        assert_eq!(RiskState::read("somethingNew"), RiskState::Unknown);
        assert!(!RiskState::Unknown.is_cleared());
    }
}
