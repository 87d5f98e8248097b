//! From a change in Entra to the change in Auth0, nothing else to do; and what one change costs in requests.
//!
//! Graph's own hand tells: the program subscribes, the twin shakes hands and posts its notifications by itself. The
//! clock starts when somebody becomes a member of a group, before the notification is even written.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep::store::Store;
use lockstep::store::sqlite::{self, Sqlite};
use lockstep_twin::{Entry, GroupId, Hire, PersonId, Setup, Twin, Vendor};

use crate::load;
use crate::program::{Place, Program};
use crate::raw_directory;
use crate::reaction;
use crate::report::{Figure, Report, Target};

/// Those who are measured, and those before them who open connections and fetch tokens.
const PEOPLE: usize = 250;
const WARM_UP: usize = 10;
/// From one person to the next, so that each is measured alone.
const EVERY: Duration = Duration::from_millis(100);
const P50_MS_MAX: f64 = 15.0;
const P99_MS_MAX: f64 = 75.0;
/// People whose department changes one after the other, and as many who change in nothing that the policy reads.
const MOVERS: usize = 50;
const READS_MAX: f64 = 1.0;
const WRITES_MAX: f64 = 1.0;
const CALLS_MAX: f64 = 3.0;
/// Reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A whole sweep of ten thousand people at the rate of the drain takes about a minute.
const PATIENCE_WITH_SWEEP: Duration = Duration::from_secs(300);
/// Longer than the schedule waits between two looks at what is due.
const QUIET: Duration = Duration::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const ASSIGN: &str = "POST /api/v2/users/{id}/roles";
const ROLE: &str = "Reader";

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(report))
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let twin = Twin::start(Setup::unlimited()).await;
    let people = hire(&twin, WARM_UP + PEOPLE);
    let group = readers(&twin);
    let mut place = Place::with_policy(&twin, &policy(group))?;
    place.set("AUTH0_REQUESTS_PER_SECOND", "1000");
    place.set("AUTH0_BURST", "10000");
    place.ask_graph_freely();
    place.be_reached();
    let program = place.serve(&[])?;
    let scene = Scene { twin: &twin, program: &program };
    scene.until_in_step(&place).await?;
    scene.memberships(&place, group, &people, report).await?;
    scene.movers(&people[..MOVERS], report).await?;
    scene.nothing_to_do(&people[..MOVERS], report).await
}

/// The attribute that the benchmarks of the directory keep in step.
pub const ATTRIBUTE: &str = "\n[[attributes]]\nto = \"app_metadata.department\"\nfrom = \"department\"\n";

/// That, and a role.
fn policy(group: GroupId) -> String {
    format!("{ATTRIBUTE}\n[[roles]]\nrole = \"{ROLE}\"\nany_of = [\"{group}\"]\n")
}

/// The group that the policy names, without members, and the role that it gives.
fn readers(twin: &Twin) -> GroupId {
    let mut world = twin.world();
    world.create_role(ROLE);
    world.create_group("Readers")
}

/// People with an enterprise account each.
pub fn hire(twin: &Twin, count: usize) -> Vec<PersonId> {
    let mut world = twin.world();
    (0..count).map(|n| world.hire(Hire::named(&format!("Person{n} Kept")))).collect()
}

/// A program that keeps a twin's directory in step.
pub struct Scene<'a> {
    pub twin: &'a Twin,
    pub program: &'a Program,
}

