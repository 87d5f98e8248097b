//! `release`: give back what a case took.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::admin::Admin;
use super::ask::Consent;
use super::cases;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::unrecorded::{Standing, Unrecorded};
use super::wait::{self, Awaited, Ended, Unfinished, Which, wait};
use super::{records, words};
use crate::case::{CaseId, CaseState};
use crate::config::Local;
use crate::event::EventId;
use crate::store::Store;

const WAITS_FOR_THE_RECORD: &str =
    "Nobody is let in without a record: once the store has room, the release goes on by itself.";

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
        let standing = find(store.as_ref(), &local, self.case).await?;
        if standing.case.state == CaseState::Released {
            output.say("released already");
            output.data(&standing, || cases::details(&standing.case))?;
            return Ok(Exit::Done);
        }
        let admin = Admin::of(&local)?;
        output.say(cases::headline(&standing.case));
        if standing.unrecorded_since.is_some() {
            standing.warn(output);
            output.say(WAITS_FOR_THE_RECORD);
        }
        self.consent.obtain(&format!("Release {}?", self.case))?;
        let request = Request { reason: &self.reason, by: words::who() };
        let accepted: Accepted =
            admin.post(&format!("/api/v1/cases/{}/release", self.case), &request).await?;
        if !self.wait {
            output.say("accepted; `lockstep cases` shows when it is released:");
            output.data(&accepted, || self.case.to_string())?;
            return Ok(Exit::Done);
        }
        let awaited = Awaited {
            event: accepted.event,
            which: Which::Case(self.case),
            state: CaseState::Released,
            patience: Some(Duration::from_secs(self.timeout)),
        };
        told(output, wait(&local, &admin, awaited).await?)
    }
}

/// The case on record, or what the server's worker could not put there.
async fn find(store: &dyn Store, local: &Local, id: CaseId) -> Result<Standing, Failure> {
    if let Some(case) = store.case(id).await? {
        return Ok(Standing::on_record(case));
    }
    let told = Unrecorded::of(&Admin::of(local)?, id).await?;
    let elsewhere = match told.has_worker {
        true => "",
        false => {
            " on record; if the store cannot be written, only the worker that opened it knows it, in another process"
        }
    };
    Ok(told.standing().ok_or_else(|| anyhow!("there is no {id}{elsewhere}"))?)
}

fn told(output: &Output, ended: Ended) -> Result<Exit, Failure> {
    match ended {
        Ended::Reached(standing) => {
            output.data(&standing, || cases::details(&standing.case))?;
            Ok(Exit::Done)
        }
        Ended::Elsewhere(standing) => {
            output.data(&standing, || cases::details(&standing.case))?;
            let state = standing.case.state.word();
            Err(Failure::Other(anyhow!("there is nothing to release: the case is {state}")))
        }
        Ended::TimeUp(unfinished) => Err(Failure::TryLater(anyhow!(waits(&unfinished)))),
        Ended::Dead(reason) => Err(Failure::Other(wait::dead(&reason))),
    }
}

fn waits(unfinished: &Unfinished) -> String {
    let state = unfinished.standing.as_ref().map_or("unknown", |standing| standing.case.state.word());
    let why = match &unfinished.refusal {
        Some(refusal) => format!("the store cannot be written ({refusal}). {WAITS_FOR_THE_RECORD}"),
        None => {
            "`lockstep cases CASE` shows what it waits for; in observe mode nothing is released".to_owned()
        }
    };
    format!("accepted, but the case is {state} and not released in time: {why}")
}
