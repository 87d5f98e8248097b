//! What can go wrong with any vendor, before it has looked at what was asked: the part of the edges' errors that is
//! the same for all of them.

use crate::clock::Timestamp;
use crate::outbound::http::{Cause, NoAnswer, Unreadable};
use crate::retry::WhatNow;

/// The words stand in a case while it waits and are read there by people: one for all that is the rate limit's, and no
/// instant in it, so that a look which found out nothing new says nothing new. Until when is the gate's to log.
const RATE_LIMITED: &str = "held back by the rate limit";

/// Trouble with the way or the vendor, not with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing was sent.
    #[error("not reached: {0}")]
    NotSent(Cause),
    /// Sent, and no reply came: a write may have been carried out.
    #[error("no reply: {0}")]
    NoReply(Cause),
    /// The vendor asked for a pause that is not over. Nothing was sent.
    #[error("{RATE_LIMITED}")]
    HeldBack { until: Timestamp },
    /// The vendor's limit for this kind of request is spent, and other kinds may go on. Nothing was done.
    #[error("{RATE_LIMITED}")]
    KindThrottled { until: Timestamp },
    /// Our own share of the vendor's rate limit is used up. Nothing was sent.
    #[error("{RATE_LIMITED}")]
    OverBudget { until: Timestamp },
    /// 429, or a refusal with a time to come back. Nothing was done.
    #[error("{RATE_LIMITED}")]
    Throttled { status: u16, until: Option<Timestamp> },
    /// The vendor failed on its side. Of 500, 502 and 504 nobody knows how far the request came.
    #[error("the vendor failed ({status})")]
    Failed { status: u16 },
    /// An answer that the vendor does not document: a proxy's, or a maintenance page.
    #[error("status {status} with an answer that is {why}")]
    Unreadable { status: u16, why: Unreadable },
}

impl Trouble {
    pub fn what_now(&self) -> WhatNow {
        match self {
            Trouble::HeldBack { until }
            | Trouble::KindThrottled { until }
            | Trouble::OverBudget { until } => WhatNow::RetryAt(*until),
            Trouble::Throttled { until: Some(until), .. } => WhatNow::RetryAt(*until),
            Trouble::NotSent(_)
            | Trouble::NoReply(_)
            | Trouble::Throttled { .. }
            | Trouble::Failed { .. } => WhatNow::BackOff,
            Trouble::Unreadable { why: Unreadable::CutShort, .. } => WhatNow::BackOff,
            // As large the next time.
            Trouble::Unreadable { why: Unreadable::TooLarge, .. } => WhatNow::GiveUp,
            Trouble::Unreadable { why: Unreadable::Shape, .. } => WhatNow::TryAgain,
        }
    }

    /// Whether a write that met this may have been carried out all the same.
    pub fn leaves_outcome_open(&self) -> bool {
        match self {
            Trouble::NoReply(_) => true,
            // 503 is refused at the door; the others come from a gateway or a crash behind it.
            Trouble::Failed { status } => *status != 503,
            // A yes in words that are not the vendor's.
            Trouble::Unreadable { status: 200..=299, .. } => true,
            _ => false,
        }
    }

    /// Unreachable, failing or throttling: trouble that passes without anybody doing anything.
    /// Our own budget is not the vendor's absence, and a limit of one kind of request is not all of it.
    pub fn is_vendor_away(&self) -> bool {
        match self {
            Trouble::OverBudget { .. } | Trouble::KindThrottled { .. } => false,
            Trouble::Unreadable { why, .. } => *why == Unreadable::CutShort,
            _ => true,
        }
    }
}

impl From<NoAnswer> for Trouble {
    fn from(none: NoAnswer) -> Trouble {
        match none {
            NoAnswer::NotSent(cause) => Trouble::NotSent(cause),
            NoAnswer::NoReply(cause) => Trouble::NoReply(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_at_the_door_leaves_no_doubt_about_a_write() {
        assert!(Trouble::Failed { status: 500 }.leaves_outcome_open());
        assert!(Trouble::Failed { status: 504 }.leaves_outcome_open());
        assert!(!Trouble::Failed { status: 503 }.leaves_outcome_open());
        assert!(!Trouble::Throttled { status: 429, until: None }.leaves_outcome_open());
    }

    #[test]
    fn a_named_time_is_obeyed_and_none_means_backing_off() {
        let until: Timestamp = "2026-03-02T08:00:05Z".parse().unwrap();
        let named = Trouble::Throttled { status: 429, until: Some(until) };
        assert_eq!(named.what_now(), WhatNow::RetryAt(until));
        assert_eq!(Trouble::Throttled { status: 429, until: None }.what_now(), WhatNow::BackOff);
        assert!(!Trouble::OverBudget { until }.is_vendor_away());
        assert!(!Trouble::KindThrottled { until }.is_vendor_away());
        assert!(Trouble::HeldBack { until }.is_vendor_away());
    }

    #[test]
    fn whoever_waits_for_the_rate_limit_waits_in_the_same_words() {
        let [until, later] = ["2026-03-02T08:00:05Z", "2026-03-02T08:00:06Z"].map(|at| at.parse().unwrap());
        for trouble in [
            Trouble::HeldBack { until },
            Trouble::HeldBack { until: later },
            Trouble::KindThrottled { until },
            Trouble::OverBudget { until },
            Trouble::Throttled { status: 429, until: Some(until) },
        ] {
            assert_eq!(trouble.to_string(), RATE_LIMITED);
        }
    }

    #[test]
    fn what_is_not_the_vendors_word_is_tried_again_and_not_for_ever() {
        let unreadable = |why| Trouble::Unreadable { status: 200, why };
        assert_eq!(unreadable(Unreadable::Shape).what_now(), WhatNow::TryAgain);
        assert!(!unreadable(Unreadable::Shape).is_vendor_away(), "one odd answer stops nobody else");
        assert_eq!(unreadable(Unreadable::CutShort).what_now(), WhatNow::BackOff);
        assert_eq!(unreadable(Unreadable::TooLarge).what_now(), WhatNow::GiveUp);
    }
}
