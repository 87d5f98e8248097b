//! What would be felt twice, an account that is made or a mail, is done for one person by one look at a time, also where
//! several processes share the store: the sync and the bulk lane of a broker may be in different hands.
//!
//! Whoever finds that another look has the lease, or has had it since this one began, looks again.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::{self, SharedClock};
use crate::event::Subject;
use crate::snapshot::sync::{Mail, Remembered};
use crate::store::{Error, Store};

/// How long the lease lasts when its holder vanishes. Renewed in each round that needs it, and longer than one takes.
const LEASE: Duration = Duration::from_secs(60);

pub(super) struct Sole<'a> {
    store: &'a dyn Store,
    clock: &'a SharedClock,
    subject: Subject,
    name: String,
    holder: String,
    is_held: bool,
}

impl<'a> Sole<'a> {
    pub(super) fn new(store: &'a dyn Store, clock: &'a SharedClock, subject: Subject) -> Sole<'a> {
        let (name, holder) = (format!("person {subject}"), Uuid::now_v7().to_string());
        Sole { store, clock, subject, name, holder, is_held: false }
    }

    /// Whether this look has the lease, and what it knows of the mails is still what is stored.
    pub(super) async fn take(&mut self, known: Option<&Remembered>) -> Result<bool, Error> {
        let now = self.clock.now();
        let was_held = self.is_held;
        self.is_held = self.store.take_lease(&self.name, &self.holder, now, clock::after(now, LEASE)).await?;
        if !self.is_held || was_held {
            return Ok(self.is_held);
        }
        let stored = self.store.person(self.subject).await?;
        Ok(mails(stored.as_ref()) == mails(known))
    }

    /// Lets others at it. If that fails, the lease runs out by itself.
    pub(super) async fn give_back(&self) {
        if self.is_held
            && let Err(error) = self.store.drop_lease(&self.name, &self.holder).await
        {
            tracing::debug!("the lease of a person could not be given back: {error}");
        }
    }
}

fn mails(known: Option<&Remembered>) -> (Mail, Mail) {
    known.map_or((Mail::NotOwed, Mail::NotOwed), |known| (known.password_mail, known.enrolment_mail))
}
