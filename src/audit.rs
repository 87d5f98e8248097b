//! Audit records and the chain that proves that none was edited, removed or inserted.
//!
//! Every record's hash covers the previous record's hash and its own canonical bytes. The functions here are pure;
//! the store numbers the records and keeps them append-only.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::case::{AccountId, CaseId};
use crate::clock::Timestamp;
use crate::event::{EventId, Subject};

/// The hash "before" the first record.
pub const GENESIS: Hash = Hash([0; 32]);

/// A SHA-256 hash, shown as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Who did it: Lockstep itself for a reason, or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Lockstep,
    Operator(String),
}

/// What is recorded, without number and hash. `before` and `after` hold states and ids, never names or tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub actor: Actor,
    pub subject: Option<Subject>,
    pub case: Option<CaseId>,
    pub event: Option<EventId>,
    pub account: Option<AccountId>,
    /// A stable word: `case.requested`, `action.block`, `case.verified`, `plan.held`, `dead_letter.replayed`, ….
    pub what: String,
    /// The sentence people read; the same in preview, chat and console.
    pub sentence: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub outcome: Option<String>,
}

/// An entry in its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// From 1, without gaps.
    pub number: u64,
    pub entry: Entry,
    pub hash: Hash,
}

impl Entry {
    /// The bytes that are hashed and stored: JSON with the fields in the order of the struct.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry has only string keys and plain values")
    }
}

/// The hash of record `number` that stores `entry` after `previous`.
pub fn chain(previous: &Hash, number: u64, entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous.0);
    hash.update(number.to_be_bytes());
    hash.update(entry);
    Hash(hash.finalize().into())
}

/// What is wrong with a chain, at which record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("record {expected} is missing: the next one found is {found}")]
    Gap { expected: u64, found: u64 },
    #[error("record {number} was changed after it was written, or one before it was")]
    Edited { number: u64 },
    #[error("record {number} cannot be read: {why}")]
    Unreadable { number: u64, why: String },
    #[error("the last {missing} records are missing: the head says {head}, the last one found is {found}")]
    TailCut { head: u64, found: u64, missing: u64 },
}

/// Walks a chain record by record, so that memory does not grow with the audit.
#[derive(Debug)]
pub struct Verifier {
    last: Hash,
    number: u64,
}

impl Default for Verifier {
    fn default() -> Self {
        Verifier { last: GENESIS, number: 0 }
    }
}

impl Verifier {
    /// Takes the next stored record: its number, the stored bytes and the stored hash.
    pub fn take(&mut self, number: u64, entry: &[u8], hash: &[u8]) -> Result<(), Broken> {
        let expected = self.number + 1;
        if number != expected {
            return Err(Broken::Gap { expected, found: number });
        }
        let computed = chain(&self.last, number, entry);
        if computed.0 != *hash {
            return Err(Broken::Edited { number });
        }
        (self.last, self.number) = (computed, number);
        Ok(())
    }

    /// The head remembers how many records there are; fewer were found when the tail was cut.
    pub fn finish(self, head: u64) -> Result<u64, Broken> {
        match head.checked_sub(self.number) {
            None | Some(0) => Ok(self.number),
            Some(missing) => Err(Broken::TailCut { head, found: self.number, missing }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(texts: &[&str]) -> Vec<(u64, Vec<u8>, Hash)> {
        let mut last = GENESIS;
        let mut out = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let number = i as u64 + 1;
            last = chain(&last, number, text.as_bytes());
            out.push((number, text.as_bytes().to_vec(), last));
        }
        out
    }

    fn verify(links: &[(u64, Vec<u8>, Hash)], head: u64) -> Result<u64, Broken> {
        let mut verifier = Verifier::default();
        for (number, entry, hash) in links {
            verifier.take(*number, entry, &hash.0)?;
        }
        verifier.finish(head)
    }

    #[test]
    fn an_untouched_chain_verifies() {
        assert_eq!(verify(&links(&["a", "b", "c"]), 3), Ok(3));
        assert_eq!(verify(&[], 0), Ok(0));
    }

    #[test]
    fn an_edit_a_gap_and_a_cut_tail_are_each_named() {
        let mut edited = links(&["a", "b", "c"]);
        edited[1].1 = b"x".to_vec();
        assert_eq!(verify(&edited, 3), Err(Broken::Edited { number: 2 }));
        let mut gap = links(&["a", "b", "c"]);
        gap.remove(1);
        assert_eq!(verify(&gap, 3), Err(Broken::Gap { expected: 2, found: 3 }));
        let mut cut = links(&["a", "b", "c"]);
        cut.pop();
        assert_eq!(verify(&cut, 3), Err(Broken::TailCut { head: 3, found: 2, missing: 1 }));
    }
}
