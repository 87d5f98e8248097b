//! Load on one listener, from one thread: as fast as it goes, or at a fixed rate.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::connection::Connection;
use crate::requests::Requests;

/// Requests that are in flight at a time.
pub const CONCURRENCY: usize = 64;
/// Waits are recorded up to this; a longer one counts as this long.
const WAIT_MAX: Duration = Duration::from_secs(60);
const ACCEPTED: u16 = 202;

/// Sends everything, each connection its next request when the last was answered, until `time_max`. How many were
/// accepted, and how many per second.
pub fn flat_out(to: SocketAddr, requests: Requests, time_max: Duration) -> anyhow::Result<(u64, f64)> {
    let requests = Rc::new(requests);
    let next = Rc::new(Cell::new(0));
    on_one_thread(async move {
        let connections = open_all(to).await?;
        let start = Instant::now();
        let tasks = connections.into_iter().map(|mut connection| {
            let (requests, next) = (requests.clone(), next.clone());
            async move {
                let mut accepted = 0u64;
                while start.elapsed() < time_max {
                    let Some(index) = take(&next, &requests) else { break };
                    let status = connection.exchange(requests.get(index)).await?;
                    ensure!(status == ACCEPTED, "an alert was answered with {status}");
                    accepted += 1;
                }
                Ok(accepted)
            }
        });
        let accepted: u64 = all(tasks).await?.into_iter().sum();
        Ok((accepted, accepted as f64 / start.elapsed().as_secs_f64()))
    })
}

/// Sends everything at a fixed rate, whatever the answers do. Waits are counted from the moment at which a request was
/// due and not from when a connection was free for it, so that a stall counts for everybody whom it delayed.
pub fn at_rate(to: SocketAddr, requests: Requests, per_second: f64) -> anyhow::Result<Histogram<u64>> {
    let requests = Rc::new(requests);
    let next = Rc::new(Cell::new(0));
    on_one_thread(async move {
        let connections = open_all(to).await?;
        let start = Instant::now() + Duration::from_millis(50);
        let tasks = connections.into_iter().map(|mut connection| {
            let (requests, next) = (requests.clone(), next.clone());
            async move {
                let mut waits = new_histogram()?;
                while let Some(index) = take(&next, &requests) {
                    let due = start + Duration::from_secs_f64(index as f64 / per_second);
                    tokio::time::sleep_until(due.into()).await;
                    let status = connection.exchange(requests.get(index)).await?;
                    ensure!(status == ACCEPTED, "an alert was answered with {status}");
                    record(&mut waits, due.elapsed());
                }
                Ok(waits)
            }
        });
        let mut waits = new_histogram()?;
        for one in all(tasks).await? {
            waits.add(one)?;
        }
        Ok(waits)
    })
}

/// Microseconds, three digits.
pub fn new_histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_max(WAIT_MAX.as_micros() as u64, 3).context("a histogram of waits")
}

pub fn record(waits: &mut Histogram<u64>, wait: Duration) {
    waits.saturating_record(wait.as_micros() as u64);
}

/// A quantile in milliseconds.
pub fn quantile_ms(waits: &Histogram<u64>, quantile: f64) -> f64 {
    waits.value_at_quantile(quantile) as f64 / 1000.0
}

fn take(next: &Cell<usize>, requests: &Requests) -> Option<usize> {
    let index = next.get();
    next.set(index + 1);
    (index < requests.len()).then_some(index)
}

async fn open_all(to: SocketAddr) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(CONCURRENCY);
    for _ in 0..CONCURRENCY {
        connections.push(Connection::open(to).await?);
    }
    Ok(connections)
}

async fn all<T: 'static>(
    tasks: impl Iterator<Item = impl Future<Output = anyhow::Result<T>> + 'static>,
) -> anyhow::Result<Vec<T>> {
    let tasks: Vec<_> = tasks.map(tokio::task::spawn_local).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await??);
    }
    Ok(results)
}

fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}
