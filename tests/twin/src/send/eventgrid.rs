//! Graph's events by Event Grid: CloudEvents 1.0 whose data is a change notification, the webhook handshake, and what
//! Event Grid makes of an answer (Event Grid, Microsoft Entra events; Endpoint validation with CloudEvents schema;
//! Delivery and retry).

use super::notifications::{self, Change};
use super::{Answer, SendError};
use crate::setup::Setup;
use crate::world::PersonId;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Who asks for permission and names itself in every delivery.
pub const ORIGIN: &str = "eventgrid.azure.net";
pub const SINGLE: &str = "application/cloudevents+json; charset=utf-8";
pub const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";
/// Event Grid's wait for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// .NET ticks, as in captures.
const SEQUENCE_NUMBER: i64 = 637_628_640_120_385_565;

/// How an event writes its sequence number: text in the documentation, a bare 64-bit integer in captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    Text,
    Number,
    Absent,
}

/// An event about a user: `Microsoft.Graph.UserUpdated` or `UserDeleted`.
pub fn user(setup: &Setup, person: PersonId, change: Change, sequence: Sequence) -> Value {
    event(setup, "User", notifications::user(setup, person, change), change, sequence)
}

/// An event about a group: `Microsoft.Graph.GroupUpdated` or `GroupDeleted`.
pub fn group(setup: &Setup, id: &str, change: Change, sequence: Sequence) -> Value {
    event(setup, "Group", notifications::group(setup, id, change), change, sequence)
}

/// An event about a group whose members changed.
pub fn group_members(
    setup: &Setup,
    id: &str,
    added: &[PersonId],
    removed: &[PersonId],
    sequence: Sequence,
) -> Value {
    let data = notifications::group_members(setup, id, added, removed);
    event(setup, "Group", data, Change::Updated, sequence)
}

fn event(setup: &Setup, kind: &str, mut data: Value, change: Change, sequence: Sequence) -> Value {
    let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string();
    data["resourceData"]["eventTime"] = time.clone().into();
    match sequence {
        Sequence::Text => data["resourceData"]["sequenceNumber"] = SEQUENCE_NUMBER.to_string().into(),
        Sequence::Number => data["resourceData"]["sequenceNumber"] = SEQUENCE_NUMBER.into(),
        Sequence::Absent => {}
    }
    let happened = match change {
        Change::Updated => "Updated",
        Change::Deleted => "Deleted",
    };
    json!({
        "id": crate::world::fresh_id(),
        "type": format!("Microsoft.Graph.{kind}{happened}"),
        "source": format!("/tenants/{}/applications/{}", setup.tenant_id, setup.entra_client_id),
        "subject": data["resource"],
        "time": time,
        "datacontenttype": "application/json",
        "specversion": "1.0",
        "data": data,
    })
}

/// Whether the answer to a handshake lets Event Grid deliver: the headers decide, not the status.
pub fn is_allowed(answer: &Answer) -> bool {
    let origin = answer.header("webhook-allowed-origin");
    origin.is_some_and(|origin| origin == "*" || origin.eq_ignore_ascii_case(ORIGIN))
}

/// What Event Grid does after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 200 to 204.
    Delivered,
    /// 400, 401, 403, 404 and 413 are never tried again: the event is lost, or a dead letter where that is set up.
    Lost,
    /// It comes again, not sooner than this.
    Again(Duration),
}

/// One attempt, and what follows from it.
#[derive(Debug)]
pub struct Delivered {
    pub answer: Result<Answer, SendError>,
    pub verdict: Verdict,
}

impl Delivered {
    pub(super) fn judged(answer: Result<Answer, SendError>) -> Delivered {
        let verdict = verdict(answer.as_ref().ok().map(|answer| answer.status));
        Delivered { answer, verdict }
    }

    /// The status answered, if anybody did.
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().ok().map(|answer| answer.status)
    }
}

/// `None` for no answer within [`TIMEOUT`].
pub fn verdict(status: Option<u16>) -> Verdict {
    match status {
        Some(200..=204) => Verdict::Delivered,
        Some(400 | 401 | 403 | 404 | 413) => Verdict::Lost,
        Some(408) => Verdict::Again(Duration::from_secs(120)),
        Some(503) => Verdict::Again(Duration::from_secs(30)),
        Some(_) | None => Verdict::Again(Duration::from_secs(10)),
    }
}

/// Waits before the second and further attempts, as far as they are written down; twelve hours after that. An event is
/// given up after [`ATTEMPTS_MAX`] attempts or a day, whichever comes first.
pub const BACK_OFF: [Duration; 9] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(600),
    Duration::from_secs(1_800),
    Duration::from_secs(3_600),
    Duration::from_secs(10_800),
    Duration::from_secs(21_600),
];
pub const ATTEMPTS_MAX: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_refusals_are_final_and_the_rest_comes_again() {
        for status in [200, 202, 204] {
            assert_eq!(verdict(Some(status)), Verdict::Delivered);
        }
        for status in [400, 401, 403, 404, 413] {
            assert_eq!(verdict(Some(status)), Verdict::Lost);
        }
        for (status, seconds) in
            [(Some(408), 120), (Some(503), 30), (Some(500), 10), (Some(205), 10), (None, 10)]
        {
            assert_eq!(verdict(status), Verdict::Again(Duration::from_secs(seconds)));
        }
    }
}
