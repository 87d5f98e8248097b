//! `cases`: what was contained, and where each case stands.

use anyhow::anyhow;
use clap::Args;

use super::exit::{Exit, Failure};
use super::output::{Output, plain, table};
use super::records;
use crate::case::{Case, CaseId, Response};
use crate::clock::{self, Clock, SystemClock, Timestamp};
use crate::notify::Message;
use crate::store::WhichCases;

/// List cases, or show one with its accounts and what is still open
#[derive(Debug, Args)]
#[command(after_help = "\
Needs only the data directory: it also works when the server is down.

Examples:
  lockstep cases --open
  lockstep cases case_0192f3c4a5b67c8d9e0f112233445566
  lockstep cases --json | jq -r '.[] | select(.state != \"verified\") | .id'")]
pub struct Cases {
    /// One case, in full
    #[arg(value_name = "CASE", conflicts_with_all = ["open", "limit"])]
    case: Option<CaseId>,
    /// Only cases that are open
    #[arg(long)]
    open: bool,
    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

impl Cases {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let store = records::open(&super::local()?)?;
        if let Some(id) = self.case {
            let case = store.case(id).await?.ok_or_else(|| anyhow!("there is no {id}"))?;
            output.data(&case, || details(&case))?;
            return Ok(Exit::Done);
        }
        let which = if self.open { WhichCases::Open } else { WhichCases::All };
        let cases = store.cases(which, self.limit).await?;
        if cases.is_empty() {
            output.say("no cases");
        }
        output.data(&cases, || list(&cases))?;
        Ok(Exit::Done)
    }
}

fn list(cases: &[Case]) -> String {
    if cases.is_empty() {
        return String::new();
    }
    let rows = cases.iter().map(|case| {
        vec![
            case.id.to_string(),
            state(case),
            case.display_name.clone().unwrap_or_else(|| case.subject.object.to_string()),
            case.why(),
            time(case.opened_at),
            case.verified_at.map(|at| took(case, at)).unwrap_or_default(),
            case.accounts.len().to_string(),
        ]
    });
    table(&["case", "state", "person", "reason", "opened", "verified after", "accounts"], rows)
}

/// A person whose sessions were ended can still sign in: a list must not read as if they were locked out.
fn state(case: &Case) -> String {
    let word = case.state.word();
    match case.response {
        Response::EndSessions if case.state.is_open() => format!("{word}, NOT blocked"),
        _ => word.to_owned(),
    }
}

/// What is said about one case, in the same words as in chat.
pub fn details(case: &Case) -> String {
    let lines: Vec<String> = told(case).lines().iter().map(|line| plain(line)).collect();
    lines.join("\n")
}

/// Its first line.
pub fn headline(case: &Case) -> String {
    plain(&told(case).headline)
}

fn told(case: &Case) -> Message {
    crate::notify::text::case(case, SystemClock.now())
}

/// From the signal, or from its arrival when the source names no time.
fn took(case: &Case, at: Timestamp) -> String {
    let took = clock::elapsed(case.signal_at.unwrap_or(case.received_at), at);
    format!("{:.1} s", took.as_secs_f64())
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
