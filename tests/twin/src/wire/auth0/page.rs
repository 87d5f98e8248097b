//! Paging as the Management API does it: offset (`page`, `per_page`, `include_totals`) and checkpoint (`take`, `from`),
//! and the `fields` filter (Auth0, Management API introduction; API description).

use super::super::call::{Call, Reply};
use super::errors::{error, invalid_query};
use serde_json::{Map, Value, json};

/// Page size when none is asked for (recorded: `limit: 50`).
const PER_PAGE_DEFAULT: usize = 50;
/// Largest page in the API description.
const PER_PAGE_MAX: usize = 100;

/// Offset paging ends here.
const ROWS_MAX: usize = 1_000;

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

    /// Like [`Offset::of`], where paging by offset ends at 1000 rows (Auth0, Management API introduction).
    pub fn capped(call: &Call<'_>) -> Result<Offset, Reply> {
        let offset = Offset::of(call)?;
        if offset.start().saturating_add(offset.per_page) > ROWS_MAX {
            return Err(beyond_the_cap());
        }
        Ok(offset)
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
        if call.label() == "GET /api/v2/users" {
            // Recorded for the search and only there.
            body["length"] = items.len().into();
        }
        body[key] = items.into();
        Reply::json(200, &body)
    }
}

/// A checkpoint as asked for, by an opaque mark.
pub(super) struct Checkpoint {
    pub take: usize,
    /// The id behind which the page begins.
    pub from: Option<String>,
}

impl Checkpoint {
    /// `None` when the query pages by offset. The SDKs' `per_page` beside `take` is taken without a word (recorded).
    pub fn of(call: &Call<'_>) -> Result<Option<Checkpoint>, Reply> {
        if call.query("take").is_none() && call.query("from").is_none() {
            return Ok(None);
        }
        let take = number(call, "take", PER_PAGE_MAX, "Number of results per page. Defaults to 50.")?;
        let from =
            match call.query("from") {
                None => None,
                Some(mark) => Some(unmarked(mark).ok_or_else(|| {
                    error(400, "Invalid query string paging options.", Some("invalid_paging"))
                })?),
            };
        Ok(Some(Checkpoint { take: take.unwrap_or(PER_PAGE_DEFAULT).max(1), from }))
    }
}

/// Names the last item of a page; opaque to clients, like the recorded ones.
pub(super) fn mark(id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
}

fn unmarked(mark: &str) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(mark).ok()?;
    String::from_utf8(bytes).ok()
}

/// The page that a [`Checkpoint`] asked for.
pub(super) fn checked(key: &str, items: Vec<Value>, next: Option<String>) -> Reply {
    let mut body = Map::new();
    body.insert(key.to_owned(), items.into());
    if let Some(next) = next {
        body.insert("next".to_owned(), next.into());
    }
    Reply::json(200, &Value::Object(body))
}

/// Recorded text of the refusal.
pub(super) fn beyond_the_cap() -> Reply {
    error(
        400,
        "You can only page through the first 1000 records. \
         See https://auth0.com/docs/users/search/v3/view-search-results-by-page#limitation",
        Some("invalid_paging"),
    )
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
