//! The door: what the two listeners let in, what they refuse, and what they say about it.
//!
//! Real HTTP against the real router on a free port, with the embedded queue and SQLite behind it. Vendor samples are
//! read from the folder beside the repository and skipped, with a line, when it is not there.

mod admin;
mod azure_monitor;
mod eventgrid;
mod fuzz;
mod graph;
mod heads;
mod limits;
mod listener;
mod logs;
mod replay;
mod risk;
mod samples;
mod signing;
mod strangers;
mod world;
