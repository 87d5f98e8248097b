//! `chat.postMessage`, `chat.update`, `conversations.history`.

use super::super::call::{Answer, Call, Reply};
use super::blocks;
use super::{BOT, BOT_USER, failed, pace, structured};
use crate::world::{Message, Posted, Version};
use serde_json::{Map, Value, json};

pub(super) const HISTORY: &[&str] =
    &["channel", "oldest", "latest", "inclusive", "limit", "cursor", "include_all_metadata"];

const POST: [&str; 13] = [
    "channel",
    "text",
    "blocks",
    "attachments",
    "thread_ts",
    "reply_broadcast",
    "unfurl_links",
    "unfurl_media",
    "metadata",
    "mrkdwn",
    "link_names",
    "parse",
    "token",
];

const UPDATE: [&str; 10] = [
    "channel",
    "ts",
    "text",
    "blocks",
    "attachments",
    "metadata",
    "link_names",
    "parse",
    "reply_broadcast",
    "token",
];

/// `text` beyond this is cut off by Slack (Slack changelog of April 2018).
const TEXT_CHARACTERS_MAX: usize = 40_000;
/// Messages per page of history (Slack, conversations.history).
const HISTORY_DEFAULT: usize = 100;

pub(super) fn post(call: &Call<'_>) -> Answer {
    let fields = fields(call, &POST)?;
    // By id or by name; the bot is a member of every channel of the twin.
    let channel = call.world().find_channel(text(&fields, "channel"));
    let channel = channel.ok_or_else(|| failed("channel_not_found"))?;
    if call.world().is_archived(&channel) {
        return Err(failed("is_archived"));
    }
    let version = version(&fields)?;
    pace(call, &channel)?;
    let thread = fields.get("thread_ts").and_then(Value::as_str).map(str::to_owned);
    let message = call.world().post(&channel, Posted::Bot, thread, version);
    let shown = shown(&message, Metadata::Shown);
    Ok(Reply::json(200, &json!({ "ok": true, "channel": channel, "ts": message.ts, "message": shown })))
}

/// Left-out `blocks` stay as they were; `[]` removes them (Slack, chat.update). The channel must be given by id.
pub(super) fn update(call: &Call<'_>) -> Answer {
    let fields = fields(call, &UPDATE)?;
    let channel = text(&fields, "channel").to_owned();
    let mut world = call.world();
    if world.find_channel(&channel).as_deref() != Some(&channel) {
        return Err(failed("channel_not_found"));
    }
    let message = world.message_mut(&channel, text(&fields, "ts"));
    let message = message.ok_or_else(|| failed("message_not_found"))?;
    if message.posted == Posted::Webhook {
        return Err(failed("cant_update_message"));
    }
    let version = version_over(&fields, message.current())?;
    message.versions.push(version);
    let (ts, text) = (message.ts.clone(), message.text().to_owned());
    let shown = json!({ "text": text, "user": BOT_USER, "bot_id": BOT, "blocks": message.current().blocks });
    Ok(Reply::json(200, &json!({ "ok": true, "channel": channel, "ts": ts, "text": text, "message": shown })))
}

/// Newest first, thread replies left out; metadata only with `include_all_metadata`.
pub(super) fn history(call: &Call<'_>) -> Answer {
    let mut fields = fields(call, HISTORY)?;
    fields.extend(call.query.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))));
    let channel = text(&fields, "channel");
    if call.world().find_channel(channel).as_deref() != Some(channel) {
        return Err(failed("channel_not_found"));
    }
    let flag =
        |name: &str| fields.get(name).is_some_and(|value| value == true || value == "true" || value == "1");
    let metadata = if flag("include_all_metadata") { Metadata::Shown } else { Metadata::Hidden };
    let limit = number(&fields, "limit").unwrap_or(HISTORY_DEFAULT);
    let (oldest, latest) = (text(&fields, "oldest"), text(&fields, "latest"));
    // Ours is the time of the last message shown; Slack's is opaque (Slack, Pagination through collections).
    let cursor = text(&fields, "cursor");
    let inside = |ts: &str| {
        let after = oldest.is_empty() || later(ts, oldest) || flag("inclusive") && ts == oldest;
        let before = latest.is_empty() || later(latest, ts) || flag("inclusive") && ts == latest;
        after && before && (cursor.is_empty() || later(cursor, ts))
    };
    let messages = call.world().slack_messages(channel);
    let found: Vec<&Message> =
        messages.iter().rev().filter(|message| message.thread_ts.is_none() && inside(&message.ts)).collect();
    let page: Vec<Value> = found.iter().take(limit).map(|message| shown(message, metadata)).collect();
    let has_more = found.len() > limit;
    let next = if has_more { found[limit - 1].ts.as_str() } else { "" };
    let paging = json!({ "next_cursor": next });
    Ok(Reply::json(
        200,
        &json!({ "ok": true, "messages": page, "has_more": has_more, "response_metadata": paging }),
    ))
}

/// A message needs something to show; blocks are validated; text beyond the limit is cut.
pub(super) fn version(fields: &Map<String, Value>) -> Result<Version, Reply> {
    let nothing = Version { text: String::new(), blocks: Vec::new(), metadata: None };
    version_over(fields, &nothing)
}

fn version_over(fields: &Map<String, Value>, before: &Version) -> Result<Version, Reply> {
    let blocks = match fields.get("blocks") {
        None => before.blocks.clone(),
        Some(given) => match structured(given) {
            Some(Value::Array(blocks)) => blocks,
            _ => return Err(failed("invalid_blocks_format")),
        },
    };
    let text = fields.get("text").and_then(Value::as_str).unwrap_or_default();
    if text.is_empty() && blocks.is_empty() && !fields.contains_key("attachments") {
        return Err(failed("no_text"));
    }
    blocks::check(&blocks).map_err(blocks::refused)?;
    Ok(Version {
        text: text.chars().take(TEXT_CHARACTERS_MAX).collect(),
        blocks,
        metadata: match fields.get("metadata") {
            Some(metadata) => structured(metadata),
            None => before.metadata.clone(),
        },
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Metadata {
    Shown,
    Hidden,
}

fn shown(message: &Message, metadata: Metadata) -> Value {
    let current = message.current();
    let mut shown = json!({
        "type": "message",
        "text": current.text,
        "user": BOT_USER,
        "bot_id": BOT,
        "ts": message.ts,
    });
    if !current.blocks.is_empty() {
        shown["blocks"] = current.blocks.clone().into();
    }
    if let Some(thread) = &message.thread_ts {
        shown["thread_ts"] = thread.clone().into();
    }
    if let (Some(value), Metadata::Shown) = (&current.metadata, metadata) {
        shown["metadata"] = value.clone();
    }
    if message.versions.len() > 1 {
        shown["edited"] = json!({ "user": BOT_USER, "ts": message.ts });
    }
    shown
}

fn fields(call: &Call<'_>, known: &[&str]) -> Result<Map<String, Value>, Reply> {
    let fields = call.fields().ok_or_else(|| failed("invalid_json"))?;
    for unknown in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        call.complain(format!("unknown argument {unknown}"));
    }
    Ok(fields)
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(fields: &Map<String, Value>, name: &str) -> Option<usize> {
    let value = fields.get(name)?;
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    usize::try_from(number).ok()
}

/// Compares message times, which clients may write with fewer digits than Slack.
fn later(a: &str, b: &str) -> bool {
    let micros = |ts: &str| {
        let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
        let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
        (seconds.parse::<i64>().unwrap_or(0), fraction)
    };
    micros(a) > micros(b)
}
