//! The real program, killed with SIGKILL at random moments while there is work. The seed is printed.
//!
//! What must hold afterwards is read from the twin, not from Lockstep.

mod alerts;

use std::fs::OpenOptions;
use std::time::Duration;

use tokio::process::Child;

use crate::harness::Stage;

/// A debug build on a busy machine takes a fraction of this; reached only when something never ends.
const SETTLE_WITHIN: Duration = Duration::from_secs(240);

/// What the program says goes to a file beside its data.
fn start(stage: &Stage) -> Child {
    let said = OpenOptions::new().create(true).append(true).open(stage.dir.path().join("said")).unwrap();
    stage.spawn(said.into())
}
