//! The keys of `lockstep.toml`: the one table of all that the policy knows.

use super::{Item, Key, Shape, Text};

const LEVELS: Shape = Shape::Word(&["low", "medium", "high"]);
const RESPONSES: Shape = Shape::Word(&["contain", "end-sessions", "notify", "ignore"]);
/// What is ended beside sessions and refresh tokens.
const ALSO: &[&str] = &["grants", "device-credentials", "token-vault", "entra-sessions"];
const SOURCE: Shape =
    Shape::Table(&[Key { name: "risk_level", shape: LEVELS }, Key { name: "response", shape: RESPONSES }]);

/// What can be told (`crate::policy::notify::News`).
const NEWS: Shape = Shape::List(Item::Word(&["requested", "verified", "not-acted", "released", "page"]));
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
            Key { name: "disabled_every_seconds", shape: Shape::Whole { least: 5, most: 86_400 } },
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
            Key { name: "also", shape: Shape::List(Item::Word(ALSO)) },
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
    Key {
        name: "notify",
        shape: Shape::Table(&[Key { name: "mail", shape: NEWS }, Key { name: "ticket", shape: NEWS }]),
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;
    use toml::Value;

    use super::*;
    use crate::config::shape::{Switched, paths, switch};
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
                    Shape::List(Item::Word(all)) => {
                        let all = all.iter().map(|word| Value::String((*word).to_owned())).collect();
                        Policy::deserialize(put(Value::Array(all))).unwrap();
                    }
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
