//! The keys of the policy file and what each may hold: the one table that the file, the `LOCKSTEP__…` variables and
//! the documentation are compared with.
//!
//! Deserializing stops at the first mistake; walking this table finds all of them.

use toml::Value;

use super::mistakes::{nearest, one_of};
use super::reader::Wrong;
use crate::case::AccountId;
use crate::policy::mapping::Expression;
use crate::policy::sync::Target;

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
}

/// The entries of one list; each is a person or an account that is treated by hand.
pub const LIST_ITEMS_MAX: usize = 10_000;

const LEVELS: Shape = Shape::Word(&["low", "medium", "high"]);
const RESPONSES: Shape = Shape::Word(&["contain", "end-sessions", "notify", "ignore"]);
const SOURCE: Shape =
    Shape::Table(&[Key { name: "risk_level", shape: LEVELS }, Key { name: "response", shape: RESPONSES }]);

const GROUPS: Shape = Shape::List(Item::Group);
const NAME: Shape = Shape::Text(Text::Name);
const ROLE: &[Key] = &[
    Key { name: "role", shape: NAME },
    Key { name: "any_of", shape: GROUPS },
    Key { name: "all_of", shape: GROUPS },
    Key { name: "none_of", shape: GROUPS },
    Key { name: "privileged", shape: Shape::Switch },
];
const ROLES: Shape = Shape::Rows { keys: ROLE, needed: &["role"], most: 500 };

/// `lockstep.toml`
pub const POLICY: &[Key] = &[
    Key {
        name: "people",
        shape: Shape::Table(&[
            Key { name: "any_of", shape: GROUPS },
            Key { name: "none_of", shape: GROUPS },
            Key { name: "guests", shape: Shape::Word(&["ignore", "include"]) },
        ]),
    },
    Key {
        name: "provision",
        shape: Shape::Table(&[
            Key { name: "method", shape: Shape::Word(&["first-login", "scim", "database"]) },
            Key { name: "connection", shape: NAME },
            Key { name: "password_mail", shape: Shape::Switch },
            Key { name: "link", shape: Shape::Word(&["never", "verified-email"]) },
        ]),
    },
    Key {
        name: "attributes",
        shape: Shape::Rows {
            keys: &[
                Key { name: "to", shape: Shape::Text(Text::Target) },
                Key { name: "from", shape: Shape::Text(Text::Expression) },
            ],
            needed: &["to", "from"],
            most: 100,
        },
    },
    Key {
        name: "tables",
        shape: Shape::Named { each: &Shape::Named { each: &Shape::Text(Text::Free), most: 2000 }, most: 50 },
    },
    Key { name: "roles", shape: ROLES },
    Key {
        name: "organizations",
        shape: Shape::Rows {
            keys: &[
                Key { name: "organization", shape: NAME },
                Key { name: "any_of", shape: GROUPS },
                Key { name: "all_of", shape: GROUPS },
                Key { name: "none_of", shape: GROUPS },
                Key { name: "roles", shape: ROLES },
            ],
            needed: &["organization"],
            most: 200,
        },
    },
    Key {
        name: "mfa",
        shape: Shape::Table(&[
            Key { name: "metadata_key", shape: Shape::Text(Text::MetadataKey) },
            Key { name: "any_of", shape: GROUPS },
            Key { name: "none_of", shape: GROUPS },
            Key { name: "enrolment_mail", shape: Shape::Switch },
        ]),
    },
    Key {
        name: "leavers",
        shape: Shape::Table(&[
            Key { name: "delete", shape: Shape::Word(&["never", "after-grace", "after-grace-or-purge"]) },
            Key { name: "grace_days", shape: Shape::Whole { least: 0, most: 3650 } },
        ]),
    },
    Key {
        name: "sweep",
        shape: Shape::Table(&[
            Key { name: "every_seconds", shape: Shape::Whole { least: 1, most: 86_400 } },
            Key { name: "whole_every_hours", shape: Shape::Whole { least: 1, most: 720 } },
        ]),
    },
    Key {
        name: "contain",
        shape: Shape::Table(&[
            Key { name: "risk_level", shape: LEVELS },
            Key { name: "on_disabled", shape: RESPONSES },
            Key { name: "on_deleted", shape: RESPONSES },
            Key { name: "verify_within_seconds", shape: Shape::Whole { least: 5, most: 3600 } },
            Key { name: "release_when_cleared", shape: Shape::Switch },
            Key {
                name: "sources",
                shape: Shape::Table(&[
                    Key { name: "graph", shape: SOURCE },
                    Key { name: "risk", shape: SOURCE },
                    Key { name: "azure_monitor", shape: SOURCE },
                    Key { name: "operator", shape: SOURCE },
                ]),
            },
            Key {
                name: "brake",
                shape: Shape::Table(&[
                    Key { name: "containments", shape: Shape::Whole { least: 1, most: 100_000 } },
                    Key { name: "window_seconds", shape: Shape::Whole { least: 60, most: 86_400 } },
                ]),
            },
        ]),
    },
    Key {
        name: "protected",
        shape: Shape::Table(&[
            Key { name: "people", shape: Shape::List(Item::Person) },
            Key { name: "accounts", shape: Shape::List(Item::AccountId) },
        ]),
    },
];

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
        if words.contains(&given) {
            return Ok(Value::String(given.to_owned()));
        }
        let wrong = Wrong::new(format!("expected {}", self.expected()));
        match nearest(&given.to_ascii_lowercase(), words.iter().copied()) {
            Some(meant) => Err(wrong.help(format!("did you mean {meant}?"))),
            None => Err(wrong),
        }
    }

    /// Checks a number against the range that is allowed here.
    pub fn whole(&self, given: i64) -> Result<Value, Wrong> {
        match self {
            Shape::Whole { least, most } if (*least..=*most).contains(&given) => Ok(Value::Integer(given)),
            _ => Err(Wrong::new(format!("expected {}", self.expected()))),
        }
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

impl Text {
    fn expected(self) -> &'static str {
        match self {
            Text::Name => "a name or an id",
            Text::Target => "app_metadata.KEY, user_metadata.KEY or a root attribute",
            Text::Expression => "an expression over the properties of a Graph user",
            Text::MetadataKey => "a key of app_metadata",
            Text::Free => "a text",
        }
    }

    pub fn check(self, text: &str) -> Result<Value, Wrong> {
        let wrong = |why: String| Wrong::new(why);
        match self {
            Text::Name if text.trim().is_empty() || text.chars().count() > NAME_CHARS_MAX => {
                return Err(wrong(format!("a name has 1 to {NAME_CHARS_MAX} characters")));
            }
            Text::Name if text.chars().any(char::is_control) => {
                return Err(wrong("a name has no control characters".to_owned()));
            }
            Text::Target => drop(text.parse::<Target>().map_err(wrong)?),
            Text::MetadataKey => drop(format!("app_metadata.{text}").parse::<Target>().map_err(wrong)?),
            Text::Expression => {
                let expression =
                    Expression::compile(text).map_err(|why| wrong(format!("no expression: {why}")))?;
                expression.needs().iter().try_for_each(|path| property(path))?;
            }
            Text::Name | Text::Free => {}
        }
        Ok(Value::String(text.to_owned()))
    }
}

