//! Ten thousand people change at once: how much of Auth0's rate limit is used until all of them are in step, and how
//! much memory that takes.
//!
//! Everybody was seen whole before, so each costs what a warm path costs: one read and one write of Auth0.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep_twin::{Entry, RateLimit, Setup, Twin, Vendor};

use crate::directory::{self, Scene};
use crate::program::Place;
use crate::report::{Figure, Report, Target};

const PEOPLE: usize = 10_000;
/// Ten times what an Enterprise tenant is given (Auth0, Rate Limit Configurations), so that the run ends; on both sides.
const LIMIT: RateLimit = RateLimit { burst: 60, per_second: 200.0 };
/// A read and a write.
const REQUESTS_EACH: f64 = 2.0;
const SHARE_TARGET: f64 = 0.9;
const RESIDENT_MB_MAX: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(report))
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let twin = Twin::start(Setup { rate_limit: Some(LIMIT), ..Setup::unlimited() }).await;
    let people = directory::hire(&twin, PEOPLE);
    let mut place = Place::with_policy(&twin, directory::ATTRIBUTE)?;
    place.set("AUTH0_REQUESTS_PER_SECOND", &LIMIT.per_second.to_string());
    place.set("AUTH0_BURST", &LIMIT.burst.to_string());
    place.ask_graph_freely();
    place.be_reached();
    let program = place.serve(&[])?;
    let scene = Scene { twin: &twin, program: &program };
    scene.until_in_step(&place).await?;
    let before = twin.journal().writes(Vendor::Auth0);
    let changed = Instant::now();
    for person in people {
        twin.world().set_property(person, "department", "Retail".into());
    }
    while twin.journal().writes(Vendor::Auth0) - before < PEOPLE as u64 {
        ensure!(changed.elapsed() < PATIENCE, "not drained; the program said: {}", program.said());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = changed.elapsed().as_secs_f64();
    let requests = twin.journal().requests();
    let refused = requests.iter().filter(|entry| is_refused(entry)).count();
    report
        .note(&format!("drain: {PEOPLE} people in {took:.1} s, {refused} requests refused with 429 in all"));
    report.figure(Figure {
        name: "drain.people, raw is the budget",
        value: PEOPLE as f64 / took,
        unit: "people/s",
        raw: Some((LIMIT.per_second + f64::from(LIMIT.burst) / took) / REQUESTS_EACH),
        target: Target::ShareOfRaw(SHARE_TARGET),
    });
    report.figure(Figure {
        name: "drain.resident at most",
        value: program.resident_peak_mb()?,
        unit: "MB",
        raw: None,
        target: Target::AtMost(RESIDENT_MB_MAX),
    });
    Ok(())
}

fn is_refused(entry: &Entry) -> bool {
    entry.vendor == Vendor::Auth0 && entry.status == 429
}
