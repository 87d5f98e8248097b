//! The first sweep of a directory of a hundred thousand: how long until everybody has been on the queue, and how much
//! memory that takes.
//!
//! A sweep waits while many of its events wait, and the looks at them keep the vendors' pace: they take much longer than
//! the sweep. So the process only keeps the schedule, and its events are taken off the broker's queues unread. How much memory
//! the whole service takes meanwhile, with its own queue, is measured apart: until as many wait as a sweep lets wait, and
//! some thousands have been looked at.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep::store::Store;
use lockstep::store::sqlite::{self, Sqlite};
use lockstep_twin::{Hire, Setup, Twin, Vendor};

use crate::directory;
use crate::program::Place;
use crate::raw_broker::{Bare, Broker};
use crate::report::{Figure, Report, Target};

const PEOPLE: usize = 100_000;
const RESIDENT_MB_MAX: f64 = 256.0;
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PREFIX: &str = "bench";
/// So many wait in the bulk lane, and the sweep waits: nothing grows any more. A page of the listing may be missing.
const BACKLOG: f64 = 19_000.0;
/// Looks that the whole service has done until its memory is told; each asks Auth0 at least once.
const LOOKS: u64 = 10_000;

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(report))
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let twin = Twin::start(Setup::unlimited()).await;
    hire(&twin);
    whole_service(report, &twin).await?;
    schedule_alone(report, &twin).await
}

/// The embedded queue needs no broker.
async fn whole_service(report: &mut Report, twin: &Twin) -> anyhow::Result<()> {
    let mut place = Place::with_policy(twin, directory::ATTRIBUTE)?;
    place.ask_graph_freely();
    place.set("AUTH0_REQUESTS_PER_SECOND", "1000");
    place.set("AUTH0_BURST", "1000");
    let started = Instant::now();
    let program = place.serve(&[])?;
    let store = Sqlite::open(&sqlite::Settings { file: place.data("lockstep.db") })?;
    let mut stands_still = false;
    while !stands_still || twin.journal().total(Vendor::Auth0) < LOOKS {
        ensure!(started.elapsed() < PATIENCE, "not so far yet; the program said: {}", program.said());
        tokio::time::sleep(LOOK_EVERY).await;
        stands_still = stands_still
            || program.metric("lockstep_queue_depth{lane=\"bulk\"}")? >= BACKLOG
            || store.note("sweep.whole_at").await?.is_some();
    }
    report.figure(Figure {
        name: "sweep.resident at most, whole service, embedded queue",
        value: program.resident_peak_mb()?,
        unit: "MB",
        raw: None,
        target: Target::AtMost(RESIDENT_MB_MAX),
    });
    Ok(())
}

async fn schedule_alone(report: &mut Report, twin: &Twin) -> anyhow::Result<()> {
    let asked_before = twin.journal().total(Vendor::Graph);
    let mut place = Place::with_policy(twin, directory::ATTRIBUTE)?;
    let broker = match Broker::start(&place.path("broker"))? {
        Ok(broker) => broker,
        Err(reason) => {
            report.note(&format!("sweep of the schedule alone is skipped: {reason}"));
            return Ok(());
        }
    };
    place.set("LOCKSTEP_QUEUE_URL", &broker.url);
    place.set("LOCKSTEP_QUEUE_PREFIX", PREFIX);
    place.ask_graph_freely();
    let bare = Bare::open(&broker.url).await?;
    let started = Instant::now();
    let program = place.serve(&["--only", "scheduler"])?;
    let store = Sqlite::open(&sqlite::Settings { file: place.data("lockstep.db") })?;
    let mut events = 0;
    loop {
        let is_over = store.note("sweep.whole_at").await?.is_some();
        events += bare.purge_lane(PREFIX, "bulk").await?;
        if is_over {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "not swept; the program said: {}", program.said());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = started.elapsed();
    ensure!(events as usize >= PEOPLE, "only {events} events for {PEOPLE} people");
    let asked = twin.journal().total(Vendor::Graph) - asked_before;
    report.note(&format!("sweep: {events} events, {asked} requests of Graph"));
    report.figure(Figure {
        name: "sweep.everybody on the queue",
        value: took.as_secs_f64(),
        unit: "s",
        raw: None,
        target: Target::None,
    });
    report.figure(Figure {
        name: "sweep.resident at most",
        value: program.resident_peak_mb()?,
        unit: "MB",
        raw: None,
        target: Target::AtMost(RESIDENT_MB_MAX),
    });
    Ok(())
}

fn hire(twin: &Twin) {
    let mut world = twin.world();
    for n in 0..PEOPLE {
        world.hire(Hire { auth0_enterprise: false, ..Hire::named(&format!("Person{n} Swept")) });
    }
}
