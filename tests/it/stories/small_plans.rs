//! Auth0 limits every kind of request by itself on Essentials and Professional, and the tenant as a whole not at all:
//! what the directory work uses up must not be what a lockout needs.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::case::CaseState;
use lockstep_twin::send::Change;
use lockstep_twin::{Entry, Fault, Match, PersonId, Plan, Setup, Times, Vendor};
use serde_json::json;

use super::directory::{attribute, role};
use super::verbs::BLOCK;
use crate::harness::Stage;

const ASSIGN: &str = "POST /api/v2/users/{id}/roles";
const GRANTS: &str = "DELETE /api/v2/grants";
/// What may be written to users at once (Auth0, Rate Limit Configurations: Essentials).
const WRITES_BURST: usize = 20;

fn small() -> Setup {
    Setup { plan: Plan::Essentials, endpoint_limits: true, ..Setup::unlimited() }
}

fn blocks(entry: &Entry) -> bool {
    entry.route == BLOCK && entry.body.windows(9).any(|text| text == b"\"blocked\"")
}

impl Stage {
    fn profile_writes(&self) -> usize {
        self.requests(Vendor::Auth0, BLOCK).iter().filter(|entry| !blocks(entry)).count()
    }
}

crate::stories! {
    role_changes_that_are_throttled_do_not_hold_up_a_lockout(stage, small()) {
        const PAUSE_SECONDS: u64 = 8;
        let staff = stage.twin.world().create_group("Staff");
        stage.twin.world().create_role("Engineer");
        stage.policy(&role("Engineer", &[staff]));
        stage.start_subscribed().await;
        let (ada, hers) = stage.hire("Ada Lovelace");
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let pause = Fault::Throttle { retry_after: Some(PAUSE_SECONDS.to_string()) };
        let assigning = Match::vendor(Vendor::Auth0).method("POST").route("/roles");
        let struck = stage.twin.faults().inject(assigning, pause, Times::N(1));
        stage.twin.world().add_member(staff, ada);
        stage.until_struck(struck).await;
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        stage.until_roles(&hers, &["Engineer"]).await;
        assert!(stage.is_blocked(&account) && stage.twin.world().grants(&account).is_empty());

        let block = stage.requests(Vendor::Auth0, BLOCK).remove(0);
        let assigned = stage.requests(Vendor::Auth0, ASSIGN);
        assert_eq!((assigned[0].status, assigned.len()), (429, 2), "{assigned:#?}");
        assert!(assigned[0].seq < block.seq && block.seq < assigned[1].seq, "the block came in between");
        let pause = Duration::from_secs(PAUSE_SECONDS);
        assert!(block.at.duration_since(assigned[0].at) < pause, "and during the pause: {block:#?}");
        // Roles and grants share one limit: that pause is obeyed, by containment too.
        for entry in [&assigned[1], &stage.requests(Vendor::Auth0, GRANTS)[0]] {
            assert!(entry.at.duration_since(assigned[0].at) >= pause, "{entry:#?}");
        }
        stage.until_told_and_done().await;
        stage.end().await;
    }

    the_sync_lanes_profile_writes_leave_containment_its_share(stage, small()) {
        const CROWD: usize = 30;
        stage.policy(&attribute("app_metadata.department", "department"));
        stage.start().await;
        let crowd: Vec<_> = (0..CROWD).map(|n| stage.hire(&format!("Some Body{n}"))).collect();
        let people: Vec<PersonId> = crowd.iter().map(|(person, _)| *person).collect();
        let all_are_in = async |stage: &Stage, department: &str| {
            for person in &people {
                stage.twin.world().set_property(*person, "department", department.into());
            }
            let setup = stage.twin.setup().clone();
            let item = |person: &PersonId| lockstep_twin::send::notifications::user(&setup, *person, Change::Updated);
            let answer = stage.sender().notifications(people.iter().map(item).collect()).await.unwrap();
            assert_eq!(answer.status, 202);
        };
        // Seen once, each of them costs a read and a write: it is the writes that run out.
        all_are_in(&stage, "Research").await;
        for (_, account) in &crowd {
            stage.until_app_metadata(account, "department", json!("Research")).await;
        }
        stage.until_idle().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let before = stage.profile_writes();
        all_are_in(&stage, "Retail").await;
        stage.until("sync has used up its share of the writes", async || {
            (stage.profile_writes() - before >= WRITES_BURST * 7 / 10).then_some(())
        }).await;
        stage.alert(anna, "high").await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_blocked(&account));
        for (_, account) in &crowd {
            stage.until_app_metadata(account, "department", json!("Retail")).await;
        }

        let writes = stage.requests(Vendor::Auth0, BLOCK);
        let block = writes.iter().position(blocks).unwrap();
        assert!(block + 1 < writes.len(), "the crowd was still being written when the block came");
        let tries: BTreeSet<u16> = writes.iter().filter(|entry| blocks(entry)).map(|entry| entry.status).collect();
        assert_eq!(tries, [200].into(), "the block found room at once");
        assert_eq!(stage.throttled(), 0, "sync is paced by what the answers tell");
        stage.until_idle().await;
        stage.end().await;
    }
}
