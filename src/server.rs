//! Two listeners: webhooks for the outside, and health, metrics and the API for operators.
//!
//! [`serve`] binds both and returns once they listen. A connection that sends no request head in time is closed, there
//! are never more than a fixed number of connections (the one that waits longest makes room), and at the end requests
//! in hand are finished within a grace time while nothing new is accepted. HTTP/1 only: TLS and HTTP/2 belong to the
//! proxy in front.
//!
//! The admin listener changes nothing by itself: what must happen is enqueued as an event, like a webhook's.

mod admin;
mod api;
mod connections;
mod files;
mod gauges;
mod health;
mod listener;
mod token;

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use admin::{AdminDeps, admin_router};
pub use token::AdminToken;

/// Connections of the outside at a time: senders keep few, a flood gets no more memory than this. More than the
/// webhooks' bodies, tokens that are being checked and requests in hand together (1024, 512 and four times 512), so that
/// there is one that can make room. Where fewer are held, there are fewer such bodies and tokens too.
const PUBLIC_CONNECTIONS_MAX: usize = 4096;
/// Connections of operators, probes and scrapers at a time.
const ADMIN_CONNECTIONS_MAX: usize = 256;

/// Where the two listeners are.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Where the token lies that the admin API asks for; written at start, readable by the owner only.
    pub admin_token_file: std::path::PathBuf,
}

/// Two listeners that listen.
#[derive(Debug)]
pub struct Running {
    /// The address that was bound; tells the port when 0 was asked for.
    pub public_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    /// Ends after `shutdown`, when every connection is closed or the grace time is over.
    pub join: JoinHandle<()>,
}

/// Binds both listeners and serves until `shutdown`. The admin listener outlives the public one, so that an
/// orderly end can be watched.
///
/// # Errors
/// When an address cannot be bound.
pub async fn serve(
    settings: &Settings,
    public: Router,
    admin: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<Running> {
    let (public_socket, public_addr) = bind("LOCKSTEP_LISTEN", settings.listen).await?;
    let (admin_socket, admin_addr) = bind("LOCKSTEP_ADMIN_LISTEN", settings.admin_listen).await?;
    let admin_shutdown = CancellationToken::new();
    let connections_max = connections_max();
    if connections_max < PUBLIC_CONNECTIONS_MAX {
        tracing::warn!(connections_max, "few open files are allowed (LimitNOFILE, ulimit -n)");
    }
    let public = listener::Listener { router: public, connections_max };
    let admin = listener::Listener { router: admin, connections_max: ADMIN_CONNECTIONS_MAX };
    let admin = tokio::spawn(admin.run(admin_socket, admin_shutdown.clone()));
    let join = tokio::spawn(async move {
        public.run(public_socket, shutdown).await;
        admin_shutdown.cancel();
        if let Err(error) = admin.await {
            tracing::error!(%error, "the admin listener ended badly");
        }
    });
    Ok(Running { public_addr, admin_addr, join })
}

/// Connections of the outside that are held at a time. Where few files are allowed, half of them are for what goes out
/// and what is stored.
pub fn connections_max() -> usize {
    PUBLIC_CONNECTIONS_MAX.min(files::allow_enough() / 2)
}

async fn bind(name: &'static str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let socket =
        TcpListener::bind(address).await.with_context(|| format!("{name}: cannot listen on {address}"))?;
    let bound = socket.local_addr().with_context(|| format!("{name}: {address} has no address"))?;
    Ok((socket, bound))
}
