//! The incoming webhook: answers the two letters `ok`, no id, plain-text words on failure (Slack, Sending messages using
//! incoming webhooks).

use super::super::call::{Answer, Call, Reply};
use super::{messages, pace};
use crate::world::Posted;

/// The secret in the path; another one is a removed webhook.
const SECRET: &str = "twinwebhooksecret";

const FIELDS: [&str; 6] = ["text", "blocks", "attachments", "unfurl_links", "unfurl_media", "metadata"];

pub(super) fn post(call: &Call<'_>) -> Answer {
    if call.parameters.last().map(String::as_str) != Some(SECRET) {
        return Err(Reply::text(404, "no_service"));
    }
    let fields = call.json_object().filter(|_| !call.body.is_empty());
    let fields = fields.ok_or_else(|| Reply::text(400, "invalid_payload"))?;
    for unknown in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        call.complain(format!("unknown field {unknown}"));
    }
    let channel = &call.state.setup.slack_channel;
    if call.world().is_archived(channel) {
        return Err(Reply::text(410, "channel_is_archived"));
    }
    let version = messages::version(&fields).map_err(|_| Reply::text(400, "invalid_payload"))?;
    pace(call, channel)?;
    call.world().post(channel, Posted::Webhook, None, version);
    let mut ok = Reply::text(200, "ok");
    ok.content_type = "text/html";
    Ok(ok)
}
