//! `LOCKSTEP__SECTION__KEY` instead of `[section] key`: one variable for one key, never for a list of tables.

use toml::{Table, Value};

use super::walk::Walk;
use crate::config::environment::Environment;
use crate::config::mistakes::nearest;
use crate::config::reader::{Reader, Wrong};
use crate::config::shape::{self, Shape};
use crate::config::variables::Kind;

pub const PREFIX: &str = "LOCKSTEP__";

/// Lays `LOCKSTEP__SECTION__KEY` over `[section] key`.
pub fn lay_over(walk: &mut Walk<'_>, overrides: &Environment, reader: &mut Reader<'_>) {
    for (name, text) in overrides.beginning_with(PREFIX) {
        if text.is_empty() {
            continue;
        }
        match overridden(name, text) {
            Ok((path, value)) => {
                walk.said.replace(&path.join("."), &value, name);
                put(&mut walk.table, &path, value);
            }
            Err(wrong) => reader.wrong(name, Kind::Open, wrong),
        }
    }
}

fn overridden(name: &str, text: &str) -> Result<(Vec<&'static str>, Value), Wrong> {
    let (mut keys, mut path, mut found) = (shape::POLICY, Vec::new(), None::<&Shape>);
    for part in name[PREFIX.len()..].split("__") {
        if let Some(many @ (Shape::Rows { .. } | Shape::Named { .. })) = found {
            many.read(text)?;
        }
        let Some(key) = shape::find(keys, &part.to_ascii_lowercase()) else {
            return Err(no_such_override(name));
        };
        path.push(key.name);
        found = Some(&key.shape);
        keys = if let Shape::Table(inner) = key.shape { inner } else { &[] };
    }
    let shape = found.ok_or_else(|| no_such_override(name))?;
    Ok((path, shape.read(text)?))
}

fn no_such_override(name: &str) -> Wrong {
    let single = shape::paths().into_iter().filter(|path| !path.contains(['[', '*']));
    let names: Vec<String> = single.map(|path| override_name(&path)).collect();
    let wrong = Wrong::new("no such key of the policy");
    match nearest(&name.to_ascii_uppercase(), names.iter().map(String::as_str)) {
        Some(meant) => wrong.help(format!("did you mean {meant}?")),
        None => wrong.help("docs/configuration.md lists every key"),
    }
}

/// `LOCKSTEP__SECTION__KEY` for `section.key`.
fn override_name(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))
}

fn put(table: &mut Table, path: &[&'static str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let inner = table.entry(*key).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}
