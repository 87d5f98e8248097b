//! `healthcheck`: ask the server on this machine whether it is ready; for container health checks.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::admin;
use super::exit::{Exit, Failure};
use super::output::Output;

/// Container health checks give up after a few seconds; this one does so first and says why.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Ask the server on this machine whether it is ready (queue and store can be used)
#[derive(Debug, Args)]
#[command(after_help = "\
Needs LOCKSTEP_ADMIN_LISTEN as the server has it. Exit 0 when ready, 1 when not.

Example:
  HEALTHCHECK CMD [\"lockstep\", \"healthcheck\"]")]
pub struct Healthcheck {}

#[derive(Debug, Serialize)]
struct Health {
    ready: bool,
    why: String,
}

impl Healthcheck {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let address = admin::reachable(super::local()?.server.admin_listen);
        let asked = admin::client()?.get(format!("http://{address}/readyz")).timeout(TIMEOUT).send().await;
        let health = match asked {
            Ok(response) if response.status().is_success() => Health { ready: true, why: "ready".to_owned() },
            Ok(response) => Health { ready: false, why: format!("not ready: {}", response.status()) },
            Err(_) => Health { ready: false, why: format!("{address} does not answer") },
        };
        output.data(&health, || health.why.clone())?;
        Ok(if health.ready { Exit::Done } else { Exit::Error })
    }
}
