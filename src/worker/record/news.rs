//! Who is owed what: each channel that is set up, as far as the policy tells it there.

use crate::case::{Case, Restraint};
use crate::clock::Timestamp;
use crate::notify::text::Stage;
use crate::policy::notify::{Channel, News, Notify};
use crate::store::{Owed, Topic};

/// The channels that are set up, and what the policy tells on each.
#[derive(Debug, Clone, Copy)]
pub(in crate::worker) struct Channels<'a> {
    pub set_up: &'a [Channel],
    pub policy: &'a Notify,
}

impl Channels<'_> {
    /// What people are owed for this version of the case.
    pub fn owe_case(&self, before: Option<&Case>, case: &Case, now: Timestamp) -> Vec<Owed> {
        self.owe(&Topic::Case(case.id), case.version, None, &news(before, case, now), now)
    }

    /// Somebody must act. Told once per `key`; the first sentence is the headline.
    pub fn page(&self, key: String, text: &str, now: Timestamp) -> Vec<Owed> {
        self.owe(&Topic::Notice(key), 1, Some(text), &[News::Page], now)
    }

    fn owe(
        &self,
        topic: &Topic,
        version: u64,
        text: Option<&str>,
        news: &[News],
        due_at: Timestamp,
    ) -> Vec<Owed> {
        let told = self.set_up.iter().filter(|channel| self.policy.tells(**channel, news));
        let owed = |channel: &Channel| Owed {
            topic: topic.clone(),
            channel: channel.word().to_owned(),
            version,
            text: text.map(str::to_owned),
            due_at,
        };
        told.map(owed).collect()
    }
}

/// What is new about the case, in the words of the policy.
fn news(before: Option<&Case>, case: &Case, now: Timestamp) -> Vec<News> {
    match Stage::of(case, now) {
        Stage::UnderWay => vec![News::Requested],
        Stage::Late => vec![News::Page],
        // Whoever was paged because it was late is told that it is over.
        Stage::Verified if before.is_some_and(|before| Stage::of(before, now) == Stage::Late) => {
            vec![News::Verified, News::Page]
        }
        Stage::Verified => vec![News::Verified],
        Stage::NotActed if case.restraint == Some(Restraint::Protected) => vec![News::NotActed, News::Page],
        Stage::NotActed => vec![News::NotActed],
        Stage::Releasing => Vec::new(),
        Stage::Released => vec![News::Released],
    }
}

#[cfg(test)]
mod tests;
