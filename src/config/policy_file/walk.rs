//! Walks a parsed policy file against the table of known keys and finds every mistake with its place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::config::mistakes::{Line, Mistake, Mistakes, Place, nearest, one_of};
use crate::config::reader::Wrong;
use crate::config::shape::{self, Key, LIST_ITEMS_MAX, Shape, Switched};

/// The good values of a file; what is wrong is added to `mistakes`, in the order of the file.
pub fn walk_file(file: &str, source: &str, mistakes: &mut Mistakes) -> Table {
    let (document, errors) = DeTable::parse_recoverable(source);
    let mut walk = Walk { file, source, found: Vec::new() };
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        walk.add(span, Wrong::new(format!("this is not TOML: {}", error.message())));
    }
    // What follows from an unreadable line is not a second mistake.
    let unreadable: Vec<usize> = walk.found.iter().map(|(line, _)| line.line).collect();
    let table = walk.table(document.get_ref(), shape::POLICY, "");
    let mut found = walk.found;
    let syntax = unreadable.len();
    let mut index = 0;
    found.retain(|(line, _)| {
        index += 1;
        index <= syntax || !unreadable.contains(&line.line)
    });
    found.sort_by_key(|(line, _)| (line.line, line.column));
    for (line, wrong) in found {
        mistakes.push(Mistake { what: wrong.what, place: Place::Line(line), help: wrong.help });
    }
    table
}

/// What `[[name]]` tables hold.
struct Rows {
    name: &'static str,
    keys: &'static [Key],
    needed: &'static [&'static str],
    most: usize,
}

struct Walk<'a> {
    file: &'a str,
    source: &'a str,
    found: Vec<(Line, Wrong)>,
}

impl Walk<'_> {
    fn add(&mut self, span: Range<usize>, wrong: Wrong) {
        let line = Line::of(self.file, self.source, span);
        let wrong = if smells_of_secret(line.text()) {
            let help = "secrets belong in the environment or a file of their own, never in the policy";
            Wrong { help: Some(help.to_owned()), ..wrong }
        } else {
            wrong
        };
        self.found.push((guarded(line), wrong));
    }

    fn table(&mut self, table: &DeTable<'_>, keys: &[Key], path: &str) -> Table {
        let mut good = Table::new();
        for (name, value) in table {
            let Some(key) = shape::find(keys, name.get_ref()) else {
                self.add(name.span(), stranger(name.get_ref(), keys, path));
                continue;
            };
            let value = match key.shape {
                Shape::Table(inner) => {
                    let path =
                        if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
                    self.section(name.span(), value, inner, &path)
                }
                Shape::Rows { keys, needed, most } => {
                    self.rows(name.span(), value, Rows { keys, needed, most, name: key.name })
                }
                Shape::Named { each, most } => self.named(name.span(), value, each, most),
                _ => self.value(name.span(), value, &key.shape),
            };
            good.extend(value.map(|value| (key.name.to_owned(), value)));
        }
        good
    }

    fn section(
        &mut self,
        name: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        keys: &[Key],
        path: &str,
    ) -> Option<Value> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Value::Table(self.table(table, keys, path))),
            _ => {
                let wrong = Wrong::new(format!("expected the section [{path}]"));
                self.add(name, wrong.help(format!("write [{path}] on a line of its own, its keys below")));
                None
            }
        }
    }

    /// `[[name]]` tables, each walked like a section.
    fn rows(&mut self, name: Range<usize>, value: &Spanned<DeValue<'_>>, rows: Rows) -> Option<Value> {
        let DeValue::Array(items) = value.get_ref() else {
            let wrong = Wrong::new(format!("expected tables under [[{}]]", rows.name));
            self.add(name, wrong);
            return None;
        };
        if items.len() > rows.most {
            self.add(name, Wrong::new(format!("more than {} tables", rows.most)));
            return None;
        }
        let mut good = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                self.add(item.span(), Wrong::new(format!("expected a table under [[{}]]", rows.name)));
                continue;
            };
            let missing: Vec<&str> = rows
                .needed
                .iter()
                .copied()
                .filter(|key| !table.iter().any(|(k, _)| k.get_ref() == key))
                .collect();
            if !missing.is_empty() {
                self.add(item.span(), Wrong::new(format!("[[{}]] needs {}", rows.name, one_of(&missing))));
            }
            good.push(Value::Table(self.table(table, rows.keys, rows.name)));
        }
        Some(Value::Array(good))
    }

    /// A table with names of the operator's own.
    fn named(
        &mut self,
        name: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        each: &Shape,
        most: usize,
    ) -> Option<Value> {
        let DeValue::Table(table) = value.get_ref() else {
            self.add(name, Wrong::new("expected a table"));
            return None;
        };
        if table.len() > most {
            self.add(name, Wrong::new(format!("more than {most} entries")));
            return None;
        }
        let mut good = Table::new();
        for (key, value) in table {
            let read = match each {
                Shape::Named { each, most } => self.named(key.span(), value, each, *most),
                other => self.value(key.span(), value, other),
            };
            good.extend(read.map(|value| (key.get_ref().to_string(), value)));
        }
        Some(Value::Table(good))
    }

    fn value(&mut self, name: Range<usize>, value: &Spanned<DeValue<'_>>, shape: &Shape) -> Option<Value> {
        let read = match (value.get_ref(), shape) {
            (DeValue::Array(items), Shape::List(_)) if items.len() > LIST_ITEMS_MAX => {
                Err(Wrong::new(format!("more than {LIST_ITEMS_MAX} entries")))
            }
            (DeValue::Array(items), Shape::List(_)) => return Some(self.list(items.iter(), shape)),
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
        let span = if value.get_ref().is_table() { name } else { value.span() };
        read.map_err(|wrong| self.add(span, wrong)).ok()
    }

    fn list<'v>(&mut self, items: impl Iterator<Item = &'v Spanned<DeValue<'v>>>, shape: &Shape) -> Value {
        let mut good = Vec::new();
        for item in items {
            let read = match (item.get_ref(), shape) {
                (DeValue::String(text), Shape::List(kind)) => kind.read(text),
                (other, _) => Err(Wrong::new(format!("expected a string, found {}", kind(other)))),
            };
            good.extend(read.map_err(|wrong| self.add(item.span(), wrong)).ok());
        }
        Value::Array(good)
    }
}

fn stranger(name: &str, keys: &[Key], path: &str) -> Wrong {
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let home = if path.is_empty() { "the policy".to_owned() } else { format!("[{path}]") };
    let wrong = Wrong::new(format!("this is no key of {home}"));
    let elsewhere = shape::homes(name);
    match nearest(name, names.iter().copied()) {
        Some(meant) => wrong.help(format!("did you mean {meant}?")),
        None if !elsewhere.is_empty() => {
            let homes: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
            wrong.help(format!("it belongs under {}", one_of(&homes)))
        }
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
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}
