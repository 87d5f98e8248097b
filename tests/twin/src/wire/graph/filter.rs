//! A small part of OData `$filter`: `property eq 'text'` and the comparisons `ne`, `ge`, `gt`, `le`, `lt` joined by `and`,
//! or only by `or`. Times compare as times, everything else as text. Anything else is refused.

use super::super::call::{Call, Reply};
use super::error;
use jiff::Timestamp;
use serde_json::{Map, Value};

type Entity = Map<String, Value>;

struct Comparison {
    property: String,
    operator: String,
    value: String,
}

/// The entities that the query's `$filter` accepts, or all without one.
pub(super) fn apply(call: &Call<'_>, entities: Vec<Entity>) -> Result<Vec<Entity>, Reply> {
    let Some(text) = call.query("$filter") else {
        return Ok(entities);
    };
    let Some((comparisons, accepts)) = parse(text) else {
        call.complain(format!("filter outside of what the twin plays: {text}"));
        return Err(error(call, 400, "BadRequest", "Invalid filter clause"));
    };
    Ok(entities.into_iter().filter(|entity| accepts(&comparisons, entity)).collect())
}

type Accepts = fn(&[Comparison], &Entity) -> bool;

fn parse(text: &str) -> Option<(Vec<Comparison>, Accepts)> {
    let any = text.contains(" or ");
    if any && text.contains(" and ") {
        return None;
    }
    let (joint, accepts): (&str, Accepts) = if any {
        (" or ", |all, entity| all.iter().any(|one| one.accepts(entity)))
    } else {
        (" and ", |all, entity| all.iter().all(|one| one.accepts(entity)))
    };
    let comparisons: Option<Vec<Comparison>> = text.split(joint).map(comparison).collect();
    Some((comparisons?, accepts))
}

fn comparison(text: &str) -> Option<Comparison> {
    let mut words = text.trim().splitn(3, ' ');
    let (property, operator, value) = (words.next()?, words.next()?, words.next()?);
    // The older enum form `microsoft.graph.riskLevel'medium'` means the same.
    let quoted = value.split_once('\'').map(|(_, rest)| rest.strip_suffix('\''));
    Some(Comparison {
        property: property.to_owned(),
        operator: operator.to_owned(),
        value: match quoted {
            Some(inner) => inner?.to_owned(),
            None => value.to_owned(),
        },
    })
    .filter(|c| matches!(c.operator.as_str(), "eq" | "ne" | "ge" | "gt" | "le" | "lt"))
}

impl Comparison {
    fn accepts(&self, entity: &Entity) -> bool {
        let found = match entity.get(&self.property) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => flag.to_string(),
            _ => return false,
        };
        let order = match (found.parse::<Timestamp>(), self.value.parse::<Timestamp>()) {
            (Ok(found), Ok(wanted)) => found.cmp(&wanted),
            _ => found.as_str().cmp(&self.value),
        };
        match self.operator.as_str() {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            "ge" => order.is_ge(),
            "gt" => order.is_gt(),
            "le" => order.is_le(),
            _ => order.is_lt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(filter: &str, entity: &Value) -> bool {
        let (comparisons, accepts) = parse(filter).expect("a filter that is played");
        accepts(&comparisons, entity.as_object().expect("an entity"))
    }

    #[test]
    fn comparisons_join_and_times_are_times() {
        let user = json!({"riskLevel": "high", "riskState": "atRisk", "at": "2026-07-18T15:01:38.240Z"});
        assert!(accepts("riskLevel eq 'high' and riskState eq 'atRisk'", &user));
        assert!(!accepts("riskLevel eq 'high' and riskState ne 'atRisk'", &user));
        assert!(accepts("riskLevel eq 'low' or riskState eq 'atRisk'", &user));
        assert!(accepts("riskLevel eq microsoft.graph.riskLevel'high'", &user));
        assert!(accepts("at ge 2026-07-18T15:01:38Z", &user), "a fraction later");
        assert!(!accepts("at gt 2026-07-18T15:01:39Z", &user));
    }

    #[test]
    fn what_is_not_played_is_refused() {
        for filter in ["startswith(a,'b')", "a eq 'b' and c eq 'd' or e eq 'f'", "a like 'b'", "a"] {
            assert!(parse(filter).is_none(), "{filter}");
        }
    }
}
