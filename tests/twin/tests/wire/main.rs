//! The twin over HTTP, as its users meet it. `samples` holds its answers against the vendors' own descriptions.

mod auth0;
mod auth0_samples;
mod client;
mod connections;
mod control;
mod entra;
mod faults;
mod organizations;
mod roles;
mod samples;
mod scim;
mod sender;
mod slack;
mod users;
