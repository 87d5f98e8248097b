//! Plans, built from a line or two of snapshot and printed as text.
//!
//! [`scene`] builds, [`print`] prints. One file per subject; [`histories`] then plays random histories against a small
//! model of Entra and Auth0 ([`world`], [`work`]) and checks what must hold at every step and at the end.

mod accounts;
mod also;
mod brake;
mod entra;
mod exposure;
mod histories;
mod off_record;
mod open_case;
pub(in crate::plan) mod print;
mod read_back;
mod reasons;
mod release;
mod releasing;
mod restraint;
mod risk;
mod risk_table;
pub(in crate::plan) mod scene;
mod words;
mod work;
mod world;
