//! The environment: the process's variables, completed by a `.env` file. The process's own variables win.
//!
//! An empty value counts as not set (Docker Compose passes unset variables on as empty ones). What is wrong with the
//! `.env` file itself is kept until somebody reads settings ([`super::reader`]).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::mistakes::{Line, Mistake, Mistakes, Place};
use super::variables::{self, Kind};

/// A configuration or secret file larger than this is not one.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Variables with where they come from.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, Value>,
    /// What was wrong before any setting was looked at: bad lines of `.env`, values that are no text.
    pub(super) mistakes: Mistakes,
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
                    Kind::Open => {
                        let end = text.find(" #").unwrap_or(text.len()).max(equals);
                        Place::Line(Line::numbered(file, *line, text, equals..end))
                    }
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
