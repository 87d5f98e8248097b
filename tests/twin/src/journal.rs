//! What was asked of the twin: every request, every complaint, exact counters.
//!
//! Entries are kept up to a cap and then the oldest are dropped; counters stay exact for the life of the twin (or until
//! [`Journal::clear`]). Safe from any thread. An entry is written when the request has been performed and before its
//! reply leaves, so whoever has seen a reply finds it here.

use crate::faults::Vendor;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A reply was sent (or at least begun).
    Answered,
    /// The connection was closed before anything was performed.
    Refused,
    /// Performed, and then the connection was closed without a reply.
    ReplyLost,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Position in the life of the journal, from 1.
    pub seq: u64,
    /// When its head had arrived.
    pub at: Instant,
    pub vendor: Vendor,
    /// Method and template, `PATCH /api/v2/users/{id}`; `unmatched` for a route that the twin does not know.
    pub route: &'static str,
    pub method: Box<str>,
    /// Path and query as sent.
    pub path: Box<str>,
    /// Status of the answer; 0 when refused.
    pub status: u16,
    pub outcome: Outcome,
    /// `x-correlation-id` or `client-request-id`, if the caller sent one.
    pub correlation: Option<Box<str>>,
    /// What the caller calls itself.
    pub user_agent: Option<Box<str>>,
    /// Part of a batch, whose own entry follows.
    pub in_batch: bool,
    /// The body as sent; empty for token requests, which carry secrets.
    pub body: Bytes,
}

impl Entry {
    /// Whether this request changed something: a successful request with a method other than GET, except for
    /// tokens and for the questions that Graph takes by POST.
    pub fn is_write(&self) -> bool {
        (200..300).contains(&self.status)
            && &*self.method != "GET"
            && !self.route.ends_with("/token")
            && !QUESTIONS.iter().any(|question| self.route.ends_with(question))
    }
}

/// Something a client should not have done, though it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub vendor: Vendor,
    pub route: &'static str,
    pub text: String,
}

/// POST routes that change nothing; what a batch changes is told by the requests in it.
const QUESTIONS: [&str; 4] = ["/checkMemberGroups", "/getMemberGroups", "/getByIds", "/$batch"];

/// Complaints kept; a client that errs this often has been shown to.
const COMPLAINTS_MAX: usize = 10_000;

/// All requests of one twin.
pub struct Journal {
    kept: Mutex<Kept>,
    cap: usize,
    written: Notify,
}

#[derive(Default)]
struct Kept {
    seq: u64,
    entries: VecDeque<Entry>,
    counts: HashMap<(Vendor, &'static str), u64>,
    writes: BTreeMap<Vendor, u64>,
    in_batches: BTreeMap<Vendor, u64>,
    complaints: Vec<Complaint>,
}

impl Journal {
    pub(crate) fn new(cap: usize) -> Journal {
        Journal { kept: Mutex::default(), cap, written: Notify::new() }
    }

