//! How soon the program is ready, how much memory it takes, how large it is; and the first two again with a full queue.

use std::time::Duration;

use lockstep_twin::{Setup, Twin};

use crate::lanes;
use crate::program::{self, Place};
use crate::report::{Figure, Report, Target, median};

const STARTS: usize = 10;
const READY_MS_MAX: f64 = 300.0;
const RESIDENT_MB_MAX: f64 = 40.0;
const BINARY_MB_MAX: f64 = 30.0;
/// Long enough for everything that happens once after the start.
const IDLE: Duration = Duration::from_secs(3);

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let twin = runtime.block_on(Twin::start(Setup::unlimited()));
    report.figure(Figure {
        name: "footprint.binary",
        value: program::binary_mb()?,
        unit: "MB",
        raw: None,
        target: Target::AtMost(BINARY_MB_MAX),
    });
    starts(&twin, report)?;
    idle(&twin, report)?;
    runtime.block_on(full_queue(&twin, report))
}

/// A fresh place each time, so that files are made as on a first start; doing nothing is the raw limit.
fn starts(twin: &Twin, report: &mut Report) -> anyhow::Result<()> {
    let (mut raw, mut ready) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        raw.push(ms(program::time_to_do_nothing()?));
        ready.push(ms(Place::new(twin)?.serve(&[])?.ready_after));
    }
    report.figure(Figure {
        name: "footprint.ready",
        value: median(ready),
        unit: "ms",
        raw: Some(median(raw)),
        target: Target::AtMost(READY_MS_MAX),
    });
    Ok(())
}

fn idle(twin: &Twin, report: &mut Report) -> anyhow::Result<()> {
    let place = Place::new(twin)?;
    let program = place.serve(&[])?;
    std::thread::sleep(IDLE);
    report.figure(Figure {
        name: "footprint.resident idle",
        value: program.resident_mb()?,
        unit: "MB",
        raw: None,
        target: Target::AtMost(RESIDENT_MB_MAX),
    });
    Ok(())
}

/// Only ingest: a worker would empty the queue while we look.
async fn full_queue(twin: &Twin, report: &mut Report) -> anyhow::Result<()> {
    let place = Place::new(twin)?;
    let people = lanes::hire(twin);
    lanes::fill(&place, twin.setup(), &people).await?;
    let program = place.serve(&["--only", "ingest"])?;
    let mut told = |name, value, unit| {
        report.figure(Figure { name, value, unit, raw: None, target: Target::None });
    };
    told("footprint.ready with 100,000 waiting", ms(program.ready_after), "ms");
    tokio::time::sleep(IDLE).await;
    told("footprint.resident with 100,000 waiting", program.resident_mb()?, "MB");
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
