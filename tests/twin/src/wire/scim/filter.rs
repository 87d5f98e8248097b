//! Filters: `eq` joined by `and` and `or` (Auth0, Configure Inbound SCIM), `and` binding tighter (RFC 7644, section 3.4.2.2).

use super::path::Path;
use serde_json::Value;

/// Any of these, of each of which all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<Vec<Equals>>);

#[derive(Debug, PartialEq, Eq)]
struct Equals {
    path: Path,
    value: String,
}

impl Filter {
    /// `None` is nothing that Auth0 takes.
    pub fn read(text: &str) -> Option<Filter> {
        let mut any = vec![Vec::new()];
        let mut rest = text.trim();
        loop {
            let (path, after) = rest.split_once(' ')?;
            let (operator, after) = after.trim_start().split_once(' ')?;
            let (value, after) = value(after.trim_start())?;
            if !operator.eq_ignore_ascii_case("eq") {
                return None;
            }
            any.last_mut()?.push(Equals { path: Path::read(path)?, value });
            let after = after.trim_start();
            if after.is_empty() {
                return Some(Filter(any));
            }
            let (word, after) = after.split_once(' ')?;
            match word.to_lowercase().as_str() {
                "and" => {}
                "or" => any.push(Vec::new()),
                _ => return None,
            }
            rest = after.trim_start();
        }
    }

    /// All attributes that are asked about.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().flatten().map(|equals| &equals.path)
    }

    /// The value that every hit has in this attribute, if the filter is that simple.
    pub fn only(&self, attribute: &str) -> Option<&str> {
        let [all] = self.0.as_slice() else {
            return None;
        };
        let named = all.iter().find(|equals| equals.path.attribute == attribute && !equals.path.extended);
        named.map(|equals| equals.value.as_str())
    }

    pub fn accepts(&self, resource: &Value) -> bool {
        self.0.iter().any(|all| all.iter().all(|equals| equals.holds(resource)))
    }
}

impl Equals {
    fn holds(&self, resource: &Value) -> bool {
        match self.path.get(resource) {
            Some(Value::String(text))
                if self.path.attribute == "externalId" || self.path.attribute == "id" =>
            {
                *text == self.value
            }
            // Everything else is not case-exact (RFC 7643, section 4.1).
            Some(Value::String(text)) => text.to_lowercase() == self.value.to_lowercase(),
            Some(Value::Null) | None => false,
            Some(other) => other.to_string() == self.value,
        }
    }
}

/// A JSON string, or a word up to the next blank.
fn value(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let end = text.find(' ').unwrap_or(text.len());
        let (word, after) = text.split_at(end);
        return (!word.is_empty()).then(|| (word.to_owned(), after));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn and_binds_tighter_than_or() {
        let filter =
            Filter::read(r#"userName eq "a\"b" or externalId eq "x" and active eq true"#).expect("a filter");
        assert!(filter.accepts(&json!({"userName": "A\"B"})));
        assert!(filter.accepts(&json!({"externalId": "x", "active": true})));
        assert!(!filter.accepts(&json!({"externalId": "X", "active": true})), "external ids are case-exact");
        assert!(!filter.accepts(&json!({"externalId": "x", "active": false})));
        assert_eq!(filter.only("externalId"), None);
        assert_eq!(Filter::read("externalId eq \"x\"").expect("a filter").only("externalId"), Some("x"));
    }

    #[test]
    fn other_operators_are_not_taken() {
        for text in [
            "",
            "userName",
            "userName sw \"a\"",
            "userName eq",
            "userName eq \"a\" xor b eq \"c\"",
            "(a eq 1)",
        ] {
            assert_eq!(Filter::read(text), None, "{text}");
        }
    }
}
