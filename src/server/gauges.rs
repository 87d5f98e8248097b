//! `/metrics`. What must be asked of queue and store is asked when somebody scrapes, at most every two seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::admin::{Admin, AdminDeps};
use crate::case::CaseState;
use crate::clock;
use crate::event::Lane;
use crate::store::WhichCases;

/// Scrapers in a row are answered from the last look.
const FRESH: Duration = Duration::from_secs(2);
/// A queue or store in trouble leaves its gauges as they were, rather than keep the scraper waiting.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Open cases that are looked at; with more, the gauge says this many, and somebody is busy already.
const CASES_MAX: u32 = 1000;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// When the gauges were last looked up. One scrape looks, the others wait for it.
#[derive(Default)]
pub(super) struct Gauges(Mutex<Option<Instant>>);

pub(super) async fn scrape(State(admin): State<Arc<Admin>>) -> Response {
    let mut looked_at = admin.gauges.0.lock().await;
    if looked_at.is_none_or(|at| at.elapsed() >= FRESH) {
        let looks = async { tokio::join!(queue(&admin.deps), dead_letters(&admin.deps), cases(&admin.deps)) };
        if tokio::time::timeout(TIME_MAX, looks).await.is_err() {
            tracing::debug!("queue or store did not answer in time for the metrics");
        }
        *looked_at = Some(Instant::now());
    }
    drop(looked_at);
    admin.deps.metrics.measure(admin.deps.clock.now());
    ([(CONTENT_TYPE, OPENMETRICS)], admin.deps.metrics.render()).into_response()
}

async fn queue(deps: &AdminDeps) {
    let Ok(depths) = deps.queue.depths().await else { return };
    for lane in Lane::ALL {
        let depth = depths.get(&lane).copied().unwrap_or_default();
        let age = depth.oldest.map(|oldest| clock::elapsed(oldest, deps.clock.now())).unwrap_or_default();
        deps.metrics.queue(lane.word(), depth.events, age.as_secs_f64());
    }
}

async fn dead_letters(deps: &AdminDeps) {
    let Ok(counts) = deps.store.dead_letter_counts().await else { return };
    let counts: BTreeMap<Lane, u64> = counts.into_iter().collect();
    for lane in Lane::ALL {
        deps.metrics.dead_letters(lane.word(), counts.get(&lane).copied().unwrap_or_default());
    }
}

async fn cases(deps: &AdminDeps) {
    // Memory first: what is written down between the two is in both, and counted once, as it stands in memory.
    let unwritten = deps.unwritten.as_ref().map(|unwritten| unwritten.states()).unwrap_or_default();
    let Ok(open) = deps.store.cases(WhichCases::Open, CASES_MAX).await else { return };
    let on_record = open.iter().filter(|case| !unwritten.contains_key(&case.subject)).map(|case| case.state);
    let states = on_record.chain(unwritten.values().copied());
    let unverified = states.filter(|state| state.is_open() && *state != CaseState::Verified).count();
    deps.metrics.unverified_containments(unverified as u64);
}
