//! Tickets: a signed webhook for each news (Standard Webhooks 1.0.0), which any ticket system's inbound webhook or automation
//! takes. docs/webhooks.md documents the body.
//!
//! `webhook-id` names what is said ([`Message::name`]), so that the receiver knows a repetition; the timestamp and the
//! signature are new with every try. Only 2xx is a yes; redirects are not followed. The address may hold a secret of its own
//! and is shown nowhere.

mod body;

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};

use super::message::{Message, Tag};
use super::{Error, FollowUp, Found, Handle, Notifier, Word};
use crate::clock::{self, Timestamp};
use crate::outbound::http::Answer;
use crate::outbound::{self, Deps, Sending, SetupError, Timeouts};
use crate::policy::notify::Channel;
use crate::retry;
use crate::webhook::{self, Key};

/// As metrics call the receiver.
const VENDOR: &str = "ticket";
const URL_NAME: &str = "TICKET_URL";
/// For a 429 that names no time.
const THROTTLED_WITHOUT_A_TIME: std::time::Duration = std::time::Duration::from_secs(30);

/// Where tickets are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `TICKET_URL`; a query in it may be what lets us in.
    pub url: SecretString,
    /// `TICKET_WEBHOOK_SECRET`, `whsec_…`.
    pub secret: SecretString,
}

/// Posts to one address.
#[derive(Debug)]
pub struct Webhook {
    client: reqwest::Client,
    deps: Deps,
    url: SecretString,
    key: Key,
}

impl Webhook {
    /// # Errors
    /// When the address is neither HTTPS nor on this machine, or the secret is none.
    pub fn new(settings: &Settings, deps: &Deps) -> Result<Webhook, SetupError> {
        let address = reqwest::Url::parse(settings.url.expose_secret());
        let mut address = address.map_err(|_| SetupError::UnsafeAddress { name: URL_NAME })?;
        address.set_query(None);
        let client = outbound::client(URL_NAME, &address, Timeouts::default())?;
        let key = Key::read(&settings.secret);
        let key = key.ok_or_else(|| SetupError::Client("TICKET_WEBHOOK_SECRET is no secret".to_owned()))?;
        Ok(Webhook { client, deps: deps.clone(), url: settings.url.clone(), key })
    }

    fn judge(&self, answer: &Answer) -> Result<(), Error> {
        let status = answer.status.as_u16();
        let word = Word::status(status);
        let now = self.deps.clock.now();
        let named = answer.header("retry-after").and_then(|value| retry::retry_after(value, now));
        match (status, named) {
            (200..300, _) => Ok(()),
            (429 | 500.., Some(until)) => Err(Error::Throttled(until)),
            (429, None) => Err(Error::Throttled(clock::after(now, THROTTLED_WITHOUT_A_TIME))),
            (408 | 500.., None) => Err(Error::Failed(word)),
            (410, _) => {
                Err(refused(word, "the receiver wants no more of them: take TICKET_URL away, or renew it"))
            }
            (300..=399, _) => {
                Err(refused(word, "the address leads elsewhere: write that one into TICKET_URL"))
            }
            (401 | 403, _) => Err(refused(word, "compare TICKET_WEBHOOK_SECRET with the receiver's")),
            _ => {
                Err(refused(word, "the receiver does not take it: see its log, and that TICKET_URL is right"))
            }
        }
    }
}

fn refused(word: Word, advice: &'static str) -> Error {
    Error::Refused { word, advice }
}

#[async_trait]
impl Notifier for Webhook {
    fn channel(&self) -> Channel {
        Channel::Ticket
    }

    fn follow_up(&self) -> FollowUp {
        FollowUp::NewMessage
    }

    async fn post(&self, message: &Message) -> Result<Option<Handle>, Error> {
        let (id, body) = (message.name(), body::write(message));
        let timestamp = self.deps.clock.now().as_second().to_string();
        let request = self
            .client
            .post(self.url.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .header(webhook::ID, &id)
            .header(webhook::TIMESTAMP, &timestamp)
            .header(webhook::SIGNATURE, self.key.signature(&id, &timestamp, &body))
            .body(body);
        let answer = outbound::exchange(&self.deps, Sending::to(VENDOR, "webhook"), request).await?;
        self.judge(&answer).map(|()| None)
    }

    async fn update(&self, _: &Handle, _: &Message) -> Result<(), Error> {
        Err(Error::Unsupported("change what a webhook has told"))
    }

    async fn find(&self, _: &Tag, _: Timestamp) -> Result<Option<Found>, Error> {
        Err(Error::Unsupported("look for what a webhook has told"))
    }
}
