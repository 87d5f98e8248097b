//! Slack by bot token: `chat.postMessage`, `chat.update`, and a look into `conversations.history` after a lost reply.
//!
//! Scopes: `chat:write`, and `channels:history` or `groups:history` for the look. Without the latter a message whose
//! reply was lost is posted again ([`Error::Unsupported`]).

use std::sync::OnceLock;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::super::message::{Form, Message, Tag};
use super::super::{Error, FollowUp, Found, Handle, Notifier, Word};
use super::blocks::{self, Block};
use super::{exchange, throttled, unreadable, words};
use crate::clock::Timestamp;
use crate::outbound::http::{self, Unreadable};
use crate::outbound::{self, Deps, SetupError, Timeouts, Trouble};
use crate::policy::notify::Channel;

/// Messages of one page of history; with every block of every message in it, a page still fits into
/// [`http::BODY_BYTES_MAX`].
const HISTORY_PAGE: u32 = 50;
/// Pages looked through; a channel with more messages since the attempt is too loud to be searched, and the message is
/// posted again. Tier 3 allows 50 a minute (docs.slack.dev/apis/web-api/rate-limits).
const HISTORY_PAGES_MAX: u32 = 10;

/// Posts as the app that the token belongs to.
#[derive(Debug)]
pub struct Bot {
    client: reqwest::Client,
    deps: Deps,
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
    ) -> Result<Bot, SetupError> {
        let client = outbound::client("SLACK_API_URL", &api_url, Timeouts::default())?;
        Ok(Bot { client, deps: deps.clone(), token, channel, channel_id: OnceLock::new(), api_url })
    }

    /// History is read by id only (docs.slack.dev/reference/methods/conversations.history).
    fn channel_id(&self) -> Option<&str> {
        let is_id = self.channel.len() > 8
            && self.channel.starts_with(['C', 'G', 'D'])
            && self.channel.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if is_id { Some(&self.channel) } else { self.channel_id.get().map(String::as_str) }
    }

    async fn post_json<T: Serialize>(&self, method: &'static str, body: &T) -> Result<Reply, Error> {
        let request = self.client.post(self.method_url(method)).json(body);
        self.send(method, request).await
    }

    async fn history(&self, page: &HistoryQuery<'_>) -> Result<Reply, Error> {
        const METHOD: &str = "conversations.history";
        self.send(METHOD, self.client.get(self.method_url(METHOD)).query(page)).await
    }

    async fn send(&self, method: &'static str, request: reqwest::RequestBuilder) -> Result<Reply, Error> {
        let request = request.bearer_auth(self.token.expose_secret());
        self.judge(exchange(&self.deps, method, request).await?)
    }

    fn method_url(&self, method: &str) -> reqwest::Url {
        outbound::address(&self.api_url, &format!("/{method}"))
    }

    /// Slack answers 200 also to what it refuses: `ok` decides (docs.slack.dev/apis/web-api).
    fn judge(&self, answer: http::Answer) -> Result<Reply, Error> {
        if answer.status != 200 {
            return Err(words::refused(Word::status(answer.status.as_u16())));
        }
        let reply: Reply = answer.json().map_err(|why| unreadable(&answer, why))?;
        match reply.error.as_deref() {
            None if reply.ok => Ok(reply),
            None => Err(unreadable(&answer, Unreadable::Shape)),
            Some("ratelimited" | "rate_limited") => Err(throttled(&self.deps, answer.header("retry-after"))),
            Some(word) => Err(words::error(word, reply.pointer())),
        }
    }
}

#[async_trait]
impl Notifier for Bot {
    fn channel(&self) -> Channel {
        Channel::Slack
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
        let reply = self.post_json("chat.postMessage", &body).await?;
        // A yes without the name of the message cannot be updated later: it is looked up instead.
        let lost = Trouble::Unreadable { status: 200, why: Unreadable::Shape };
        let handle = reply.handle().ok_or(lost)?;
        self.channel_id.get_or_init(|| reply.channel.unwrap_or_default());
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
        Error::Refused { word, .. } if matches!(word.as_str(), "missing_scope" | "no_permission") => {
            CANNOT_LOOK
        }
        // A page too large to read stays too large.
        Error::Trouble(Trouble::Unreadable { why: Unreadable::TooLarge, .. }) => CANNOT_LOOK,
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

/// What we read of any reply.
#[derive(Debug, Deserialize)]
struct Reply {
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

impl Reply {
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
