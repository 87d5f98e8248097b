//! What each key of the policy file may hold, and whether a value is good: what the file, the `LOCKSTEP__…` variables and
//! the documentation are compared with.
//!
//! Deserializing stops at the first mistake; walking the table of keys ([`POLICY`]) finds all of them.

mod item;
mod keys;
mod paths;
mod property;
mod text;

use toml::Value;

pub use self::keys::POLICY;
pub use self::paths::{find, header, homes, paths, under, words};
use super::mistakes::{nearest, one_of};
use super::reader::Wrong;

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub shape: Shape,
}

/// What a key may hold.
#[derive(Debug)]
pub enum Shape {
    Table(&'static [Key]),
    /// `[[name]]`, as often as wanted; `needed` keys must be there each time.
    Rows {
        keys: &'static [Key],
        needed: &'static [&'static str],
        most: usize,
    },
    /// A table whose keys are names of the operator's own.
    Named {
        each: &'static Shape,
        most: usize,
    },
    Text(Text),
    Word(&'static [&'static str]),
    Whole {
        least: i64,
        most: i64,
    },
    /// `true` or `false`; `"yes"` and `"no"` are understood too.
    Switch,
    List(Item),
}

/// What a text may say.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    /// A name or an id of the tenant.
    Name,
    Target,
    Expression,
    /// A first-level key of `app_metadata`.
    MetadataKey,
    Free,
}

/// What a list may hold.
#[derive(Debug, Clone, Copy)]
pub enum Item {
    Person,
    Group,
    AccountId,
    /// One of these.
    Word(&'static [&'static str]),
}

/// The entries of one list; each is a person or an account that is treated by hand.
pub const LIST_ITEMS_MAX: usize = 10_000;

impl Shape {
    /// What belongs here, as the end of "expected …".
    pub fn expected(&self) -> String {
        match self {
            Shape::Table(_) | Shape::Named { .. } => "a table".to_owned(),
            Shape::Rows { .. } => "tables, each under a [[header]] of its own".to_owned(),
            Shape::Text(text) => text.expected().to_owned(),
            Shape::Word(words) => one_of(words),
            Shape::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Shape::Switch => "true or false".to_owned(),
            Shape::List(Item::Person) => "a list of Entra object ids".to_owned(),
            Shape::List(Item::Group) => "a list of object ids of Entra groups".to_owned(),
            Shape::List(Item::AccountId) => "a list of Auth0 user ids".to_owned(),
            Shape::List(Item::Word(words)) => format!("a list of {}", one_of(words)),
        }
    }

    /// Reads the text of an environment variable; lists are separated by commas.
    pub fn read(&self, text: &str) -> Result<Value, Wrong> {
        match self {
            Shape::Table(_) => Err(Wrong::new("this names a section, not a key")),
            Shape::Rows { .. } | Shape::Named { .. } => {
                Err(Wrong::new("a variable cannot hold tables: write them into the policy file"))
            }
            Shape::Text(kind) => kind.check(text),
            Shape::Word(_) => self.word(text),
            Shape::Whole { .. } => match text.parse() {
                Ok(number) => self.whole(number),
                Err(_) => Err(Wrong::new(format!("expected {}", self.expected()))),
            },
            Shape::Switch => match text {
                "true" => Ok(switch(Switched::On)),
                "false" => Ok(switch(Switched::Off)),
                other => self.word(other),
            },
            Shape::List(item) => {
                text.split(',').map(|one| item.read(one.trim())).collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    /// Checks a word against the words that are allowed here.
    pub fn word(&self, given: &str) -> Result<Value, Wrong> {
        let words: &[&str] = match self {
            Shape::Word(words) => words,
            Shape::Switch => &["yes", "no"],
            _ => &[],
        };
        one_word(given, words, || self.expected())
    }

    /// Checks a number against the range that is allowed here.
    pub fn whole(&self, given: i64) -> Result<Value, Wrong> {
        match self {
            Shape::Whole { least, most } if (*least..=*most).contains(&given) => Ok(Value::Integer(given)),
            _ => Err(Wrong::new(format!("expected {}", self.expected()))),
        }
    }
}

/// A word, if it is one of `words`; the nearest is what may have been meant.
fn one_word(given: &str, words: &[&str], expected: impl FnOnce() -> String) -> Result<Value, Wrong> {
    if words.contains(&given) {
        return Ok(Value::String(given.to_owned()));
    }
    let wrong = Wrong::new(format!("expected {}", expected()));
    match nearest(&given.to_ascii_lowercase().replace('_', "-"), words.iter().copied()) {
        Some(meant) => Err(wrong.help(format!("did you mean {meant}?"))),
        None => Err(wrong),
    }
}

/// A switch as the policy reads it.
pub enum Switched {
    On,
    Off,
}

/// The word that [`crate::policy::ReleaseWhenCleared`] reads.
pub fn switch(switched: Switched) -> Value {
    let word = match switched {
        Switched::On => "yes",
        Switched::Off => "no",
    };
    Value::String(word.to_owned())
}
