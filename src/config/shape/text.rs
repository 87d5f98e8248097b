//! What a single text may say: names, targets, expressions.

use toml::Value;

use super::{Text, property};
use crate::config::reader::Wrong;
use crate::policy::mapping::Expression;
use crate::policy::sync::Target;

impl Text {
    pub(super) fn expected(self) -> &'static str {
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
                expression.needs().iter().try_for_each(|path| property::check(path))?;
            }
            Text::Name | Text::Free => {}
        }
        Ok(Value::String(text.to_owned()))
    }
}

/// Names of roles, organizations and connections are shorter (Management API v2).
const NAME_CHARS_MAX: usize = 300;
