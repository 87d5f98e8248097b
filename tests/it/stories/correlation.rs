//! One id leads from the door to the proof, through every event that one look asks of another.

use std::process::Stdio;

use lockstep::case::{Case, CaseId, CaseState};
use lockstep_twin::{Mishap, Setup, Times};
use tempfile::NamedTempFile;

use super::directory::role;
use crate::harness::Stage;

/// The real program, and the file that it logs to.
struct Followed {
    log: NamedTempFile,
    _program: tokio::process::Child,
}

impl Followed {
    async fn start(stage: &mut Stage) -> Followed {
        stage.set_env("RUST_LOG", "lockstep=debug");
        stage.be_reachable();
        let log = NamedTempFile::new().unwrap();
        let program = stage.spawn(Stdio::from(log.reopen().unwrap()));
        stage.until_subscribed().await;
        stage
            .until("everybody was swept", async || {
                stage.store().note("sweep.whole_at").await.unwrap().map(drop)
            })
            .await;
        Followed { log, _program: program }
    }

    /// What `grep ID` shows once the proof is told.
    async fn grep(&self, stage: &Stage, case: &Case) -> Vec<String> {
        let id = format!("event.id={}", case.event);
        stage
            .until("the log tells of the proof", async || {
                let log = std::fs::read_to_string(self.log.path()).unwrap();
                let lines: Vec<String> =
                    log.lines().filter(|line| line.contains(&id)).map(str::to_owned).collect();
                lines.iter().any(|line| line.contains("case verified")).then_some(lines)
            })
            .await
    }
}

/// The steps that these lines tell, each once, in their order.
fn steps(lines: &[String], steps: &[&'static str]) -> Vec<&'static str> {
    let mut told: Vec<&str> =
        lines.iter().filter_map(|line| steps.iter().copied().find(|step| line.contains(step))).collect();
    told.dedup();
    told
}

/// Everything about the case is on record under the id that the door gave.
async fn is_on_record(stage: &Stage, case: &Case) {
    assert_ne!(case.id, CaseId::opened_by(case.event), "the contain lane was handed an event of its own");
    for what in ["case.requested", "action.block", "case.verified"] {
        let entries = stage.audited(what).await;
        assert!(!entries.is_empty(), "{what}");
        assert!(entries.iter().all(|entry| entry.event == Some(case.event)), "{what}: {entries:#?}");
    }
}

crate::stories! {
    an_alert_is_followed_by_its_id_from_the_door_to_the_proof(stage, Setup::unlimited()) {
        let (ada, _) = stage.at_risk("Ada Lovelace", "high");
        let followed = Followed::start(&mut stage).await;
        let sender = stage.twin.sender(stage.env["LOCKSTEP_PUBLIC_URL"].clone());
        assert_eq!(sender.signed_risk_alert(ada, "high").await.unwrap().status, 202);
        let case = stage.until_case(ada, CaseState::Verified).await;
        assert_eq!(case.id, CaseId::opened_by(case.event), "the alert itself has opened it");
        let lines = followed.grep(&stage, &case).await;
        let path = ["kind=\"risk_reported\"", "case requested", "case verified"];
        assert_eq!(steps(&lines, &path), path, "{lines:#?}");
        drop(followed);
        stage.end().await;
    }

    somebody_disabled_is_followed_by_one_id_from_the_door_to_the_proof(stage, Setup::unlimited()) {
        let (ada, _) = stage.hire("Ada Lovelace");
        let followed = Followed::start(&mut stage).await;
        stage.twin.world().disable(ada);
        let case = stage.until_case(ada, CaseState::Verified).await;
        let lines = followed.grep(&stage, &case).await;
        let path =
            ["kind=\"user_updated\"", "handed to the contain lane", "case requested", "case verified"];
        assert_eq!(steps(&lines, &path), path, "{lines:#?}");
        is_on_record(&stage, &case).await;
        drop(followed);
        stage.end().await;
    }

    a_group_that_changed_leads_by_one_id_to_the_lockout_of_a_member(stage, Setup::unlimited()) {
        let (ada, _) = stage.hire("Ada Lovelace");
        let sales = stage.twin.world().create_group("Sales");
        stage.twin.world().create_role("Seller");
        stage.policy(&role("Seller", &[sales]));
        let followed = Followed::start(&mut stage).await;
        // Nobody tells of her but her group.
        stage.twin.faults().mishap("Users/", Mishap::Lose, Times::Forever);
        stage.twin.world().disable(ada);
        stage.twin.world().add_member(sales, ada);
        let case = stage.until_case(ada, CaseState::Verified).await;
        let lines = followed.grep(&stage, &case).await;
        let path = [
            "kind=\"group_updated\"",
            "a look was asked for",
            "handed to the contain lane",
            "case requested",
            "case verified",
        ];
        assert_eq!(steps(&lines, &path), path, "{lines:#?}");
        is_on_record(&stage, &case).await;
        drop(followed);
        stage.end().await;
    }
}
