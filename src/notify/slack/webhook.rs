//! Slack by incoming webhook: post only. Its answer is the two letters `ok`, without a message id, so nothing can be
//! updated or found again (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::super::message::{Form, Message, Tag};
use super::super::{Error, FollowUp, Found, Handle, Notifier, Word};
use super::blocks::{self, Block};
use super::{exchange, words};
use crate::clock::Timestamp;
use crate::outbound::http::{Answer, Body};
use crate::outbound::{self, Deps, SetupError, Timeouts};
use crate::policy::notify::Channel;

/// Posts into the channel that the webhook is bound to.
#[derive(Debug)]
pub struct Webhook {
    client: reqwest::Client,
    deps: Deps,
    /// The URL is the credential.
    url: SecretString,
}

impl Webhook {
    pub fn new(url: &SecretString, deps: &Deps) -> Result<Webhook, SetupError> {
        const NAME: &str = "SLACK_WEBHOOK_URL";
        let address = reqwest::Url::parse(url.expose_secret());
        let address = address.map_err(|_| SetupError::UnsafeAddress { name: NAME })?;
        let client = outbound::client(NAME, &address, Timeouts::default())?;
        Ok(Webhook { client, deps: deps.clone(), url: url.clone() })
    }
}

#[derive(Debug, Serialize)]
struct Outgoing {
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
}

#[async_trait]
impl Notifier for Webhook {
    fn channel(&self) -> Channel {
        Channel::Slack
    }

    fn follow_up(&self) -> FollowUp {
        FollowUp::NewMessage
    }

    async fn post(&self, message: &Message) -> Result<Option<Handle>, Error> {
        let body = match message.form {
            Form::Rich => Outgoing { text: blocks::headline(message), blocks: blocks::rich(message) },
            Form::Plain => Outgoing { text: blocks::plain(message), blocks: Vec::new() },
        };
        let request = self.client.post(self.url.expose_secret()).json(&body);
        let answer = exchange(&self.deps, "webhook", request).await?;
        match answer.status.as_u16() {
            200 => Ok(None),
            status => Err(refusal(status, &answer)),
        }
    }

    async fn update(&self, _: &Handle, _: &Message) -> Result<(), Error> {
        Err(Error::Unsupported("change a message posted by a webhook"))
    }

    async fn find(&self, _: &Tag, _: Timestamp) -> Result<Option<Found>, Error> {
        Err(Error::Unsupported("look for a message posted by a webhook"))
    }
}

/// A refusal is a status and a plain word; a body that is no word (a proxy's page) goes by its status.
fn refusal(status: u16, answer: &Answer) -> Error {
    let word = match &answer.body {
        Body::Whole(bytes) => std::str::from_utf8(bytes).unwrap_or_default().trim(),
        Body::TooLarge | Body::CutShort => "",
    };
    match Word::read(word).as_str() == word {
        true => words::error(word, None),
        false => words::refused(Word::status(status)),
    }
}
