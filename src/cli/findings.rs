//! `findings`: what a person should know about people who are kept in step, by kind, with the people beneath.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::{Output, plain};
use super::records;
use crate::event::ObjectId;
use crate::store::Store;

/// People that are read at a time, so that memory does not grow with the directory.
const PAGE: u32 = 1000;
/// Kinds that are told apart; more come from values in the sentences, and then nobody reads them one by one.
const KINDS_MAX: usize = 500;
/// People that are named in all.
const NAMED_MAX: usize = 100_000;
/// The kind of everything beyond [`KINDS_MAX`].
const OTHER: &str = "other findings";

/// List what could not be done, or should be looked at, for anybody; grouped by kind, with the people beneath
#[derive(Debug, Args)]
#[command(after_help = "\
Needs only the data directory: it also works when the server is down. Shows what the last look at each person found;
`lockstep explain PERSON` looks anew. Exit 0 when there are none, 2 when there are.

Examples:
  lockstep findings
  lockstep findings --limit 10000 --json | jq -r '.[] | select(.kind | contains(\"refused\")) | .people[].person'")]
pub struct Findings {
    /// How many people are named for each kind; they are counted all the same
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// Findings that say the same of several people.
#[derive(Debug, Default, Serialize)]
struct Kind {
    kind: String,
    /// How many people it is about.
    count: u64,
    /// The first of them.
    people: Vec<About>,
}

#[derive(Debug, Serialize)]
struct About {
    person: ObjectId,
    findings: Vec<String>,
    /// What the sentences say of this person alone.
    #[serde(skip)]
    own: Vec<String>,
}

impl Findings {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let store = records::open(&super::local()?)?;
        let kinds = gather(store.as_ref(), self.limit as usize).await?;
        if kinds.is_empty() {
            output.say("no findings");
            output.data(&kinds, String::new)?;
            return Ok(Exit::Done);
        }
        output.data(&kinds, || kinds.iter().map(Kind::text).collect::<Vec<_>>().join("\n\n"))?;
        Ok(Exit::Changes)
    }
}

/// Everybody's findings, the kind that is about most people first.
async fn gather(store: &dyn Store, limit: usize) -> Result<Vec<Kind>, Failure> {
    let (mut kinds, mut named, mut after) = (BTreeMap::new(), 0, None);
    loop {
        let page = store.people_with_findings(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.subject);
        for known in page {
            let person = known.subject.object;
            for (kind, about) in by_kind(person, known.findings) {
                let is_new = kinds.len() >= KINDS_MAX && !kinds.contains_key(&kind);
                let kind = if is_new { OTHER.to_owned() } else { kind };
                let entry: &mut Kind = kinds.entry(kind).or_default();
                entry.count += 1;
                if entry.people.len() < limit && named < NAMED_MAX {
                    entry.people.push(about);
                    named += 1;
                }
            }
        }
    }
    let named = |(kind, rest)| Kind { kind, ..rest };
    let mut kinds: Vec<Kind> = kinds.into_iter().map(named).collect();
    kinds.sort_by_key(|kind| Reverse(kind.count));
    Ok(kinds)
}

/// One person's findings; those of two accounts are often of one kind.
fn by_kind(person: ObjectId, findings: impl IntoIterator<Item = String>) -> BTreeMap<String, About> {
    let mut kinds = BTreeMap::new();
    for finding in findings {
        let (kind, own) = kind_of(&finding, person);
        let about = kinds.entry(kind).or_insert(About { person, findings: Vec::new(), own: Vec::new() });
        about.findings.push(finding);
        about.own.extend(own);
    }
    kinds
}

/// The sentence without what differs from one person to the next (accounts, the person's id, sizes), and what that was.
fn kind_of(finding: &str, person: ObjectId) -> (String, Vec<String>) {
    let person = person.to_string();
    let mut own = Vec::new();
    let words: Vec<&str> = finding.split(' ').collect();
    let mut kind: Vec<String> = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        let name = word.trim_end_matches([',', ':', ';', ')']);
        let general = match name {
            _ if name == person => "the person",
            _ if is_account(name) => "an account",
            _ if is_size(name, words.get(index + 1)) => "too many",
            _ => {
                kind.push((*word).to_owned());
                continue;
            }
        };
        if name != person {
            own.push(name.to_owned());
        }
        let is_list = kind.last().is_some_and(|last| last == &format!("{general},"));
        if is_list {
            kind.pop();
        }
        kind.push(format!("{general}{}", &word[name.len()..]));
    }
    (kind.join(" "), own)
}

/// `auth0|5f7c8ec7…`: an id at its provider.
fn is_account(name: &str) -> bool {
    name.split_once('|').is_some_and(|(provider, id)| !provider.is_empty() && !id.is_empty())
}

/// A number of what Auth0 allows only so much of.
fn is_size(name: &str, next: Option<&&str>) -> bool {
    let is_unit = |word: &&str| ["bytes", "characters", "roles"].iter().any(|unit| word.starts_with(unit));
    name.parse::<u64>().is_ok() && next.is_some_and(is_unit)
}

impl Kind {
    fn text(&self) -> String {
        let people = if self.count == 1 { "person" } else { "people" };
        let mut lines = vec![format!("{} ({} {people})", plain(&self.kind), self.count)];
        lines.extend(self.people.iter().map(|about| {
            let line = format!("  {}  {}", about.person, plain(&about.own.join(", ")));
            line.trim_end().to_owned()
        }));
        let left = self.count.saturating_sub(self.people.len() as u64);
        if left > 0 {
            lines.push(format!("  … and {left} more"));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: ObjectId = ObjectId(uuid::Uuid::from_u128(0x3f2c1b0a_9d8e_4f7a_8b6c_5d4e3f2a1b0c));

    fn kind(finding: &str) -> (String, String) {
        let (kind, own) = kind_of(finding, PERSON);
        (kind, own.join(" "))
    }

    #[test]
    fn what_differs_from_one_person_to_the_next_is_no_kind_of_its_own() {
        for (finding, expected, own) in [
            (
                "auth0|a1 has the same e-mail address and is not linked",
                "an account has the same e-mail address and is not linked",
                "auth0|a1",
            ),
            (
                "several accounts could be linked, none is: auth0|a, auth0|b, auth0|c",
                "several accounts could be linked, none is: an account",
                "auth0|a auth0|b auth0|c",
            ),
            (
                "waad|a: 61 roles, Auth0 allows 50; the rest is held",
                "an account: too many roles, Auth0 allows 50; the rest is held",
                "waad|a 61",
            ),
            (
                "would Provision 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c by SCIM",
                "would Provision the person by SCIM",
                "",
            ),
            (
                "the policy names the role Level 3, which Auth0 does not have",
                "the policy names the role Level 3, which Auth0 does not have",
                "",
            ),
            ("mail | lower", "mail | lower", ""),
        ] {
            assert_eq!(kind(finding), (expected.to_owned(), own.to_owned()));
        }
    }
}
