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
seconds; looks are taken in the lanes sync and bulk and delay no lockout. Not needed in everyday life: changes are notified,
and sweeps come by themselves.

--wait ends when everything that the sweep has asked for is worked off or a dead letter. Nobody can tell its looks from
those that others ask for meanwhile: it waits until, after the listing, nothing was left in the lane sync and then nothing
in the lane bulk. In a busy hour that may take longer than the sweep; --timeout ends it. What was put off for a while is
not counted on RabbitMQ.

Examples:
  lockstep sweep
  lockstep sweep --whole                  after a restore, a lost permission, or work by hand in Auth0
  lockstep sweep --whole --wait && lockstep findings")]
pub struct Sweep {
    /// Look at everybody, not only at whoever has changed in Entra
    #[arg(long)]
    whole: bool,
    /// Wait until whoever it concerns was looked at; exit 75 when that is not in time
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
    /// So many events were in a lane that sweeps fill, whoever asked for them.
    Looks(Lane, u64),
    Nothing,
}

/// Groups are looked at in sync, and the looks at people that they ask for are in bulk before they are done. So a lane that
/// was found empty in its turn is not looked at again: what comes to it later is not of this sweep.
#[derive(Debug)]
struct Lanes {
    left: &'static [Lane],
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
            output.say("asked for; waiting until whoever it concerns was looked at");
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
        let mut lanes = Lanes::all();
        loop {
            let left = left(store, admin, self.depth(), asked_at, &mut lanes).await?;
            if left == Left::Nothing {
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
    lanes: &mut Lanes,
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
    Ok(lanes.left_in(|lane| depths.get(&lane).map_or(0, |depth| depth.events)))
}

impl Lanes {
    fn all() -> Lanes {
        Lanes { left: &[Lane::Sync, Lane::Bulk] }
    }

    /// One look at the lanes takes note of one that is empty: the next is counted after it, not with it.
    fn left_in(&mut self, events: impl Fn(Lane) -> u64) -> Left {
        let Some((lane, rest)) = self.left.split_first() else { return Left::Nothing };
        match events(*lane) {
            0 if rest.is_empty() => Left::Nothing,
            0 => {
                self.left = rest;
                Left::Looks(rest[0], events(rest[0]))
            }
            waiting => Left::Looks(*lane, waiting),
        }
    }
}

impl Left {
    fn sentence(self) -> String {
        match self {
            Left::Listing => {
                "the directory was not listed to its end; does a process with the role scheduler run?"
                    .to_owned()
            }
            Left::Looks(lane, events) => format!("{events} events wait in the lane {lane}"),
            Left::Nothing => "nothing is left".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_to_a_lane_that_was_empty_in_its_turn_is_not_waited_for() {
        let mut lanes = Lanes::all();
        let mut look =
            |sync: u64, bulk: u64| lanes.left_in(|lane| if lane == Lane::Sync { sync } else { bulk });
        assert_eq!(look(2, 0), Left::Looks(Lane::Sync, 2), "groups still ask for looks");
        assert_eq!(look(0, 5), Left::Looks(Lane::Bulk, 5));
        assert_eq!(look(7, 1), Left::Looks(Lane::Bulk, 1), "sync had its turn");
        assert_eq!(look(7, 0), Left::Nothing);
    }

    #[test]
    fn bulk_is_counted_after_sync_was_seen_empty() {
        let mut lanes = Lanes::all();
        // Counted at the same time, a look of the one lane may be on its way to the other.
        assert_ne!(lanes.left_in(|_| 0), Left::Nothing);
        assert_eq!(lanes.left_in(|_| 0), Left::Nothing);
    }
}
