//! Random histories: whatever happens, in whatever order it is told, after the last whole sweep what the policy names is
//! as it says, and what it does not name is as hands have left it.

mod scene;
mod step;

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::clock::{self, Clock, SystemClock, Timestamp};
use lockstep::store::{SavePerson, Store};
use lockstep::worker::scheduler::Wish;
use lockstep_twin::{PersonId, Setup};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::harness::{Backend, DISABLED_EVERY_SECONDS, PATIENCE, Stage};
use scene::{Scene, present};
use step::{Joiners, Leavers, Step};

/// A purge is believed when it is still so after ten minutes.
const LONG_AGO: Duration = Duration::from_secs(601);
/// More rows than one page of a delta query has.
const DELTA_PAGE: usize = 3;

async fn live(joiners: Joiners, leavers: Leavers, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let setup = Setup { delta_page: DELTA_PAGE, ..Setup::unlimited() };
    let mut stage = Stage::set(Backend::Embedded, setup).await.unwrap();
    stage.set_env(DISABLED_EVERY_SECONDS, "5");
    let mut scene = Scene::set(&mut stage.twin.world(), joiners, leavers);
    stage.policy(&scene.policy());
    stage.start_subscribed().await;
    for step in &steps {
        match step {
            Step::Pause => drop(stage.twin.deliveries().settled(Duration::from_millis(300)).await),
            step => scene.take(&stage, step),
        }
    }
    stage.twin.faults().clear();
    stage.twin.world().thaw_search();
    stage.twin.deliveries().settled(PATIENCE).await;
    let store = stage.store();
    let swept_from = sweep_everybody(store.as_ref()).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let wrongs = wrongs(&stage, store.as_ref(), &scene, swept_from).await;
        if wrongs.is_empty() {
            break;
        }
        if tokio::time::Instant::now() > deadline {
            return Err(TestCaseError::fail(format!("{wrongs:#?}")));
        }
        let purged = scene.purged(&stage.twin.world());
        if ten_minutes_pass(&stage, store.as_ref(), &purged).await {
            sweep_everybody(store.as_ref()).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    end(stage).await;
    Ok(())
}

/// Asks for a sweep of everybody; whoever was seen whole from now on was seen by it or later.
async fn sweep_everybody(store: &dyn Store) -> Timestamp {
    let now = SystemClock.now();
    Wish::make(store, &[Wish::WholeSweep], now).await.unwrap();
    now
}

/// What is wrong in the world, and whom the sweep has not reached.
async fn wrongs(stage: &Stage, store: &dyn Store, scene: &Scene, swept_from: Timestamp) -> Vec<String> {
    let (mut unreached, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for person in &scene.people {
        let known = store.person(stage.subject(*person)).await.unwrap();
        if known.as_ref().and_then(|known| known.seen_whole_at).is_none_or(|at| at < swept_from) {
            unreached.insert(*person);
        }
        if known.is_some_and(|known| known.findings.iter().any(|one| one.ends_with("told of no deletion"))) {
            shown.insert(*person);
        }
    }
    let world = stage.twin.world();
    unreached.retain(|person| present(&world, *person).is_some_and(|found| found.enabled));
    let mut wrongs = scene.wrongs(&world, &shown);
    wrongs.extend(unreached.iter().map(|person| format!("{person} was not reached by the sweep")));
    wrongs
}

/// Lets the time pass until a purge is old enough to be believed. Says whether it had to.
async fn ten_minutes_pass(stage: &Stage, store: &dyn Store, purged: &[PersonId]) -> bool {
    let mut passed = false;
    for person in purged {
        let Some(mut known) = store.person(stage.subject(*person)).await.unwrap() else { continue };
        let now = SystemClock.now();
        let young = |since: &Timestamp| clock::elapsed(*since, now) < LONG_AGO;
        if let Some(since) = known.missing_since.filter(young) {
            known.missing_since = Some(since - LONG_AGO);
            let (audit, owed, links, gone_links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let save = SavePerson { person: known, audit, owed, links, gone_links };
            store.save_person(save).await.unwrap();
            passed = true;
        }
    }
    passed
}

/// A random fault may strike a question for which it has no meaning, of which the twin complains: the first page of a
/// delta query has no link that could be too old.
async fn end(mut stage: Stage) {
    stage.stop().await;
    let complaints = stage.twin.journal().complaints();
    stage.complaints_expected = complaints.iter().filter(|one| one.text.starts_with("a fault of ")).count();
    stage.end().await;
}

#[test]
fn after_the_last_sweep_managed_state_is_policy_and_the_rest_is_untouched() {
    let config = Config { max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
    // Few and short: each is a whole service over HTTP. `PROPTEST_CASES=200` explores further.
    let cases = std::env::var_os("PROPTEST_CASES").map_or(5, |_| config.cases);
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => fastrand::u64(..),
    };
    let histories = (step::joiners(), step::leavers(), proptest::collection::vec(step::step(), 5..40));
    let config = Config { cases, rng_seed: RngSeed::Fixed(seed), ..config };
    let lived = TestRunner::new(config).run(&histories, |(joiners, leavers, steps)| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(live(joiners, leavers, steps))
    });
    lived.unwrap_or_else(|failure| panic!("with PROPTEST_RNG_SEED={seed}: {failure}"));
}
