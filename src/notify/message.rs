//! What is said, before any notifier gives it a form: plain words in an order, no markup, no vendor's limits.
//!
//! Text from outside (names, reasons, ids) stands in here as it came; each notifier escapes and cuts for itself.

use crate::case::CaseId;
use crate::clock::Timestamp;
use crate::event::{EventId, Subject};

use super::text::Stage;

/// The longest key of a topic that is a name; ours have half of it.
pub const NAME_CHARS_MAX: usize = 100;

/// One thing to tell people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub tag: Tag,
    /// What the topic is called, the same in every version: the subject of a mail thread.
    pub subject: String,
    /// How far a case is; none outside a case.
    pub stage: Option<Stage>,
    /// Since when it is so.
    pub since: Timestamp,
    /// Whom a case is about; none outside a case.
    pub about: Option<About>,
    pub severity: Severity,
    /// Verb and count; also what a phone shows on its lock screen.
    pub headline: String,
    pub fields: Vec<Field>,
    /// One line per account, what needs attention first.
    pub accounts: Vec<AccountLine>,
    /// What is still open, what cannot be ended.
    pub notes: Vec<String>,
    /// Times and ids, for whoever digs.
    pub footer: Vec<String>,
    pub form: Form,
}

/// Ids only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    pub subject: Subject,
    pub event: EventId,
}

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Now: what was to be done is not done.
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// What a message is about; travels with it invisibly, so that it can be found again. Ids only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub topic: Topic,
    /// Rises with every state of the topic.
    pub version: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    Case(CaseId),
    /// Something outside a case, by its unique key.
    Notice(String),
}

impl Topic {
    /// The kind of the topic, a bounded set.
    pub fn word(&self) -> &'static str {
        match self {
            Topic::Case(_) => "lockstep_case",
            Topic::Notice(_) => "lockstep_notice",
        }
    }

    pub fn key(&self) -> String {
        match self {
            Topic::Case(id) => id.to_string(),
            Topic::Notice(key) => key.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub label: &'static str,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Words(String),
    /// An id, to be copied.
    Code(String),
}

impl Value {
    pub fn as_str(&self) -> &str {
        match self {
            Value::Words(text) | Value::Code(text) => text,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    pub account: String,
    pub words: String,
}

/// How much the notifier may make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Rich,
    /// Words only: the vendor refused the rich form.
    Plain,
}

impl Message {
    /// A name for what is said: the same for every try, another for everything else. A try that comes after the deadline
    /// says something else, although the version is the same. Letters, digits, `_` and `-`, at most [`NAME_CHARS_MAX`].
    pub fn name(&self) -> String {
        let stage = self.stage.map(|stage| format!("-{}", stage.word())).unwrap_or_default();
        format!("{}-{}{stage}", self.topic_name(), self.tag.version)
    }

    /// A name for the topic, in every version.
    pub fn topic_name(&self) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        self.tag.topic.key().chars().map(safe).take(NAME_CHARS_MAX).collect()
    }

    /// The same message, words only.
    pub fn plain(&self) -> Message {
        Message { form: Form::Plain, ..self.clone() }
    }

    /// Every line of it, in reading order.
    pub fn lines(&self) -> Vec<String> {
        let fields = self.fields.iter().map(|f| format!("{}: {}", f.label, f.value.as_str()));
        let accounts = self.accounts.iter().map(|a| format!("• {} {}", a.account, a.words));
        std::iter::once(self.headline.clone())
            .chain(fields)
            .chain(accounts)
            .chain(self.notes.iter().cloned())
            .chain(self.footer.iter().cloned())
            .collect()
    }
}
