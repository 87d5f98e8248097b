//! The one integration binary: the house's own rules, every promise of every back end, and the stories of operators,
//! told over HTTP against the twin.

mod architecture;
mod chaos;
mod clients;
mod command;
mod conformance;
mod contract;
mod door;
mod harness;
mod notices;
mod stories;
