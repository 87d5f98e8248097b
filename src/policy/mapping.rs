//! What an attribute in Auth0 is made of: a small expression over the properties of an Entra user.
//!
//! Expressions are minijinja's: `department`, `givenName ~ ' ' ~ surname`, `mail | lower`, `jobTitle or 'unknown'`,
//! `tables.country[usageLocation]`, `manager.displayName`, `onPremisesExtensionAttributes.extensionAttribute1`. A
//! property that Entra holds empty is not defined; an expression that comes to nothing (undefined, none, empty text)
//! clears. Evaluation is bounded in steps and in the size of its result.

mod brackets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest source of an expression, in bytes; longer ones are programs and belong elsewhere.
pub const EXPRESSION_BYTES_MAX: usize = 1000;
/// Steps of one evaluation: some hundred times what an ordinary mapping takes.
const STEPS_MAX: u64 = 10_000;
/// The name under which the policy's lookup tables are seen.
pub const TABLES: &str = "tables";

/// `[tables.NAME]`: a lookup table.
pub type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// A compiled expression. Equal when its source is.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Expression {
    source: String,
    needs: BTreeSet<String>,
    tables: BTreeSet<String>,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    Value(Value),
    /// Nothing is there: the attribute is to be empty.
    Clear,
    /// Graph was asked for these properties and did not tell them; a lost permission is not an empty value.
    NotTold(Vec<String>),
    /// It could not be evaluated for this person.
    Failed(String),
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Chainable);
    engine.set_fuel(Some(STEPS_MAX));
    engine.add_filter("split_at", |text: String, by: String| -> Vec<String> {
        text.split(&by).map(str::to_owned).collect()
    });
    engine
});

impl Expression {
    /// Compiles it, or says what is wrong.
    pub fn compile(source: &str) -> Result<Expression, String> {
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("an expression is at most {EXPRESSION_BYTES_MAX} bytes long"));
        }
        let engine: &'static Environment<'static> = &ENGINE;
        let compiled = engine
            .compile_expression_owned(source.to_owned())
            .map_err(|error| error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))?;
        // What does not exist shows only when it is called; nothing is defined yet, so other failures mean nothing.
        if let Err(error) = compiled.eval(())
            && matches!(
                error.kind(),
                ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
            )
        {
            return Err(error.to_string());
        }
        let (mut needs, mut tables) = (BTreeSet::new(), bracketed(source));
        for path in compiled.undeclared_variables(true) {
            match path.split_once('.') {
                Some((TABLES, rest)) => drop(tables.insert(root(rest).to_owned())),
                _ if path == TABLES => {}
                _ => drop(needs.insert(path)),
            }
        }
        Ok(Expression { source: source.to_owned(), needs, tables, compiled: Arc::new(compiled) })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The properties that it reads, as dotted paths (`manager.displayName`).
    pub fn needs(&self) -> &BTreeSet<String> {
        &self.needs
    }

    /// The lookup tables that it names; a name that is computed is not among them.
    pub fn tables(&self) -> &BTreeSet<String> {
        &self.tables
    }

    /// Evaluates it for one person: `profile` holds what Graph told, nulls included.
    pub fn evaluate(&self, profile: &Map<String, Value>, tables: &Tables) -> Mapped {
        let not_told: Vec<String> =
            self.needs.iter().filter(|path| !profile.contains_key(root(path))).cloned().collect();
        if !not_told.is_empty() {
            return Mapped::NotTold(not_told);
        }
        let mut context: BTreeMap<&str, minijinja::Value> = BTreeMap::new();
        for name in self.needs.iter().map(|path| root(path)) {
            if let Some(value) = profile.get(name).and_then(without_nulls) {
                context.insert(name, minijinja::Value::from(Serde(value)));
            }
        }
        context.insert(TABLES, minijinja::Value::from(Serde(tables)));
        match self.compiled.eval(minijinja::Value::from_pairs(context)) {
            Ok(value) => read(value),
            Err(error) => Mapped::Failed(error.kind().to_string()),
        }
    }
}

