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
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connections::{Connection, Connections};

/// From an open (or idle) connection to a whole request head. Ends slow senders and forgotten connections.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// The head of one request, and the piece in which bodies are read. Entra's tokens are the longest honest header. What a
/// connection may make us hold: 128 MiB for 4096 of them.
const BUFFER_BYTES_MAX: usize = 32 * 1024;
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
        let tasks = TaskTracker::new();
        let cut_off = CancellationToken::new();
        let connections = Connections::new(self.connections_max);
        let next = async || {
            let stream = accept(&socket, &connections).await;
            (stream, connections.admit(&cut_off).await)
        };
        while let Some((stream, open)) = shutdown.run_until_cancelled(next()).await {
            let work = attend(stream, self.router.clone(), open.connection().clone(), shutdown.clone());
            tasks.spawn(async move { open.run(work).await });
        }
        drop(socket);
        tasks.close();
        if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "connections were cut off: they outlived the grace time"
            );
            cut_off.cancel();
            tasks.wait().await;
        }
    }
}

async fn accept(socket: &TcpListener, connections: &Connections) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Most likely for want of file handles, which others need too.
                connections.cut_off_one();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, router: Router, connection: Arc<Connection>, shutdown: CancellationToken) {
    // Answers are one small packet each; waiting to fill it only adds latency. Where it cannot be set, so be it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (connection, answer) = (connection.clone(), router.clone().call(request));
        async move { connection.serve(answer).await }
    });
    // After `shutdown` the request in hand is the last. How a connection ends is its sender's business.
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = pin!(http);
    if shutdown.run_until_cancelled(http.as_mut()).await.is_none() {
        http.as_mut().graceful_shutdown();
        let _ = http.await;
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A listener with a route that answers at once, and one that answers when it is told to.
    async fn listen(connections_max: usize) -> (std::net::SocketAddr, Arc<Notify>) {
        let go = Arc::new(Notify::new());
        let told = go.clone();
        let slow = async move || {
            told.notified().await;
            "slow"
        };
        let router = Router::new().route("/", get("quick")).route("/slow", get(slow));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(Listener { router, connections_max }.run(socket, CancellationToken::new()));
        (address, go)
    }

    async fn ask(address: std::net::SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    async fn answer(stream: &mut TcpStream, end: &str) {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let more = tokio::time::timeout(PATIENCE, stream.read_buf(&mut read)).await;
            assert_ne!(more.expect("no answer came").unwrap(), 0, "the connection was closed");
        }
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 64])).await;
        read.is_ok_and(|read| read.is_err() || read.is_ok_and(|bytes| bytes == 0))
    }

    #[tokio::test]
    async fn silent_connections_do_not_keep_an_honest_one_out() {
        let (address, _) = listen(8).await;
        let mut silent = Vec::new();
        for _ in 0..12 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
            silent.push(stream);
        }
        answer(&mut ask(address, "/").await, "quick").await;
        assert!(is_closed(&mut silent[0]).await, "the oldest makes room");
    }

    #[tokio::test]
    async fn a_request_in_hand_is_never_cut_off_and_its_connection_is_young_again_afterwards() {
        let (address, go) = listen(3).await;
        let mut working = ask(address, "/slow").await;
        let mut silent =
            [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let mut answered = Vec::new();
        for _ in 0..6 {
            let mut stream = ask(address, "/").await;
            answer(&mut stream, "quick").await;
            answered.push(stream);
        }
        assert!(is_closed(&mut silent[0]).await && is_closed(&mut silent[1]).await);
        go.notify_one();
        answer(&mut working, "slow").await;
        // The two that were answered before it wait longer.
        answer(&mut ask(address, "/").await, "quick").await;
        assert!(is_closed(&mut answered[4]).await);
        working.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        answer(&mut working, "quick").await;
    }

    #[tokio::test]
    async fn when_every_connection_has_a_request_in_hand_the_next_waits_for_one_to_end() {
        let (address, go) = listen(2).await;
        let mut working = [ask(address, "/slow").await, ask(address, "/slow").await];
        let mut next = ask(address, "/").await;
        let early = tokio::time::timeout(Duration::from_millis(200), next.read(&mut [0; 64])).await;
        assert!(early.is_err(), "nobody was to be cut off");
        go.notify_one();
        answer(&mut next, "quick").await;
        go.notify_one();
        for stream in &mut working {
            answer(stream, "slow").await;
        }
    }

    #[tokio::test]
    async fn whoever_does_not_read_our_answers_makes_room_too() {
        let (address, _) = listen(1).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        let requests = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4096);
        // Until neither side's buffers take any more.
        while tokio::time::timeout(Duration::from_millis(300), deaf.write_all(&requests)).await.is_ok() {}
        answer(&mut ask(address, "/").await, "quick").await;
    }
}
