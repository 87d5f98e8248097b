//! The loop: lease, observe, plan, check, apply, read back, audit, ack.

pub mod notices;

/// How the worker is run.
#[derive(Debug, Clone)]
pub struct Settings {
    pub mode: Mode,
    /// People handled at a time, in the contain lane and in the sync lane each.
    pub concurrency: usize,
    /// Attempts that fail by the event's own fault before it becomes a dead letter.
    pub attempts_max: u32,
}

/// `LOCKSTEP_MODE`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Compute and show everything, write nothing.
    Observe,
    Enforce,
}
