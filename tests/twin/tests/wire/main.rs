//! The twin over HTTP, as its users meet it. `samples` holds its answers against the vendors' own descriptions.

mod auth0;
mod auth0_samples;
mod client;
mod connections;
mod control;
mod deliveries;
mod delta;
mod delta_faults;
mod directory;
mod directory_samples;
mod entra;
mod eventgrid;
mod faults;
mod login;
mod organizations;
mod receiver;
mod roles;
mod samples;
mod scim;
mod sender;
mod slack;
mod subscriptions;
mod users;
