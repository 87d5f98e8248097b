//! The twin: Entra ID, Microsoft Graph, Auth0 and Slack as one small world that tests, the demo and the benchmarks run
//! against, and that can be told to misbehave.
//!
//! A [`World`] is plain state with verbs (hire, sign in, raise risk, disable, block) behind one mutex; the *wire* shows
//! that state in the vendors' HTTP shapes on loopback ports; [`Faults`] belong to the world; the [`Journal`] keeps and
//! counts every request; the [`Sender`] plays the vendors' outgoing side (signed alerts, events), and while
//! somebody subscribes the twin tells what changes by itself ([`Deliveries`]).
//!
//! Promises: the wire enforces what the vendors enforce (permissions, plans, rate limits, paging caps, eventual
//! consistency), and every behaviour names in its comment the page or recorded exchange that it imitates. What the twin
//! does not know is loud: an unknown route, query parameter or body field is answered as the vendor would and kept as a
//! complaint in the journal, so a test can end with `journal().complaints()` being empty.
//!
//! It shares no type with the product, so that it cannot share its mistakes. It is no security boundary: it listens on
//! loopback only and its secrets are printed in this repository.

mod bucket;
mod certificate;
pub mod control;
pub mod faults;
pub mod journal;
pub mod send;
pub mod setup;
mod signing;
mod twin;
mod wire;
pub mod world;

pub use faults::{DeltaExpiry, Fault, FaultId, Faults, Match, Mishap, PageFault, Times, Vendor};
pub use journal::{Complaint, Entry, Journal, Outcome};
pub use send::{Answer, Deliveries, Delivery, SendError, Sender};
pub use setup::{
    FederatedCredential, Latency, Login, MailDoor, Patience, Plan, PlanRefusal, Ports, RateLimit, Setup, Urls,
};
pub use twin::Twin;
pub use world::{
    Account, AccountId, AccountSeed, AccountState, Connection, Group, GroupId, Hire, Lag, Mail, MailKind,
    Message, ObjectId, Person, PersonId, Role, SignIn, Ticket, TicketKind, World, WorldGuard, Write,
};
