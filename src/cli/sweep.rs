//! `sweep`: have the directory looked at now, instead of when its time comes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::admin::Admin;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::{records, words};
use crate::clock::Timestamp;
use crate::event::{Lane, SweepDepth};
use crate::store::Store;
use crate::worker::scheduler::Wish;

/// How often it is looked whether the sweep is over.
const PAUSE: Duration = Duration::from_millis(250);

/// Sweep the directory now: what has changed in Entra, or everybody
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the running server, and its data directory for the token. The process with the role scheduler begins within
seconds; looks are taken in the lane bulk and delay no lockout. Not needed in everyday life: changes are notified, and
sweeps come by themselves.

Examples:
  lockstep sweep
  lockstep sweep --whole                  after a restore, a lost permission, or work by hand in Auth0
  lockstep sweep --whole --wait && lockstep findings")]
pub struct Sweep {
    /// Look at everybody, not only at whoever has changed in Entra
    #[arg(long)]
    whole: bool,
    /// Wait until nobody is left to be looked at; exit 75 when that is not in time
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value_t = 3600,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

#[derive(Debug, Serialize)]
struct Request {
    depth: SweepDepth,
    by: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    asked_at: Timestamp,
}

/// What a script gets.
#[derive(Debug, Serialize)]
struct Answer {
    depth: SweepDepth,
    asked_at: Timestamp,
    /// Whether it was waited for, and nobody is left.
    done: bool,
}

/// What a sweep still has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Entra's listing was not read to its end.
    Listing,
    /// So many events wait in the lanes that sweeps fill; whatever else is in them counts too.
    Looks(u64),
}

#[derive(Debug, Deserialize)]
struct Depth {
    events: u64,
}

impl Sweep {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let local = super::local()?;
        let admin = Admin::of(&local)?;
        let request = Request { depth: self.depth(), by: words::who() };
        let asked: Asked = admin.post("/api/v1/sweep", &request).await?;
        if self.wait {
            output.say("asked for; waiting until nobody is left to be looked at");
            let store = records::open(&local)?;
            self.until_nothing_is_left(store.as_ref(), &admin, asked.asked_at).await?;
        }
        let answer = Answer { depth: self.depth(), asked_at: asked.asked_at, done: self.wait };
        output.data(&answer, || answer.text())?;
        Ok(Exit::Done)
    }

    fn depth(&self) -> SweepDepth {
        if self.whole { SweepDepth::Whole } else { SweepDepth::Changed }
    }

    async fn until_nothing_is_left(
        &self,
        store: &dyn Store,
        admin: &Admin,
        asked_at: Timestamp,
    ) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(self.timeout);
        loop {
            let left = left(store, admin, self.depth(), asked_at).await?;
            if left == Left::Looks(0) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Failure::TryLater(anyhow!(
                    "asked for, but not over in time: {}",
                    left.sentence()
                )));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn left(
    store: &dyn Store,
    admin: &Admin,
    depth: SweepDepth,
    asked_at: Timestamp,
) -> Result<Left, Failure> {
    let wish = match depth {
        SweepDepth::Changed => Wish::Sweep,
        SweepDepth::Whole => Wish::WholeSweep,
    };
    if !wish.is_done(store, asked_at).await? {
        return Ok(Left::Listing);
    }
    // After the listing: what it has made is on the queue by now.
    let depths: BTreeMap<Lane, Depth> = admin.get("/api/v1/queue").await?;
    // People are looked at in bulk, groups in sync.
    let waiting = [Lane::Sync, Lane::Bulk].iter().filter_map(|lane| depths.get(lane));
    Ok(Left::Looks(waiting.map(|depth| depth.events).sum()))
}

impl Left {
    fn sentence(self) -> String {
        match self {
            Left::Listing => {
                "the directory was not listed to its end; does a process with the role scheduler run?"
                    .to_owned()
            }
            Left::Looks(events) => format!("{events} events wait in the lanes sync and bulk"),
        }
    }
}

impl Answer {
    fn text(&self) -> String {
        let whom = match self.depth {
            SweepDepth::Changed => "what has changed in Entra",
            SweepDepth::Whole => "everybody",
        };
        match self.done {
            true => format!("done: {whom} was looked at"),
            false => format!("asked for: {whom} is looked at, beginning within seconds"),
        }
    }
}
