//! `[notify]`: what is told where. Slack is told everything, for its one message is changed in place; a mail or a ticket
//! stays, so only what somebody wants to keep or must act on goes there.

use std::collections::BTreeSet;

use serde::Deserialize;

/// `[notify]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    pub mail: BTreeSet<News>,
    pub ticket: BTreeSet<News>,
}

impl Default for Notify {
    /// One mail for each lockout, when it is proven or when it is not; a ticket that is opened and closed.
    fn default() -> Self {
        Notify {
            mail: [News::Verified, News::Page].into(),
            ticket: [News::Requested, News::Verified, News::Released, News::Page].into(),
        }
    }
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// A case was opened and is being carried out.
    Requested,
    /// It is proven.
    Verified,
    /// Nothing was done: observe mode, the brake, or a policy that only tells.
    NotActed,
    Released,
    /// Somebody must act: the brake, a lockout not verified in time, a protected person, groups that cannot be read, dead
    /// letters, a missing subscription.
    Page,
}

impl News {
    pub fn word(self) -> &'static str {
        match self {
            News::Requested => "requested",
            News::Verified => "verified",
            News::NotActed => "not-acted",
            News::Released => "released",
            News::Page => "page",
        }
    }
}

/// A way to tell people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Slack,
    Mail,
    Ticket,
}

impl Channel {
    /// The name under which the store keeps what is owed there.
    pub fn word(self) -> &'static str {
        match self {
            Channel::Slack => "slack",
            Channel::Mail => "mail",
            Channel::Ticket => "ticket",
        }
    }
}

impl Notify {
    /// Whether any of `news` is told on `channel`. On Slack every change is: it may have no name here.
    pub fn tells(&self, channel: Channel, news: &[News]) -> bool {
        let told = match channel {
            Channel::Slack => return true,
            Channel::Mail => &self.mail,
            Channel::Ticket => &self.ticket,
        };
        news.iter().any(|one| told.contains(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_is_told_everything_and_the_others_what_the_policy_names() {
        let policy = Notify { mail: [News::Page].into(), ..Notify::default() };
        assert!(policy.tells(Channel::Slack, &[]));
        assert!(policy.tells(Channel::Mail, &[News::Verified, News::Page]));
        assert!(!policy.tells(Channel::Mail, &[News::Verified]) && !policy.tells(Channel::Mail, &[]));
        assert!(policy.tells(Channel::Ticket, &[News::Verified]));
    }
}
