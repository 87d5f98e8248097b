//! What is wrong across lines: each line is good, and together they say two things, or something that has no effect.
//!
//! The walk notes every value with the place where it was said; the rules here look at these notes alone, so that they
//! hold for the file and for variables alike, and a value that was wrong by itself leads to no second mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Value;

use crate::config::mistakes::nearest;
use crate::config::reader::Wrong;
use crate::config::shape;
use crate::policy::GROUPS_MAX;
use crate::policy::mapping::Expression;

/// Where a value was said.
#[derive(Debug, Clone)]
pub enum Spot {
    File(Range<usize>),
    Variable(String),
}

/// One value and where it was said.
#[derive(Debug)]
pub struct Said {
    /// As in [`shape::paths`]; entries of a list end in `[]`.
    path: String,
    /// Which tables of lists it stands in.
    rows: Vec<usize>,
    /// `None` when it is wrong by itself.
    text: Option<String>,
    spot: Spot,
}

impl Said {
    /// The path of what it belongs to: `roles[]` of `roles[].any_of[]`.
    fn home(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(home, _)| home)
    }
}

/// Everything that was said.
#[derive(Debug, Default)]
pub struct All(Vec<Said>);

impl All {
    pub fn add(&mut self, path: &str, rows: &[usize], text: Option<String>, spot: Spot) {
        self.0.push(Said { path: path.to_owned(), rows: rows.to_vec(), text, spot });
    }

    /// A variable says it instead of the file.
    pub fn replace(&mut self, path: &str, value: &Value, variable: &str) {
        let entries = format!("{path}[]");
        self.0.retain(|said| said.path != path && said.path != entries);
        let spot = Spot::Variable(variable.to_owned());
        match value {
            Value::Array(items) => {
                items.iter().for_each(|item| self.add(&entries, &[], text(item), spot.clone()))
            }
            value => self.add(path, &[], text(value), spot),
        }
    }

    fn each<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Said> {
        self.0.iter().filter(move |said| said.path == path)
    }

    /// Those that are good, with their text.
    fn texts<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Said)> {
        self.each(path).filter_map(|said| Some((said.text.as_deref()?, said)))
    }

    /// What the same table says under `key`.
    fn beside<'a>(&'a self, said: &Said, key: &str) -> Option<&'a Said> {
        let path = shape::under(said.home(), key);
        self.0.iter().find(|other| other.path == path && other.rows == said.rows)
    }
}

/// A value as it is compared.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What is wrong, and where.
type Found = Vec<(Spot, Wrong)>;

/// What the environment has; the policy may ask for more.
#[derive(Debug, Clone, Default)]
pub struct Lacking {
    /// Variables that are not set, of those that making accounts by SCIM needs.
    pub for_scim: Vec<&'static str>,
}

pub fn check(all: &All, lacking: &Lacking) -> Found {
    let mut found = Found::new();
    needs(all, &mut found);
    environment(all, lacking, &mut found);
    targets(all, &mut found);
    tables(all, &mut found);
    privileged(all, &mut found);
    groups(all, &mut found);
    found
}

/// What is said at `path` (and is `is`) means nothing unless `needs` is said too (and is `to_be`).
struct Need {
    path: &'static str,
    is: Option<&'static str>,
    needs: &'static str,
    to_be: Option<&'static str>,
}

const NEEDS: &[Need] = &[
    Need { path: "provision.method", is: Some("database"), needs: "provision.connection", to_be: None },
    Need { path: "provision.connection", is: None, needs: "provision.method", to_be: Some("database") },
    Need {
        path: "provision.password_mail",
        is: Some("yes"),
        needs: "provision.method",
        to_be: Some("database"),
    },
    Need { path: "mfa.enrolment_mail", is: Some("yes"), needs: "mfa.metadata_key", to_be: None },
    Need { path: "mfa.any_of[]", is: None, needs: "mfa.metadata_key", to_be: None },
    Need { path: "mfa.none_of[]", is: None, needs: "mfa.metadata_key", to_be: None },
];

fn needs(all: &All, found: &mut Found) {
    for need in NEEDS {
        let Some((_, said)) = all.texts(need.path).find(|(text, _)| need.is.is_none_or(|is| is == *text))
        else {
            continue;
        };
        let mut there = all.each(need.needs);
        let met = there.any(|other| match (&other.text, need.to_be) {
            (Some(text), Some(to_be)) => text == to_be,
            // One that is wrong by itself is mended first.
            (None, _) | (_, None) => true,
        });
        if !met {
            let what =
                need.to_be.map_or(need.needs.to_owned(), |word| format!("{} = \"{word}\"", need.needs));
            found.push((said.spot.clone(), Wrong::new(format!("this has no effect without {what}"))));
        }
    }
}

