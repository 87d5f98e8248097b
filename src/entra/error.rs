//! What can go wrong with Graph, and what now.

use crate::clock::Timestamp;
use crate::entra::{Link, SubscriptionId};
use crate::outbound::{SetupError, Trouble};
use crate::retry::WhatNow;

/// A failed request to Graph or to its token endpoint. Shows our word for the operation, the status and the vendor's
/// code, never its text, which quotes ids and addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("graph {operation}: {trouble}")]
    Trouble { operation: &'static str, trouble: Trouble },
    /// Identity Protection takes one request per second and tenant (Microsoft Graph, Throttling limits) and this second
    /// is taken. Nothing was sent.
    #[error("graph risk.get: its one request per second is taken")]
    Paced { until: Timestamp },
    /// Graph says that there is no such object.
    #[error("graph {operation}: not found")]
    Gone { operation: &'static str },
    #[error("graph {operation}: {status} {code} (needs {needs})")]
    Forbidden { operation: &'static str, needs: &'static str, status: u16, code: String },
    #[error("graph {operation}: {status} {code}")]
    Refused { operation: &'static str, status: u16, code: String },
    /// A change token is too old, or Graph has thrown its own state away: everything has to be read again, from
    /// `restart_at` if Graph said where (Graph, Delta query overview: 410 with `Location`).
    #[error("graph {operation}: the link to go on from is no longer known; everything must be read again")]
    ResyncNeeded { operation: &'static str, restart_at: Option<Link> },
    /// A link to go on from leads away from ENTRA_GRAPH_URL. Nothing was sent.
    #[error("graph {operation}: a link leads away from ENTRA_GRAPH_URL and was not followed")]
    ForeignLink { operation: &'static str },
    /// A list went on beyond what is read of any.
    #[error("graph {operation}: the list goes on after {most} rows, which is as far as it is read")]
    TooLong { operation: &'static str, most: usize },
    /// There are as many subscriptions as Graph allows (Graph, Change notifications overview: 100 for an application and
    /// tenant, 1,000 for a tenant).
    #[error(
        "graph subscription.create: {code}: no more subscriptions are allowed; delete some that nobody needs"
    )]
    Quota { code: String },
    /// There is a subscription for this resource and these changes already.
    #[error("graph subscription.create: there is one for the same resource and changes already")]
    Duplicate { id: Option<SubscriptionId> },
    /// Graph asked our public address to prove itself, and it did not, or the request was not valid.
    #[error(
        "graph {operation}: {code}: is LOCKSTEP_PUBLIC_URL reachable from the internet, and does it lead to this server?"
    )]
    ValidationFailed { operation: &'static str, code: String },
    /// The token endpoint refused our credentials, or they could not be read.
    #[error("entra token: {code}: {meaning}")]
    Credentials { code: String, meaning: &'static str },
}

impl Error {
    pub fn what_now(&self) -> WhatNow {
        match self {
            Error::Trouble { trouble, .. } => trouble.what_now(),
            Error::Paced { until } => WhatNow::RetryAt(*until),
            Error::Gone { .. }
            | Error::Refused { .. }
            | Error::ResyncNeeded { .. }
            | Error::Duplicate { .. } => WhatNow::GiveUp,
            Error::Setup(_)
            | Error::Forbidden { .. }
            | Error::ForeignLink { .. }
            | Error::TooLong { .. }
            | Error::Quota { .. }
            | Error::ValidationFailed { .. }
            | Error::Credentials { .. } => WhatNow::AskHuman,
        }
    }

    /// Graph answered that the object does not exist.
    pub fn is_gone(&self) -> bool {
        matches!(self, Error::Gone { .. })
    }

    /// Graph does not take a link that it, or another Graph, gave out, and will not: what the link knew is lost.
    pub fn refuses_link(&self) -> bool {
        matches!(
            self,
            Error::Refused { status: 400 | 404, .. } | Error::Gone { .. } | Error::ForeignLink { .. }
        )
    }

    /// Graph has answered, only not with what was asked for; coming again would bring the same.
    pub fn is_answer(&self) -> bool {
        match self {
            Error::Trouble { trouble: Trouble::Unreadable { .. }, .. } => !self.is_vendor_away(),
            Error::Forbidden { .. }
            | Error::Refused { .. }
            | Error::Gone { .. }
            | Error::ResyncNeeded { .. }
            | Error::ForeignLink { .. }
            | Error::TooLong { .. } => true,
            _ => false,
        }
    }

    /// Graph has answered that it will not: a permission is missing, or it does not take what was sent. A 401 is about our
    /// token.
    pub fn is_refusal(&self) -> bool {
        match self {
            Error::Forbidden { status, .. } => *status != 401,
            Error::Refused { .. } => true,
            _ => false,
        }
    }

    /// Unreachable, failing or throttling: this passes without anybody doing anything.
    pub fn is_vendor_away(&self) -> bool {
        matches!(self, Error::Trouble { trouble, .. } if trouble.is_vendor_away())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::Cause;

    #[test]
    fn each_kind_of_failure_has_its_way_on() {
        let until: Timestamp = "2026-03-02T08:00:01Z".parse().unwrap();
        let away = Error::Trouble { operation: "user.get", trouble: Trouble::NotSent(Cause::Refused) };
        assert_eq!((away.what_now(), away.is_vendor_away()), (WhatNow::BackOff, true));
        let paced = Error::Paced { until };
        assert_eq!((paced.what_now(), paced.is_vendor_away()), (WhatNow::RetryAt(until), false));
        let credentials = Error::Credentials { code: "AADSTS7000222".into(), meaning: "expired" };
        assert_eq!((credentials.what_now(), credentials.is_vendor_away()), (WhatNow::AskHuman, false));
        assert_eq!(Error::Gone { operation: "user.get" }.what_now(), WhatNow::GiveUp);
    }

    #[test]
    fn a_failure_reads_as_one_sentence() {
        let away = Error::Trouble { operation: "user.get", trouble: Trouble::NotSent(Cause::Refused) };
        assert_eq!(away.to_string(), "graph user.get: not reached: connection refused");
        let forbidden = Error::Forbidden {
            operation: "risk.get",
            needs: "IdentityRiskyUser.Read.All",
            status: 403,
            code: "Authorization_RequestDenied".into(),
        };
        assert_eq!(
            forbidden.to_string(),
            "graph risk.get: 403 Authorization_RequestDenied (needs IdentityRiskyUser.Read.All)"
        );
    }
}
