//! Messages on the wire: the event's envelope as the body, and what we tell ourselves in the headers.
//!
//! A message is never changed on the broker: a delayed event is a new message that says when it is due and which
//! attempt it will be, published before the one it replaces is acknowledged.

use std::time::Duration;

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, BasicProperties};

use super::topology::{self, Names};
use crate::clock::Timestamp;
use crate::event::{EVENT_BYTES_MAX, Event};
use crate::queue::Body;

/// When it is due, in milliseconds since 1970.
const HEADER_DUE: &str = "lockstep-due";
const HEADER_ATTEMPT: &str = "lockstep-attempt";
/// Why the broker gave up on it; kept on a delayed copy, which would pass for an ordinary event otherwise.
const HEADER_GAVE_UP: &str = "lockstep-gave-up";
/// The broker's own count of returns (RabbitMQ, Quorum Queues, Poison Message Handling).
const HEADER_DELIVERY_COUNT: &str = "x-delivery-count";

/// What is kept of a body that cannot be an event: enough for a person to see what it is.
const BYTES_KEPT_MAX: usize = 4 * EVENT_BYTES_MAX;
const PERSISTENT: u8 = 2;

/// A message to publish.
pub(super) struct Message {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn new(names: &Names, event: &Event) -> Result<Message, crate::event::EnvelopeError> {
        Ok(Message {
            exchange: names.events(),
            routing_key: topology::routing_key(event.lane(), topology::partition(&event.about)),
            properties: properties(event.id.to_string().into(), event.received_at),
            body: event.to_envelope()?,
        })
    }
}

fn properties(message_id: ShortString, enqueued_at: Timestamp) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_message_id(message_id)
        .with_timestamp(u64::try_from(enqueued_at.as_second()).unwrap_or_default())
}

/// Names the reading of one queue on one connection that a message came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session(pub(super) u64);

/// Which queue of its lane a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Partition(usize),
    /// The queue of what the broker gave up on.
    Dead,
}

/// A message in our hand: unacknowledged, so that the broker gives it out again when the connection ends.
pub(super) struct Item {
    pub(super) session: Session,
    pub(super) origin: Origin,
    /// Its place in the order of arrival in this process.
    pub(super) order: u64,
    pub(super) attempt: u32,
    pub(super) due: Option<Timestamp>,
    pub(super) acker: Acker,
    pub(super) enqueued_at: Option<Timestamp>,
    gave_up: Option<String>,
    routing_key: ShortString,
    /// The event's id, unless a stranger sent it.
    pub(super) message_id: ShortString,
    bytes: Vec<u8>,
}

impl Item {
    /// Takes a delivery that came from `origin`.
    pub(super) fn new(delivery: Delivery, session: Session, origin: Origin, order: u64) -> Item {
        let Delivery { routing_key, properties, mut data, acker, .. } = delivery;
        let headers = properties.headers().clone().unwrap_or_default();
        data.truncate(BYTES_KEPT_MAX);
        Item {
            session,
            origin,
            order,
            attempt: integer(&headers, HEADER_ATTEMPT).and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            due: integer(&headers, HEADER_DUE).and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            acker,
            enqueued_at: properties
                .timestamp()
                .and_then(|seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok()),
            gave_up: match origin {
                Origin::Dead => Some(gave_up(&headers)),
                Origin::Partition(_) => string(&headers, HEADER_GAVE_UP),
            },
            routing_key,
            message_id: properties.message_id().clone().unwrap_or_default(),
            bytes: data,
        }
    }

    pub(super) fn body(&self) -> Body {
        let reason = match &self.gave_up {
            Some(reason) => reason.clone(),
            None => match Event::from_envelope(&self.bytes) {
                Ok(event) => return Body::Event(event),
                Err(error) => error.to_string(),
            },
        };
        Body::Unreadable { reason, bytes: self.bytes.clone() }
    }

    /// The copy that waits in the queue of `tier`, or that comes straight back when there is none.
    pub(super) fn delayed(&self, names: &Names, due: Timestamp, tier: Option<Duration>) -> Message {
        let mut headers = FieldTable::default();
        headers.insert(HEADER_DUE.into(), AMQPValue::LongLongInt(millisecond_after(due)));
        headers.insert(HEADER_ATTEMPT.into(), AMQPValue::LongLongInt(i64::from(self.attempt)));
        if let Some(reason) = &self.gave_up {
            headers.insert(HEADER_GAVE_UP.into(), topology::text(reason));
        }
        if let Some(tier) = tier {
            headers.insert(topology::HEADER_TIER.into(), topology::text(&topology::tier_name(tier)));
        }
        let enqueued_at = self.enqueued_at.unwrap_or_default();
        Message {
            exchange: if tier.is_some() { names.retry() } else { names.events() },
            routing_key: self.routing_key.clone(),
            properties: properties(self.message_id.clone(), enqueued_at).with_headers(headers),
            body: self.bytes.clone(),
        }
    }
}

/// Rounded up: "not before" must hold for what is read back.
fn millisecond_after(due: Timestamp) -> i64 {
    let whole = due.as_millisecond();
    whole + i64::from(Timestamp::from_millisecond(whole).is_ok_and(|floor| floor < due))
}

fn gave_up(headers: &FieldTable) -> String {
    let returns =
        integer(headers, HEADER_DELIVERY_COUNT).unwrap_or_else(|| i64::from(topology::DELIVERY_LIMIT));
    format!("the broker gave up after {} deliveries", returns.saturating_add(1))
}

/// Brokers and clients choose the width of an integer as they like.
fn integer(headers: &FieldTable, name: &str) -> Option<i64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(n) => Some(*n),
        AMQPValue::LongInt(n) => Some(i64::from(*n)),
        AMQPValue::LongUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortInt(n) => Some(i64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(i64::from(*n)),
        _ => None,
    }
}

fn string(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}
