//! Brokers for tests: the shared one, private nodes that may be hurt, and raw access behind our own client's back.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, ExchangeDeleteOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use uuid::Uuid;

use crate::harness::node::Node;

/// A name prefix on a broker; its queues and exchanges go when it is dropped.
pub(super) struct Scope {
    url: String,
    prefix: String,
    /// Where a private node lives; dropped after the scope has been cleaned.
    node: Option<Node>,
}

impl Scope {
    /// On the broker that tests/run has started.
    pub(super) fn shared() -> Option<Scope> {
        let Ok(url) = std::env::var("LOCKSTEP_TEST_AMQP_URL") else {
            println!("skipped: LOCKSTEP_TEST_AMQP_URL names no RabbitMQ (tests/run starts one)");
            return None;
        };
        Some(Scope { url, prefix: format!("test-{}", Uuid::now_v7()), node: None })
    }

    /// On a node of its own, that may be killed, frozen and starved.
    pub(super) fn private() -> Option<Scope> {
        let mut scope = Scope::shared()?;
        let node = Node::start();
        scope.url = node.url().to_owned();
        scope.node = Some(node);
        Some(scope)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().expect("the test asked for a private node")
    }

    pub(super) async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// Publishes as a stranger would, to `{prefix}.{exchange}`.
    pub(super) async fn publish(&self, exchange: &str, routing_key: &str, bytes: Vec<u8>) {
        let (connection, channel) = self.channel().await;
        channel.confirm_select(Default::default()).await.unwrap();
        let exchange = format!("{}.{exchange}", self.prefix).into();
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirm =
            channel.basic_publish(exchange, routing_key.into(), options, &bytes, BasicProperties::default());
        let confirmation = confirm.await.unwrap().await.unwrap();
        assert!(confirmation.is_ack() && confirmation.take_message().is_none());
        connection.close(200, "done".into()).await.unwrap();
    }

    /// Takes the one message of `{prefix}.{queue}` and returns it until it comes no more; answers how often it came.
    pub(super) async fn return_until_gone(&self, queue: &str) -> usize {
        let (connection, channel) = self.channel().await;
        let name = format!("{}.{queue}", self.prefix).into();
        let options = BasicConsumeOptions::default();
        let mut consumer =
            channel.basic_consume(name, "".into(), options, FieldTable::default()).await.unwrap();
        let mut came = 0;
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(3), consumer.next()).await {
            came += 1;
            let requeue = BasicNackOptions { requeue: true, ..Default::default() };
            delivery.unwrap().nack(requeue).await.unwrap();
        }
        connection.close(200, "done".into()).await.unwrap();
        came
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
}

impl Drop for Scope {
    fn drop(&mut self) {
        // A private node goes as a whole.
        if self.node.is_some() {
            return;
        }
        let (url, prefix) = (self.url.clone(), self.prefix.clone());
        let cleaning = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let patience = Duration::from_secs(20);
            let _ =
                runtime.block_on(async { tokio::time::timeout(patience, Self::clean(url, prefix)).await });
        });
        let _ = cleaning.join();
    }
}
