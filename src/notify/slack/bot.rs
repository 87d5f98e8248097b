//! Slack by bot token: `chat.postMessage`, `chat.update`, and a look into `conversations.history` after a lost reply.
//!
//! Scopes: `chat:write`, and `channels:history` or `groups:history` for the look. Without the latter a message whose
//! reply was lost is posted again ([`Error::Unsupported`]).

use std::sync::OnceLock;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::super::message::{Form, Message, Tag};
use super::super::{Error, FollowUp, Found, Handle, Notifier, SetUpError, Word};
use super::blocks::{self, Block};
use super::transport::{Reply, Transport};
use super::{CHANNEL, Deps, words};
use crate::clock::Timestamp;

/// Messages of one page of history; Slack recommends at most 200 (docs.slack.dev/reference/methods/conversations.history).
const HISTORY_PAGE: u32 = 200;
/// Pages looked through; a channel with more messages since the attempt is too loud to be searched, and the message is
/// posted again.
const HISTORY_PAGES_MAX: u32 = 5;

/// Posts as the app that the token belongs to.
#[derive(Debug)]
pub struct Bot {
    transport: Transport,
    token: SecretString,
    /// Channel id or name, as configured; posting takes both.
    channel: String,
    /// The channel's id, where only a name is configured: learned from the first post.
    channel_id: OnceLock<String>,
    api_url: reqwest::Url,
}

impl Bot {
    /// `api_url` is `https://slack.com/api/` outside tests.
    pub fn new(
        token: SecretString,
        channel: String,
        api_url: reqwest::Url,
        deps: &Deps,
    ) -> Result<Bot, SetUpError> {
        let channel_id = OnceLock::new();
        Ok(Bot { transport: Transport::new(deps)?, token, channel, channel_id, api_url })
    }

    /// History is read by id only (docs.slack.dev/reference/methods/conversations.history).
    fn channel_id(&self) -> Option<&str> {
        let is_id = self.channel.len() > 8
            && self.channel.starts_with(['C', 'G', 'D'])
            && self.channel.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if is_id { Some(&self.channel) } else { self.channel_id.get().map(String::as_str) }
    }

    async fn post_json<T: Serialize>(&self, method: &'static str, body: &T) -> Result<Answer, Error> {
        let request =
            self.transport.client().post(self.method_url(method)).bearer_auth(self.token.expose_secret());
        self.answer(self.transport.send(method, request.json(body)).await?)
    }

    async fn history(&self, page: &HistoryQuery<'_>) -> Result<Answer, Error> {
        const METHOD: &str = "conversations.history";
        let request =
            self.transport.client().get(self.method_url(METHOD)).bearer_auth(self.token.expose_secret());
        self.answer(self.transport.send(METHOD, request.query(page)).await?)
    }

    fn method_url(&self, method: &str) -> reqwest::Url {
        let mut url = self.api_url.clone();
        let base = self.api_url.path().trim_end_matches('/');
        url.set_path(&format!("{base}/{method}"));
        url
    }

    /// Slack answers 200 also to what it refuses: `ok` decides (docs.slack.dev/apis/web-api).
    fn answer(&self, reply: Reply) -> Result<Answer, Error> {
        if reply.status != 200 {
            return Err(Error::Refused(Word::status(reply.status)));
        }
        let answer: Answer = serde_json::from_slice(&reply.body).map_err(|_| Error::ReplyLost(None))?;
        match answer.error.as_deref() {
            None if answer.ok => Ok(answer),
            None => Err(Error::Trouble(Word::read(""))),
            Some("ratelimited" | "rate_limited") => Err(self.transport.throttled()),
            Some(word) => Err(words::error(word, answer.pointer())),
        }
    }
}

