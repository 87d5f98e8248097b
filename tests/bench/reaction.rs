//! From the POST of a signed alert to the block request that Auth0 sees, one person after the other, nothing else to do.
//!
//! Every account must cost exactly two writes; anything else fails the benchmark.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use lockstep::case::CaseState;
use lockstep::event::{ObjectId, Subject, TenantId};
use lockstep::store::Store;
use lockstep::store::sqlite::{self, Sqlite};
use lockstep_twin::send::risk;
use lockstep_twin::{Entry, Hire, PersonId, Setup, Twin, Vendor};

use crate::connection::Connection;
use crate::load;
use crate::program::{Place, Program};
use crate::raw_reaction;
use crate::report::{Figure, Report, Target};
use crate::requests;

/// Those who are measured, and those before them who open connections and fetch tokens.
const PEOPLE: usize = 250;
const WARM_UP: usize = 10;
const P50_MS_MAX: f64 = 10.0;
const P99_MS_MAX: f64 = 50.0;
/// Reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const WRITES_PER_ACCOUNT: u64 = 2;
pub const BLOCK: &str = "PATCH /api/v2/users/{id}";

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(report))
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let twin = Twin::start(Setup::unlimited()).await;
    let mut place = Place::new(&twin)?;
    place.set("AUTH0_REQUESTS_PER_SECOND", "1000");
    place.set("AUTH0_BURST", "10000");
    place.ask_graph_freely();
    let raw = raw_reaction::measure(&place.path("raw")).await?;
    let program = place.serve(&[])?;
    let mut alarm = Alarm::new(&twin, &place, &program).await?;
    let mut waits = load::new_histogram()?;
    for n in 0..WARM_UP + PEOPLE {
        let wait = alarm.raise(&format!("Person{n} Measured")).await?;
        if n >= WARM_UP {
            load::record(&mut waits, wait);
        }
    }
    alarm.expect_two_writes_each()?;
    tell(report, "reaction", &waits, &raw, P50_MS_MAX, P99_MS_MAX);
    Ok(())
}

/// Median and tail of both, and the largest for the curious.
pub fn tell(
    report: &mut Report,
    name: &str,
    waits: &Histogram<u64>,
    raw: &Histogram<u64>,
    p50_max: f64,
    p99_max: f64,
) {
    let quantiles = [
        (0.5, "p50", Target::AtMost(p50_max)),
        (0.99, "p99", Target::AtMost(p99_max)),
        (1.0, "max", Target::None),
    ];
    for (quantile, word, target) in quantiles {
        report.figure(Figure {
            name: &format!("{name} {word}"),
            value: load::quantile_ms(waits, quantile),
            unit: "ms",
            raw: Some(load::quantile_ms(raw, quantile)),
            target,
        });
    }
}

/// Puts one person after the other at risk and times the block.
pub struct Alarm<'a> {
    twin: &'a Twin,
    store: Arc<dyn Store>,
    connection: Connection,
    to: SocketAddr,
    writes_before: u64,
    accounts: u64,
}

impl<'a> Alarm<'a> {
    pub async fn new(twin: &'a Twin, place: &Place, program: &Program) -> anyhow::Result<Alarm<'a>> {
        let store = Sqlite::open(&sqlite::Settings { file: place.data("lockstep.db") })?;
        Ok(Alarm {
            twin,
            store: Arc::new(store),
            connection: Connection::open(program.public).await?,
            to: program.public,
            writes_before: twin.journal().writes(Vendor::Auth0),
            accounts: 0,
        })
    }

    /// Hires somebody, signs them in, raises their risk, and returns when the lockout is verified: how long it took
    /// from the POST to the block.
    pub async fn raise(&mut self, name: &str) -> anyhow::Result<Duration> {
        let (person, body) = self.prepare(name);
        let request = requests::signed(self.twin.setup(), self.to, &body);
        let last = self.twin.journal().requests().last().map_or(0, |entry| entry.seq);
        let sent = Instant::now();
        let status = self.connection.exchange(&request).await?;
        ensure!(status == 202, "the alert was answered with {status}");
        // The account is named after the person; the other lanes may change other accounts meanwhile.
        let object = person.to_string();
        let blocks = |entry: &Entry| entry.seq > last && entry.route == BLOCK && entry.path.contains(&object);
        let block = self
            .twin
            .journal()
            .wait_for(blocks, PATIENCE)
            .await
            .with_context(|| format!("{person} was not blocked"))?;
        self.until_verified(person).await?;
        Ok(block.at.saturating_duration_since(sent))
    }

    fn prepare(&mut self, name: &str) -> (PersonId, String) {
        let mut world = self.twin.world();
        let person = world.hire(Hire::named(name));
        let accounts = world.accounts_of(person);
        for account in &accounts {
            world.sign_in(account);
        }
        self.accounts += accounts.len() as u64;
        world.raise_risk(person, "high", "leakedCredentials");
        (person, risk::alert(&world, person, "high").to_string())
    }

    async fn until_verified(&self, person: PersonId) -> anyhow::Result<()> {
        let tenant = TenantId(self.twin.setup().tenant_id.parse()?);
        let subject = Subject { tenant, object: ObjectId(person.to_string().parse()?) };
        let deadline = Instant::now() + PATIENCE;
        while self.store.open_case(subject).await?.is_none_or(|case| case.state != CaseState::Verified) {
            ensure!(Instant::now() < deadline, "the case of {person} was not verified");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub fn expect_two_writes_each(&self) -> anyhow::Result<()> {
        let writes = self.twin.journal().writes(Vendor::Auth0) - self.writes_before;
        let expected = WRITES_PER_ACCOUNT * self.accounts;
        ensure!(writes == expected, "{writes} writes for {} accounts instead of {expected}", self.accounts);
        Ok(())
    }
}
