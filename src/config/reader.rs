//! Reads settings out of the environment and gathers every mistake on the way, so that one run shows all of them.
//!
//! A reading that gives `None` was either not set or wrong; whoever needs the difference asks [`Reader::is_set`].

use std::path::Path;

use secrecy::SecretString;

use super::environment::{Environment, Unread, read_text};
use super::mistakes::{Mistake, Mistakes, Place};
use super::variables::{self, Kind, Variable};

/// Why a value is no good. Neither text may hold the value of a variable that is not [`Kind::Open`].
#[derive(Debug)]
pub struct Wrong {
    pub what: String,
    pub help: Option<String>,
}

impl Wrong {
    pub fn new(what: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Wrong {
        self.help = Some(help.into());
        self
    }
}

/// Reads settings and remembers what was wrong with them.
#[derive(Debug)]
pub struct Reader<'a> {
    environment: &'a Environment,
    pub mistakes: Mistakes,
}

impl<'a> Reader<'a> {
    pub fn new(environment: &'a Environment) -> Reader<'a> {
        let mut reader = Reader { environment, mistakes: environment.mistakes.clone() };
        reader.refuse_unknown();
        reader
    }

    fn refuse_unknown(&mut self) {
        let environment = self.environment;
        for (name, _) in environment.beginning_with("LOCKSTEP_") {
            let of_policy = name.starts_with("LOCKSTEP__");
            if of_policy || variables::is_known(name) || variables::is_service_link(name) {
                continue;
            }
            let help = match variables::meant_by(name) {
                Some(meant) => format!("did you mean {meant}?"),
                None => "docs/configuration.md lists every variable".to_owned(),
            };
            // The value of a variable that nobody knows may be anything, a secret among them.
            let place = environment.place(name, Kind::Secret);
            let what = match place {
                Place::Variable { .. } => "no such setting".to_owned(),
                _ => format!("{name}: no such setting"),
            };
            self.mistakes.push(Mistake { what, place, help: Some(help) });
        }
    }

    pub fn is_set(&self, variable: Variable) -> bool {
        let file = variable.file_name();
        self.environment.get(variable.name).is_some()
            || file.is_some_and(|name| self.environment.get(&name).is_some())
    }

    /// The value, read and checked by `parse`; `None` when it is not set or was wrong.
    pub fn parsed<T>(
        &mut self,
        variable: Variable,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let (name, text) = self.text(variable)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.wrong(&name, variable.kind, wrong);
                None
            }
        }
    }

    /// Like [`Reader::parsed`]; a variable that is not set is a mistake. `what_for` completes "needed …".
    pub fn needed<T>(
        &mut self,
        variable: Variable,
        what_for: &str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        if !self.is_set(variable) {
            self.missing(variable, what_for);
        }
        self.parsed(variable, parse)
    }

    pub fn missing(&mut self, variable: Variable, what_for: &str) {
        let help = self.misspelt(variable);
        let place = Place::Variable { variable: variable.name.to_owned() };
        self.mistakes.push(Mistake { what: format!("not set, but needed {what_for}"), place, help });
    }

    pub fn wrong(&mut self, name: &str, kind: Kind, wrong: Wrong) {
        let place = self.environment.place(name, kind);
        let what = match place {
            Place::Line(_) => format!("{name}: {}", wrong.what),
            _ => wrong.what,
        };
        self.mistakes.push(Mistake { what, place, help: wrong.help });
    }

    /// The text of a variable and the name it was found under, for secrets also by way of a file.
    fn text(&mut self, variable: Variable) -> Option<(String, String)> {
        let environment = self.environment;
        let direct = environment.get(variable.name).map(|text| (variable.name.to_owned(), text.to_owned()));
        let Some(file_name) = variable.file_name() else { return direct };
        let Some(file) = environment.get(&file_name) else { return direct };
        if direct.is_some() {
            let both = Wrong::new(format!("{} is set too", variable.name)).help("keep one of the two");
            self.wrong(&file_name, Kind::Open, both);
            return None;
        }
        match read_secret(Path::new(file)) {
            Ok(text) => Some((file_name, text)),
            Err(wrong) => {
                self.wrong(&file_name, Kind::Open, wrong);
                None
            }
        }
    }

    /// A variable that is set and looks like the missing one.
    fn misspelt(&self, variable: Variable) -> Option<String> {
        let prefix = variable.name.split_inclusive('_').next().unwrap_or_default();
        let strangers =
            self.environment.beginning_with(prefix).filter(|(name, _)| !variables::is_known(name));
        let meant = super::mistakes::nearest(variable.name, strangers.map(|(name, _)| name))?;
        Some(format!("{meant} is set: did you mean {}?", variable.name))
    }
}

fn read_secret(path: &Path) -> Result<String, Wrong> {
    let text = read_text(path).map_err(|unread| match unread {
        Unread::Absent => Wrong::new("the file does not exist"),
        Unread::Failed(why) => Wrong::new(why),
    })?;
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
    if trimmed.is_empty() { Err(Wrong::new("the file is empty")) } else { Ok(trimmed.to_owned()) }
}

/// Takes any text as a secret.
pub fn secret(text: &str) -> Result<SecretString, Wrong> {
    Ok(SecretString::from(text))
}
