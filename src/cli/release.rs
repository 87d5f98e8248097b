//! `release`: give back what a case took.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::admin::Admin;
use super::ask::Consent;
use super::cases;
use super::exit::{Exit, Failure};
use super::output::{Output, plain};
use super::wait::{Awaited, Ended, Which, wait};
use super::{records, words};
use crate::case::{CaseId, CaseState};
use crate::event::EventId;

/// Release a case: unblock the accounts that Lockstep blocked, and no others
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the running server, and its data directory for the token.
Sessions that were ended do not come back; the person signs in again.

Examples:
  lockstep cases --open
  lockstep release case_0192f3c4a5b67c8d9e0f112233445566 --reason \"false alarm\" --wait")]
pub struct Release {
    /// The case, as `lockstep cases` shows it
    #[arg(value_name = "CASE")]
    case: CaseId,
    /// Why, for the audit and for the people who are told
    #[arg(long, value_parser = words::reason)]
    reason: String,
    /// Wait until the case is released; exit 75 when it is not in time
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value_t = 120,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    reason: &'a str,
    by: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Accepted {
    event: EventId,
}

impl Release {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let local = super::local()?;
        let store = records::open(&local)?;
        let case = store.case(self.case).await?.ok_or_else(|| anyhow!("there is no {}", self.case))?;
        if case.state == CaseState::Released {
            output.say("released already");
            output.data(&case, || cases::details(&case))?;
            return Ok(Exit::Done);
        }
        let admin = Admin::of(&local)?;
        output.say(cases::headline(&case));
        self.consent.obtain(&format!("Release {}?", self.case))?;
        let request = Request { reason: &self.reason, by: words::who() };
        let accepted: Accepted =
            admin.post(&format!("/api/v1/cases/{}/release", self.case), &request).await?;
        if !self.wait {
            output.say("accepted");
            output.data(&accepted, || self.case.to_string())?;
            return Ok(Exit::Done);
        }
        let awaited = Awaited {
            event: accepted.event,
            which: Which::Case(self.case),
            state: CaseState::Released,
            patience: Some(Duration::from_secs(self.timeout)),
        };
        told(output, wait(store.as_ref(), awaited).await?)
    }
}

fn told(output: &Output, ended: Ended) -> Result<Exit, Failure> {
    match ended {
        Ended::Reached(case) => {
            output.data(&case, || cases::details(&case))?;
            Ok(Exit::Done)
        }
        Ended::Elsewhere(case) => {
            output.data(&case, || cases::details(&case))?;
            Err(Failure::Other(anyhow!("there is nothing to release: the case is {}", case.state.word())))
        }
        Ended::TimeUp(case) => {
            let state = case.map_or("not found", |case| case.state.word());
            let hint = "`lockstep cases CASE` shows what it waits for; in observe mode nothing is released";
            Err(Failure::TryLater(anyhow!(
                "accepted, but the case is {state} and not released in time: {hint}"
            )))
        }
        Ended::Dead(reason) => Err(Failure::Other(anyhow!("the event is a dead letter: {}", plain(&reason)))),
    }
}
