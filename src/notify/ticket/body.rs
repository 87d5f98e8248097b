//! The body of a ticket's webhook: what happened, in one sentence, and ids to look further. No account, no reason, no
//! evidence: who has the ids finds those in Lockstep.

use serde::Serialize;

use super::super::message::{Message, Topic};
use super::super::text::Stage;

/// Standard Webhooks asks for less than 20 kB in all.
const TEXT_CHARS_MAX: usize = 2_000;
const NEXT_MAX: usize = 10;

#[derive(Debug, Serialize)]
struct Body {
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it came about, not when it was sent.
    timestamp: String,
    data: Data,
}

#[derive(Debug, Serialize)]
struct Data {
    /// The same for everything about one topic: a case's id, or a key of our own.
    topic: String,
    version: u64,
    severity: &'static str,
    sentence: String,
    /// What is open and what can be done.
    next: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// The Entra object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
}

pub(super) fn write(message: &Message) -> Vec<u8> {
    let case = match &message.tag.topic {
        Topic::Case(id) => Some(id.to_string()),
        Topic::Notice(_) => None,
    };
    let body = Body {
        kind: kind(message.stage),
        timestamp: message.since.to_string(),
        data: Data {
            topic: message.tag.topic.key(),
            version: message.tag.version,
            severity: message.severity.word(),
            sentence: cut(&message.headline),
            next: message.notes.iter().take(NEXT_MAX).map(|note| cut(note)).collect(),
            case,
            tenant: message.about.map(|about| about.subject.tenant.to_string()),
            person: message.about.map(|about| about.subject.object.to_string()),
            event: message.about.map(|about| about.event.to_string()),
        },
    };
    serde_json::to_vec(&body).expect("texts and numbers can be written as JSON")
}

/// The word of the audit where there is one.
fn kind(stage: Option<Stage>) -> &'static str {
    match stage {
        Some(Stage::UnderWay) => "case.requested",
        Some(Stage::Late) => "case.late",
        Some(Stage::Verified) => "case.verified",
        Some(Stage::NotActed) => "case.not_acted",
        Some(Stage::Releasing) => "case.releasing",
        Some(Stage::Released) => "case.released",
        None => "page",
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
