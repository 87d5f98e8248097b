//! A message as a mail: headers that make a thread of a case, and plain text.
//!
//! What comes from outside (names, reasons) stands in the subject and the text only. Control characters in it become
//! spaces: a name can begin no header, and no line that reads like one of ours.

use lettre::message::header::{ContentType, HeaderName, HeaderValue};

use super::super::message::{Message, Severity};
use super::super::text::Stage;
use super::super::{Error, Word};
use super::{Address, Settings};
use crate::clock::Timestamp;

/// More is cut: a subject is read in a list.
const SUBJECT_CHARS_MAX: usize = 200;
/// More is cut: whoever needs a longer line reads it in `lockstep cases`.
const LINE_CHARS_MAX: usize = 2_000;
/// Accounts that are listed; those with something open come first.
const ACCOUNTS_MAX: usize = 50;

/// The mail as it is handed in.
pub(super) fn write(message: &Message, settings: &Settings, now: Timestamp) -> Result<Vec<u8>, Error> {
    let host = settings.from.0.email.domain();
    let mut mail = lettre::Message::builder()
        .from(settings.from.0.clone())
        .subject(one_line(&format!("[Lockstep] {}", message.subject), SUBJECT_CHARS_MAX))
        .date(now.into())
        .message_id(Some(id(message, host)))
        // Keeps answers of absent people away (RFC 3834).
        .raw_header(fixed("Auto-Submitted", "auto-generated"))
        .header(ContentType::TEXT_PLAIN);
    for Address(mailbox) in &settings.to {
        mail = mail.to(mailbox.clone());
    }
    if !is_first(message) {
        mail = mail.in_reply_to(first_id(message, host)).references(first_id(message, host));
    }
    if message.severity == Severity::Critical {
        // RFC 4021; mail programs show it.
        mail = mail.raw_header(fixed("Importance", "high"));
    }
    match mail.body(text(message)) {
        Ok(mail) => Ok(mail.formatted()),
        Err(_) => Err(Error::Unfit { word: Word::read("no_mail"), pointer: None }),
    }
}

fn fixed(name: &'static str, value: &'static str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// The same for every try of the same words, so that what arrives twice is shown once.
fn id(message: &Message, host: &str) -> String {
    match is_first(message) {
        true => first_id(message, host),
        false => format!("<{}@{host}>", message.name()),
    }
}

/// What every mail of a topic answers, also where nobody was told of its first version: mail programs make a thread of
/// what names the same reference, whether they have seen that or not.
fn first_id(message: &Message, host: &str) -> String {
    format!("<{}@{host}>", message.topic_name())
}

/// The first version says one thing only, unless it is so late that it says another.
fn is_first(message: &Message) -> bool {
    message.tag.version == 1 && message.stage != Some(Stage::Late)
}

/// Headline, facts, accounts, what to do, ids; a blank line between.
fn text(message: &Message) -> String {
    let line = |text: &str| one_line(text, LINE_CHARS_MAX);
    let fields =
        message.fields.iter().map(|field| line(&format!("{}: {}", field.label, field.value.as_str())));
    let accounts = &message.accounts;
    let shown =
        accounts.iter().take(ACCOUNTS_MAX).map(|one| line(&format!("- {} {}", one.account, one.words)));
    let more = accounts.len().saturating_sub(ACCOUNTS_MAX);
    let more = (more > 0).then(|| format!("- and {more} more accounts"));
    let parts: [Vec<String>; 5] = [
        vec![line(&message.headline)],
        fields.collect(),
        shown.chain(more).collect(),
        message.notes.iter().map(|note| line(note)).collect(),
        message.footer.iter().map(|foot| line(foot)).collect(),
    ];
    let parts = parts.iter().filter(|part| !part.is_empty()).map(|part| part.join("\n"));
    parts.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// One line, whatever is in it.
fn one_line(text: &str, chars_max: usize) -> String {
    // The separators of lines and paragraphs are no control characters.
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let clean = text.chars().map(|c| if breaks(c) { ' ' } else { c });
    match text.chars().count() > chars_max {
        true => clean.take(chars_max - 1).chain(['…']).collect(),
        false => clean.collect(),
    }
}

#[cfg(test)]
mod tests;
