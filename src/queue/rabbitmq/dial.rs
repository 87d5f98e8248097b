//! Connects to the next broker of the list until one answers, with back-off.
//!
//! The client library's own recovery is not used: it can end in silence, revive a dropped connection as the one active
//! consumer of a partition, and does not recover channels. A session here ends at its first error and a new one
//! is built from nothing.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use lapin::{Connection, ConnectionProperties};
use tokio::time::Instant;

use super::address::Address;
use crate::retry::BackOff;

/// The client library knows no connect timeout: a peer that accepts and stays silent would hold us for ever.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// An attempt cannot be called off: its thread waits for the peer. So the next attempt at that address goes on with it,
/// lest a broker that is frozen overnight costs a thread every few seconds. By this time the system has given up on a
/// peer that is gone.
const ATTEMPT_KEPT_MAX: Duration = Duration::from_secs(900);
const BACK_OFF: BackOff = BackOff { first: Duration::from_millis(200), most: Duration::from_secs(5) };

/// One address, and the attempt at it that has not ended yet.
struct Line {
    address: Address,
    attempt: Option<(Instant, BoxFuture<'static, lapin::Result<Connection>>)>,
}

/// How long a farewell may take before we leave without it.
pub(super) const CLOSE_WAIT_MAX: Duration = Duration::from_secs(2);

pub(super) struct Dialer {
    /// Shown in the broker's list of connections.
    name: &'static str,
    lines: Vec<Line>,
    next: usize,
    /// Attempts and sessions that failed since the last one that served.
    failures: u32,
}

impl Dialer {
    /// `addresses` is not empty.
    pub(super) fn new(name: &'static str, addresses: Vec<Address>) -> Dialer {
        let next = fastrand::usize(..addresses.len());
        let lines = addresses.into_iter().map(|address| Line { address, attempt: None }).collect();
        Dialer { name, lines, next, failures: 0 }
    }

    /// Dials until a broker answers, telling `failed` of each attempt that did not. Cancel-safe.
    pub(super) async fn connect(&mut self, mut failed: impl FnMut(String)) -> Connection {
        loop {
            if self.failures > 0 {
                tokio::time::sleep(BACK_OFF.delay(self.failures, fastrand::f64())).await;
            }
            let at = self.next;
            self.next = (self.next + 1) % self.lines.len();
            let line = &mut self.lines[at];
            let answer = line.dial(self.name).await;
            let address = &line.address;
            match answer {
                Ok(connection) => {
                    tracing::debug!(broker = %address, connection = self.name, "connected to the broker");
                    return connection;
                }
                Err(reason) => {
                    self.failures = self.failures.saturating_add(1);
                    failed(format!("{address}: {reason}"));
                }
            }
        }
    }

    /// The session on the last connection serves: the next loss starts with a short wait again.
    pub(super) fn served(&mut self) {
        self.failures = 0;
    }

    /// The session on the last connection ended.
    pub(super) fn lost(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

impl Line {
    async fn dial(&mut self, name: &str) -> Result<Connection, String> {
        let uri = self.address.uri();
        let (since, attempt) = self.attempt.get_or_insert_with(|| {
            let properties = ConnectionProperties::default().with_connection_name(name.into());
            (Instant::now(), Connection::connect_uri(uri, properties).boxed())
        });
        match tokio::time::timeout(CONNECT_WAIT_MAX, attempt).await {
            Ok(answer) => {
                self.attempt = None;
                answer.map_err(|error| error.to_string())
            }
            Err(_) => {
                if since.elapsed() > ATTEMPT_KEPT_MAX {
                    self.attempt = None;
                }
                Err(format!("no answer within {CONNECT_WAIT_MAX:?}"))
            }
        }
    }
}

/// Says goodbye, so that the broker takes back what we hold at once rather than after two missed heartbeats.
pub(super) async fn hang_up(connection: &Connection) {
    let farewell = connection.close(200, "goodbye".into());
    match tokio::time::timeout(CLOSE_WAIT_MAX, farewell).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the connection was gone already"),
        Err(_) => tracing::debug!("the broker did not answer the farewell"),
    }
}
