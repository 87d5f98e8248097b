//! The environment: the process's variables, completed by a `.env` file. The process's own variables win.
//!
//! [`Reader`] reads settings out of it and gathers every mistake on the way, so that one run shows all of them. An
//! empty value counts as not set (Docker Compose passes unset variables on as empty ones).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

use secrecy::SecretString;

use super::mistakes::{Line, Mistake, Mistakes, Place};
use super::variables::{self, Kind, Variable};

/// A configuration or secret file larger than this is not one.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Variables with where they come from.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, Value>,
    /// What was wrong before any setting was looked at: bad lines of `.env`, values that are no text.
    mistakes: Mistakes,
}

#[derive(Clone)]
struct Value {
    text: String,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    Process,
    File { file: String, line: usize, text: String },
}

impl Environment {
    /// The process's variables, and those of `.env` in `dir` when there is one.
    pub fn of_process(dir: &Path) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(text) => environment.set(name, text),
                Err(_) if variables::is_known(&name) => environment.mistakes.push(not_text(name)),
                Err(_) => {}
            }
        }
        let file = dir.join(".env");
        match read_text(&file) {
            Ok(source) => environment.complete(".env", &source),
            Err(Unread::Absent) => {}
            Err(Unread::Failed(why)) => {
                let place = Place::File { file: ".env".to_owned() };
                environment.mistakes.push(Mistake { what: why, place, help: None });
            }
        }
        environment
    }

    /// Adds the variables of a `.env` file that are not set yet; of two lines for one name the last counts.
    pub fn complete(&mut self, file: &str, source: &str) {
        let (settings, mistakes) = super::dotenv::parse(file, source);
        self.mistakes.extend(mistakes);
        for setting in settings {
            let of_process =
                self.values.get(&setting.name).is_some_and(|v| matches!(v.origin, Origin::Process));
            if !of_process {
                let origin = Origin::File { file: file.to_owned(), line: setting.line, text: setting.text };
                self.values.insert(setting.name, Value { text: setting.value, origin });
            }
        }
    }

    fn set(&mut self, name: String, text: String) {
        self.values.insert(name, Value { text, origin: Origin::Process });
    }

    /// The value of `name`, when it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Names and values that begin with `prefix`, in order.
    pub fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let begins = self.values.iter().filter(move |(name, _)| name.starts_with(prefix));
        begins.map(|(name, value)| (name.as_str(), value.text.as_str()))
    }

    /// Only the variables that begin with `prefix`; for keeping what is needed without keeping secrets.
    pub fn only(&self, prefix: &str) -> Environment {
        let begins = self.values.iter().filter(|(name, _)| name.starts_with(prefix));
        Environment {
            values: begins.map(|(n, v)| (n.clone(), v.clone())).collect(),
            mistakes: Mistakes::default(),
        }
    }

    /// Where `name` was set, its value shown only when `kind` allows.
    pub fn place(&self, name: &str, kind: Kind) -> Place {
        match self.values.get(name).map(|value| &value.origin) {
            Some(Origin::File { file, line, text }) => {
                let equals = text.find('=').map_or(text.len(), |at| at + 1);
                match kind {
                    Kind::Open => Place::Line(Line::numbered(file, *line, text, equals..text.len())),
                    Kind::Private | Kind::Secret => {
                        Place::Line(Line::numbered(file, *line, text, 0..equals).hiding_after(equals))
                    }
                }
            }
            _ => Place::Variable { variable: name.to_owned() },
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    /// As if the process had these variables and no others, and no `.env` were there.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in variables {
            environment.set(name.into(), value.into());
        }
        environment
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

fn not_text(name: String) -> Mistake {
    Mistake {
        what: "the value is not UTF-8".to_owned(),
        place: Place::Variable { variable: name },
        help: None,
    }
}

/// Why a file gave no text.
pub enum Unread {
    Absent,
    Failed(String),
}

/// The text of a small file.
pub fn read_text(path: &Path) -> Result<String, Unread> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Unread::Absent,
        std::io::ErrorKind::InvalidData => Unread::Failed("the file is not UTF-8".to_owned()),
        _ => Unread::Failed(format!("the file cannot be read: {error}")),
    };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Unread::Failed(format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

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
