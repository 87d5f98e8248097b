//! What can go wrong with Auth0, and what now.

use crate::outbound::http::Unreadable;
use crate::outbound::{SetupError, Trouble};
use crate::retry::WhatNow;

/// A tenant with several verified custom domains wants to be told one with everything that may send mail (recorded).
pub(super) const CUSTOM_DOMAINS: &str = "custom_domain_conflict";

/// A failed request to the Management API or its token endpoint. Shows our word for the operation, the status and the
/// vendor's code, never its text, which may quote what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("auth0 {operation}: {trouble}")]
    Trouble { operation: &'static str, effect: Effect, trouble: Trouble },
    /// The tenant's plan does not include the call.
    #[error("auth0 {operation}: not in the tenant's plan ({status} {code})")]
    NotInPlan { operation: &'static str, status: u16, code: String },
    /// The account does not exist (any more).
    #[error("auth0 {operation}: the account does not exist")]
    Gone { operation: &'static str },
    #[error("auth0 {operation}: {status} {code} (needs {needs})")]
    Forbidden { operation: &'static str, needs: &'static str, status: u16, code: String },
    #[error("auth0 {operation}: {status} {code}")]
    Refused { operation: &'static str, status: u16, code: String },
    /// A search found more than can belong to one person.
    #[error("auth0 {operation}: {found} hits, more than {most} accounts of one person are not believed")]
    TooMany { operation: &'static str, found: u64, most: usize },
    /// What is to be made is there already, or somebody else's is in its place: look again.
    #[error("auth0 {operation}: it exists already")]
    Exists { operation: &'static str },
    /// Auth0 does not let these attributes of this account be written (or cleared). Names, never values.
    #[error("auth0 {operation}: {what} cannot be written to this account")]
    Unwritable { operation: &'static str, what: String },
    /// A role or an organization does not exist (any more): the catalogue has been forgotten, look again.
    #[error("auth0 {operation}: a role or an organization does not exist any more")]
    Stale { operation: &'static str },
    /// SCIM does not know the account: it is not of the connection, or was made by a login.
    #[error("auth0 {operation}: SCIM does not know the account")]
    UnknownToScim { operation: &'static str },
    /// A setting that the call needs is missing. Nothing was sent.
    #[error("auth0 {operation}: needs {missing}")]
    NotSetUp { operation: &'static str, missing: &'static str },
    /// The system gives no random bytes. Nothing was sent.
    #[error("auth0 {operation}: the system gives no random bytes")]
    NoRandom { operation: &'static str },
    /// The id cannot be put into an address. Nothing was sent.
    #[error("auth0 {operation}: not an account id")]
    NotAnId { operation: &'static str },
    /// The token endpoint refused our credentials.
    #[error(
        "auth0 token: {status} {code}: the credentials, or the application's grant for the Management API, are not accepted"
    )]
    Credentials { status: u16, code: String },
}

/// Whether a request changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Read,
    Write,
}

impl Error {
    pub fn what_now(&self) -> WhatNow {
        match self {
            Error::Trouble { trouble, .. } => trouble.what_now(),
            // With a catalogue read anew the next look does not ask for it again.
            Error::Stale { .. } => WhatNow::BackOff,
            Error::Refused { code, .. } if code == CUSTOM_DOMAINS => WhatNow::AskHuman,
            Error::Gone { .. }
            | Error::Refused { .. }
            | Error::Exists { .. }
            | Error::Unwritable { .. }
            | Error::UnknownToScim { .. }
            | Error::NotAnId { .. } => WhatNow::GiveUp,
            Error::Setup(_)
            | Error::NotSetUp { .. }
            | Error::NoRandom { .. }
            | Error::NotInPlan { .. }
            | Error::Forbidden { .. }
            | Error::TooMany { .. }
            | Error::Credentials { .. } => WhatNow::AskHuman,
        }
    }

    /// A write may have been carried out although no good answer came: read back before trying again.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Error::Trouble { effect: Effect::Write, trouble, .. } if trouble.leaves_outcome_open())
    }

    /// Auth0 answered that the account does not exist.
    pub fn is_gone(&self) -> bool {
        matches!(self, Error::Gone { .. })
    }

    /// Auth0 has answered that it will not: by plan, permission or otherwise. Coming again would bring the same. A 401 is
    /// about our token.
    pub fn is_refusal(&self) -> bool {
        match self {
            Error::Forbidden { status, .. } => *status != 401,
            Error::NotInPlan { .. }
            | Error::Refused { .. }
            | Error::TooMany { .. }
            | Error::NotAnId { .. } => true,
            _ => false,
        }
    }

    /// The tenant's plan does not include this call: another means must be tried.
    pub fn is_not_in_plan(&self) -> bool {
        matches!(self, Error::NotInPlan { .. })
    }

    /// What was to be made is there already, by whomever.
    pub fn is_exists(&self) -> bool {
        matches!(self, Error::Exists { .. })
    }

    /// A role or an organization is gone; what is known of the tenant has been forgotten.
    pub fn is_stale(&self) -> bool {
        matches!(self, Error::Stale { .. })
    }

    /// Unreachable, failing or throttling: this passes without anybody doing anything.
    pub fn is_vendor_away(&self) -> bool {
        matches!(self, Error::Trouble { trouble, .. } if trouble.is_vendor_away())
    }

    /// The answer had more than is read of it: less must be asked for.
    pub(super) fn is_too_large(&self) -> bool {
        let too_large =
            |trouble: &Trouble| matches!(trouble, Trouble::Unreadable { why: Unreadable::TooLarge, .. });
        matches!(self, Error::Trouble { trouble, .. } if too_large(trouble))
    }

    /// A limit of this kind of request is spent; other kinds may go on.
    pub fn is_kind_throttled(&self) -> bool {
        matches!(self, Error::Trouble { trouble: Trouble::KindThrottled { .. }, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::Cause;

    fn trouble(effect: Effect, trouble: Trouble) -> Error {
        Error::Trouble { operation: "user.patch", effect, trouble }
    }

    #[test]
    fn only_a_write_that_may_have_arrived_is_unknown() {
        let lost = Trouble::NoReply(Cause::Reset);
        assert!(trouble(Effect::Write, lost).is_outcome_unknown());
        assert!(!trouble(Effect::Read, lost).is_outcome_unknown());
        assert!(!trouble(Effect::Write, Trouble::NotSent(Cause::Refused)).is_outcome_unknown());
        assert!(trouble(Effect::Write, Trouble::Failed { status: 502 }).is_outcome_unknown());
        assert!(
            !trouble(Effect::Write, Trouble::Throttled { status: 429, until: None }).is_outcome_unknown()
        );
    }

    #[test]
    fn a_plan_limit_is_for_a_person_and_for_another_means() {
        let refused = Error::NotInPlan {
            operation: "user.revoke_access",
            status: 403,
            code: "insufficient_entitlement".into(),
        };
        assert!(refused.is_not_in_plan() && !refused.is_vendor_away());
        assert_eq!(refused.what_now(), WhatNow::AskHuman);
    }
}