impl Scene<'_> {
    /// Waits until everybody was seen whole once, both subscriptions are made, and nothing is left to do.
    pub async fn until_in_step(&self, place: &Place) -> anyhow::Result<()> {
        let store = Sqlite::open(&sqlite::Settings { file: place.data("lockstep.db") })?;
        let deadline = Instant::now() + PATIENCE_WITH_SWEEP;
        while store.note("sweep.whole_at").await?.is_none() || self.twin.world().subscriptions().count() < 2 {
            ensure!(Instant::now() < deadline, "not in step: {}", self.program.said());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let mut asked = (0, Instant::now());
        while asked.1.elapsed() < QUIET {
            let now = self.asked(Vendor::Graph) + self.asked(Vendor::Auth0);
            if now != asked.0 || self.waiting()? > 0.0 {
                asked = (now, Instant::now());
            }
            ensure!(Instant::now() < deadline, "not quiet: {}", self.program.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Somebody becomes a member of the group, and has the role.
    async fn memberships(
        &self,
        place: &Place,
        group: GroupId,
        people: &[PersonId],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let mut waits = load::new_histogram()?;
        let (mut conversation, mut words) = (Vec::new(), String::new());
        let mut next = tokio::time::interval(EVERY);
        for (n, person) in people.iter().enumerate() {
            next.tick().await;
            let last = self.twin.journal().requests().last().map_or(0, |entry| entry.seq);
            let worked = self.worked()?;
            let changed = Instant::now();
            self.twin.world().add_member(group, *person);
            let given = self.wait_for(|entry| entry.seq > last && entry.route == ASSIGN).await?;
            if n >= WARM_UP {
                load::record(&mut waits, given.at.saturating_duration_since(changed));
            }
            // The group, and the person that it leads to.
            self.until_worked(worked + 2.0).await?;
            let asked = self.twin.journal().requests();
            conversation = asked.into_iter().filter(|e| e.seq > last && e.seq <= given.seq).collect();
            words = raw_directory::words(&conversation, changed);
        }
        report.note(&format!("directory: the last one, in ms: {words}"));
        let raw = raw_directory::measure(&place.path("raw"), self.twin, &conversation).await?;
        reaction::tell(report, "directory.change to role", &waits, &raw, P50_MS_MAX, P99_MS_MAX);
        Ok(())
    }

    /// One attribute changes for one person after the other; the dearest of them counts.
    async fn movers(&self, people: &[PersonId], report: &mut Report) -> anyhow::Result<()> {
        let mut most = Calls::default();
        for (n, person) in people.iter().enumerate() {
            let (before, worked) = (self.calls(), self.worked()?);
            self.twin.world().set_property(*person, "department", format!("Department {n}").into());
            self.until_worked(worked + 1.0).await?;
            let calls = self.calls().since(&before);
            ensure!(calls.writes > 0, "the department of {person} did not arrive");
            most = most.max(&calls);
        }
        let told = [
            ("Graph requests", most.graph, Target::AtMost(READS_MAX)),
            ("Auth0 writes", most.writes, Target::AtMost(WRITES_MAX)),
            ("requests in all", most.graph + most.auth0, Target::AtMost(CALLS_MAX)),
        ];
        for (what, count, target) in told {
            let name = format!("directory.attribute, {what}");
            report.figure(Figure { name: &name, value: count as f64, unit: "calls", raw: None, target });
        }
        Ok(())
    }

    /// Something changes that the policy does not read: it is looked at, and nothing is written.
    async fn nothing_to_do(&self, people: &[PersonId], report: &mut Report) -> anyhow::Result<()> {
        let before = self.calls();
        for person in people {
            let worked = self.worked()?;
            self.twin.world().set_property(*person, "jobTitle", "Adviser".into());
            self.until_worked(worked + 1.0).await?;
        }
        let calls = self.calls().since(&before);
        ensure!(calls.graph >= people.len() as u64, "not everybody was looked at");
        report.figure(Figure {
            name: "directory.nothing to do, writes",
            value: calls.writes as f64,
            unit: "calls",
            raw: None,
            target: Target::AtMost(0.0),
        });
        Ok(())
    }

    async fn wait_for(&self, wanted: impl Fn(&Entry) -> bool) -> anyhow::Result<Entry> {
        let found = self.twin.journal().wait_for(wanted, PATIENCE).await;
        found.with_context(|| format!("nothing came; the program said: {}", self.program.said()))
    }

    /// Waits until so many events are done in all.
    async fn until_worked(&self, count: f64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.worked()? < count {
            ensure!(Instant::now() < deadline, "events are not done: {}", self.program.said());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Events that are done: unlike the depth of a queue, it is told as of now.
    fn worked(&self) -> anyhow::Result<f64> {
        let text = self.program.metrics()?;
        let counters = text.lines().filter(|line| line.starts_with("lockstep_events_total{"));
        let worked = counters.filter(|line| line.contains("outcome=\"worked\""));
        worked
            .map(|line| Ok(line.rsplit_once(' ').context("a metric without a value")?.1.parse::<f64>()?))
            .sum()
    }

    /// Events in all lanes.
    fn waiting(&self) -> anyhow::Result<f64> {
        let lanes = ["contain", "sync", "bulk"];
        let depths =
            lanes.map(|lane| self.program.metric(&format!("lockstep_queue_depth{{lane=\"{lane}\"}}")));
        depths.into_iter().sum()
    }

    fn asked(&self, vendor: Vendor) -> u64 {
        self.twin.journal().total(vendor)
    }

    fn calls(&self) -> Calls {
        let writes = self.twin.journal().writes(Vendor::Auth0) + self.twin.journal().writes(Vendor::Graph);
        Calls { graph: self.asked(Vendor::Graph), auth0: self.asked(Vendor::Auth0), writes }
    }
}

/// Requests that the vendors saw.
#[derive(Debug, Clone, Copy, Default)]
struct Calls {
    graph: u64,
    auth0: u64,
    /// Of those, the ones that changed something.
    writes: u64,
}

impl Calls {
    fn since(&self, before: &Calls) -> Calls {
        Calls {
            graph: self.graph - before.graph,
            auth0: self.auth0 - before.auth0,
            writes: self.writes - before.writes,
        }
    }

    fn max(&self, other: &Calls) -> Calls {
        Calls {
            graph: self.graph.max(other.graph),
            auth0: self.auth0.max(other.auth0),
            writes: self.writes.max(other.writes),
        }
    }
}