#[async_trait]
impl Notifier for Bot {
    fn channel(&self) -> &'static str {
        CHANNEL
    }

    fn follow_up(&self) -> FollowUp {
        FollowUp::Update
    }

    async fn post(&self, message: &Message) -> Result<Option<Handle>, Error> {
        let body = Outgoing {
            channel: &self.channel,
            ts: None,
            content: Content::of(message),
            unfurl_links: Some(false),
            unfurl_media: Some(false),
        };
        let answer = self.post_json("chat.postMessage", &body).await?;
        // A yes without the name of the message cannot be updated later: look it up instead.
        let handle = answer.handle().ok_or(Error::ReplyLost(None))?;
        self.channel_id.get_or_init(|| answer.channel.unwrap_or_default());
        Ok(Some(handle))
    }

    async fn update(&self, handle: &Handle, message: &Message) -> Result<(), Error> {
        let (channel, ts) = split(handle).ok_or_else(|| Error::Gone(Word::read("not_a_handle")))?;
        let body = Outgoing {
            channel,
            ts: Some(ts),
            content: Content::of(message),
            unfurl_links: None,
            unfurl_media: None,
        };
        self.post_json("chat.update", &body).await.map(drop)
    }

    async fn find(&self, tag: &Tag, since: Timestamp) -> Result<Option<Found>, Error> {
        let channel = self.channel_id().ok_or(CANNOT_LOOK)?;
        let mut query = HistoryQuery {
            channel,
            oldest: format!("{}.000000", since.as_second()),
            limit: HISTORY_PAGE,
            include_all_metadata: true,
            cursor: None,
        };
        for _ in 0..HISTORY_PAGES_MAX {
            let page = self.history(&query).await.map_err(cannot_look)?;
            if let Some(found) = page.find(tag, channel) {
                return Ok(Some(found));
            }
            query.cursor = page.next_cursor();
            if query.cursor.is_none() {
                break;
            }
        }
        Ok(None)
    }
}

const CANNOT_LOOK: Error = Error::Unsupported(
    "look into the channel's history (scope channels:history or groups:history, channel by id)",
);

/// Without the scope for it history can never be read; other refusals can be mended, and concern posting as well.
fn cannot_look(error: Error) -> Error {
    match &error {
        Error::Refused(word) if matches!(word.as_str(), "missing_scope" | "no_permission") => CANNOT_LOOK,
        _ => error,
    }
}

/// `C1H9RESGL/1503435956.000247`
fn split(handle: &Handle) -> Option<(&str, &str)> {
    let (channel, ts) = handle.as_str().split_once('/')?;
    let is_ts = ts.contains('.') && ts.chars().all(|c| c.is_ascii_digit() || c == '.');
    (is_ts && !channel.is_empty()).then_some((channel, ts))
}

#[derive(Debug, Serialize)]
struct Outgoing<'a> {
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<&'a str>,
    #[serde(flatten)]
    content: Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_links: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unfurl_media: Option<bool>,
}

/// `blocks` is always sent, `[]` too: `chat.update` without it keeps the old ones.
#[derive(Debug, Serialize)]
struct Content {
    text: String,
    blocks: Vec<Block>,
    metadata: Metadata,
}

impl Content {
    fn of(message: &Message) -> Content {
        let metadata = Metadata::of(&message.tag);
        match message.form {
            Form::Rich => {
                Content { text: blocks::headline(message), blocks: blocks::rich(message), metadata }
            }
            Form::Plain => Content { text: blocks::plain(message), blocks: Vec::new(), metadata },
        }
    }
}

/// Invisible to people, readable by other apps of the channel: ids only.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    event_type: String,
    event_payload: Payload,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Payload {
    topic: String,
    version: u64,
}

impl Metadata {
    fn of(tag: &Tag) -> Metadata {
        let event_payload = Payload { topic: tag.topic.key(), version: tag.version };
        Metadata { event_type: tag.topic.word().to_owned(), event_payload }
    }

    fn is_about(&self, tag: &Tag) -> bool {
        self.event_type == tag.topic.word() && self.event_payload.topic == tag.topic.key()
    }
}

#[derive(Debug, Serialize)]
struct HistoryQuery<'a> {
    channel: &'a str,
    oldest: String,
    limit: u32,
    include_all_metadata: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// What we read of any answer.
#[derive(Debug, Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    messages: Vec<Posted>,
    #[serde(default)]
    response_metadata: ResponseMetadata,
}

#[derive(Debug, Deserialize)]
struct Posted {
    ts: Option<String>,
    /// Other apps put what they like into theirs.
    metadata: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct ResponseMetadata {
    next_cursor: Option<String>,
}

impl Answer {
    fn handle(&self) -> Option<Handle> {
        let handle = Handle::new(format!("{}/{}", self.channel.as_deref()?, self.ts.as_deref()?));
        split(&handle).is_some().then_some(handle)
    }

    fn pointer(&self) -> Option<String> {
        self.errors.iter().find_map(|sentence| words::pointer(sentence))
    }

    fn find(&self, tag: &Tag, channel: &str) -> Option<Found> {
        self.messages.iter().find_map(|posted| {
            let metadata: Metadata = serde_json::from_value(posted.metadata.clone()?).ok()?;
            let handle = Handle::new(format!("{channel}/{}", posted.ts.as_deref()?));
            let is_it = metadata.is_about(tag) && split(&handle).is_some();
            is_it.then_some(Found { handle, version: metadata.event_payload.version })
        })
    }

    fn next_cursor(&self) -> Option<String> {
        self.response_metadata.next_cursor.clone().filter(|cursor| !cursor.is_empty())
    }
}
