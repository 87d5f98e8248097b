//! Walks a parsed policy file against the table of known keys and finds every mistake with its place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::across::{All, Spot, text};
use crate::config::mistakes::{Line, Mistake, Mistakes, Place, nearest, one_of};
use crate::config::reader::Wrong;
use crate::config::shape::{self, Item, Key, LIST_ITEMS_MAX, Shape, Switched};

/// A file while it is looked at: its good values, where each was said, and what is wrong, in the order of the file.
pub struct Walk<'a> {
    file: &'a str,
    source: &'a str,
    /// The good values.
    pub table: Table,
    pub said: All,
    found: Vec<(Line, Wrong)>,
    /// The tables of lists that are open, counted from 0.
    rows: Vec<usize>,
}

impl<'a> Walk<'a> {
    pub fn through(file: &'a str, source: &'a str) -> Walk<'a> {
        let (document, errors) = DeTable::parse_recoverable(source);
        let (table, said) = (Table::new(), All::default());
        let mut walk = Walk { file, source, table, said, found: Vec::new(), rows: Vec::new() };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            walk.add(span, Wrong::new(format!("this is not TOML: {}", error.message())));
        }
        // What follows from an unreadable line is not a second mistake.
        let unreadable: Vec<usize> = walk.found.iter().map(|(line, _)| line.line).collect();
        walk.table = walk.keys(document.get_ref(), shape::POLICY, "");
        let followed = walk.found.split_off(unreadable.len());
        walk.found.extend(followed.into_iter().filter(|(line, _)| !unreadable.contains(&line.line)));
        walk
    }

    /// What is wrong with what stands at `span`.
    pub fn add(&mut self, span: Range<usize>, wrong: Wrong) {
        let line = Line::of(self.file, self.source, span);
        if !smells_of_secret(line.text()) {
            return self.found.push((line, wrong));
        }
        let help = "secrets belong in the environment or a file of their own, never in the policy";
        self.found.push((guarded(line), Wrong { help: Some(help.to_owned()), ..wrong }));
    }

    /// The good values; everything that is wrong is added to `mistakes`.
    pub fn end(mut self, mistakes: &mut Mistakes) -> Table {
        self.found.sort_by_key(|(line, _)| (line.line, line.column));
        for (line, wrong) in self.found {
            mistakes.push(Mistake { what: wrong.what, place: Place::Line(line), help: wrong.help });
        }
        self.table
    }

    fn keys(&mut self, table: &DeTable<'_>, keys: &[Key], path: &str) -> Table {
        let mut good = Table::new();
        for (name, value) in table {
            let Some(key) = shape::find(keys, name.get_ref()) else {
                self.add(name.span(), stranger(name.get_ref(), keys, path));
                continue;
            };
            let at = At { name: name.span(), path: shape::under(path, key.name) };
            let value = self.shaped(&at, value, &key.shape);
            good.extend(value.map(|value| (key.name.to_owned(), value)));
        }
        good
    }

    fn shaped(&mut self, at: &At, value: &Spanned<DeValue<'_>>, shape: &Shape) -> Option<Value> {
        match shape {
            Shape::Table(keys) => self.section(at, value, keys),
            Shape::Rows { keys, needed, most } => self.rows(at, value, keys, needed, *most),
            Shape::Named { each, most } => self.named(at, value, each, *most),
            _ => self.value(at, value, shape),
        }
    }

    fn section(&mut self, at: &At, value: &Spanned<DeValue<'_>>, keys: &[Key]) -> Option<Value> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Value::Table(self.keys(table, keys, &at.path))),
            _ => {
                let header = shape::header(&at.path);
                let wrong = Wrong::new(format!("expected the section {header}"));
                self.add(
                    at.name.clone(),
                    wrong.help(format!("write {header} on a line of its own, its keys below")),
                );
                None
            }
        }
    }

    /// `[[name]]` tables, each walked like a section.
    fn rows(
        &mut self,
        at: &At,
        value: &Spanned<DeValue<'_>>,
        keys: &[Key],
        needed: &[&str],
        most: usize,
    ) -> Option<Value> {
        let path = format!("{}[]", at.path);
        let header = shape::header(&path);
        let help = format!("write {header} on a line of its own before the keys of each");
        let DeValue::Array(items) = value.get_ref() else {
            self.add(at.name.clone(), Wrong::new(format!("expected tables, each under {header}")).help(help));
            return None;
        };
        if items.len() > most {
            self.add(at.name.clone(), Wrong::new(format!("more than {most} tables {header}")));
            return None;
        }
        let mut good = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let DeValue::Table(table) = item.get_ref() else {
                let found = kind(item.get_ref());
                self.add(
                    item.span(),
                    Wrong::new(format!("expected a table, found {found}")).help(help.as_str()),
                );
                continue;
            };
            for key in needed.iter().filter(|key| !table.iter().any(|(name, _)| name.get_ref() == **key)) {
                self.add(item.span(), Wrong::new(format!("{header} needs the key {key}")));
            }
            self.rows.push(index);
            good.push(Value::Table(self.keys(table, keys, &path)));
            self.rows.pop();
        }
        Some(Value::Array(good))
    }

    /// A table with names of the operator's own.
    fn named(&mut self, at: &At, value: &Spanned<DeValue<'_>>, each: &Shape, most: usize) -> Option<Value> {
        let DeValue::Table(table) = value.get_ref() else {
            let wrong = Wrong::new(format!("expected a table, found {}", kind(value.get_ref())));
            self.add(at.name.clone(), wrong.help("its keys are names of your own"));
            return None;
        };
        if table.len() > most {
            self.add(at.name.clone(), Wrong::new(format!("more than {most} entries")));
            return None;
        }
        let mut good = Table::new();
        for (key, value) in table {
            let inner = At { name: key.span(), path: format!("{}.*", at.path) };
            self.said.add(&inner.path, &self.rows, Some(key.get_ref().to_string()), Spot::File(key.span()));
            let read = self.shaped(&inner, value, each);
            good.extend(read.map(|value| (key.get_ref().to_string(), value)));
        }
        Some(Value::Table(good))
    }

    fn value(&mut self, at: &At, value: &Spanned<DeValue<'_>>, shape: &Shape) -> Option<Value> {
        let read = match (value.get_ref(), shape) {
            (DeValue::Array(items), Shape::List(_)) if items.len() > LIST_ITEMS_MAX => {
                Err(Wrong::new(format!("more than {LIST_ITEMS_MAX} entries")))
            }
            (DeValue::Array(items), Shape::List(item)) => return Some(self.list(at, items.iter(), *item)),
            (DeValue::String(text), Shape::Word(_) | Shape::Switch) => shape.word(text),
            (DeValue::String(text), Shape::Text(kind)) => kind.check(text),
            (DeValue::Boolean(true), Shape::Switch) => Ok(shape::switch(Switched::On)),
            (DeValue::Boolean(false), Shape::Switch) => Ok(shape::switch(Switched::Off)),
            (DeValue::Integer(number), Shape::Whole { .. }) => {
                // A number too large for 64 bits is out of every range too.
                let number = i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX);
                shape.whole(number)
            }
            (other, _) => Err(Wrong::new(format!("expected {}, found {}", shape.expected(), kind(other)))),
        };
        let span = if value.get_ref().is_table() { at.name.clone() } else { value.span() };
        self.said.add(&at.path, &self.rows, read.as_ref().ok().and_then(text), Spot::File(span.clone()));
        read.map_err(|wrong| self.add(span, wrong)).ok()
    }

    fn list<'v>(
        &mut self,
        at: &At,
        items: impl Iterator<Item = &'v Spanned<DeValue<'v>>>,
        item: Item,
    ) -> Value {
        let mut good = Vec::new();
        let path = format!("{}[]", at.path);
        for entry in items {
            let read = match entry.get_ref() {
                DeValue::String(text) => item.read(text),
                other => Err(Wrong::new(format!("expected a string, found {}", kind(other)))),
            };
            self.said.add(&path, &self.rows, read.as_ref().ok().and_then(text), Spot::File(entry.span()));
            good.extend(read.map_err(|wrong| self.add(entry.span(), wrong)).ok());
        }
        Value::Array(good)
    }
}

