//! Slack channels and the messages in them, with every version a message has had.

use super::World;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// `chat.postMessage` with the bot token.
    Bot,
    /// The incoming webhook: it has no id that the poster knows, so it is never updated.
    Webhook,
}

/// What a message said at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub text: String,
    pub blocks: Vec<Value>,
    pub metadata: Option<Value>,
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id in the channel, `1503435956.000247`.
    pub ts: String,
    pub thread_ts: Option<String>,
    pub posted: Posted,
    /// What it said, oldest first; the last one is shown now.
    pub versions: Vec<Version>,
}

impl Message {
    /// What it says now.
    pub fn current(&self) -> &Version {
        self.versions.last().expect("a message is made with its first version")
    }

    /// Its text now.
    pub fn text(&self) -> &str {
        &self.current().text
    }

    /// Text and blocks now as one string, for assertions about what people read.
    pub fn everything(&self) -> String {
        let current = self.current();
        let blocks: Vec<String> = current.blocks.iter().map(Value::to_string).collect();
        format!("{}\n{}", current.text, blocks.join("\n"))
    }
}

#[derive(Default)]
pub(super) struct Channels {
    by_id: BTreeMap<String, Channel>,
    last_micros: i64,
}

struct Channel {
    name: String,
    messages: Vec<Message>,
    archived: bool,
}

impl Channels {
    pub(super) fn with(id: &str) -> Channels {
        let mut channels = Channels::default();
        channels.add(id, "security-incidents");
        channels
    }

    fn add(&mut self, id: &str, name: &str) {
        let channel = Channel { name: name.to_owned(), messages: Vec::new(), archived: false };
        self.by_id.insert(id.to_owned(), channel);
    }

    /// A message id later than all before it.
    fn next_ts(&mut self) -> String {
        self.last_micros = Timestamp::now().as_microsecond().max(self.last_micros + 1);
        format!("{}.{:06}", self.last_micros / 1_000_000, self.last_micros % 1_000_000)
    }
}

impl World {
    /// Opens a further channel and invites the bot.
    pub fn add_slack_channel(&mut self, id: &str, name: &str) {
        self.channels.add(id, name);
    }

    /// Archives a channel: posting there fails from now on.
    pub fn archive_slack_channel(&mut self, id: &str) {
        if let Some(channel) = self.channels.by_id.get_mut(id) {
            channel.archived = true;
        }
    }

    /// The messages of a channel, oldest first; empty for a channel that does not exist.
    pub fn slack_messages(&self, channel: &str) -> Vec<Message> {
        self.channels.by_id.get(channel).map(|c| c.messages.clone()).unwrap_or_default()
    }

    /// The id of a channel named by id, `name` or `#name`.
    pub(crate) fn find_channel(&self, named: &str) -> Option<String> {
        let bare = named.trim_start_matches('#');
        let mut channels = self.channels.by_id.iter();
        channels.find(|(id, channel)| *id == named || channel.name == bare).map(|(id, _)| id.clone())
    }

    pub(crate) fn is_archived(&self, id: &str) -> bool {
        self.channels.by_id.get(id).is_some_and(|channel| channel.archived)
    }

    /// Posts into an existing channel and returns the message.
    pub(crate) fn post(
        &mut self,
        channel: &str,
        posted: Posted,
        thread_ts: Option<String>,
        version: Version,
    ) -> Message {
        let ts = self.channels.next_ts();
        let message = Message { ts, thread_ts, posted, versions: vec![version] };
        if let Some(channel) = self.channels.by_id.get_mut(channel) {
            channel.messages.push(message.clone());
        }
        message
    }

    /// The message with this id, for changing.
    pub(crate) fn message_mut(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        let messages = &mut self.channels.by_id.get_mut(channel)?.messages;
        let at = messages.binary_search_by(|message| message.ts.as_str().cmp(ts)).ok()?;
        messages.get_mut(at)
    }
}
