//! What RabbitMQ can do: a private broker, and confirmed publishes on it with nothing around them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/rabbitmq");
const PARTITIONS: usize = 8;
const PERSISTENT: u8 = 2;

/// A private broker; stopped when dropped.
pub struct Broker {
    dir: PathBuf,
    pub url: String,
}

impl Broker {
    /// `None`, with the reason, when RabbitMQ is not installed.
    pub fn start(dir: &Path) -> anyhow::Result<Result<Broker, String>> {
        let Output { status, stdout, stderr } = Command::new(SCRIPT).arg("start").arg(dir).output()?;
        if !status.success() {
            let reason = String::from_utf8_lossy(&stderr).trim().to_owned();
            return if reason.contains("no RabbitMQ in") { Ok(Err(reason)) } else { bail!("{reason}") };
        }
        let mut broker = Broker { dir: dir.to_owned(), url: String::new() };
        let text = String::from_utf8(stdout)?;
        let url = text.lines().find_map(|line| line.strip_prefix("export LOCKSTEP_TEST_AMQP_URL="));
        broker.url = url.context("the broker does not say where it is")?.to_owned();
        Ok(Ok(broker))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A broker that does not stop is said by the script.
        let _ = Command::new(SCRIPT).arg("stop").arg(&self.dir).status();
    }
}

/// A connection of the benchmark's own, with a queue like Lockstep's.
pub struct Bare {
    connection: Connection,
    queue: ShortString,
}

impl Bare {
    /// Declares a durable quorum queue with the arguments of Lockstep's own (src/queue/rabbitmq/topology.rs).
    pub async fn open(url: &str) -> anyhow::Result<Bare> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let queue: ShortString = "bench.raw".into();
        let mut arguments = FieldTable::default();
        let text = |value: &str| AMQPValue::LongString(value.into());
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments.insert("x-dead-letter-exchange".into(), text("bench.dead"));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1000));
        let channel = connection.create_channel().await?;
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.clone(), durable, arguments).await?;
        Ok(Bare { connection, queue })
    }

    /// Confirmed, mandatory, persistent publishes per second, `window` in flight, over about `time`. Leaves an
    /// empty queue.
    pub async fn publishes_per_second(
        &self,
        body: &[u8],
        window: usize,
        time: Duration,
    ) -> anyhow::Result<f64> {
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let start = Instant::now();
        let (mut in_flight, mut confirmed) = (FuturesUnordered::new(), 0u64);
        for _ in 0..window {
            in_flight.push(publish(&channel, &self.queue, body));
        }
        while let Some(confirmation) = in_flight.next().await {
            ensure!(matches!(confirmation?, Confirmation::Ack(None)), "a publish was not confirmed");
            confirmed += 1;
            if start.elapsed() < time {
                in_flight.push(publish(&channel, &self.queue, body));
            }
        }
        let took = start.elapsed();
        channel.queue_purge(self.queue.clone(), QueuePurgeOptions::default()).await?;
        channel.close(200, "measured".into()).await?;
        Ok(confirmed as f64 / took.as_secs_f64())
    }

    /// Empties Lockstep's queues of a lane; how many events there were.
    pub async fn purge_lane(&self, prefix: &str, lane: &str) -> anyhow::Result<u32> {
        let channel = self.connection.create_channel().await?;
        let mut purged = 0;
        for partition in 0..PARTITIONS {
            let queue = format!("{prefix}.{lane}.{partition}");
            purged += channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
        }
        channel.close(200, "purged".into()).await?;
        Ok(purged)
    }

    pub async fn close(self) -> anyhow::Result<()> {
        let channel = self.connection.create_channel().await?;
        channel.queue_delete(self.queue, QueueDeleteOptions::default()).await?;
        Ok(self.connection.close(200, "measured".into()).await?)
    }
}

async fn publish(channel: &Channel, queue: &ShortString, body: &[u8]) -> Result<Confirmation, lapin::Error> {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    channel.basic_publish(ShortString::default(), queue.clone(), options, body, properties).await?.await
}
