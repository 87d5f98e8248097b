//! Lockstep keeps Auth0 in step with Microsoft Entra ID.
//!
//! ```text
//! webhook ─▶ ingest: verify, parse, enqueue durably, 202
//!              └▶ queue ─▶ worker: observe ─▶ plan() ─▶ check ─▶ apply ─▶ read back ─▶ audit ─▶ notify ─▶ ack
//! ```
//!
//! An event says "look at this person, for this reason", never "do that": the worker reads both sides afresh,
//! so events may come twice, late, out of order, or not at all.
//!
//! Modules in reading order. A module may use what stands before it; the edges do not know each other
//! (`tests/it/architecture.rs` proves both).

// core: pure data and functions; no async, no I/O
pub mod clock;
pub mod retry;

pub mod event;

pub mod case;
pub mod snapshot;

pub mod policy;

pub mod action;
pub mod plan;

pub mod audit;

// edges: each speaks to one outside thing and knows no other edge
pub mod outbound;
pub mod sqlite;
pub mod telemetry;
pub mod webhook;

pub mod auth0;
pub mod entra;
pub mod notify;
pub mod queue;
pub mod store;

// the flow
pub mod problem;

pub mod apply;
pub mod ingest;

pub mod worker;

pub mod server;

pub mod config;

pub mod app;

pub mod cli;
