//! Clients of both vendors for commands that only read: what they are given cannot write.

use std::sync::Arc;

use super::exit::Failure;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, Role, Roles, Work};
use crate::event::Lane;
use crate::outbound::Deps;
use crate::telemetry::Metrics;
use crate::{auth0, entra};

/// The configuration of a worker, and what reads with it.
pub struct Vendors {
    pub config: Config,
    pub entra: entra::Reader,
    pub auth0: auth0::Reader,
    pub clock: SharedClock,
}

impl Vendors {
    pub fn of_environment() -> Result<Vendors, Failure> {
        let config = crate::config::load(&super::environment(), &Roles::only([Role::Worker]))?;
        let clock: SharedClock = Arc::new(SystemClock);
        let deps = Deps { clock: clock.clone(), metrics: Metrics::new() };
        let work = work(&config);
        let entra = entra::Client::new(&work.entra, &deps).map_err(Failure::other)?.reader(Lane::Sync);
        let auth0 = auth0::Client::new(&work.auth0, &deps).map_err(Failure::other)?.reader(Lane::Sync);
        Ok(Vendors { config, entra, auth0, clock })
    }
}

/// What a configuration loaded for a worker has.
pub fn work(config: &Config) -> &Work {
    config.work.as_ref().expect("the configuration was loaded for a worker")
}
