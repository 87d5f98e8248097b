//! Whoever is disabled or deleted is locked out whatever else waits: behind changes of others, and while everybody is swept.

use lockstep::case::CaseState;
use lockstep::clock::{Clock, SystemClock};
use lockstep::worker::scheduler::Wish;
use lockstep_twin::{DeltaExpiry, Fault, FaultId, Match, Mishap, Setup, Times, Vendor};
use serde_json::json;

use super::directory::{SWEEPING, attribute};
use crate::harness::{DISABLED_EVERY_SECONDS, Stage};

/// People whose changes wait; at Auth0's pace of these stories, many minutes of work.
const CROWD: usize = 300;

fn department() -> String {
    format!("{SWEEPING}{}", attribute("app_metadata.department", "department"))
}

impl Stage {
    /// How many wait in the lane; the broker may be too busy to tell.
    async fn waiting_in(&self, lane: &str) -> u64 {
        self.until("the queue is counted", async || {
            let (_, depths) = self.admin(reqwest::Method::GET, "/queue", json!(null)).await;
            depths[lane]["events"].as_u64()
        })
        .await
    }

    /// Everybody who is there has been swept, and nothing is notified any more.
    async fn followed_by_sweeps_alone_from_here_on(&mut self, policy: &str) {
        self.policy(policy);
        self.start_subscribed().await;
        self.until_swept_anew().await;
        self.twin.faults().mishap("", Mishap::Lose, Times::Forever);
    }

    /// A sweep of everybody that has begun and cannot go on: it alone has more than one page.
    async fn sweep_that_stands_still(&self) -> FaultId {
        let second_page = Match::vendor(Vendor::Graph).route("skiptoken");
        let held = self.twin.faults().inject(second_page, Fault::Status(503), Times::Forever);
        Wish::make(self.store().as_ref(), &[Wish::WholeSweep], SystemClock.now()).await.unwrap();
        self.until("the listing stands still", async || {
            let pages = self.requests(Vendor::Graph, "GET /v1.0/users/delta");
            pages.iter().any(|entry| entry.status == 503).then_some(())
        })
        .await;
        held
    }
}

crate::stories! {
    somebody_who_is_disabled_does_not_wait_for_a_crowd_that_changes(stage, Setup::unlimited()) {
        stage.set_env(DISABLED_EVERY_SECONDS, "5");
        stage.policy(&attribute("app_metadata.department", "department"));
        let crowd: Vec<_> = (0..CROWD).map(|number| stage.hire(&format!("Person N{number}"))).collect();
        stage.start_subscribed().await;
        stage.stop().await;
        stage.set_env("AUTH0_REQUESTS_PER_SECOND", "4");
        stage.set_env("AUTH0_BURST", "4");
        stage.start().await;
        for (person, _) in &crowd {
            stage.twin.world().set_property(*person, "department", "Research".into());
        }
        stage.until("the crowd waits", async || {
            (stage.waiting_in("sync").await > CROWD as u64 / 2).then_some(())
        }).await;
        let (leaver, account) = crowd.last().unwrap();
        stage.twin.world().disable(*leaver);
        stage.until_case(*leaver, CaseState::Verified).await;
        assert!(stage.is_blocked(account));
        let waiting = stage.waiting_in("sync").await;
        assert!(waiting > 20, "only {waiting} wait: the leaver may have been locked in turn");
        stage.stop().await;
    }

    whoever_is_disabled_or_deleted_unnotified_while_everybody_is_swept_is_locked_and_let_go_again(
        stage, Setup { delta_page: 2, ..Setup::unlimited() }
    ) {
        stage.set_env(DISABLED_EVERY_SECONDS, "5");
        let (ada, account) = stage.hire("Ada Lovelace");
        let (boris, second) = stage.hire("Boris Karl");
        let (clara, third) = stage.hire("Clara Cole");
        stage.followed_by_sweeps_alone_from_here_on("").await;
        let held = stage.sweep_that_stands_still().await;
        stage.twin.world().disable(ada);
        stage.until_case(ada, CaseState::Verified).await;
        stage.twin.world().soft_delete(boris);
        stage.until_case(boris, CaseState::Verified).await;
        assert!(stage.is_blocked(&account) && stage.is_blocked(&second) && !stage.is_blocked(&third));
        stage.twin.world().enable(ada);
        stage.until_case(ada, CaseState::Released).await;
        stage.twin.world().restore(boris);
        stage.until_case(boris, CaseState::Released).await;
        assert!(!stage.is_blocked(&account) && !stage.is_blocked(&second));
        stage.twin.faults().lift(held);
        stage.until_idle().await;
        for (person, cases) in [(ada, 1), (boris, 1), (clara, 0)] {
            assert_eq!(stage.cases_of(person).await.len(), cases);
        }
        stage.end().await;
    }

    changes_are_followed_while_everybody_is_swept(
        stage, Setup { delta_page: 2, ..Setup::unlimited() }
    ) {
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.hire("Boris Karl");
        stage.hire("Clara Cole");
        stage.followed_by_sweeps_alone_from_here_on(&department()).await;
        let held = stage.sweep_that_stands_still().await;
        stage.twin.world().set_property(ada, "department", "Research".into());
        stage.until_app_metadata(&account, "department", json!("Research")).await;
        stage.twin.faults().lift(held);
        stage.until_idle().await;
        stage.end().await;
    }

    a_sweep_whose_link_was_lost_is_over_when_everybody_was_listed(stage, Setup::unlimited()) {
        let (ada, account) = stage.followed_by_sweeps_alone(&department()).await;
        let users = Match::vendor(Vendor::Graph).route("/users/delta?$deltatoken");
        {
            // No sweep comes between the two.
            let mut world = stage.twin.world();
            stage.twin.faults().inject(users, Fault::ExpireDelta(DeltaExpiry::SyncStateNotFound), Times::N(1));
            world.set_property(ada, "department", "Research".into());
        }
        let swept = stage.sweep(&[]);
        assert_eq!(swept.code, 0, "{swept:?}");
        let department = stage.twin.world().account(&account).app_metadata["department"].clone();
        assert_eq!(department, "Research");
        stage.end().await;
    }

    a_switch_link_that_is_lost_is_replaced_and_nobody_is_swept_for_it(stage, Setup::unlimited()) {
        stage.set_env(DISABLED_EVERY_SECONDS, "5");
        stage.policy("");
        stage.start_subscribed().await;
        let (ada, account) = stage.hire("Ada Lovelace");
        stage.until_told_and_done().await;
        // The sweep that new subscriptions ask for is over.
        stage.until_swept_anew().await;
        stage.twin.faults().mishap("", Mishap::Lose, Times::Forever);
        let links = Match::vendor(Vendor::Graph).route("/users/delta?$deltatoken");
        let lost = stage.twin.faults().inject(links, Fault::ExpireDelta(DeltaExpiry::Gone), Times::N(1));
        let (note, owed) = (async |name: &str| stage.store().note(name).await.unwrap(), "sweep.lost_at");
        let (before, owed_before) = (note("sweep.switches").await, note(owed).await);
        stage.until_struck(lost).await;
        stage.until("the link is replaced", async || {
            (note("sweep.switches").await != before).then_some(())
        }).await;
        assert_eq!(note(owed).await, owed_before, "nobody is to be swept for it");
        stage.twin.world().disable(ada);
        stage.until_case(ada, CaseState::Verified).await;
        assert!(stage.is_blocked(&account));
        stage.end().await;
    }
}
