//! `audit`: prove that the record of what was done is whole, write it out, or look at its end.

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;

use super::exit::{Exit, Failure};
use super::output::{Format, Output, table};
use super::records;
use crate::audit::{Actor, Broken, Entry, Verifier};
use crate::store::{Store, StoredRecord};

/// Records that are read at a time, so that memory does not grow with the audit.
const PAGE: u32 = 1000;

/// Verify, export or read the audit
#[derive(Debug, Args)]
#[command(after_help = "\
Needs only the data directory: it also works when the server is down.

Examples:
  lockstep audit verify
  lockstep audit tail -n 50
  lockstep audit export > audit.jsonl")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Walk the whole chain; exit 1 and name the record when one was edited, removed or cut off
    Verify,
    /// Write every record as one line of JSON, with its number and hash
    Export {
        /// Only records after this number
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Show the newest records, the newest last
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20,
              value_parser = clap::value_parser!(u32).range(1..=10_000))]
        number: u32,
    },
}

#[derive(Debug, Serialize)]
struct Verdict {
    ok: bool,
    /// Records that were found unbroken.
    records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

/// One record as it is written out: the entry's own bytes, so that the hash can be computed again.
#[derive(Debug, Serialize)]
struct Line<'a> {
    number: u64,
    hash: String,
    entry: &'a RawValue,
}

impl Audit {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let store = records::open(&super::local()?)?;
        match self.what {
            What::Verify => verify(output, store.as_ref()).await,
            What::Export { after } => export(output, store.as_ref(), after).await,
            What::Tail { number } => tail(output, store.as_ref(), number).await,
        }
    }
}

async fn verify(output: &Output, store: &dyn Store) -> Result<Exit, Failure> {
    let (records, broken) = walk(store).await?;
    let verdict = Verdict { ok: broken.is_none(), records, broken: broken.map(|broken| broken.to_string()) };
    output.data(&verdict, || match &verdict.broken {
        None => format!("unbroken: {records} records"),
        Some(broken) => format!("BROKEN after {records} good records: {broken}"),
    })?;
    Ok(if verdict.ok { Exit::Done } else { Exit::Error })
}

/// How many records are good, and what broke the chain after them.
async fn walk(store: &dyn Store) -> Result<(u64, Option<Broken>), Failure> {
    // The head is read first: a server that goes on writing meanwhile must not look like a cut tail.
    let head = store.audit_head().await?;
    let (mut verifier, mut good) = (Verifier::default(), 0);
    loop {
        let page = store.records(good, PAGE).await?;
        if page.is_empty() {
            return Ok((good, verifier.finish(head).err()));
        }
        for record in page {
            if let Err(broken) = verifier.take(record.number, &record.entry, &record.hash.0) {
                return Ok((good, Some(broken)));
            }
            good = record.number;
        }
    }
}

async fn export(output: &Output, store: &dyn Store, mut after: u64) -> Result<Exit, Failure> {
    loop {
        let page = store.records(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(Exit::Done) };
        after = last.number;
        for record in &page {
            output.line(line(record)?)?;
        }
    }
}

async fn tail(output: &Output, store: &dyn Store, number: u32) -> Result<Exit, Failure> {
    let head = store.audit_head().await?;
    let page = store.records(head.saturating_sub(number.into()), number).await?;
    if output.format() == Format::Json {
        for record in &page {
            output.line(line(record)?)?;
        }
        return Ok(Exit::Done);
    }
    if page.is_empty() {
        output.say("no records");
        return Ok(Exit::Done);
    }
    output.line(table(&["number", "at", "who", "what", "sentence", "outcome"], page.iter().map(row)))?;
    Ok(Exit::Done)
}

fn line(record: &StoredRecord) -> anyhow::Result<String> {
    let entry: &RawValue = serde_json::from_slice(&record.entry)
        .map_err(|error| anyhow!("record {} cannot be read: {error}", record.number))?;
    Ok(serde_json::to_string(&Line { number: record.number, hash: record.hash.to_string(), entry })?)
}

fn row(record: &StoredRecord) -> Vec<String> {
    let number = record.number.to_string();
    match serde_json::from_slice::<Entry>(&record.entry) {
        Ok(entry) => {
            let who = match entry.actor {
                Actor::Lockstep => "lockstep".to_owned(),
                Actor::Operator(name) => name,
            };
            let at = entry.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            vec![number, at, who, entry.what, entry.sentence, entry.outcome.unwrap_or_default()]
        }
        Err(error) => vec![number, String::new(), String::new(), "unreadable".to_owned(), error.to_string()],
    }
}
