//! The built program as a stranger meets it: help, exit codes, mistakes all at once, no prompt and no secret.

mod configuration;
mod doctor;
mod help;
pub mod program;
mod reading;
mod samples;
mod server;
mod service;
mod waiting;
mod writing;
