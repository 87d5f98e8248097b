//! Dead letters: what could not be handled, written down with the reason, for a person.

use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Deps;
use crate::audit::{Actor, Entry};
use crate::clock::Timestamp;
use crate::event::{About, Event, EventId, Lane};
use crate::store::{DeadLetter, Error, Owed};

/// People are told once per lane and hour that there are dead letters.
const TELL_ONCE_PER: Duration = Duration::from_secs(3600);

pub(super) fn given_up(event: &Event, reason: String, attempts: u32, now: Timestamp) -> DeadLetter {
    let envelope = event.to_envelope().expect("an event that was read from an envelope fits into one");
    DeadLetter { id: event.id, lane: event.lane(), envelope, reason, attempts, died_at: now }
}

/// What is no event has no id: its bytes name it, so that it is written down once however often it comes.
pub(super) fn unreadable(lane: Lane, reason: String, bytes: Vec<u8>, now: Timestamp) -> DeadLetter {
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let id = digest.first_chunk::<16>().map(|head| Uuid::from_bytes(*head)).expect("32 bytes hold 16");
    DeadLetter { id: EventId(id), lane, envelope: bytes, reason, attempts: 1, died_at: now }
}

/// Writes it down and tells people.
pub(super) async fn bury(deps: &Deps, letter: DeadLetter) -> Result<(), Error> {
    let event = Event::from_envelope(&letter.envelope).ok();
    let first = event.as_ref().map_or(letter.id, Event::correlation);
    let lane = letter.lane.word();
    tracing::error!(event.id = %first, letter.id = %letter.id, lane, "dead letter: {}", letter.reason);
    let subject = event.map(|event| event.about).and_then(|about| match about {
        About::Person(subject) => Some(subject),
        About::Group { .. } | About::Tenant(_) => None,
    });
    let entry = Entry {
        at: letter.died_at,
        actor: Actor::Lockstep,
        subject,
        case: None,
        event: Some(first),
        account: None,
        what: "dead_letter.written".into(),
        sentence: format!("Gave up on event {}: {}", letter.id, letter.reason),
        before: None,
        after: None,
        outcome: None,
    };
    let owed = notices(deps, &letter);
    deps.store.bury(letter).await?;
    deps.store.record(vec![entry]).await?;
    deps.store.owe(owed).await?;
    deps.owed.poke();
    Ok(())
}

fn notices(deps: &Deps, letter: &DeadLetter) -> Vec<Owed> {
    let hour = letter.died_at.as_second() / TELL_ONCE_PER.as_secs() as i64;
    let lane = letter.lane.word();
    let text = format!(
        "Lockstep gave up on an event in the {lane} lane and needs a person: {}. What it asked for is not done \
         until then. Next: `lockstep dead list`, mend the reason, then `lockstep dead replay EVENT`.",
        letter.reason
    );
    let policy = deps.policy.borrow().clone();
    deps.telling(&policy).page(format!("dead/{lane}/{hour}"), &text, letter.died_at)
}
