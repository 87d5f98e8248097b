//! A lockout behind 100,000 waiting directory changes that have used up Auth0's budget: from the POST to the block.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep::clock::SystemClock;
use lockstep::event::EventKind;
use lockstep::queue::embedded::{self, Embedded};
use lockstep::queue::{IN_HAND_MAX, Queue};
use lockstep_twin::{Hire, PersonId, RateLimit, Setup, Twin};

use crate::load;
use crate::program::{Place, Program};
use crate::raw_reaction;
use crate::reaction::{self, Alarm};
use crate::report::Report;
use crate::requests;

const WAITING: usize = 100_000;
/// Whom the waiting events are about.
const COLLEAGUES: usize = 2_000;
const BATCH: usize = 1_000;
const PEOPLE: usize = 50;
const P50_MS_MAX: f64 = 250.0;
const P99_MS_MAX: f64 = 250.0;
/// From one person to the next: what one lockout takes from the share that is kept for lockouts must come back, or the
/// rate limit and not the order of work would be measured.
const EVERY: Duration = Duration::from_millis(1000);
/// The limit of an Enterprise tenant (Auth0, Rate Limit Configurations), on both sides.
const LIMIT: RateLimit = RateLimit::ENTERPRISE;
/// Under one request of sync's share is left.
const EXHAUSTED: f64 = 1.0 / 35.0;
const EXHAUSTION_WAIT_MAX: Duration = Duration::from_secs(20);
const STILL_WAITING: f64 = 0.95 * WAITING as f64;

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(report))
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let twin = Twin::start(Setup { rate_limit: Some(LIMIT), ..Setup::unlimited() }).await;
    let mut place = Place::new(&twin)?;
    place.set("AUTH0_REQUESTS_PER_SECOND", &LIMIT.per_second.to_string());
    place.set("AUTH0_BURST", &LIMIT.burst.to_string());
    place.ask_graph_freely();
    let raw = raw_reaction::measure(&place.path("raw")).await?;
    let people = hire(&twin);
    fill(&place, twin.setup(), &people).await?;
    let program = place.serve(&[])?;
    until_exhausted(&program).await?;
    let mut alarm = Alarm::new(&twin, &place, &program).await?;
    let mut waits = load::new_histogram()?;
    let mut next = tokio::time::interval(EVERY);
    for n in 0..PEOPLE {
        next.tick().await;
        load::record(&mut waits, alarm.raise(&format!("Person{n} Urgent")).await?);
    }
    alarm.expect_two_writes_each()?;
    let left = program.metric("lockstep_queue_depth{lane=\"sync\"}")?;
    ensure!(left >= STILL_WAITING, "only {left} events still wait: the lockouts stood behind nothing");
    report.note(&format!("lanes: {left} of {WAITING} directory changes still wait"));
    reaction::tell(report, "lanes.contain behind 100,000", &waits, &raw, P50_MS_MAX, P99_MS_MAX);
    Ok(())
}

/// People whom directory changes are about.
pub fn hire(twin: &Twin) -> Vec<PersonId> {
    let mut world = twin.world();
    (0..COLLEAGUES).map(|n| world.hire(Hire::named(&format!("Colleague{n} Waiting")))).collect()
}

/// Puts the directory changes on the embedded queue of a program that does not run yet.
pub async fn fill(place: &Place, setup: &Setup, people: &[PersonId]) -> anyhow::Result<()> {
    let settings = embedded::Settings { file: place.data("queue.db"), bytes_max: 1 << 30 };
    let queue = Embedded::open(&settings, IN_HAND_MAX, std::sync::Arc::new(SystemClock))?;
    let mut about = people.iter().cycle();
    for _ in 0..WAITING / BATCH {
        let events: anyhow::Result<Vec<_>> = about
            .by_ref()
            .take(BATCH)
            .map(|person| requests::event(setup, EventKind::UserUpdated, person.to_string().parse()?))
            .collect();
        queue.enqueue(&events?).await?;
    }
    queue.close().await;
    Ok(())
}

/// Waits until sync has taken what it may of the budget.
async fn until_exhausted(program: &Program) -> anyhow::Result<()> {
    let deadline = Instant::now() + EXHAUSTION_WAIT_MAX;
    let left = "lockstep_vendor_budget_remaining_ratio{vendor=\"auth0\",class=\"sync\"}";
    loop {
        let text = program.metrics()?;
        if text.contains(left) && program.metric(left)? <= EXHAUSTED {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the sync lane does not use up its budget");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
