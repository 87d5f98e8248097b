//! Signed risk alerts accepted per second, beside a bare durable write of the same bytes, on either queue; and how long
//! an answer takes at half that rate.
//!
//! Load, broker and Lockstep share the machine. Raw and ours take turns, so that both see the same machine; the medians
//! are compared.

use std::net::SocketAddr;
use std::time::Duration;

use lockstep_twin::{Setup, Twin};

use crate::load::{self, CONCURRENCY};
use crate::program::{Place, Program};
use crate::raw_broker::{Bare, Broker};
use crate::raw_file;
use crate::raw_listener::Listener;
use crate::report::{Figure, Report, Target, median};
use crate::requests::{self, Requests};

const ROUNDS: usize = 3;
const RAW_TIME: Duration = Duration::from_secs(2);
/// Of a round: ends when either is used up.
const ROUND_REQUESTS: usize = 40_000;
const ROUND_TIME_MAX: Duration = Duration::from_secs(5);
const WARM_UP_REQUESTS: usize = 4_000;
/// How long the load at half the rate lasts.
const HALF_RATE_TIME: Duration = Duration::from_secs(6);
const SHARE_TARGET: f64 = 0.6;
const ANSWER_MS_MAX: f64 = 50.0;
const PREFIX: &str = "bench";

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let stage = Stage { twin: runtime.block_on(Twin::start(Setup::unlimited())) };
    let embedded = stage.embedded(report)?;
    let Some(broker) = stage.rabbitmq(report)? else { return Ok(()) };
    report.figure(Figure {
        name: "ingest.embedded against rabbitmq",
        value: embedded,
        unit: "alerts/s",
        raw: None,
        target: Target::AtLeast(broker),
    });
    Ok(())
}

struct Stage {
    twin: Twin,
}

/// Alerts per second: the medians of what the machine and what we can do.
struct Rates {
    raw: f64,
    ours: f64,
}

impl Stage {
    fn embedded(&self, report: &mut Report) -> anyhow::Result<f64> {
        let place = Place::new(&self.twin)?;
        let program = place.serve(&["--only", "ingest"])?;
        let envelope = requests::envelope(self.twin.setup())?;
        let raw = || raw_file::appends_per_second(&place.path("raw"), &envelope, CONCURRENCY, RAW_TIME);
        let rates = self.measure("ingest.embedded", &program, raw, || Ok(()), report)?;
        drop(program);
        self.bare_listener(&rates, report)?;
        Ok(rates.ours)
    }

    /// What is left of the disk's rate when every append comes as a request that nobody looks at.
    fn bare_listener(&self, rates: &Rates, report: &mut Report) -> anyhow::Result<()> {
        let listener = Listener::start(requests::PATH)?;
        self.flat_out(listener.address, WARM_UP_REQUESTS)?;
        let rounds = (0..ROUNDS).map(|_| Ok(self.flat_out(listener.address, ROUND_REQUESTS)?.1));
        let bare = median(rounds.collect::<anyhow::Result<_>>()?);
        for (name, value, raw) in [
            ("ingest, a listener that only answers", bare, rates.raw),
            ("ingest.embedded against that listener", rates.ours, bare),
        ] {
            report.figure(Figure { name, value, unit: "alerts/s", raw: Some(raw), target: Target::None });
        }
        Ok(())
    }

    fn rabbitmq(&self, report: &mut Report) -> anyhow::Result<Option<f64>> {
        let mut place = Place::new(&self.twin)?;
        let broker = match Broker::start(&place.path("broker"))? {
            Ok(broker) => broker,
            Err(reason) => {
                report.note(&format!("ingest.rabbitmq is skipped: {reason}"));
                return Ok(None);
            }
        };
        place.set("LOCKSTEP_QUEUE_URL", &broker.url);
        place.set("LOCKSTEP_QUEUE_PREFIX", PREFIX);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let bare = runtime.block_on(Bare::open(&broker.url))?;
        let program = place.serve(&["--only", "ingest"])?;
        let envelope = requests::envelope(self.twin.setup())?;
        let raw = || runtime.block_on(bare.publishes_per_second(&envelope, CONCURRENCY, RAW_TIME));
        // So that every round starts alike.
        let clean = || runtime.block_on(bare.purge_lane(PREFIX, "contain")).map(drop);
        let rates = self.measure("ingest.rabbitmq", &program, raw, clean, report)?;
        drop(program);
        runtime.block_on(bare.close())?;
        Ok(Some(rates.ours))
    }

    /// Raw and ours in turns, then ours at half its rate.
    fn measure(
        &self,
        name: &str,
        program: &Program,
        raw: impl Fn() -> anyhow::Result<f64>,
        clean: impl Fn() -> anyhow::Result<()>,
        report: &mut Report,
    ) -> anyhow::Result<Rates> {
        self.flat_out(program.public, WARM_UP_REQUESTS)?;
        let (mut raws, mut ours, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raws.push(raw()?);
            let before = program.processor_time()?;
            let (accepted, rate) = self.flat_out(program.public, ROUND_REQUESTS)?;
            ours.push(rate);
            costs.push((program.processor_time()? - before).as_secs_f64() * 1e6 / accepted as f64);
            clean()?;
        }
        report.note(&format!("{name}: raw {raws:.0?}, ours {ours:.0?}"));
        let rates = Rates { raw: median(raws), ours: median(ours) };
        report.figure(Figure {
            name,
            value: rates.ours,
            unit: "alerts/s",
            raw: Some(rates.raw),
            target: Target::ShareOfRaw(SHARE_TARGET),
        });
        report.figure(Figure {
            name: &format!("{name} processor time"),
            value: median(costs),
            unit: "us/alert",
            raw: None,
            target: Target::None,
        });
        self.half_rate(name, program.public, rates.ours / 2.0, report)?;
        clean()?;
        Ok(rates)
    }

    /// How many were accepted, and how many per second.
    fn flat_out(&self, to: SocketAddr, count: usize) -> anyhow::Result<(u64, f64)> {
        load::flat_out(to, self.requests(to, count), ROUND_TIME_MAX)
    }

    fn half_rate(&self, name: &str, to: SocketAddr, rate: f64, report: &mut Report) -> anyhow::Result<()> {
        let count = (rate * HALF_RATE_TIME.as_secs_f64()) as usize;
        let waits = load::at_rate(to, self.requests(to, count), rate)?;
        for (quantile, word, target) in
            [(0.5, "p50", Target::None), (0.99, "p99", Target::AtMost(ANSWER_MS_MAX))]
        {
            report.figure(Figure {
                name: &format!("{name} {word} at {rate:.0}/s"),
                value: load::quantile_ms(&waits, quantile),
                unit: "ms",
                raw: None,
                target,
            });
        }
        Ok(())
    }

    fn requests(&self, to: SocketAddr, count: usize) -> Requests {
        Requests::signed_alerts(self.twin.setup(), &self.twin.world(), to, count)
    }
}