/// The tables of `tables['NAME']`. How a text is read, escapes and all, is the engine's to say.
fn bracketed(source: &str) -> BTreeSet<String> {
    let read = |literal: &str| ENGINE.compile_expression(literal).ok()?.eval(()).ok();
    let named = brackets::literals(source).into_iter().filter_map(read);
    named.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The property of the user, or the table, that a path begins with.
pub fn root(path: &str) -> &str {
    path.split_once('.').map_or(path, |(root, _)| root)
}

/// Null prints as "none" inside a concatenation; what is not there prints as nothing.
fn without_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(map) => {
            let kept = map.iter().filter_map(|(name, value)| Some((name.clone(), without_nulls(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(without_nulls).collect())),
        other => Some(other.clone()),
    }
}

fn read(value: minijinja::Value) -> Mapped {
    if value.is_undefined() || value.is_none() {
        return Mapped::Clear;
    }
    match Value::deserialize(value) {
        Ok(Value::Null) => Mapped::Clear,
        Ok(Value::String(text)) if text.trim().is_empty() => Mapped::Clear,
        Ok(value) => Mapped::Value(value),
        Err(_) => Mapped::Failed("the result is no plain value".into()),
    }
}

impl TryFrom<String> for Expression {
    type Error = String;

    fn try_from(source: String) -> Result<Expression, String> {
        Expression::compile(&source)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(source: &str, profile: Value) -> Mapped {
        let Value::Object(profile) = profile else { panic!("a profile is an object") };
        let country = [("DE".to_owned(), "Germany".to_owned())].into_iter().collect();
        let tables = [("country".to_owned(), country)].into_iter().collect();
        Expression::compile(source).unwrap().evaluate(&profile, &tables)
    }

    fn text(value: &str) -> Mapped {
        Mapped::Value(json!(value))
    }

    #[test]
    fn properties_concatenation_defaults_filters_and_tables() {
        let adele = json!({"givenName": "Adele", "surname": "Vance", "mail": "Adele@Contoso.example",
            "usageLocation": "DE", "jobTitle": null, "manager": {"displayName": "Miriam"}});
        assert_eq!(evaluate("givenName ~ ' ' ~ surname", adele.clone()), text("Adele Vance"));
        assert_eq!(evaluate("mail | lower", adele.clone()), text("adele@contoso.example"));
        assert_eq!(evaluate("jobTitle or 'unknown'", adele.clone()), text("unknown"));
        assert_eq!(evaluate("jobTitle | default('unknown')", adele.clone()), text("unknown"));
        assert_eq!(evaluate("tables.country[usageLocation]", adele.clone()), text("Germany"));
        assert_eq!(evaluate("manager.displayName", adele.clone()), text("Miriam"));
        assert_eq!(evaluate("(mail | split_at('@'))[1]", adele), text("Contoso.example"));
    }

    #[test]
    fn nothing_clears_and_null_never_becomes_a_word() {
        let bare = json!({"givenName": "Adele", "surname": null, "manager": null, "usageLocation": "FR"});
        assert_eq!(evaluate("surname", bare.clone()), Mapped::Clear);
        assert_eq!(evaluate("surname | lower", bare.clone()), Mapped::Clear);
        assert_eq!(evaluate("manager.displayName", bare.clone()), Mapped::Clear);
        assert_eq!(evaluate("tables.country[usageLocation]", bare.clone()), Mapped::Clear);
        assert_eq!(evaluate("(givenName ~ ' ' ~ surname) | trim", bare), text("Adele"));
    }

    #[test]
    fn what_graph_does_not_tell_is_not_empty() {
        let told = json!({"givenName": "Adele"});
        assert_eq!(evaluate("department", told), Mapped::NotTold(vec!["department".into()]));
    }

    #[test]
    fn truth_and_lists_keep_their_type() {
        let told = json!({"accountEnabled": true, "otherMails": ["a@b", "c@d"]});
        assert_eq!(evaluate("accountEnabled", told.clone()), Mapped::Value(json!(true)));
        assert_eq!(evaluate("otherMails", told), Mapped::Value(json!(["a@b", "c@d"])));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        assert!(Expression::compile(&"x".repeat(EXPRESSION_BYTES_MAX + 1)).is_err());
        assert!(Expression::compile("givenName ~").is_err());
        assert!(Expression::compile("mail | lowercased").is_err());
    }

    #[test]
    fn the_properties_it_needs_are_known_beforehand() {
        let expression = Expression::compile("tables.x[a.b] ~ (c or manager.mail)").unwrap();
        let needs: Vec<&str> = expression.needs().iter().map(String::as_str).collect();
        assert_eq!(needs, ["a.b", "c", "manager.mail"]);
        let tables =
            |source| Expression::compile(source).unwrap().tables().iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            tables(r"tables.x[a.b] ~ tables.y.z ~ tables['w'][c] ~ tables['it\'s'].k"),
            ["it's", "w", "x", "y"]
        );
        // A computed name is not known beforehand; a lookup in a table that is not there comes to nothing.
        assert!(tables("tables[usageLocation].x").is_empty());
    }
}
