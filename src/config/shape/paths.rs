//! Keys by name and by path: `section.key`, and the `[header]` that they stand under.

use super::{Item, Key, POLICY, Shape};

/// The key with this name.
pub fn find<'a>(keys: &'a [Key], name: &str) -> Option<&'a Key> {
    keys.iter().find(|key| key.name == name)
}

/// The path of a key of the table at `path`.
pub fn under(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The header above the keys of the table at `path`: `[contain.brake]`, or `[[organizations.roles]]` of
/// `organizations[].roles[]`.
pub fn header(path: &str) -> String {
    let name = path.replace("[]", "");
    if path.ends_with("[]") { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// Every key that holds a value, as `section.key`, in the order of the table; `name[].key` in a list of tables, `name.*`
/// where names are the operator's own.
pub fn paths() -> Vec<String> {
    fn collect(shape: &Shape, path: String, into: &mut Vec<String>) {
        match shape {
            Shape::Table(keys) => {
                keys.iter().for_each(|key| collect(&key.shape, under(&path, key.name), into))
            }
            Shape::Rows { keys, .. } => collect(&Shape::Table(keys), format!("{path}[]"), into),
            Shape::Named { each, .. } => collect(each, format!("{path}.*"), into),
            _ => into.push(path),
        }
    }
    let mut paths = Vec::new();
    collect(&Shape::Table(POLICY), String::new(), &mut paths);
    paths
}

/// Every word that a list of words may hold.
pub fn words() -> Vec<&'static str> {
    fn collect(shape: &'static Shape, into: &mut Vec<&'static str>) {
        match shape {
            Shape::Table(keys) | Shape::Rows { keys, .. } => {
                keys.iter().for_each(|key| collect(&key.shape, into))
            }
            Shape::Named { each, .. } => collect(each, into),
            Shape::List(Item::Word(words)) => into.extend(*words),
            _ => {}
        }
    }
    let mut words = Vec::new();
    POLICY.iter().for_each(|key| collect(&key.shape, &mut words));
    words
}

/// The tables that have a key `name`, as `[section]`, for a key that stands in the wrong one.
pub fn homes(name: &str) -> Vec<String> {
    let of = |path: &String| {
        let (table, key) = path.rsplit_once('.')?;
        (key == name).then(|| header(table))
    };
    paths().iter().filter_map(of).collect()
}
