//! Cases that are not on record: while the store cannot be written, only the worker that locked somebody out knows
//! them.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::admin::Admin;
use super::exit::Failure;
use super::output::Output;
use crate::case::Case;
use crate::clock::Timestamp;

const MAKE_ROOM: &str =
    "make room for the store; it is written down by itself within seconds. A restart before that forgets it";

/// A case as it stands, on record or not.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    #[serde(flatten)]
    pub case: Case,
    /// Since when the store does not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded_since: Option<Timestamp>,
}

/// What the server can tell of somebody, or of a case, beyond the record.
#[derive(Debug, Deserialize)]
pub struct Unrecorded {
    /// Without a worker in it, the server knows of nothing that is not on record.
    pub has_worker: bool,
    /// Why the store did not take the last save.
    pub refusal: Option<String>,
    case: Option<Case>,
    since: Option<Timestamp>,
}

impl Standing {
    pub fn on_record(case: Case) -> Standing {
        Standing { case, unrecorded_since: None }
    }

    /// Says that it is not on record, if so, and what to do.
    pub fn warn(&self, output: &Output) {
        if let Some(since) = self.unrecorded_since {
            output.say(format_args!(
                "NOT ON RECORD since {since:.0}: the store cannot be written, so `lockstep cases` and the audit do not \
                 know it as it stands. Do: {MAKE_ROOM}"
            ));
        }
    }
}

impl Unrecorded {
    /// Of a person or a case.
    pub async fn of(admin: &Admin, name: impl Display) -> Result<Unrecorded, Failure> {
        admin.get(&format!("/api/v1/unrecorded/{name}")).await
    }

    /// A server that cannot be asked just now may know more the next time.
    pub fn untold() -> Unrecorded {
        Unrecorded { has_worker: true, refusal: None, case: None, since: None }
    }

    pub fn standing(&self) -> Option<Standing> {
        Some(Standing { case: self.case.clone()?, unrecorded_since: self.since })
    }
}
