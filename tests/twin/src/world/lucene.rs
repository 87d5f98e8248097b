//! The part of the user search syntax that Lockstep may use: `field:"value"` and `field:value` joined by `AND`, `OR` and
//! parentheses (Auth0, User Search Query Syntax). Everything else is refused, loudly, by the caller.

use super::accounts::Account;
use serde_json::Value;
use std::borrow::Cow;

/// A parsed query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Query {
    Term { field: String, value: String },
    All(Vec<Query>),
    Any(Vec<Query>),
}

/// Why a query is outside of what the twin understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Term { field: String, value: String },
}

/// Reads a query. The deepest nesting is bounded by [`DEPTH_MAX`].
pub(crate) fn parse(text: &str) -> Result<Query, ParseError> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    let query = parser.any()?;
    match parser.tokens {
        [] => Ok(query),
        [next, ..] => Err(ParseError(format!("unexpected {next:?}"))),
    }
}

/// Nesting beyond this is nobody's honest query.
const DEPTH_MAX: usize = 20;

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Query, ParseError> {
        let mut parts = vec![self.all()?];
        while self.eat(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(only_or(parts, Query::Any))
    }

    fn all(&mut self) -> Result<Query, ParseError> {
        let mut parts = vec![self.one()?];
        while self.eat(&Token::And) {
            parts.push(self.one()?);
        }
        Ok(only_or(parts, Query::All))
    }

    fn one(&mut self) -> Result<Query, ParseError> {
        let Some((first, rest)) = self.tokens.split_first() else {
            return Err(ParseError("unexpected end".into()));
        };
        self.tokens = rest;
        match first {
            Token::Term { field, value } => Ok(Query::Term { field: field.clone(), value: value.clone() }),
            Token::Open if self.depth < DEPTH_MAX => {
                self.depth += 1;
                let inner = self.any()?;
                self.depth -= 1;
                if self.eat(&Token::Close) { Ok(inner) } else { Err(ParseError("missing )".into())) }
            }
            other => Err(ParseError(format!("unexpected {other:?}"))),
        }
    }

    fn eat(&mut self, token: &Token) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if first == token => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

fn only_or(mut parts: Vec<Query>, join: fn(Vec<Query>) -> Query) -> Query {
    if parts.len() == 1 { parts.swap_remove(0) } else { join(parts) }
}

fn tokenize(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            _ => word_or_term(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn word_or_term(text: &str) -> Result<(Token, &str), ParseError> {
    for (word, token) in [("AND", Token::And), ("OR", Token::Or)] {
        if let Some(after) = text.strip_prefix(word)
            && after.starts_with([' ', '('])
        {
            return Ok((token, after));
        }
    }
    let end = text.find([':', ' ', '(', ')', '"']).unwrap_or(text.len());
    let (field, after) = text.split_at(end);
    let Some(after) = after.strip_prefix(':') else {
        return Err(ParseError(format!("{field:?} is no field with a value")));
    };
    let (value, after) = value(after)?;
    Ok((Token::Term { field: field.to_owned(), value }, after))
}

fn value(text: &str) -> Result<(String, &str), ParseError> {
    let (quoted, text) = match text.strip_prefix('"') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '"' if quoted => return Ok((value, &text[at + 1..])),
            ' ' | '(' | ')' if !quoted => return finished(value, &text[at..]),
            '*' | '?' | '[' | '{' | '~' | '^' if !quoted => {
                return Err(ParseError(format!("{c} is not understood by the twin")));
            }
            c => value.push(c),
        }
    }
    if quoted { Err(ParseError("missing closing quote".into())) } else { finished(value, "") }
}

fn finished(value: String, rest: &str) -> Result<(String, &str), ParseError> {
    if value.is_empty() { Err(ParseError("empty value".into())) } else { Ok((value, rest)) }
}

/// Fields whose values are compared without regard to case (Auth0, User Search Query Syntax).
const CASELESS: [&str; 5] = ["email", "name", "given_name", "family_name", "nickname"];

/// Fields that can be searched at all; root attributes such as `oid`, `upn` and `tid` cannot (same page).
const SEARCHABLE: [&str; 13] = [
    "user_id",
    "email",
    "email.domain",
    "email_verified",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "username",
    "phone_number",
    "blocked",
    "logins_count",
    "last_ip",
];

/// Whether Auth0 indexes this field.
pub(crate) fn is_searchable(field: &str) -> bool {
    SEARCHABLE.contains(&field)
        || ["identities.", "app_metadata.", "user_metadata."].iter().any(|p| field.starts_with(p))
}

/// The value as the index compares it.
pub(crate) fn folded<'a>(field: &str, value: &'a str) -> Cow<'a, str> {
    if CASELESS.contains(&field) { value.to_lowercase().into() } else { value.into() }
}

