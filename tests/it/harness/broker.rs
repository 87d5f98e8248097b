//! A name prefix on the shared RabbitMQ. What a story has declared there goes with it: a hundred stages of queues would
//! be more than one small broker holds.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex;

use super::node::Node;

/// How long the broker may take to forget a stage; what it has not forgotten then harms nobody.
const CLEAN_WITHIN: Duration = Duration::from_secs(20);

/// The retry queues, by the seconds that they delay.
const TIERS: [u32; 5] = [1, 4, 16, 64, 256];

/// Queues and exchanges below `prefix`; deleted on drop.
pub struct Scope {
    pub url: String,
    pub prefix: String,
    /// Of this stage alone.
    node: Option<Node>,
    /// To count with, made when it is first needed, and again when the broker was away.
    counting: Mutex<Option<(Connection, Channel)>>,
}

impl Scope {
    /// A prefix that nobody has, on the broker that `tests/run` has started; `None`, and said, without one.
    pub fn shared() -> Option<Scope> {
        let Ok(url) = std::env::var("LOCKSTEP_TEST_AMQP_URL") else {
            println!("skipped: LOCKSTEP_TEST_AMQP_URL names no RabbitMQ to tell this story on");
            return None;
        };
        let prefix = format!("story{}", uuid::Uuid::new_v4().simple());
        Some(Scope { url, prefix, node: None, counting: Mutex::default() })
    }

    /// On a node that may be hurt; `None`, and said, where there is no broker at all.
    pub fn private() -> Option<Scope> {
        let mut scope = Scope::shared()?;
        let node = Node::start();
        scope.url = node.url().to_owned();
        scope.node = Some(node);
        Some(scope)
    }

    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Events that wait in the retry queues.
    pub async fn delayed(&self) -> u32 {
        let mut counting = self.counting.lock().await;
        if !counting.as_ref().is_some_and(|(connection, _)| connection.status().connected()) {
            let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap();
            let channel = connection.create_channel().await.unwrap();
            *counting = Some((connection, channel));
        }
        let (_, channel) = counting.as_ref().expect("set above");
        let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let mut delayed = 0;
        for seconds in TIERS {
            let name = format!("{}.retry.{seconds}s", self.prefix).into();
            let queue = channel.queue_declare(name, passive, FieldTable::default()).await.unwrap();
            delayed += queue.message_count();
        }
        delayed
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // A private node goes as a whole.
        if self.node.is_some() {
            return;
        }
        let (url, prefix) = (self.url.clone(), self.prefix.clone());
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let cleaned = async { tokio::time::timeout(CLEAN_WITHIN, clean(url, prefix)).await };
            // What the broker says matters to nobody any more.
            let _ = runtime.block_on(cleaned);
        });
        let _ = cleaning.join();
    }
}

async fn clean(url: String, prefix: String) {
    let Ok(connection) = Connection::connect(&url, ConnectionProperties::default()).await else { return };
    let Ok(channel) = connection.create_channel().await else { return };
    let lanes =
        ["contain", "sync", "bulk"].iter().flat_map(|lane| (0..8).map(move |n| format!("{lane}.{n}")));
    let tiers = TIERS.iter().map(|seconds| format!("retry.{seconds}s"));
    for queue in lanes.chain(tiers).chain(["dead".to_owned()]) {
        let name = format!("{prefix}.{queue}").into();
        let _ = channel.queue_delete(name, QueueDeleteOptions::default()).await;
    }
    for exchange in ["events", "retry", "dead"] {
        let name = format!("{prefix}.{exchange}").into();
        let _ = channel.exchange_delete(name, ExchangeDeleteOptions::default()).await;
    }
    let _ = connection.close(200, "done".into()).await;
}
