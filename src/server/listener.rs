//! Accepts connections and serves HTTP/1 on each, within limits of number and time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// From an open (or idle) connection to a whole request head. Ends slow senders and forgotten connections.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// The head of one request, and the piece in which bodies are read. Entra's tokens are the longest honest header.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// What a request in hand may still take after shutdown was asked for: a little more than the slowest route's limit.
const GRACE: Duration = Duration::from_secs(11);
/// After `accept` failed (no file handles left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Listener {
    pub(super) router: Router,
    pub(super) connections_max: usize,
}

impl Listener {
    /// Runs until `shutdown`, then until the connections are done or [`GRACE`] is over.
    pub(super) async fn run(self, socket: TcpListener, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        let cut_off = CancellationToken::new();
        let places = Arc::new(Semaphore::new(self.connections_max));
        while let Some((stream, place)) = shutdown.run_until_cancelled(accept(&socket, &places)).await {
            let work = attend(stream, self.router.clone(), shutdown.clone());
            let cut_off = cut_off.clone();
            connections.spawn(async move {
                cut_off.run_until_cancelled(work).await;
                drop(place);
            });
        }
        drop(socket);
        connections.close();
        if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "connections were cut off: they outlived the grace time"
            );
            cut_off.cancel();
            connections.wait().await;
        }
    }
}

async fn accept(
    socket: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Answers are one small packet each; waiting to fill it only adds latency. Where it cannot be set, so be it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| router.clone().call(request));
    // After `shutdown` the request in hand is the last. How a connection ends is its sender's business.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    if shutdown.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}
