//! The twin over HTTP, as its users meet it. `samples` holds its answers against the vendors' own descriptions.

mod auth0;
mod client;
mod control;
mod delta;
mod delta_faults;
mod directory;
mod directory_samples;
mod entra;
mod faults;
mod samples;
mod sender;
mod slack;
