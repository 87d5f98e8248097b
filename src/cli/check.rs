//! `check`: read the whole configuration without contacting anybody, and say what holds.

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::{Format, Output};
use super::serve::Only;
use super::summary::Summary;
use crate::config::Mistakes;

/// Read the configuration offline: say what holds, or everything that is wrong with it
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the environment (and .env, and lockstep.toml) that `lockstep serve` would have. Contacts nobody.
Single keys of the policy can be overridden by LOCKSTEP__SECTION__KEY, lists of tables cannot.
Exit 0 when everything is right, 78 when something is wrong.

Examples:
  lockstep check
  lockstep check --json | jq .mistakes")]
pub struct Check {
    #[command(flatten)]
    only: Only,
}

#[derive(Debug, Serialize)]
struct Good {
    ok: bool,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Bad<'a> {
    ok: bool,
    mistakes: &'a Mistakes,
}

impl Check {
    pub fn run(self, output: &Output) -> Result<Exit, Failure> {
        let roles = self.only.roles();
        match crate::config::load(&super::environment(), &roles) {
            Ok(config) => {
                let summary = Summary::of(&config, &roles);
                let good = Good { ok: true, summary };
                output.data(&good, || good.summary.lines())?;
                Ok(Exit::Done)
            }
            Err(mistakes) if output.format() == Format::Json => {
                output.data(&Bad { ok: false, mistakes: &mistakes }, String::new)?;
                Ok(Exit::Configuration)
            }
            Err(mistakes) => Err(mistakes.into()),
        }
    }
}
