//! What a list may hold: people, groups, accounts, each by its id, and words of ours.

use toml::Value;

use super::{Item, one_word};
use crate::case::AccountId;
use crate::config::mistakes::one_of;
use crate::config::reader::Wrong;

impl Item {
    pub fn read(self, text: &str) -> Result<Value, Wrong> {
        let good = match self {
            Item::Word(words) => return one_word(text, words, || one_of(words)),
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
            Item::Word(words) => Wrong::new(format!("expected {}", one_of(words))),
            Item::AccountId => {
                Wrong::new("this is no Auth0 user id").help("it looks like auth0|65f1… or waad|connection|…")
            }
        }
    }
}
