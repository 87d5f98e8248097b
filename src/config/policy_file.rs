//! The policy file: read, walked against the table of known keys, overridden by `LOCKSTEP__…` variables.
//!
//! Every mistake of the file is found in one go, with line and column. Reading again (after a change, or on SIGHUP)
//! gives either a whole new policy or mistakes; what to do with the old one is the caller's affair.

mod across;
mod overrides;
mod walk;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Value;

use super::environment::{Environment, Unread, read_text};
use super::mistakes::{Mistake, Mistakes, Place};
use super::reader::Reader;
use super::variables::{self, Kind};
use crate::policy::Policy;
use across::{Lacking, Spot};
use walk::Walk;

const DEFAULT_FILE: &str = "lockstep.toml";

/// Where the policy comes from; holds no secret and can be kept for reading again.
#[derive(Debug, Clone)]
pub struct PolicySource {
    path: PathBuf,
    needed: Needed,
    overrides: Environment,
    lacking: Lacking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// `LOCKSTEP_CONFIG` names it.
    Yes,
    /// Nobody asked for a file: without one the defaults hold.
    No,
}

/// Whether a policy file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    File,
    DefaultsOnly,
}

impl PolicySource {
    /// `LOCKSTEP_CONFIG`, or `lockstep.toml` in the working directory when there is one.
    pub fn of(environment: &Environment) -> PolicySource {
        let named = environment.get(variables::CONFIG.name);
        PolicySource {
            path: PathBuf::from(named.unwrap_or(DEFAULT_FILE)),
            needed: if named.is_some() { Needed::Yes } else { Needed::No },
            overrides: environment.only(overrides::PREFIX),
            lacking: Lacking::default(),
        }
    }

    /// For a process that carries the policy out: it must also have what the policy asks for.
    pub fn carried_out_with(mut self, environment: &Environment) -> PolicySource {
        let reader = Reader::new(environment);
        let for_scim = [variables::AUTH0_CONNECTION, variables::AUTH0_SCIM_TOKEN];
        let unset = for_scim.into_iter().filter(|variable| !reader.is_set(*variable));
        self.lacking = Lacking { for_scim: unset.map(|variable| variable.name).collect() };
        self
    }

    /// The file at `path`, which must exist, overridden by the variables of `environment`.
    pub fn at(path: &Path, environment: &Environment) -> PolicySource {
        PolicySource {
            path: path.to_owned(),
            needed: Needed::Yes,
            overrides: environment.only(overrides::PREFIX),
            lacking: Lacking::default(),
        }
    }

    /// The file to watch.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn found(&self) -> Found {
        if self.path.exists() { Found::File } else { Found::DefaultsOnly }
    }

    /// The policy as file and variables say it now, or everything that is wrong with them.
    pub fn read(&self) -> Result<Policy, Mistakes> {
        let mut mistakes = Mistakes::default();
        let file = self.path.display().to_string();
        let source = match read_text(&self.path) {
            Ok(source) => source,
            Err(Unread::Absent) if self.needed == Needed::No => String::new(),
            Err(unread) => {
                mistakes.push(unreadable(&file, unread));
                String::new()
            }
        };
        let mut walk = Walk::through(&file, &source);
        let mut reader = Reader::new(&self.overrides);
        overrides::lay_over(&mut walk, &self.overrides, &mut reader);
        for (spot, wrong) in across::check(&walk.said, &self.lacking) {
            match spot {
                Spot::File(span) => walk.add(span, wrong),
                Spot::Variable(name) => reader.wrong(&name, Kind::Open, wrong),
            }
        }
        let table = walk.end(&mut mistakes);
        mistakes.extend(reader.mistakes);
        mistakes.or(())?;
        Policy::deserialize(Value::Table(table)).map_err(|error| {
            let mut mistakes = Mistakes::default();
            let place = Place::File { file };
            mistakes.push(Mistake { what: error.message().to_owned(), place, help: None });
            mistakes
        })
    }
}

fn unreadable(file: &str, unread: Unread) -> Mistake {
    let place = Place::File { file: file.to_owned() };
    match unread {
        Unread::Absent => {
            let help = Some(format!("{} names it", variables::CONFIG.name));
            Mistake { what: "the policy file does not exist".to_owned(), place, help }
        }
        Unread::Failed(what) => Mistake { what, place, help: None },
    }
}

#[cfg(test)]
mod tests;
