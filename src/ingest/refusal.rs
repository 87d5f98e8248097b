//! Why a webhook request was refused: what its sender is told, and the word it is counted under.

use crate::problem::Problem;
use crate::queue;

/// A request that was not accepted. Carries no detail from the request, so none can leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Shed,
    /// Of the unfinished bodies it was the oldest, and there was no room for more.
    CutOff,
    Unsigned,
    BadSignature,
    Expired,
    WrongSecret,
    WrongToken,
    /// Entra's token for us, of an application that has not been given the role.
    WrongRole,
    NoAuthenticItem,
    KeysUnavailable,
    BadHandshake,
    WrongContentType,
    TooLarge,
    TooMany,
    Truncated,
    TooSlow,
    TooDeep,
    Unreadable,
    Replayed,
    /// The same delivery is being stored right now for an earlier attempt.
    InHand,
    QueueFull,
    QueueUnavailable,
    QueueRefused,
    QueueSlow,
    Panicked,
}

impl Refusal {
    /// Two refusals for lack of proof look alike from outside: a forger does not learn which check failed.
    pub(super) fn problem(self) -> Problem {
        match self {
            Refusal::Shed | Refusal::CutOff => Problem::Busy,
            Refusal::Unsigned
            | Refusal::BadSignature
            | Refusal::Expired
            | Refusal::WrongSecret
            | Refusal::WrongToken
            | Refusal::WrongRole
            | Refusal::NoAuthenticItem => Problem::NotAuthentic,
            Refusal::WrongContentType => Problem::WrongContentType,
            Refusal::TooLarge | Refusal::TooMany => Problem::TooLarge,
            Refusal::TooSlow => Problem::TooSlow,
            Refusal::BadHandshake | Refusal::Truncated | Refusal::TooDeep | Refusal::Unreadable => {
                Problem::Unreadable
            }
            Refusal::Replayed => Problem::Replayed,
            Refusal::KeysUnavailable
            | Refusal::InHand
            | Refusal::QueueFull
            | Refusal::QueueUnavailable
            | Refusal::QueueRefused
            | Refusal::QueueSlow => Problem::NotStored,
            Refusal::Panicked => Problem::Internal,
        }
    }

    /// The `outcome` of `lockstep_events_total`; a bounded set.
    pub(super) fn word(self) -> &'static str {
        match self {
            Refusal::Shed => "shed",
            Refusal::CutOff => "cut_off",
            Refusal::Unsigned => "unsigned",
            Refusal::BadSignature => "bad_signature",
            Refusal::Expired => "expired",
            Refusal::WrongSecret => "wrong_secret",
            Refusal::WrongToken => "wrong_token",
            Refusal::WrongRole => "wrong_role",
            Refusal::NoAuthenticItem => "not_authentic",
            Refusal::KeysUnavailable => "keys_unavailable",
            Refusal::BadHandshake => "bad_handshake",
            Refusal::WrongContentType => "wrong_content_type",
            Refusal::TooLarge => "too_large",
            Refusal::TooMany => "too_many_items",
            Refusal::Truncated => "truncated",
            Refusal::TooSlow => "too_slow",
            Refusal::TooDeep => "too_deep",
            Refusal::Unreadable => "unreadable",
            Refusal::Replayed => "replayed",
            Refusal::InHand => "in_hand",
            Refusal::QueueFull => "queue_full",
            Refusal::QueueUnavailable => "queue_unavailable",
            Refusal::QueueRefused => "queue_refused",
            Refusal::QueueSlow => "queue_slow",
            Refusal::Panicked => "panicked",
        }
    }
}

impl From<&queue::Error> for Refusal {
    fn from(error: &queue::Error) -> Refusal {
        match error {
            queue::Error::Full(_) => Refusal::QueueFull,
            queue::Error::Unavailable(_) | queue::Error::Closed => Refusal::QueueUnavailable,
            queue::Error::Refused(_) => Refusal::QueueRefused,
        }
    }
}
