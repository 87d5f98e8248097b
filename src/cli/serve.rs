//! `serve`: run the service, after saying what it is about to be.

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::summary::Summary;
use crate::config::{Config, Role, Roles};
use crate::retry::WhatNow;
use crate::telemetry::logging::{self, Format};

/// Run the service until SIGTERM or SIGINT
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the environment (and .env, and lockstep.toml): see docs/configuration.md, and `lockstep check`.
Nothing is written to Auth0 unless LOCKSTEP_MODE=enforce.

Examples:
  lockstep serve
  lockstep serve --only ingest      only take webhooks in; workers run elsewhere, on the same queue")]
pub struct Serve {
    #[command(flatten)]
    only: Only,
}

/// `--only`, for commands that depend on the roles.
#[derive(Debug, Args)]
pub struct Only {
    /// Only these roles, separated by commas; all unless given
    #[arg(long, value_name = "ROLES", value_delimiter = ',', value_enum)]
    only: Vec<RoleWord>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleWord {
    /// Take webhooks in, and the admin API
    Ingest,
    /// Work on events
    Worker,
    /// Keep subscriptions and sweep the directory; one of several processes does it at a time
    Scheduler,
}

impl Only {
    pub fn roles(&self) -> Roles {
        Roles::only(self.only.iter().map(|word| match word {
            RoleWord::Ingest => Role::Ingest,
            RoleWord::Worker => Role::Worker,
            RoleWord::Scheduler => Role::Scheduler,
        }))
    }
}

impl Serve {
    pub async fn run(self) -> Result<Exit, Failure> {
        let roles = self.only.roles();
        let config = crate::config::load(&super::environment(), &roles)?;
        announce(&config, &roles);
        logging::start(config.log.format, &config.log.filter)?;
        crate::app::run(config).await.map_err(failure)?;
        Ok(Exit::Done)
    }
}

/// On stderr, where the logs go, and in their format.
fn announce(config: &Config, roles: &Roles) {
    let summary = Summary::of(config, roles);
    let text = match config.log.format {
        Format::Text => summary.lines(),
        Format::Json => {
            let starts =
                serde_json::json!({ "level": "INFO", "message": "lockstep starts", "settings": summary });
            starts.to_string()
        }
    };
    super::output::Output::new(super::output::Format::People).say(text);
}

/// A queue or store that is away is worth a restart in a while; anything else is for a person.
fn failure(error: anyhow::Error) -> Failure {
    let queue = error.chain().filter_map(|cause| cause.downcast_ref::<crate::queue::Error>());
    let store = error.chain().filter_map(|cause| cause.downcast_ref::<crate::store::Error>());
    let mut answers = queue.map(|e| e.what_now()).chain(store.map(|e| e.what_now()));
    if answers.any(|now| matches!(now, WhatNow::BackOff | WhatNow::RetryAt(_))) {
        return Failure::TryLater(error);
    }
    Failure::Other(error)
}
