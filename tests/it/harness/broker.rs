//! A name prefix on the shared RabbitMQ. What a story has declared there goes with it: a hundred stages of queues would
//! be more than one small broker holds.

use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};

/// How long the broker may take to forget a stage; what it has not forgotten then harms nobody.
const CLEAN_WITHIN: Duration = Duration::from_secs(20);

/// Queues and exchanges below `prefix`; deleted on drop.
pub struct Scope {
    pub url: String,
    pub prefix: String,
}

impl Scope {
    /// A prefix that nobody has, on the broker that `tests/run` has started; `None`, and said, without one.
    pub fn shared() -> Option<Scope> {
        let Ok(url) = std::env::var("LOCKSTEP_TEST_AMQP_URL") else {
            println!("skipped: LOCKSTEP_TEST_AMQP_URL names no RabbitMQ to tell this story on");
            return None;
        };
        Some(Scope { url, prefix: format!("story{}", uuid::Uuid::new_v4().simple()) })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
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
    let tiers = [1, 4, 16, 64, 256].iter().map(|seconds| format!("retry.{seconds}s"));
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
