//! `explain`: why one person has what they have.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::output::{Output, plain, table};
use super::vendors::Vendors;
use super::{records, words};
use crate::event::{ObjectId, Subject};
use crate::plan::sync::explain::{Given, Source};
use crate::worker::preview::{Preview, Step, paths, preview};

/// Explain each role and attribute of a person: the groups that give it, the source it comes from, what is held
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the environment that a worker has, and reaches Entra and Auth0; nothing is written.

Examples:
  lockstep explain 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c
  lockstep explain 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c --json | jq '.given[] | select(.holds) | .what'")]
pub struct Explain {
    /// Entra object id of the person
    #[arg(value_name = "PERSON", value_parser = words::person)]
    person: ObjectId,
}

#[derive(Debug, Serialize)]
struct Answer {
    person: ObjectId,
    accounts: Vec<String>,
    given: Vec<Reason>,
    attributes: Vec<Source>,
    would: Vec<String>,
    held: Vec<String>,
    findings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Reason {
    #[serde(flatten)]
    given: Given,
    /// For each group that gives it, the way from a group that the person is a direct member of.
    paths: Vec<Vec<Step>>,
}

impl Explain {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let vendors = Vendors::of_environment()?;
        let subject = Subject { tenant: vendors.config.tenant, object: self.person };
        let store = records::open_if_there(&vendors.config.local)?;
        let (policy, now) = (&vendors.config.policy, vendors.clock.now());
        let seen = preview(&vendors.entra, &vendors.auth0, store.as_deref(), policy, subject, now).await?;
        let ways = paths(&vendors.entra, &seen).await.map_err(Failure::other)?;
        let answer = Answer::of(self.person, seen, &ways);
        output.data(&answer, || answer.text())?;
        Ok(Exit::Done)
    }
}

impl Answer {
    fn of(person: ObjectId, seen: Preview, ways: &BTreeMap<ObjectId, Vec<Step>>) -> Answer {
        let reason = |given: Given| {
            let paths = given.by.iter().filter_map(|group| ways.get(group).cloned()).collect();
            Reason { given, paths }
        };
        let remembered = seen.plan.remembered.as_ref();
        let findings = remembered.map(|r| r.findings.iter().cloned().collect()).unwrap_or_default();
        let would = seen.would().into_iter().map(|would| would.sentence).collect();
        let mut held = seen.held();
        held.extend(seen.explanation.unread.map(|why| format!("groups were not read: {why}")));
        Answer {
            person,
            accounts: seen.snapshot.accounts.keys().map(ToString::to_string).collect(),
            given: seen.explanation.given.into_iter().map(reason).collect(),
            attributes: seen.explanation.attributes,
            would,
            held,
            findings,
        }
    }

    fn text(&self) -> String {
        let mut parts = vec![format!(
            "{}: {}",
            self.person,
            if self.accounts.is_empty() { "no account".to_owned() } else { self.accounts.join(", ") }
        )];
        if !self.given.is_empty() {
            let row = |reason: &Reason| {
                let word = if reason.given.holds { "yes" } else { "no" };
                vec![reason.given.what.clone(), word.to_owned(), reason.why()]
            };
            parts.push(table(&["what", "given", "because"], self.given.iter().map(row)));
        }
        if !self.attributes.is_empty() {
            let row = |source: &Source| {
                vec![
                    source.account.to_string(),
                    source.target.clone(),
                    source.expression.clone(),
                    shown(source.wanted.as_ref()),
                    shown(source.current.as_ref()),
                ]
            };
            let header = ["account", "attribute", "from", "should be", "is"];
            parts.push(table(&header, self.attributes.iter().map(row)));
        }
        let list = |word: &str, lines: &[String]| {
            lines.iter().map(|line| format!("{word}  {}", plain(line))).collect::<Vec<_>>().join("\n")
        };
        parts.extend([list("would", &self.would), list("held ", &self.held)]);
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }
}

impl Reason {
    fn why(&self) -> String {
        if !self.given.holds {
            return self.given.missing.join("; ");
        }
        if self.paths.is_empty() {
            return "everybody in scope".to_owned();
        }
        let name = |step: &Step| step.name.clone().unwrap_or_else(|| step.group.to_string());
        let way = |path: &Vec<Step>| path.iter().map(name).collect::<Vec<_>>().join(" > ");
        self.paths.iter().map(way).collect::<Vec<_>>().join("; ")
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "(nothing)".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => plain(&other.to_string()),
    }
}
