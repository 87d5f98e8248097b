//! The queue: validated events, durable before "yes", in lanes, with delayed retry.
//!
//! Two implementations keep the same promises (`tests/it/conformance/queue.rs` holds both to them):
//! * [`Queue::enqueue`] returns `Ok` only when every event is on disk (embedded: fsync; RabbitMQ: publisher confirm by
//!   the quorum). After an `Err` the outcome is unknown: the sender comes again, and twice is harmless.
//! * Events with the same [`crate::event::About::key`] come out of [`Queue::lease`] in the order they went in, as long
//!   as none of them was put back. Others may overtake them.
//! * A delivery that is not settled comes again after a restart. Leases do not expire while the process lives.
//! * A process that never leases takes nothing from those that do.
//! * At most [`Settings::in_hand_max`] deliveries of a lane are leased and unsettled at a time; `lease` waits.
//!
//! All methods may be called from many tasks at once. Giving up, collapsing events of one subject and dead letters are
//! the worker's; the queue only carries.

pub mod embedded;
pub mod rabbitmq;

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::event::{Event, Lane};
use crate::retry::WhatNow;

#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Stores the events durably, each in its own lane.
    async fn enqueue(&self, events: &[Event]) -> Result<(), Error>;

    /// Waits for the next delivery of `lane`. Cancel-safe: a dropped call loses no delivery.
    async fn lease(&self, lane: Lane) -> Result<Delivery, Error>;

    /// Ends a lease. `Ok` for [`Settlement::Later`] means that the delayed event is durable.
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error>;

    /// How much waits, per lane.
    async fn depths(&self) -> Result<BTreeMap<Lane, Depth>, Error>;

    /// Whether an enqueue would succeed now, as far as can be told without one.
    async fn ready(&self) -> Result<(), Error>;

    /// Stops leasing and puts back what is in hand; for an orderly shutdown.
    async fn close(&self);
}

/// What every queue is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub backend: Backend,
    /// Deliveries of one lane that may be leased and unsettled at a time.
    pub in_hand_max: usize,
}

/// Deliveries of one lane in hand, unless set otherwise: enough to keep the workers busy, few enough to hand back.
pub const IN_HAND_MAX: usize = 256;

#[derive(Debug, Clone)]
pub enum Backend {
    Embedded(embedded::Settings),
    RabbitMq(rabbitmq::Settings),
}

/// One arrival of an event at a worker.
#[derive(Debug)]
pub struct Delivery {
    pub receipt: Receipt,
    /// 1 on the first delivery; what [`Settlement::Later`] said afterwards.
    pub attempt: u32,
    pub body: Body,
}

#[derive(Debug)]
pub enum Body {
    Event(Event),
    /// What lies on the queue is no event that this program can read, or the broker gave up on it.
    Unreadable {
        reason: String,
        bytes: Vec<u8>,
    },
}

/// Names a lease to the queue that gave it. Not reusable.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt {
    pub lane: Lane,
    pub id: u64,
}

/// How a lease ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Handled (or written down as a dead letter): gone for good.
    Done,
    /// Come again not before `at`, as attempt `attempt`.
    Later { at: Timestamp, attempt: u32 },
    /// Untouched: come again as soon as somebody leases.
    Return,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Waiting, leased and delayed events; delayed ones may be left out where the broker does not tell.
    pub events: u64,
    /// When the oldest waiting event was enqueued, where that is known.
    pub oldest: Option<Timestamp>,
}

/// Why the queue could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the queue is full or its disk is: {0}")]
    Full(String),
    #[error("the queue cannot be reached: {0}")]
    Unavailable(String),
    #[error("the queue refused the event: {0}")]
    Refused(String),
    #[error("the queue is closed")]
    Closed,
}

impl Error {
    pub fn what_now(&self) -> WhatNow {
        match self {
            Error::Full(_) | Error::Unavailable(_) | Error::Closed => WhatNow::BackOff,
            Error::Refused(_) => WhatNow::GiveUp,
        }
    }
}
