//! `dead`: events that could not be handled, for a person to look at.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::admin::Admin;
use super::ask::Consent;
use super::exit::{Exit, Failure};
use super::output::{Output, plain, plain_lines, table};
use super::{records, words};
use crate::clock::Timestamp;
use crate::event::{Event, EventId, Lane};
use crate::store::DeadLetter;

/// List, show, replay or drop events that could not be handled
#[derive(Debug, Args)]
#[command(after_help = "\
list and show need only the data directory; replay and drop need the running server.

Examples:
  lockstep dead list
  lockstep dead show 0192f3c4-a5b6-7c8d-9e0f-112233445566
  lockstep dead replay 0192f3c4-a5b6-7c8d-9e0f-112233445566
  lockstep dead drop 0192f3c4-a5b6-7c8d-9e0f-112233445566 --reason \"left the company in May\"")]
pub struct Dead {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List dead letters, the newest first
    List {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one dead letter with the event that it holds
    Show {
        #[arg(value_parser = words::event)]
        event: EventId,
    },
    /// Put events back on the queue, for instance after a permission was mended
    Replay {
        #[arg(required = true, value_name = "EVENT", value_parser = words::event)]
        events: Vec<EventId>,
        /// Why now, for the audit
        #[arg(long, default_value = "tried again by hand", value_parser = words::reason)]
        reason: String,
    },
    /// Remove a dead letter for good; the audit keeps who did it and why
    Drop {
        #[arg(value_parser = words::event)]
        event: EventId,
        /// Why it is not needed, for the audit
        #[arg(long, value_parser = words::reason)]
        reason: String,
        #[command(flatten)]
        consent: Consent,
    },
}

/// A dead letter as people and scripts see it.
#[derive(Debug, Serialize)]
struct Shown {
    event: EventId,
    lane: Lane,
    reason: String,
    attempts: u32,
    died_at: Timestamp,
    /// What lay on the queue; none when it cannot be read.
    envelope: Option<Event>,
}

/// Who asks, and why.
#[derive(Debug, Serialize)]
struct Request<'a> {
    reason: &'a str,
    by: String,
}

impl Dead {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        match self.what {
            What::List { limit } => list(output, limit).await,
            What::Show { event } => show(output, event).await,
            What::Replay { events, reason } => replay(output, &events, &reason).await,
            What::Drop { event, reason, consent } => drop_one(output, event, &reason, &consent).await,
        }
    }
}

async fn list(output: &Output, limit: u32) -> Result<Exit, Failure> {
    let store = records::open(&super::local()?)?;
    let letters: Vec<Shown> = store.dead_letters(limit).await?.into_iter().map(Shown::of).collect();
    if letters.is_empty() {
        output.say("no dead letters");
        output.data(&letters, String::new)?;
        return Ok(Exit::Done);
    }
    output.data(&letters, || {
        let rows = letters.iter().map(|letter| {
            vec![
                letter.event.to_string(),
                letter.lane.to_string(),
                letter.kind().to_owned(),
                letter.attempts.to_string(),
                letter.died_at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
                letter.reason.clone(),
            ]
        });
        table(&["event", "lane", "kind", "attempts", "died", "reason"], rows)
    })?;
    Ok(Exit::Done)
}

async fn show(output: &Output, event: EventId) -> Result<Exit, Failure> {
    let store = records::open(&super::local()?)?;
    let letter = store.dead_letter(event).await?.ok_or_else(|| anyhow!("there is no dead letter {event}"))?;
    let shown = Shown::of(letter);
    output.data(&shown, || shown.details())?;
    Ok(Exit::Done)
}

async fn replay(output: &Output, events: &[EventId], reason: &str) -> Result<Exit, Failure> {
    let admin = Admin::of(&super::local()?)?;
    for event in events {
        let request = Request { reason, by: words::who() };
        admin.done(reqwest::Method::POST, &format!("/api/v1/dead/{event}/replay"), &request).await?;
        output.say(format_args!("{event} is back on the queue"));
    }
    Ok(Exit::Done)
}

async fn drop_one(output: &Output, event: EventId, reason: &str, consent: &Consent) -> Result<Exit, Failure> {
    let admin = Admin::of(&super::local()?)?;
    consent.obtain(&format!("Drop {event} for good?"))?;
    let request = Request { reason, by: words::who() };
    admin.done(reqwest::Method::DELETE, &format!("/api/v1/dead/{event}"), &request).await?;
    output.say(format_args!("{event} is dropped"));
    Ok(Exit::Done)
}

impl Shown {
    fn of(letter: DeadLetter) -> Shown {
        Shown {
            event: letter.id,
            lane: letter.lane,
            reason: letter.reason,
            attempts: letter.attempts,
            died_at: letter.died_at,
            envelope: Event::from_envelope(&letter.envelope).ok(),
        }
    }

    fn kind(&self) -> &'static str {
        self.envelope.as_ref().map_or("unreadable", |event| event.kind.word())
    }

    fn details(&self) -> String {
        let event = match &self.envelope {
            Some(event) => plain_lines(&serde_json::to_string_pretty(event).unwrap_or_default()),
            None => "what lay on the queue cannot be read".to_owned(),
        };
        let died = self.died_at.strftime("%Y-%m-%d %H:%M:%SZ");
        let reason = plain(&self.reason);
        format!(
            "event     {}\nlane      {}\nreason    {reason}\nattempts  {}\ndied      {died}\n{event}",
            self.event, self.lane, self.attempts
        )
    }
}
