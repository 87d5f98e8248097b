//! A group of fifty thousand is put into one that the policy names: one notification, fifty thousand looks in the bulk
//! lane. How much memory that takes, and how long a lockout takes meanwhile: from the POST to the block.
//!
//! The vendors take whatever comes, so the bulk lane works as fast as it can and wants processor, disk and store of the
//! lockouts; that it cannot use up their share of Auth0's limit is what `lanes` measures. The looks would go on for
//! minutes after the last lockout and are cut off: that every one was asked for is counted, done or waiting.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep_twin::{GroupId, Hire, Mishap, PersonId, Setup, Times, Twin, Vendor};
use tokio::task::JoinHandle;

use crate::directory::Scene;
use crate::load;
use crate::program::{Place, Program};
use crate::raw_reaction;
use crate::reaction::{self, Alarm};
use crate::report::{Figure, Report, Target};

const MEMBERS: usize = 50_000;
/// Rows that Lockstep asks for on a page, as many as Graph gives (List group transitive members).
const PAGE: usize = 999;
const RESIDENT_MB_MAX: f64 = 100.0;
const LOCKOUTS: usize = 200;
/// From one lockout to the next.
const EVERY: Duration = Duration::from_millis(100);
const P50_MS_MAX: f64 = 250.0;
const P99_MS_MAX: f64 = 250.0;
/// Reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longer than a depth in the metrics is allowed to be old.
const STEADY: Duration = Duration::from_secs(3);
/// Enough for what waits for an entry; whoever is about to be locked out looks for the newest among all.
const JOURNAL_CAP: usize = 5_000;
const PAGES: &str = "GET /v1.0/groups/{id}/transitiveMembers";

pub fn run(report: &mut Report) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(report))
}

async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let twin = Twin::start(Setup { journal_cap: JOURNAL_CAP, ..Setup::unlimited() }).await;
    let [named, crowd] = ["Named", "Crowd"].map(|name| twin.world().create_group(name));
    twin.world().create_role("Member");
    let mut place = Place::with_policy(&twin, &policy(named))?;
    place.set("AUTH0_REQUESTS_PER_SECOND", "1000");
    place.set("AUTH0_BURST", "10000");
    place.ask_graph_freely();
    place.be_reached();
    let raw = raw_reaction::measure(&place.path("raw")).await?;
    let program = place.serve(&[])?;
    Scene { twin: &twin, program: &program }.until_in_step(&place).await?;
    fill(&twin, crowd).await?;
    ensure!(on_bulk_lane(&program)? == 0.0, "the crowd is known before it is told of");

    let told = Instant::now();
    twin.world().add_member(named, crowd);
    let read = until_read(&twin, told);
    let mut alarm = Alarm::new(&twin, &place, &program).await?;
    let mut waits = load::new_histogram()?;
    let mut next = tokio::time::interval(EVERY);
    let mut while_read = 0;
    for n in 0..LOCKOUTS {
        next.tick().await;
        while_read += usize::from(!read.is_finished());
        load::record(&mut waits, alarm.raise(&format!("Person{n} Urgent")).await?);
    }
    let read_after = read.await??;
    let looks = done(&program)?;
    ensure!(looks < MEMBERS as f64, "the lockouts outlasted the looks");
    report.note(&format!(
        "group: {LOCKOUTS} lockouts, {while_read} of them while the members were being read; meanwhile {looks} looks were done"
    ));
    tell(report, read_after, until_steady(&twin, &program).await?, program.resident_peak_mb()?);
    reaction::tell(report, "group.contain meanwhile", &waits, &raw, P50_MS_MAX, P99_MS_MAX);
    Ok(())
}

fn tell(report: &mut Report, read_after: Duration, events: f64, resident_mb: f64) {
    let mut figure =
        |name, value, unit, target| report.figure(Figure { name, value, unit, raw: None, target });
    figure("group.members read", read_after.as_secs_f64(), "s", Target::None);
    figure("group.events on the bulk lane", events, "events", Target::AtLeast(MEMBERS as f64));
    figure("group.resident at most", resident_mb, "MB", Target::AtMost(RESIDENT_MB_MAX));
}

/// Roles only, so that whoever patches a user locks it; and no sweep that would find the crowd first.
fn policy(named: GroupId) -> String {
    format!("\n[sweep]\nevery_seconds = 86400\n\n[[roles]]\nrole = \"Member\"\nany_of = [\"{named}\"]\n")
}

/// Everybody is hired and put into the group, with an account each, and Lockstep hears nothing of it; nor, from then on, of
/// any other person.
async fn fill(twin: &Twin, crowd: GroupId) -> anyhow::Result<()> {
    let faults = twin.faults();
    let unheard = faults.mishap("", Mishap::Lose, Times::Forever);
    {
        let mut world = twin.world();
        let hire = |n| Hire::named(&format!("Person{n} Crowded"));
        let people: Vec<PersonId> = (0..MEMBERS).map(|n| world.hire(hire(n))).collect();
        world.add_members(crowd, people);
    }
    ensure!(twin.deliveries().settled(PATIENCE).await, "Graph does not come to an end");
    faults.lift(unheard);
    faults.mishap("Users/", Mishap::Lose, Times::Forever);
    Ok(())
}

/// When the last page of the members was asked for.
fn until_read(twin: &Twin, told: Instant) -> JoinHandle<anyhow::Result<Duration>> {
    let (twin, pages) = (twin.clone(), MEMBERS.div_ceil(PAGE) as u64);
    tokio::spawn(async move {
        while twin.journal().count(Vendor::Graph, PAGES) < pages {
            ensure!(told.elapsed() < PATIENCE, "the members are not read");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(told.elapsed())
    })
}

/// Stops the looks by taking Graph away, and counts the events once nothing moves any more.
async fn until_steady(twin: &Twin, program: &Program) -> anyhow::Result<f64> {
    twin.faults().down(Vendor::Graph);
    let deadline = Instant::now() + PATIENCE;
    let (mut before, mut now) = (f64::NAN, on_bulk_lane(program)?);
    while before != now {
        ensure!(Instant::now() < deadline, "the bulk lane does not come to rest: {}", program.said());
        tokio::time::sleep(STEADY).await;
        (before, now) = (now, on_bulk_lane(program)?);
    }
    Ok(now)
}

/// Events that are or were on the bulk lane.
fn on_bulk_lane(program: &Program) -> anyhow::Result<f64> {
    Ok(done(program)? + program.metric("lockstep_queue_depth{lane=\"bulk\"}")?)
}

fn done(program: &Program) -> anyhow::Result<f64> {
    program.metric("lockstep_events_total{source=\"sweep\",kind=\"swept\",outcome=\"worked\"}")
}
