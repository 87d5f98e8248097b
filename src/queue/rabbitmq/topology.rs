//! What exists on the broker, by name and argument (docs/queue.md draws it), and how a session makes sure of it.
//!
//! Arguments are compared by the broker on every declaration: changing one here means a new queue name. The same
//! arguments work on RabbitMQ 3.10 and on 4.x; what differs by default between them (the delivery limit) is explicit.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::event::{About, Lane};

/// Partitions of one lane. Fixed for ever: another number would move subjects between queues that still hold events.
pub(super) const PARTITIONS: usize = 8;

/// The waits of the retry queues, smallest first. Each is four times the one before: any delay is reached in at most
/// three hops per tier, and a queue whose messages all wait equally long expires in order (the broker looks at its
/// head only).
pub(super) const TIERS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(16),
    Duration::from_secs(64),
    Duration::from_secs(256),
];

/// Returns of one message before the broker sets it aside. High, because a crash returns everything that was in hand
/// and the innocent are counted with the poison; attempts are counted by us.
pub(super) const DELIVERY_LIMIT: i32 = 1000;
/// On the dead queue nothing may be dropped, but RabbitMQ 4 has a limit of 20 unless another is set.
const DEAD_DELIVERY_LIMIT: i32 = 1_000_000;

/// The header that picks the retry queue.
pub(super) const HEADER_TIER: &str = "lockstep-tier";

/// The partition of everything with this key, on every version of every program for ever.
pub(super) fn partition(about: &About) -> usize {
    let digest = Sha256::digest(about.key().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    (u64::from_be_bytes(first) % PARTITIONS as u64) as usize
}

pub(super) fn routing_key(lane: Lane, partition: usize) -> ShortString {
    format!("{lane}.{partition}").into()
}

/// The lane that a routing key of ours names.
pub(super) fn lane_of(routing_key: &str) -> Option<Lane> {
    let (word, _) = routing_key.split_once('.')?;
    Lane::ALL.into_iter().find(|lane| lane.word() == word)
}

pub(super) fn tier_name(tier: Duration) -> String {
    format!("{}s", tier.as_secs())
}

/// Every name, below the prefix of the installation.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// The longest prefix; with the longest of our suffixes far below the broker's 255 bytes.
    const PREFIX_CHARS_MAX: usize = 100;

    pub(super) fn new(prefix: &str) -> Result<Names, &'static str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match prefix.len() {
            1..=Self::PREFIX_CHARS_MAX if prefix.chars().all(plain) => {
                Ok(Names { prefix: prefix.to_owned() })
            }
            _ => Err("the prefix of queue names must be 1 to 100 letters, digits, '-', '_' or '.'"),
        }
    }

    /// Direct exchange: routing key `{lane}.{partition}` to the partition's queue.
    pub(super) fn events(&self) -> ShortString {
        format!("{}.events", self.prefix).into()
    }

    /// Headers exchange: [`HEADER_TIER`] to the tier's queue, so that the routing key stays the partition's.
    pub(super) fn retry(&self) -> ShortString {
        format!("{}.retry", self.prefix).into()
    }

    /// Fanout exchange and queue of what the broker gave up on.
    pub(super) fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    pub(super) fn work(&self, lane: Lane, partition: usize) -> ShortString {
        format!("{}.{lane}.{partition}", self.prefix).into()
    }

    fn tier(&self, tier: Duration) -> ShortString {
        format!("{}.retry.{}", self.prefix, tier_name(tier)).into()
    }

    fn exchanges(&self) -> [(ShortString, ExchangeKind); 3] {
        [
            (self.events(), ExchangeKind::Direct),
            (self.retry(), ExchangeKind::Headers),
            (self.dead(), ExchangeKind::Fanout),
        ]
    }

    fn queues(&self) -> Vec<Declared> {
        let mut queues = vec![self.dead_queue()];
        queues.extend(TIERS.map(|tier| self.tier_queue(tier)));
        for lane in Lane::ALL {
            queues.extend((0..PARTITIONS).map(|partition| self.work_queue(lane, partition)));
        }
        queues
    }

    fn work_queue(&self, lane: Lane, partition: usize) -> Declared {
        let mut arguments = safe_quorum_queue(&self.dead());
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
        Declared {
            queue: self.work(lane, partition),
            arguments,
            exchange: self.events(),
            routing_key: routing_key(lane, partition),
            binding: FieldTable::default(),
        }
    }

    fn tier_queue(&self, tier: Duration) -> Declared {
        let mut arguments = safe_quorum_queue(&self.events());
        let milliseconds = i64::try_from(tier.as_millis()).expect("a tier is minutes, not ages");
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(milliseconds));
        let mut binding = FieldTable::default();
        binding.insert("x-match".into(), text("all"));
        binding.insert(HEADER_TIER.into(), text(&tier_name(tier)));
        Declared {
            queue: self.tier(tier),
            arguments,
            exchange: self.retry(),
            routing_key: ShortString::default(),
            binding,
        }
    }

    fn dead_queue(&self) -> Declared {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DEAD_DELIVERY_LIMIT));
        Declared {
            queue: self.dead(),
            arguments,
            exchange: self.dead(),
            routing_key: ShortString::default(),
            binding: FieldTable::default(),
        }
    }
}