impl Query {
    /// The first field that Auth0 does not index.
    pub(crate) fn unsearchable(&self) -> Option<&str> {
        match self {
            Query::Term { field, .. } => (!is_searchable(field)).then_some(field),
            Query::All(parts) | Query::Any(parts) => parts.iter().find_map(Query::unsearchable),
        }
    }

    pub(crate) fn accepts(&self, account: &Account) -> bool {
        match self {
            Query::Term { field, value } => {
                let wanted = folded(field, value);
                values(account, field).iter().any(|found| folded(field, found) == wanted)
            }
            Query::All(parts) => parts.iter().all(|part| part.accepts(account)),
            Query::Any(parts) => parts.iter().any(|part| part.accepts(account)),
        }
    }
}

/// All values that an account has in a field, as text.
pub(crate) fn values(account: &Account, field: &str) -> Vec<String> {
    let identities = account.identities.iter();
    match field {
        "user_id" => vec![account.id.to_string()],
        "email" => account.email.iter().cloned().collect(),
        "email.domain" => {
            let domain = account.email.as_deref().and_then(|email| email.rsplit_once('@'));
            domain.map(|(_, domain)| domain.to_owned()).into_iter().collect()
        }
        "email_verified" => vec![account.email_verified.to_string()],
        "blocked" if account.blocked_shown => vec![account.blocked.to_string()],
        "logins_count" => vec![account.logins_count.to_string()],
        "identities.user_id" => identities.map(|identity| identity.user_id.clone()).collect(),
        "identities.connection" => identities.map(|identity| identity.connection.clone()).collect(),
        "identities.provider" => identities.map(|identity| identity.provider.clone()).collect(),
        _ => match field.split_once('.') {
            Some(("app_metadata", path)) => at_path(&account.app_metadata, path),
            Some(("user_metadata", path)) => {
                account.user_metadata.as_ref().map(|data| at_path(data, path)).unwrap_or_default()
            }
            _ => account.root.get(field).map(texts).unwrap_or_default(),
        },
    }
}

fn at_path(data: &serde_json::Map<String, Value>, path: &str) -> Vec<String> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (data.get(first), rest) {
        (Some(Value::Object(inner)), Some(rest)) => at_path(inner, rest),
        (Some(found), None) => texts(found),
        _ => Vec::new(),
    }
}

/// Empty and null metadata values are not indexed (Auth0, User Search Query Syntax).
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if !text.is_empty() => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(field: &str, value: &str) -> Query {
        Query::Term { field: field.into(), value: value.into() }
    }

    #[test]
    fn terms_join_with_or_and_parentheses() {
        let read = parse(r#"identities.user_id:"a|b" OR (app_metadata.external_id:"x" AND blocked:true)"#);
        let inner = Query::All(vec![term("app_metadata.external_id", "x"), term("blocked", "true")]);
        assert_eq!(read, Ok(Query::Any(vec![term("identities.user_id", "a|b"), inner])));
    }

    #[test]
    fn quotes_and_backslashes_in_values_are_unescaped() {
        assert_eq!(parse(r#"name:"a \"b\" \\c""#), Ok(term("name", r#"a "b" \c"#)));
    }

    #[test]
    fn what_the_twin_does_not_know_is_refused() {
        for query in
            ["adele", "name:ad*", "updated_at:[2026 TO *]", "name:\"x", "(name:a", "a:b c:d", "name:", "OR"]
        {
            assert!(parse(query).is_err(), "{query} was read as {:?}", parse(query));
        }
    }
}
