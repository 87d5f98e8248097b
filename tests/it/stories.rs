//! Stories, told as an operator would tell them, on every back end.

mod auth0_trouble;
mod containment;
mod directory;
mod explain;
mod full_disk;
mod full_store;
mod graph_trouble;
mod histories;
mod joiners;
mod leavers;
mod links;
mod memberships;
mod movers;
mod operators;
mod people;
mod plans;
mod policy;
mod processes;
mod reasons;
mod release;
mod slack;
mod sources;
mod subscriptions;
mod sweeps;
mod switches;
mod verbs;
