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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::event::{ObjectId, TenantId};
    use crate::store::SavePerson;
    use crate::store::sqlite::{Settings, Sqlite};

    #[derive(Debug)]
    struct At(&'static str);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0.parse().unwrap()
        }
    }

    fn at(now: &'static str) -> SharedClock {
        Arc::new(At(now))
    }

    fn person(password_mail: Mail) -> Remembered {
        let id = Uuid::from_u128(7);
        let subject = Subject { tenant: TenantId(id), object: ObjectId(id) };
        Remembered { password_mail, ..Remembered::new(subject) }
    }

    async fn save(store: &Sqlite, person: Remembered) {
        let (audit, owed, links, gone_links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        store.save_person(SavePerson { person, audit, owed, links, gone_links }).await.unwrap();
    }

    #[tokio::test]
    async fn one_look_at_a_time_and_none_by_what_another_has_made_old() {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&Settings { file: dir.path().join("lockstep.db") }).unwrap();
        let (known, eight, later) =
            (person(Mail::NotOwed), at("2026-03-02T08:00:00Z"), at("2026-03-02T08:01:01Z"));
        let mut one = Sole::new(&store, &eight, known.subject);
        let mut other = Sole::new(&store, &eight, known.subject);
        assert!(one.take(None).await.unwrap());
        assert!(!other.take(None).await.unwrap(), "the other is at it");
        save(&store, person(Mail::Sent)).await;
        assert!(one.take(None).await.unwrap(), "its own change does not stop it");
        one.give_back().await;
        assert!(!other.take(Some(&known)).await.unwrap(), "the mail was sent meanwhile");
        other.give_back().await;
        let mut anew = Sole::new(&store, &eight, known.subject);
        assert!(anew.take(Some(&person(Mail::Sent))).await.unwrap());
        // It vanishes; a minute later its lease is nobody's.
        let mut next = Sole::new(&store, &later, known.subject);
        assert!(next.take(Some(&person(Mail::Sent))).await.unwrap());
        assert!(!anew.take(None).await.unwrap(), "who was away too long has lost it");
    }
}
