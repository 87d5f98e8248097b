//! A message in Slack's Block Kit: header, facts, what was done, what is open, small print.
//!
//! Every string is escaped and cut to the limits of docs.slack.dev/reference/block-kit/blocks before it leaves. There are
//! no buttons: they need a request URL, which this version does not have; an `actions` block would stand before the
//! footer. Block ids are left to Slack, which wants new ones with every update.

use serde::Serialize;

use super::super::message::{AccountLine, Field, Message, Value};
use super::mrkdwn;

/// `header` text.
const HEADER_MAX: usize = 150;
/// Each of the `fields` of a `section`.
const FIELD_MAX: usize = 2_000;
/// `section` text, and the most a `context` element is given.
const SECTION_MAX: usize = 3_000;
/// Fields of one `section`.
const FIELDS_MAX: usize = 10;
/// Elements of one `context`.
const CONTEXT_ELEMENTS_MAX: usize = 10;
/// Accounts listed one by one; nobody has more that they would read about in a chat.
const ACCOUNTS_MAX: usize = 20;
/// Notes listed one by one.
const NOTES_MAX: usize = 10;
/// Ours: one line that fills the screen hides the others.
const LINE_MAX: usize = 400;
/// Ours: of a line, the account's name.
const ACCOUNT_MAX: usize = 120;
/// Above this Slack asks to split `text` (api.slack.com changelog 2018-04).
const TEXT_MAX: usize = 4_000;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Header { text: Text },
    Section(Section),
    Context { elements: Vec<Text> },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Section {
    Text(Text),
    Fields(Vec<Text>),
}

/// A text object (docs.slack.dev/reference/block-kit/composition-objects/text-object). `verbatim`: Slack makes no links or
/// mentions of what looks like one in a name.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Text {
    PlainText { text: String, emoji: bool },
    Mrkdwn { text: String, verbatim: bool },
}

fn mrkdwn(text: String) -> Text {
    Text::Mrkdwn { text, verbatim: true }
}

/// The blocks of a message; none of them is empty, which Slack would refuse.
pub(super) fn rich(message: &Message) -> Vec<Block> {
    let head = Text::PlainText { text: mrkdwn::plain(&message.headline, HEADER_MAX), emoji: false };
    let mut blocks = vec![Block::Header { text: head }];
    if mrkdwn::length(&mrkdwn::plain(&message.headline, SECTION_MAX)) > HEADER_MAX {
        blocks.push(section(mrkdwn::escape(&message.headline, SECTION_MAX)));
    }
    if !message.fields.is_empty() {
        let fields = message.fields.iter().take(FIELDS_MAX).map(field).collect();
        blocks.push(Block::Section(Section::Fields(fields)));
    }
    if !message.accounts.is_empty() {
        blocks.push(section(listed(message.accounts.iter().map(account), ACCOUNTS_MAX)));
    }
    if !message.notes.is_empty() {
        let notes = message.notes.iter().map(|note| format!("• {}", mrkdwn::escape(note, LINE_MAX)));
        blocks.push(section(listed(notes, NOTES_MAX)));
    }
    if !message.footer.is_empty() {
        let small = |line: &String| mrkdwn(mrkdwn::escape(line, LINE_MAX));
        let elements = message.footer.iter().take(CONTEXT_ELEMENTS_MAX).map(small).collect();
        blocks.push(Block::Context { elements });
    }
    blocks
}

/// What stands beside the blocks: notifications and screen readers show it.
pub(super) fn headline(message: &Message) -> String {
    mrkdwn::escape(&message.headline, TEXT_MAX)
}

/// The whole message without blocks.
pub(super) fn plain(message: &Message) -> String {
    let lines: Vec<String> = message.lines().iter().map(|line| mrkdwn::escape(line, LINE_MAX)).collect();
    let most = lines.len();
    within(lines.into_iter(), most, TEXT_MAX)
}

fn section(text: String) -> Block {
    Block::Section(Section::Text(mrkdwn(text)))
}

fn field(field: &Field) -> Text {
    let label = format!("*{}*\n", field.label);
    let room = FIELD_MAX - mrkdwn::length(&label);
    mrkdwn(
        label
            + &match &field.value {
                Value::Words(words) => mrkdwn::escape(words, room),
                Value::Code(code) => mrkdwn::code(code, room),
            },
    )
}

fn account(line: &AccountLine) -> String {
    format!("• {} {}", mrkdwn::code(&line.account, ACCOUNT_MAX), mrkdwn::escape(&line.words, LINE_MAX))
}

fn listed(lines: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    within(lines, most, SECTION_MAX)
}

/// As many whole lines as fit, and how many more there are.
fn within(lines: impl ExactSizeIterator<Item = String>, most: usize, limit: usize) -> String {
    const MORE_MAX: usize = 32;
    let all = lines.len();
    let mut out = String::new();
    let mut taken = 0;
    for line in lines.take(most) {
        let last = taken + 1 == all;
        let room = limit - if last { 0 } else { MORE_MAX };
        if mrkdwn::length(&out) + mrkdwn::length(&line) + 1 > room {
            break;
        }
        if taken > 0 {
            out.push('\n');
        }
        out.push_str(&line);
        taken += 1;
    }
    if taken < all {
        out.push_str(&format!("\n… and {} more", all - taken));
    }
    out
}

#[cfg(test)]
mod tests;
