//! Lists by page number, read whole.

use serde::de::DeserializeOwned;

use crate::auth0::Error;
use crate::auth0::call::{Caller, Operation, Request};
use crate::auth0::wire::OffsetPage;

/// How much of a list is believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) items: usize,
    pub(super) per_page: usize,
}

/// The smallest page that was seen where more was asked for (docs/vendors.md); bounds the number of pages.
const PAGE_LEAST: usize = 25;

/// Every item. The last page is known by the total, not by its length: Auth0 may answer with shorter pages than were
/// asked for.
///
/// # Errors
/// Also when there are more than `most.items`.
pub(super) async fn all<T: DeserializeOwned>(
    caller: &Caller,
    operation: Operation,
    path: &str,
    most: Most,
) -> Result<Vec<T>, Error> {
    let too_many = |found| Error::TooMany { operation: operation.word, found, most: most.items };
    let mut found = Vec::new();
    for page in 0..most.items.div_ceil(PAGE_LEAST) + 1 {
        let request = Request::get(operation, path)
            .query("page", page)
            .query("per_page", most.per_page)
            .query("include_totals", true);
        let answer = caller.call(&request).await?;
        let listed: OffsetPage<T> = answer.json().map_err(|why| request.misfit(&answer, why))?;
        let (items, total) = listed.into_parts();
        let empty = items.is_empty();
        found.extend(items);
        let expected = total.unwrap_or_default().max(found.len() as u64);
        if expected > most.items as u64 {
            return Err(too_many(expected));
        }
        if empty || total.is_some_and(|total| found.len() as u64 >= total) {
            return Ok(found);
        }
    }
    Err(too_many(found.len() as u64))
}
