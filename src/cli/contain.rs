//! `contain`: lock a person out of Auth0 now, on an operator's word.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::admin::Admin;
use super::ask::Consent;
use super::cases;
use super::exit::{Exit, Failure};
use super::output::{Output, plain};
use super::unrecorded::Standing;
use super::wait::{self, Awaited, Ended, Unfinished, Which, wait};
use super::words;
use crate::case::{Case, CaseId, CaseState};
use crate::clock::{Clock, SystemClock};
use crate::event::{EventId, ObjectId};

/// Lock a person out of Auth0: block every account, end sessions and refresh tokens, read back
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the running server, and its data directory for the token.
The person is named by Entra object id. With LOCKSTEP_MODE=observe nothing is written.

Examples:
  lockstep contain 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c --reason \"phished, ticket 4711\"
  lockstep contain 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c --reason drill --wait --yes && echo proven")]
pub struct Contain {
    /// Entra object id of the person
    #[arg(value_name = "PERSON", value_parser = words::person)]
    person: ObjectId,
    /// Why, for the audit and for the people who are told
    #[arg(long, value_parser = words::reason)]
    reason: String,
    /// Wait until the lockout is read back and proven; exit 4 when it is not in time
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most, instead of the case's own deadline
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    user: String,
    reason: &'a str,
    by: String,
}

#[derive(Debug, Deserialize)]
struct Accepted {
    event: EventId,
}

/// What a script gets.
#[derive(Debug, Serialize)]
struct Answer {
    event: EventId,
    /// The case that the event opens, unless the person has an open one already.
    case: CaseId,
}

impl Contain {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let local = super::local()?;
        let admin = Admin::of(&local)?;
        self.consent.obtain(&format!("Lock {} out of Auth0?", self.person))?;
        let asked_at = SystemClock.now();
        let request = Request { user: self.person.to_string(), reason: &self.reason, by: words::who() };
        let accepted: Accepted = admin.post("/api/v1/contain", &request).await?;
        let answer = Answer { event: accepted.event, case: CaseId::opened_by(accepted.event) };
        if !self.wait {
            output.say("accepted; a case that is open already takes it up, otherwise it opens:");
            output.data(&answer, || answer.case.to_string())?;
            return Ok(Exit::Done);
        }
        output.say(format_args!("accepted as event {}; waiting until it is proven", answer.event));
        let awaited = Awaited {
            event: accepted.event,
            which: Which::Of { person: self.person, asked_at },
            state: CaseState::Verified,
            patience: self.timeout.map(Duration::from_secs),
        };
        told(output, wait(&local, &admin, awaited).await?)
    }
}

fn told(output: &Output, ended: Ended) -> Result<Exit, Failure> {
    let open = match ended {
        Ended::Reached(standing) => {
            shown(output, &standing)?;
            return Ok(Exit::Done);
        }
        Ended::Elsewhere(standing) if is_nothing_to_do(&standing.case) => {
            shown(output, &standing)?;
            return Ok(Exit::Done);
        }
        Ended::Dead(reason) => {
            return Err(Failure::Other(wait::dead(&reason)));
        }
        Ended::Elsewhere(standing) => {
            shown(output, &standing)?;
            open(&standing.case)
        }
        Ended::TimeUp(unfinished) => match &unfinished.standing {
            Some(standing) => {
                shown(output, standing)?;
                let id = standing.case.id;
                format!("{}; it goes on, `lockstep cases {id}` shows how far it is", open(&standing.case))
            }
            None => unknown(&unfinished),
        },
    };
    output.say_error(&format!("not verified: {open}"));
    Ok(Exit::NotVerified)
}

fn shown(output: &Output, standing: &Standing) -> anyhow::Result<()> {
    output.data(standing, || cases::details(&standing.case))?;
    standing.warn(output);
    Ok(())
}

/// There is no case to look at: why, and where the truth is.
fn unknown(unfinished: &Unfinished) -> String {
    match (&unfinished.refusal, unfinished.has_worker) {
        (None, true) => "nobody has looked at it in time; is a worker running?".to_owned(),
        (None, false) => {
            "nobody has looked at it in time; this server has no worker, is one running?".to_owned()
        }
        (Some(refusal), true) => format!(
            "nothing is on record, because the store cannot be written ({refusal}). Whether somebody is \
             locked out, the server's log and Auth0 tell. Make room; the request waits on the queue"
        ),
        (Some(refusal), false) => format!(
            "nothing can be known here: the store cannot be written ({refusal}), and this server has no worker. A worker \
             in another process locks people out all the same, and says so in its log: `contained, but not on record \
             yet`. Look there or in Auth0, and make room"
        ),
    }
}

/// A person without any account is locked out already.
fn is_nothing_to_do(case: &Case) -> bool {
    case.state == CaseState::NotActed && case.accounts.is_empty() && case.restraint.is_none()
}

/// What is still open, in one line.
fn open(case: &Case) -> String {
    let accounts = case
        .accounts
        .iter()
        .flat_map(|(id, progress)| progress.open.iter().map(move |open| format!("{id}: {open}")));
    let all: Vec<String> = case.open.iter().cloned().chain(accounts).collect();
    if !case.state.is_open() || all.is_empty() { cases::headline(case) } else { plain(&all.join("; ")) }
}
