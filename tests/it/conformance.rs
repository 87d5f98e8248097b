//! One suite per trait, run for every implementation.

mod queue;
mod store;
