//! RabbitMQ on the bench, and what it promises beyond the trait.
//!
//! Needs a broker: `LOCKSTEP_TEST_AMQP_URL` names one (tests/run starts it), and without it every test here says that it
//! skips. Each test has a name prefix of its own and takes its queues away at the end. Tests that hurt the broker start
//! a node of their own with tests/servers/rabbitmq.

mod bad_days;
mod broker;
mod delays;
mod partitions;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lockstep::clock::SystemClock;
use lockstep::event::Event;
use lockstep::queue::rabbitmq::{RabbitMq, Settings};
use lockstep::queue::{Error, Queue};

use super::{Bench, within};
use broker::Scope;

super::hold_to_every_promise!(bench);

async fn bench() -> Option<Bench> {
    let scope = Arc::new(Scope::shared()?);
    let open = {
        let scope = scope.clone();
        move |in_hand_max| {
            let scope = scope.clone();
            async move {
                let queue: Arc<dyn Queue> = Arc::new(open(&scope, in_hand_max).await);
                queue
            }
            .boxed()
        }
    };
    let inject = {
        let scope = scope.clone();
        move |lane: lockstep::event::Lane, bytes: Vec<u8>| {
            let scope = scope.clone();
            async move { scope.publish("events", &format!("{lane}.0"), bytes).await }.boxed()
        }
    };
    Some(Bench { open: Box::new(open), inject: Box::new(inject), _keep: Box::new(scope) })
}

fn settings(scope: &Scope) -> Settings {
    Settings { urls: vec![scope.url().into()], prefix: scope.prefix().to_owned() }
}

/// Opens the queue and waits until it both takes and hands out.
async fn open(scope: &Scope, in_hand_max: usize) -> RabbitMq {
    let queue = RabbitMq::open(&settings(scope), in_hand_max, Arc::new(SystemClock)).unwrap();
    works(&queue).await;
    queue
}

async fn works(queue: &RabbitMq) {
    within("both connections", async {
        while queue.ready().await.is_err() || queue.depths().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Offers the event until the broker has it, as a sender would: one that has just come back to life may be slow to
/// confirm, and twice is harmless.
async fn takes(queue: &RabbitMq, event: Event) {
    within("a confirm", async {
        while let Err(error) = queue.enqueue(std::slice::from_ref(&event)).await {
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
