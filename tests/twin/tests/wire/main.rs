//! The twin over HTTP, as its users meet it. `samples` holds its answers against the vendors' own descriptions.

mod auth0;
mod client;
mod control;
mod entra;
mod faults;
mod login;
mod samples;
mod sender;
mod slack;