/// One queue and what routes to it.
struct Declared {
    queue: ShortString,
    arguments: FieldTable,
    exchange: ShortString,
    routing_key: ShortString,
    binding: FieldTable,
}

/// A replicated queue that hands on to `dead_letter_exchange` without a gap: at-least-once needs `reject-publish`
/// (RabbitMQ, Quorum Queues, at-least-once dead lettering; with `drop-head` it silently falls back).
fn safe_quorum_queue(dead_letter_exchange: &ShortString) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-dead-letter-exchange".into(), text(dead_letter_exchange.as_str()));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// How long looking may take. A broker that is just starting may leave a question to a queue unanswered for ever while
/// a fresh connection is answered at once, so patience is the wrong cure.
pub(super) const LOOK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long declaring may take; every new queue elects its leader first.
const DECLARE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How a session makes sure of the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ensure {
    /// Look first (which needs no permission to configure), declare only when something is missing.
    Look,
    /// Declare and bind everything: a message came back unroutable, and looking does not see bindings.
    Declare,
}

/// Makes sure that everything is there. An error is the sentence for the log.
pub(super) async fn ensure(connection: &Connection, names: &Names, how: Ensure) -> Result<(), String> {
    if how == Ensure::Look {
        match timeout(LOOK_WAIT_MAX, look(connection, names)).await {
            Ok(Err(error)) if is_not_found(&error) => {}
            Ok(result) => return result.map_err(|error| error.to_string()),
            Err(_) => return Err(format!("the broker did not find its queues within {LOOK_WAIT_MAX:?}")),
        }
    }
    match timeout(DECLARE_WAIT_MAX, declare(connection, names)).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the broker did not declare the queues within {DECLARE_WAIT_MAX:?}")),
    }
}

async fn look(connection: &Connection, names: &Names) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    for (exchange, kind) in names.exchanges() {
        let passive = ExchangeDeclareOptions { passive: true, durable: true, ..Default::default() };
        channel.exchange_declare(exchange, kind, passive, FieldTable::default()).await?;
    }
    for declared in names.queues() {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        channel.queue_declare(declared.queue, passive, FieldTable::default()).await?;
    }
    channel.close(200, "looked".into()).await
}

/// On a channel of its own: a 404 has closed the one that looked.
async fn declare(connection: &Connection, names: &Names) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    for (exchange, kind) in names.exchanges() {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare(exchange, kind, durable, FieldTable::default()).await?;
    }
    for d in names.queues() {
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(d.queue.clone(), durable, d.arguments).await?;
        channel
            .queue_bind(d.queue, d.exchange, d.routing_key, QueueBindOptions::default(), d.binding)
            .await?;
    }
    channel.close(200, "declared".into()).await
}

fn is_not_found(error: &lapin::Error) -> bool {
    const NOT_FOUND: u16 = 404;
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(e) if e.get_id() == NOT_FOUND)
}

/// Messages of a lane that wait ready on the broker; those in some process's hand are not among them.
pub(super) async fn ready_count(channel: &Channel, names: &Names, lane: Lane) -> Result<u64, lapin::Error> {
    let mut ready = 0;
    for partition in 0..PARTITIONS {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let queue =
            channel.queue_declare(names.work(lane, partition), passive, FieldTable::default()).await?;
        ready += u64::from(queue.message_count());
    }
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::{ObjectId, Subject, TenantId};

    #[test]
    fn a_subject_stays_in_its_partition_for_ever() {
        // Computed outside this program; a change would split the events of one person over two queues.
        let person = |n| {
            About::Person(Subject {
                tenant: TenantId(Uuid::from_u128(1)),
                object: ObjectId(Uuid::from_u128(n)),
            })
        };
        let partitions: Vec<usize> = (0..4).map(|n| partition(&person(n))).collect();
        assert_eq!(partitions, PINNED);
    }

    const PINNED: [usize; 4] = [1, 1, 7, 7];

    #[test]
    fn a_routing_key_names_its_lane() {
        for lane in Lane::ALL {
            assert_eq!(lane_of(routing_key(lane, 3).as_str()), Some(lane));
        }
        assert_eq!(lane_of("else.1"), None);
        assert_eq!(lane_of(""), None);
    }

    #[test]
    fn a_prefix_that_a_broker_would_mangle_is_refused() {
        assert!(Names::new("lockstep-eu.1").is_ok());
        for prefix in ["", "a b", "#", &"x".repeat(101)] {
            assert!(Names::new(prefix).is_err(), "{prefix}");
        }
    }
}