/// Where a key stands: its bytes, and its path as in [`shape::paths`].
struct At {
    name: Range<usize>,
    path: String,
}

fn stranger(name: &str, keys: &[Key], path: &str) -> Wrong {
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let home = if path.is_empty() { "the policy".to_owned() } else { shape::header(path) };
    let wrong = Wrong::new(format!("this is no key of {home}"));
    let elsewhere = shape::homes(name);
    // A key that exists elsewhere is meant as it is written, however near another one is.
    if !elsewhere.is_empty() {
        let homes: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
        return wrong.help(format!("it belongs under {}", one_of(&homes)));
    }
    match nearest(name, names.iter().copied()) {
        Some(meant) => wrong.help(format!("did you mean {meant}?")),
        None => wrong.help(format!("{home} knows {}", names.join(", "))),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// People put secrets into the wrong file; such a line is shown only up to its `=`.
fn guarded(line: Line) -> Line {
    if !smells_of_secret(line.text()) {
        return line;
    }
    let keep = line.text().find('=').map_or(0, |at| at + 1);
    line.hiding_after(keep)
}

fn smells_of_secret(text: &str) -> bool {
    const WORDS: [&str; 8] =
        ["secret", "token", "password", "private", "api_key", "client_state", "whsec_", "xox"];
    let smells = |text: &str| WORDS.iter().any(|word| text.contains(word));
    // The keys of the policy itself are no secrets, whatever they are called.
    let keys = shape::paths().into_iter().filter_map(|path| Some(path.rsplit(['.', '[']).next()?.to_owned()));
    let ours = keys.filter(|key| smells(key));
    let text = ours.fold(text.to_ascii_lowercase(), |text, key| text.replace(&key, " "));
    // Nor are the words that it takes, misspelt ones included.
    let words = shape::words();
    let is_ours = |word: &&str| nearest(word, words.iter().copied()).is_some();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(|c| !is_word(c)).filter(|word| !is_ours(word)).any(smells)
}
