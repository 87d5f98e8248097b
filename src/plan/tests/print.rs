//! A plan as text: the case with each account's progress, what is done in order, what is held, when to look again.

use crate::case::also::{AlsoProgress, AlsoState, Extra};
use crate::case::{BlockProgress, Case};
use crate::plan::{Next, Plan};

pub(in crate::plan) fn print(plan: &Plan) -> String {
    let mut lines = match &plan.case {
        Some(case) => print_case(case),
        None => vec!["no case".to_owned()],
    };
    lines.extend(plan.actions.iter().map(|action| format!("do: {}", action.sentence())));
    lines.extend(plan.held.iter().map(|why| format!("held: {why}")));
    lines.push(match plan.next {
        Next::Settled => "next: settled".to_owned(),
        Next::Again(after) => format!("next: again in {after:?}"),
        Next::AskForLookAlikes => "next: ask for look-alikes".to_owned(),
        Next::WhenGraphAnswers => "next: when Graph answers".to_owned(),
    });
    lines.join("\n")
}

fn print_case(case: &Case) -> Vec<String> {
    let because = case.released_because.clone().unwrap_or_else(|| case.why());
    let mut lines = vec![format!("{}, {}: {because}", case.state.word(), case.response.word())];
    lines.extend(case.restraint.map(|restraint| format!("  restrained: {}", restraint.sentence())));
    for (id, progress) in &case.accounts {
        let block = match progress.block {
            BlockProgress::NotWanted => "block not wanted",
            BlockProgress::Wanted => "block wanted",
            BlockProgress::Ours => "blocked by us",
            BlockProgress::Theirs => "blocked by somebody else",
            BlockProgress::Gone => "gone",
            BlockProgress::Protected => "left alone, protected",
        };
        let ended = match progress.ended_by {
            Some(means) => format!(", ended by {}", means.word()),
            None => String::new(),
        };
        let also: String = progress.also.iter().map(print_also).collect();
        let open = match progress.open.as_slice() {
            [] => String::new(),
            open => format!("; open: {}", open.join(", ")),
        };
        lines.push(format!("  {id} {block}{ended}{also}{open}"));
    }
    lines.extend(case.entra_sessions.iter().map(|also| format!("  Entra sessions {}", print_state(also))));
    lines.extend(case.open.iter().map(|open| format!("  open: {open}")));
    lines
}

fn print_also((extra, also): (&Extra, &AlsoProgress)) -> String {
    format!(", {} {}", extra.word(), print_state(also))
}

fn print_state(also: &AlsoProgress) -> String {
    match &also.state {
        AlsoState::Wanted => "wanted".to_owned(),
        AlsoState::Failed { why, .. } => format!("failed ({why})"),
        AlsoState::Ended { .. } => "ended".to_owned(),
        AlsoState::Unproven { .. } => "ended, unproven".to_owned(),
        AlsoState::Refused { why, .. } => format!("refused ({why})"),
    }
}
