//! What HTTP itself costs: axum with one route that reads the body, does nothing with it and answers. No server on this
//! stack, on these cores and under this load, can be faster.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::runtime::Runtime;

/// Ends when it is dropped.
pub struct Listener {
    pub address: SocketAddr,
    /// With as many threads as the program has.
    _runtime: Runtime,
}

impl Listener {
    /// Answers requests to `path` as a door answers an alert that it has stored.
    pub fn start(path: &str) -> anyhow::Result<Listener> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let router = Router::new().route(path, post(accept));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Listener { address, _runtime: runtime })
    }
}

async fn accept(_body: Bytes) -> StatusCode {
    StatusCode::ACCEPTED
}
