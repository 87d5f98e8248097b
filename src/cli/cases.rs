//! `cases`: what was contained, and where each case stands.

use anyhow::anyhow;
use clap::Args;

use super::exit::{Exit, Failure};
use super::output::{Output, plain, table};
use super::records;
use crate::case::{AccountProgress, BlockProgress, Case, CaseId};
use crate::clock::{self, Timestamp};
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
            case.state.word().to_owned(),
            case.display_name.clone().unwrap_or_else(|| case.subject.object.to_string()),
            case.reason.sentence(),
            time(case.opened_at),
            case.verified_at.map(|at| took(case, at)).unwrap_or_default(),
            case.accounts.len().to_string(),
        ]
    });
    table(&["case", "state", "person", "reason", "opened", "verified after", "accounts"], rows)
}

/// Everything about one case, line by line.
pub fn details(case: &Case) -> String {
    let mut lines = vec![
        ("case", case.id.to_string()),
        ("state", case.state.word().to_owned()),
        ("person", case.display_name.clone().unwrap_or_else(|| "name not known".to_owned())),
        ("object id", case.subject.object.to_string()),
        ("tenant", case.subject.tenant.to_string()),
        ("reason", case.reason.sentence()),
        ("source", case.source.word().to_owned()),
        ("response", case.response.word().to_owned()),
    ];
    lines.extend(case.restraint.map(|restraint| ("held back", restraint.sentence().to_owned())));
    lines.extend(times(case));
    lines.extend(case.released_because.clone().map(|why| ("released because", why)));
    lines.extend(
        case.accounts.iter().map(|(id, progress)| ("account", format!("{id}: {}", account(progress)))),
    );
    lines.extend(case.open.iter().map(|open| ("open", open.clone())));
    lines.push(("event", case.event.to_string()));
    let lines: Vec<String> = lines.iter().map(|(name, text)| format!("{name:<18}{}", plain(text))).collect();
    lines.join("\n")
}

fn times(case: &Case) -> Vec<(&'static str, String)> {
    let after = |at: Timestamp| format!("{} ({} after the signal)", time(at), took(case, at));
    let mut lines = vec![("opened", time(case.opened_at))];
    lines.extend(case.accepted_at.map(|at| ("accepted", after(at))));
    match case.verified_at {
        Some(at) => lines.push(("verified", after(at))),
        None if case.state.is_open() => lines.push(("verify by", time(case.verify_by))),
        None => {}
    }
    lines.extend(case.exposed_until.map(|at| ("exposed until", format!("{} at the latest", time(at)))));
    lines.extend(case.released_at.map(|at| ("released", time(at))));
    lines
}

fn account(progress: &AccountProgress) -> String {
    let block = match progress.block {
        BlockProgress::NotWanted => "not to be blocked",
        BlockProgress::Wanted => "block asked for",
        BlockProgress::Ours => "blocked",
        BlockProgress::Theirs => "blocked by somebody else, will not be released",
        BlockProgress::Gone => "deleted in Auth0",
    };
    let ended =
        progress.ended_by.map(|means| format!(", access ended by {}", means.word())).unwrap_or_default();
    let open = if progress.open.is_empty() {
        String::new()
    } else {
        format!("; open: {}", progress.open.join(", "))
    };
    format!("{block}{ended}{open}")
}

/// From the signal, or from its arrival when the source names no time.
fn took(case: &Case, at: Timestamp) -> String {
    let took = clock::elapsed(case.signal_at.unwrap_or(case.received_at), at);
    format!("{:.1} s", took.as_secs_f64())
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
