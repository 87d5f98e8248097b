//! `plan`: what would be done for one person, without doing it.

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::{Output, plain};
use super::vendors::Vendors;
use super::{records, words};
use crate::event::{ObjectId, Subject};
use crate::worker::preview::{Would, preview};

/// Show what would be done to keep one person in step, or to lock them out, and what is held and why
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the environment that a worker has, and reaches Entra and Auth0; nothing is written.
Exit 0 when nothing would be done, 2 when something would.

Examples:
  lockstep plan --user 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c
  lockstep plan --user 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c --json | jq '.actions[].sentence'")]
pub struct Plan {
    /// Entra object id of the person
    #[arg(long, value_name = "PERSON", value_parser = words::person)]
    user: ObjectId,
}

#[derive(Debug, Serialize)]
struct Answer {
    person: ObjectId,
    actions: Vec<Would>,
    held: Vec<String>,
}

impl Plan {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let vendors = Vendors::of_environment()?;
        let subject = Subject { tenant: vendors.config.tenant, object: self.user };
        let store = records::open_if_there(&vendors.config.local)?;
        let (policy, now) = (&vendors.config.policy, vendors.clock.now());
        let seen = preview(&vendors.entra, &vendors.auth0, store.as_deref(), policy, subject, now).await?;
        let answer = Answer { person: self.user, actions: seen.would(), held: seen.held() };
        output.data(&answer, || answer.text())?;
        Ok(if answer.actions.is_empty() { Exit::Done } else { Exit::Changes })
    }
}

impl Answer {
    fn text(&self) -> String {
        let mut lines: Vec<String> =
            self.actions.iter().map(|action| format!("would   {}", plain(&action.sentence))).collect();
        lines.extend(self.held.iter().map(|why| format!("held    {}", plain(why))));
        if lines.is_empty() {
            lines.push("nothing to do".to_owned());
        }
        lines.join("\n")
    }
}
