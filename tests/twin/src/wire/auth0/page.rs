//! Paging as the Management API does it: offset (`page`, `per_page`, `include_totals`) and checkpoint (`take`, `from`),
//! and the `fields` filter (Auth0, Management API introduction; API description).

use super::super::call::{Call, Reply};
use super::errors::invalid_query;
use serde_json::{Map, Value, json};

/// Page size when none is asked for (recorded: `limit: 50`).
const PER_PAGE_DEFAULT: usize = 50;
/// Largest page in the API description.
const PER_PAGE_MAX: usize = 100;

/// An offset page as asked for.
pub(super) struct Offset {
    pub page: usize,
    pub per_page: usize,
}

impl Offset {
    pub fn of(call: &Call<'_>) -> Result<Offset, Reply> {
        let per_page = number(call, "per_page", PER_PAGE_MAX, "Number of results per page.")?;
        let page = number(call, "page", usize::MAX, "Page index of the results to return. First page is 0.")?;
        Ok(Offset { page: page.unwrap_or(0), per_page: per_page.unwrap_or(PER_PAGE_DEFAULT) })
    }

    pub fn start(&self) -> usize {
        self.page.saturating_mul(self.per_page)
    }

    /// The page as a bare array, or wrapped with its totals if the query asks for them.
    pub fn reply(&self, call: &Call<'_>, key: &str, total: usize, items: Vec<Value>) -> Reply {
        if call.query("include_totals") != Some("true") {
            return Reply::json(200, &Value::Array(items));
        }
        let mut body = json!({ "start": self.start(), "limit": self.per_page, "total": total });
        if key == "users" {
            // Recorded for users and only there.
            body["length"] = items.len().into();
        }
        body[key] = items.into();
        Reply::json(200, &body)
    }
}

/// A checkpoint page: `take` items after the one named by `from`. `next` is absent on the last page.
pub(super) fn checkpoint(call: &Call<'_>, key: &str, items: Vec<(String, Value)>) -> Result<Reply, Reply> {
    let take = number(call, "take", PER_PAGE_MAX, "Number of results per page. Defaults to 50.")?;
    let take = take.unwrap_or(PER_PAGE_DEFAULT).max(1);
    let total = items.len();
    let first = match call.query("from") {
        None => 0,
        // A checkpoint that is gone meanwhile starts over; everything after it may be gone too.
        Some(from) => items.iter().position(|(id, _)| id == from).map_or(0, |at| at + 1),
    };
    let page: Vec<(String, Value)> = items.into_iter().skip(first).take(take).collect();
    let more = first + page.len() < total;
    let next = page.last().map(|(id, _)| id.clone()).filter(|_| more);
    let mut body = Map::new();
    body.insert(key.to_owned(), page.into_iter().map(|(_, value)| value).collect());
    if let Some(next) = next {
        body.insert("next".to_owned(), next.into());
    }
    if call.query("include_totals") == Some("true") {
        // Recorded beside checkpoint lists although the schema does not name it.
        body.insert("total".to_owned(), total.into());
    }
    Ok(Reply::json(200, &Value::Object(body)))
}

/// Applies `fields` and `include_fields`.
pub(super) fn with_fields(call: &Call<'_>, mut object: Map<String, Value>) -> Value {
    if let Some(fields) = call.query("fields").filter(|fields| !fields.is_empty()) {
        let include = call.query("include_fields") != Some("false");
        let named: Vec<&str> = fields.split(',').map(str::trim).collect();
        object.retain(|name, _| named.contains(&name.as_str()) == include);
    }
    Value::Object(object)
}

fn number(call: &Call<'_>, name: &str, max: usize, description: &str) -> Result<Option<usize>, Reply> {
    let Some(text) = call.query(name) else {
        return Ok(None);
    };
    match text.parse::<usize>() {
        Err(_) => {
            let text =
                format!("'Expected type integer but found type string' on property {name} ({description})");
            Err(invalid_query(&text))
        }
        Ok(value) if value > max => {
            let text =
                format!("'Value {value} is greater than maximum {max}' on property {name} ({description})");
            Err(invalid_query(&text))
        }
        Ok(value) => Ok(Some(value)),
    }
}
