//! What people were told beside Slack: mails that were taken, and tickets' webhooks.

use super::World;
use serde_json::Value;

/// A mail as a server took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Envelope: who sent it.
    pub from: String,
    /// Envelope: who gets it.
    pub to: Vec<String>,
    /// Unfolded and decoded, in their order.
    pub headers: Vec<(String, String)>,
    /// Decoded, lines ended by `\n`.
    pub text: String,
}

impl Letter {
    /// The first header of this name; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// Its first line: what happened.
    pub fn headline(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// A webhook that was taken, signed as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// `webhook-id`
    pub id: String,
    pub body: Value,
    /// How often it came, each time with an answer of 2xx that left or was lost.
    pub arrivals: u32,
}

impl Hook {
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct Told {
    letters: Vec<Letter>,
    hooks: Vec<Hook>,
}

impl World {
    /// Every mail that was taken, in the order of arrival; one that came twice is here twice.
    pub fn letters(&self) -> Vec<Letter> {
        self.told.letters.clone()
    }

    /// Every webhook of the ticket system by its id, in the order of first arrival.
    pub fn hooks(&self) -> Vec<Hook> {
        self.told.hooks.clone()
    }

    pub(crate) fn take_letter(&mut self, letter: Letter) {
        self.told.letters.push(letter);
    }

    /// `webhook-id` is the idempotency key (Standard Webhooks, specification: idempotency). `false` when the same id has
    /// come with another body before.
    pub(crate) fn take_hook(&mut self, id: &str, body: &Value) -> bool {
        if let Some(known) = self.told.hooks.iter_mut().find(|hook| hook.id == id) {
            known.arrivals += 1;
            return known.body == *body;
        }
        self.told.hooks.push(Hook { id: id.to_owned(), body: body.clone(), arrivals: 1 });
        true
    }
}