/// Names of roles, organizations and connections are shorter (Management API v2).
const NAME_CHARS_MAX: usize = 300;

/// Properties of a Graph user that may be mapped (Microsoft Graph, user resource type, v1.0).
const PROPERTIES: &[&str] = &[
    "accountEnabled",
    "businessPhones",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "department",
    "displayName",
    "employeeId",
    "employeeType",
    "externalUserState",
    "faxNumber",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mailNickname",
    "manager",
    "mobilePhone",
    "officeLocation",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "postalCode",
    "preferredLanguage",
    "proxyAddresses",
    "state",
    "streetAddress",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];
/// What is read of a manager.
const OF_MANAGER: &[&str] = &["id", "displayName", "mail"];

/// Whether Graph has such a property; directory extensions are known to the tenant alone (`lockstep doctor`).
fn property(path: &str) -> Result<(), Wrong> {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    if root == "signInActivity" {
        return Err(Wrong::new("signInActivity may be read ten times a minute: too rarely to map it"));
    }
    let is_extension = root.strip_prefix("extension_").is_some_and(|rest| rest.contains('_'));
    let known = match root {
        "manager" => OF_MANAGER.contains(&rest),
        "onPremisesExtensionAttributes" => {
            let number = rest.strip_prefix("extensionAttribute").and_then(|n| n.parse::<u8>().ok());
            number.is_some_and(|n| (1..=15).contains(&n))
        }
        _ => PROPERTIES.contains(&root) || is_extension,
    };
    if known {
        return Ok(());
    }
    let wrong = Wrong::new(format!("Graph users have no property {path}"));
    Err(match (root, nearest(root, PROPERTIES.iter().copied())) {
        ("manager", _) => wrong.help(format!("of a manager there are {}", OF_MANAGER.join(", "))),
        (_, Some(meant)) if meant != root => wrong.help(format!("did you mean {meant}?")),
        _ => wrong.help("docs/mapping.md lists them"),
    })
}