fn environment(all: &All, lacking: &Lacking, found: &mut Found) {
    let scim = all.texts("provision.method").find(|(method, _)| *method == "scim");
    let Some((_, said)) = scim.filter(|_| !lacking.for_scim.is_empty()) else { return };
    let wrong =
        Wrong::new(format!("accounts cannot be made by SCIM without {}", lacking.for_scim.join(" and ")));
    let help =
        "docs/configuration.md says where the two come from; they are read at the start of the process";
    found.push((said.spot.clone(), wrong.help(help)));
}

/// Two lines that say what one attribute holds would take turns.
fn targets(all: &All, found: &mut Found) {
    let mut mapped = BTreeSet::new();
    for (target, said) in all.texts("attributes[].to") {
        if !mapped.insert(target) {
            let wrong = Wrong::new(format!("{target} is mapped twice"));
            found.push((
                said.spot.clone(),
                wrong.help("join both into one expression, such as `mobilePhone or mail`"),
            ));
        }
    }
    for (key, said) in all.texts("mfa.metadata_key") {
        if mapped.contains(format!("app_metadata.{key}").as_str()) {
            let wrong = Wrong::new(format!("app_metadata.{key} is mapped by [[attributes]] already"));
            found.push((said.spot.clone(), wrong.help("the flag needs a key of its own")));
        }
    }
}

fn tables(all: &All, found: &mut Found) {
    let known: BTreeSet<&str> = all.texts("tables.*").map(|(name, _)| name).collect();
    for (source, said) in all.texts("attributes[].from") {
        let Ok(expression) = Expression::compile(source) else { continue };
        for table in expression.tables().iter().filter(|table| !known.contains(table.as_str())) {
            let wrong = Wrong::new(format!("there is no [tables.{table}]"));
            let wrong = match nearest(table, known.iter().copied()) {
                Some(meant) => wrong.help(format!("did you mean tables.{meant}?")),
                None => {
                    wrong.help(format!("write [tables.{table}] with a line `key = \"value\"` for each entry"))
                }
            };
            found.push((said.spot.clone(), wrong));
        }
    }
}

/// Whether losing a role ends access is said of the role, on whichever of its lines.
fn privileged(all: &All, found: &mut Found) {
    for path in ["roles[].privileged", "organizations[].roles[].privileged"] {
        let mut first: BTreeMap<(Option<&str>, &str), &str> = BTreeMap::new();
        for (word, said) in all.texts(path) {
            let Some(role) = all.beside(said, "role").and_then(|role| role.text.as_deref()) else { continue };
            // Roles of one organization are compared with each other, however many tables it has.
            let organization = all
                .each("organizations[].organization")
                .find(|o| said.rows.len() > 1 && o.rows.first() == said.rows.first());
            let of = (organization.and_then(|o| o.text.as_deref()), role);
            if *first.entry(of).or_insert(word) != word {
                let wrong = Wrong::new(format!("another line says the opposite of the role {role}"));
                found
                    .push((said.spot.clone(), wrong.help("say it once: it holds for all lines of the role")));
            }
        }
    }
}

fn groups(all: &All, found: &mut Found) {
    let mut named = BTreeSet::new();
    let mut excluded: BTreeSet<(&str, &[usize], String)> = BTreeSet::new();
    let is_group = |said: &&Said| GROUP_LISTS.iter().any(|list| said.path.ends_with(list));
    let told: Vec<(String, &Said)> = all
        .0
        .iter()
        .filter(is_group)
        .filter_map(|said| Some((said.text.as_ref()?.to_ascii_lowercase(), said)))
        .collect();
    for (id, said) in told.iter().filter(|(_, said)| said.path.ends_with(".none_of[]")) {
        excluded.insert((said.home(), &said.rows, id.clone()));
    }
    for (id, said) in &told {
        if !said.path.ends_with(".none_of[]") && excluded.contains(&(said.home(), &said.rows, id.clone())) {
            let wrong = Wrong::new("the same group is in none_of of this rule");
            found.push((
                said.spot.clone(),
                wrong.help("nobody in it falls under the rule: take it out of one of the two"),
            ));
        }
        if named.insert(id) && named.len() == GROUPS_MAX + 1 {
            let wrong = Wrong::new(format!("the policy names more than {GROUPS_MAX} groups"));
            found.push((
                said.spot.clone(),
                wrong.help("name a group that has several of them as members instead"),
            ));
        }
    }
}

const GROUP_LISTS: [&str; 3] = [".any_of[]", ".all_of[]", ".none_of[]"];
