//! Mail over SMTP: one thread per case, a mail for each stage of it, plain text.
//!
//! A mail is named after what it says ([`Message::name`]), so that one that is sent again because nobody knows what became
//! of it carries the same `Message-ID` and is shown once. Nothing can be changed or looked for. A conversation comes to the mail
//! within [`Timeouts::total`] and to its end within `TAKEN_WITHIN` more; connections are not kept: a mail is rare, and what has been idle for hours is broken when it
//! is needed. Neither addresses nor what the server says about them come into an error: only its code.

mod letter;
mod smtp;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use secrecy::SecretString;

use super::message::{Message, Tag};
use super::{Error, FollowUp, Found, Handle, Notifier};
use crate::clock::Timestamp;
use crate::outbound::http::Cause;
use crate::outbound::{Deps, SetupError, Timeouts, Trouble};
use crate::policy::notify::Channel;

/// Mails go to few people or to a list; each of them is named in every mail.
pub const RECIPIENTS_MAX: usize = 20;
/// How long a server may take over a mail that it has: some look for malware before they answer. RFC 5321 (4.5.3.2.6) would
/// have us wait ten minutes, and who gives up earlier sends it twice; but nobody else may tell of it meanwhile.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// After a mail was taken, nothing hangs on the farewell.
const FAREWELL: Duration = Duration::from_secs(1);
const VENDOR: &str = "smtp";

/// Where mail is handed in, who it comes from and who gets it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: Server,
    pub from: Address,
    /// Never none, at most [`RECIPIENTS_MAX`].
    pub to: Vec<Address>,
}

/// `SMTP_URL`
#[derive(Debug, Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub login: Option<Login>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte on (`smtps://`).
    Implicit,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// None: only for this machine, which the configuration makes sure of.
    Loopback,
}

#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub password: SecretString,
}

/// An address, perhaps with a name: `Lockstep <lockstep@example.com>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Mailbox);

impl FromStr for Address {
    type Err = NoAddress;

    /// Only ASCII addresses: for others the server would need SMTPUTF8 (RFC 6531).
    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let mailbox: Mailbox = text.trim().parse().map_err(|_| NoAddress)?;
        let address: &str = mailbox.email.as_ref();
        if address.is_ascii() { Ok(Address(mailbox)) } else { Err(NoAddress) }
    }
}

/// The address of a person does not belong into a log.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no mail address")]
pub struct NoAddress;

/// Sends mails.
pub struct Mail {
    settings: Settings,
    dialer: smtp::Dialer,
    deps: Deps,
}

impl Mail {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &Settings, deps: &Deps) -> Result<Mail, SetupError> {
        Ok(Mail {
            dialer: smtp::Dialer::new(&settings.server)?,
            settings: settings.clone(),
            deps: deps.clone(),
        })
    }

    /// Connects, signs in, and says farewell: nothing is sent.
    ///
    /// # Errors
    /// When a mail would not even be begun.
    pub async fn check(&self) -> Result<(), Error> {
        let greeted = tokio::time::timeout(Timeouts::default().total, self.dialer.dial()).await;
        let connection = greeted.unwrap_or(Err(Error::Trouble(Trouble::NotSent(Cause::TimedOut))))?;
        farewell(connection).await;
        Ok(())
    }

    async fn send(&self, letter: &[u8]) -> Result<smtp::Admitted, Error> {
        let Settings { from, to, .. } = &self.settings;
        let opening = async {
            let mut connection = self.dialer.dial().await?;
            let admitted = smtp::begin(&mut connection, from, to).await?;
            Ok((connection, admitted))
        };
        let opened = tokio::time::timeout(Timeouts::default().total, opening).await;
        let (mut connection, admitted) =
            opened.unwrap_or(Err(Error::Trouble(Trouble::NotSent(Cause::TimedOut))))?;
        let taking = smtp::hand_in(&mut connection, letter);
        let taken = tokio::time::timeout(TAKEN_WITHIN, taking).await;
        taken.unwrap_or(Err(Error::Trouble(Trouble::NoReply(Cause::TimedOut))))?;
        // Beside the rest: nothing waits for it, and the notice stays taken no longer than the conversation.
        tokio::spawn(farewell(connection));
        Ok(admitted)
    }
}

async fn farewell(mut connection: smtp::Connection) {
    let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
}

#[async_trait]
impl Notifier for Mail {
    fn channel(&self) -> Channel {
        Channel::Mail
    }

    fn follow_up(&self) -> FollowUp {
        FollowUp::NewMessage
    }

    fn answers_within(&self) -> Duration {
        Timeouts::default().total + TAKEN_WITHIN
    }

    async fn post(&self, message: &Message) -> Result<Option<Handle>, Error> {
        let letter = letter::write(message, &self.settings, self.deps.clock.now())?;
        let sent = self.send(&letter).await;
        let code = sent.as_ref().map_or_else(smtp::code, |_| Some(smtp::TAKEN));
        self.deps.metrics.vendor_request(VENDOR, "send", code);
        let admitted = sent?;
        if admitted.refused > 0 {
            let of = self.settings.to.len();
            tracing::warn!(
                channel = Channel::Mail.word(),
                refused = admitted.refused,
                of,
                "some of MAIL_TO were not taken"
            );
        }
        Ok(None)
    }

    async fn update(&self, _: &Handle, _: &Message) -> Result<(), Error> {
        Err(Error::Unsupported("change a mail"))
    }

    async fn find(&self, _: &Tag, _: Timestamp) -> Result<Option<Found>, Error> {
        Err(Error::Unsupported("look for a mail"))
    }
}