    /// The entries kept, oldest first.
    pub fn requests(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// How many requests took this route (`"PATCH /api/v2/users/{id}"`), whatever came of them.
    pub fn count(&self, vendor: Vendor, route: &str) -> u64 {
        let kept = self.lock();
        let counts = kept.counts.iter();
        counts.filter(|((v, r), _)| *v == vendor && *r == route).map(|(_, n)| n).sum()
    }

    /// How many HTTP requests this vendor got in all; those inside of a batch came with it.
    pub fn total(&self, vendor: Vendor) -> u64 {
        let kept = self.lock();
        let all: u64 = kept.counts.iter().filter(|((v, _), _)| *v == vendor).map(|(_, n)| n).sum();
        all - kept.in_batches.get(&vendor).copied().unwrap_or(0)
    }

    /// How many requests changed something at this vendor (see [`Entry::is_write`]); lost replies count.
    pub fn writes(&self, vendor: Vendor) -> u64 {
        self.lock().writes.get(&vendor).copied().unwrap_or(0)
    }

    /// What clients should not have done: unknown routes, query parameters and body fields, unread bodies.
    pub fn complaints(&self) -> Vec<Complaint> {
        self.lock().complaints.clone()
    }

    /// Forgets entries, counters and complaints.
    pub fn clear(&self) {
        let mut kept = self.lock();
        let seq = kept.seq;
        *kept = Kept { seq, ..Kept::default() };
    }

    /// The first entry (of those kept or still to come) that satisfies `wanted`, or `None` at the deadline.
    pub async fn wait_for(&self, wanted: impl Fn(&Entry) -> bool, deadline: Duration) -> Option<Entry> {
        let end = tokio::time::Instant::now() + deadline;
        let mut seen = 0;
        loop {
            let written = self.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if let Some(found) = self.find(&mut seen, &wanted) {
                return Some(found);
            }
            if tokio::time::timeout_at(end, written).await.is_err() {
                return self.find(&mut seen, &wanted);
            }
        }
    }

    pub(crate) fn write(&self, mut entry: Entry) {
        let mut kept = self.lock();
        kept.seq += 1;
        entry.seq = kept.seq;
        *kept.counts.entry((entry.vendor, entry.route)).or_default() += 1;
        if entry.in_batch {
            *kept.in_batches.entry(entry.vendor).or_default() += 1;
        }
        if entry.is_write() {
            *kept.writes.entry(entry.vendor).or_default() += 1;
        }
        if kept.entries.len() >= self.cap {
            kept.entries.pop_front();
        }
        if self.cap > 0 {
            kept.entries.push_back(entry);
        }
        drop(kept);
        self.written.notify_waiters();
    }

    pub(crate) fn complain(&self, complaint: Complaint) {
        let mut kept = self.lock();
        if kept.complaints.len() < COMPLAINTS_MAX {
            kept.complaints.push(complaint);
        }
    }

    /// Resolves at the next entry.
    pub(crate) async fn next(&self) {
        self.written.notified().await;
    }

    fn find(&self, seen: &mut u64, wanted: &impl Fn(&Entry) -> bool) -> Option<Entry> {
        let kept = self.lock();
        let first_new = kept.entries.partition_point(|entry| entry.seq <= *seen);
        *seen = kept.seq;
        kept.entries.range(first_new..).find(|entry| wanted(entry)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(route: &'static str, status: u16) -> Entry {
        Entry {
            seq: 0,
            at: Instant::now(),
            vendor: Vendor::Auth0,
            route,
            method: route.split(' ').next().unwrap_or_default().into(),
            path: "/".into(),
            status,
            outcome: Outcome::Answered,
            correlation: None,
            user_agent: None,
            in_batch: false,
            body: Bytes::new(),
        }
    }

    #[test]
    fn the_cap_drops_entries_but_no_counts() {
        let journal = Journal::new(2);
        for _ in 0..5 {
            journal.write(entry("PATCH /x", 200));
        }
        journal.write(entry("PATCH /x", 429));
        assert_eq!(journal.requests().len(), 2);
        assert_eq!(journal.count(Vendor::Auth0, "PATCH /x"), 6);
        assert_eq!(journal.writes(Vendor::Auth0), 5, "a refused write wrote nothing");
    }

    #[tokio::test]
    async fn waiting_ends_with_the_entry_or_at_the_deadline() {
        let journal = std::sync::Arc::new(Journal::new(10));
        let waiter = journal.clone();
        let waiting =
            tokio::spawn(async move { waiter.wait_for(|e| e.status == 202, Duration::from_secs(30)).await });
        journal.write(entry("GET /x", 200));
        journal.write(entry("POST /x", 202));
        assert_eq!(waiting.await.expect("no panic").map(|e| e.status), Some(202));
        assert!(journal.wait_for(|e| e.status == 500, Duration::ZERO).await.is_none());
    }
}