impl Item {
    pub fn read(self, text: &str) -> Result<Value, Wrong> {
        let good = match self {
            Item::Person | Item::Group => uuid::Uuid::try_parse(text).is_ok(),
            Item::AccountId => AccountId::read(text).is_some(),
        };
        if good { Ok(Value::String(text.to_owned())) } else { Err(self.wrong(text)) }
    }

    fn wrong(self, text: &str) -> Wrong {
        match self {
            Item::Group => Wrong::new("groups are named by Entra object id, never by name")
                .help("Entra admin center, Groups: the object id on the group's page; its name fits in a comment behind it"),
            Item::Person if text.contains('@') => {
                Wrong::new("people are named by Entra object id, never by e-mail")
                    .help("Entra admin center, Users: the object id on the person's page")
            }
            Item::Person => Wrong::new("this is no Entra object id")
                .help("it is a GUID, like 3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c"),
            Item::AccountId => {
                Wrong::new("this is no Auth0 user id").help("it looks like auth0|65f1… or waad|connection|…")
            }
        }
    }
}

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

/// The tables that have a key `name`, as `[section]`, for a key that stands in the wrong one.
pub fn homes(name: &str) -> Vec<String> {
    let of = |path: &String| {
        let (table, key) = path.rsplit_once('.')?;
        (key == name).then(|| header(table))
    };
    paths().iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;

    use super::*;
    use crate::event::Source;
    use crate::policy::Policy;

    fn sample(shape: &Shape) -> Value {
        match shape {
            Shape::Table(keys) => {
                Value::Table(keys.iter().map(|k| (k.name.to_owned(), sample(&k.shape))).collect())
            }
            Shape::Rows { keys, .. } => Value::Array(vec![sample(&Shape::Table(keys))]),
            Shape::Named { each, .. } => Value::Table([("x".to_owned(), sample(each))].into_iter().collect()),
            Shape::Text(Text::Target) => Value::String("app_metadata.x".to_owned()),
            Shape::Text(_) => Value::String("department".to_owned()),
            Shape::Word(words) => Value::String(words[0].to_owned()),
            Shape::Whole { least, .. } => Value::Integer(*least),
            Shape::Switch => switch(Switched::Off),
            Shape::List(_) => Value::Array(Vec::new()),
        }
    }

    #[test]
    fn the_policy_takes_every_key_of_the_table() {
        Policy::deserialize(sample(&Shape::Table(POLICY))).unwrap();
    }

    #[test]
    fn the_policy_takes_every_word_of_the_table() {
        fn words(keys: &[Key], put: &dyn Fn(Value) -> Value) {
            for key in keys {
                let put = |value| put(Value::Table([(key.name.to_owned(), value)].into_iter().collect()));
                match &key.shape {
                    Shape::Table(inner) => words(inner, &put),
                    Shape::Word(all) => all.iter().for_each(|word| {
                        Policy::deserialize(put(Value::String((*word).to_owned()))).unwrap();
                    }),
                    _ => {}
                }
            }
        }
        words(POLICY, &|value| value);
    }

    /// What serde says that it expects instead of an unknown field is what the policy knows.
    #[test]
    fn the_table_has_every_key_of_the_policy() {
        fn compare(keys: &[Key], path: &[&str]) {
            let stranger: toml::Table = [("zzz".to_owned(), Value::Integer(1))].into_iter().collect();
            let nested = path.iter().rev().fold(Value::Table(stranger), |inner, name| {
                Value::Table([((*name).to_owned(), inner)].into_iter().collect())
            });
            let told = Policy::deserialize(nested).unwrap_err().to_string();
            let (_, expected) = told.lines().next().unwrap().split_once("expected").unwrap();
            let mut known: BTreeSet<&str> = expected.split('`').skip(1).step_by(2).collect();
            if path.ends_with(&["sources"]) {
                known.remove(Source::Sweep.word());
            }
            assert_eq!(known, keys.iter().map(|key| key.name).collect(), "{path:?}: {told}");
            for key in keys {
                if let Shape::Table(inner) = key.shape {
                    let path: Vec<&str> = path.iter().copied().chain([key.name]).collect();
                    compare(inner, &path);
                }
            }
        }
        compare(POLICY, &[]);
    }

    /// But not what Lockstep finds by itself: a sweep brings no alert that could be trusted more or less.
    #[test]
    fn every_source_has_a_table() {
        let listed: Vec<String> = paths().into_iter().filter(|p| p.ends_with(".response")).collect();
        let sources = Source::ALL.into_iter().filter(|source| *source != Source::Sweep);
        let sources: Vec<String> =
            sources.map(|source| format!("contain.sources.{}.response", source.word())).collect();
        assert_eq!(listed, sources);
    }
}
