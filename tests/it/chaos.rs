//! The real program, or the broker, killed with SIGKILL at random moments while there is work. The seed is printed.
//!
//! What must hold afterwards is read from the twin, not from Lockstep.

mod alerts;
mod broker;
mod joiners;

use std::fs::OpenOptions;
use std::time::Duration;

use lockstep_twin::{PersonId, Sender};
use tokio::process::Child;

use crate::harness::Stage;

/// A debug build on a busy machine takes a fraction of this; reached only when something never ends.
const SETTLE_WITHIN: Duration = Duration::from_secs(480);

/// What the program says goes to a file beside its data.
fn start(stage: &Stage) -> Child {
    let said = OpenOptions::new().create(true).append(true).open(stage.dir.path().join("said")).unwrap();
    stage.spawn(said.into())
}

/// As a SIEM does.
async fn send_until_accepted(sender: &Sender, person: PersonId) {
    let deadline = tokio::time::Instant::now() + SETTLE_WITHIN;
    while tokio::time::Instant::now() < deadline {
        match sender.signed_risk_alert(person, "high").await {
            Ok(answer) if answer.status == 202 => return,
            Ok(answer) => assert!(matches!(answer.status, 429 | 503), "answered with {}", answer.status),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("an alert was never accepted");
}
