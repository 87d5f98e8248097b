//! Pages of directory collections: `$top` from 1 to 999 and 100 without it, `$skiptoken`, `$count` (Graph, List users;
//! Paging). The links keep the query's options.

use super::super::call::{Answer, Call, Reply};
use super::links::{self, Listed};
use super::{collection, error};
use crate::faults::PageFault;
use crate::world::World;
use serde_json::{Map, Value};

/// Items of a page without `$top` (Graph, List users).
const TOP_DEFAULT: usize = 100;
/// Largest `$top` (same page).
pub(super) const TOP_MAX: usize = 999;

/// One page of a collection. `all` begins anywhere at or before `after`, in order; `shown` is asked only for the items of
/// the page, `count` only if the query wants it.
pub(super) fn page(
    call: &Call<'_>,
    world: &World,
    context: &str,
    all: impl Iterator<Item = Listed>,
    count: impl FnOnce() -> usize,
    shown: impl Fn(&Listed) -> Map<String, Value>,
) -> Answer {
    let top = top(call)?;
    let epoch = world.link_epoch();
    let after = links::place(call, epoch)?;
    let fault = call.bent.take_page();
    if fault == Some(PageFault::Empty) {
        let again = links::next(call, epoch, after.as_ref());
        return Ok(collection(context, Vec::new(), Some(again), None));
    }
    let mut all = all.skip_while(|item| after.as_ref().is_some_and(|after| item <= after)).peekable();
    let items: Vec<Listed> = all.by_ref().take(top).collect();
    let next = all.peek().is_some().then(|| links::next(call, epoch, items.last()));
    let rows: Vec<Value> = items.iter().map(|item| shown(item).into()).collect();
    let count = wants_count(call)?.then(count);
    let next = if fault == Some(PageFault::CutShort) { None } else { next };
    Ok(collection(context, bend(call, rows, fault), next, count))
}

/// The rows as a fault leaves them.
pub(super) fn bend(call: &Call<'_>, mut rows: Vec<Value>, fault: Option<PageFault>) -> Vec<Value> {
    match fault {
        None | Some(PageFault::CutShort | PageFault::Empty) => rows,
        Some(PageFault::Missing) => Vec::new(),
        Some(PageFault::Short(left)) => {
            rows.truncate(left);
            rows
        }
        Some(PageFault::Repeated) => rows.into_iter().flat_map(|row| [row.clone(), row]).collect(),
        Some(PageFault::Replayed(_) | PageFault::Late(_)) => {
            if !call.label().ends_with("/delta") {
                call.complain("a fault of delta queries struck a list and did nothing");
            }
            rows
        }
    }
}

fn top(call: &Call<'_>) -> Result<usize, Reply> {
    let Some(text) = call.query("$top") else {
        return Ok(TOP_DEFAULT);
    };
    text.parse().ok().filter(|top| (1..=TOP_MAX).contains(top)).ok_or_else(|| {
        // The refusal as public code quotes it.
        let text = format!("Invalid page size specified: '{text}'. Must be between 1 and 999 inclusive.");
        error(call, 400, "Request_UnsupportedQuery", &text)
    })
}

/// `$count=true` on directory objects is an advanced query and needs the header (Graph, Advanced query capabilities).
fn wants_count(call: &Call<'_>) -> Result<bool, Reply> {
    if call.query("$count") != Some("true") {
        return Ok(false);
    }
    if !is_eventual(call) {
        return Err(unsupported(call));
    }
    Ok(true)
}

/// A type cast is an advanced query: `$count=true` and `ConsistencyLevel: eventual` (Graph, Advanced query
/// capabilities; List a user's memberships).
pub(super) fn check_cast(call: &Call<'_>) -> Answer {
    match is_eventual(call) && call.query("$count") == Some("true") {
        true => Ok(Reply::empty(200)),
        false => Err(unsupported(call)),
    }
}

fn is_eventual(call: &Call<'_>) -> bool {
    call.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
}

fn unsupported(call: &Call<'_>) -> Reply {
    call.complain("an advanced query without $count=true and ConsistencyLevel: eventual");
    error(call, 400, "Request_UnsupportedQuery", "Unsupported Query.")
}
