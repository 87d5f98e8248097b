//! What may happen to a change notification on its way. Graph promises neither order nor exactly one arrival, and for
//! users and groups it never tells that something was lost (Graph, Change notifications lifecycle events).

use super::{FaultId, Faults, Times};
use std::time::Duration;

/// One way for a change notification to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It never arrives.
    Lose,
    /// It arrives twice.
    Double,
    /// A later one arrives first; if none comes within a moment, it goes after all.
    Overtake,
    /// It arrives that much later.
    Delay(Duration),
    /// It arrives when the test lets it go ([`crate::send::Deliveries::release`]): an hour that no test can wait.
    Hold,
    /// A change of members without `members@delta`.
    WithoutMembers,
}

#[derive(Debug)]
pub(super) struct Struck {
    pub id: FaultId,
    /// A part of `Users/{id}` or `Groups/{id}`.
    about: String,
    mishap: Mishap,
    times: Times,
}

impl Faults {
    /// Strikes the next `times` notifications whose resource (`Users/{id}`, `Groups/{id}`) contains `about`; an empty text
    /// strikes all. A change that two subscriptions want makes two notifications.
    pub fn mishap(&self, about: &str, mishap: Mishap, times: Times) -> FaultId {
        let mut state = self.lock();
        let id = state.issue();
        state.mishaps.push(Struck { id, about: about.to_owned(), mishap, times });
        id
    }

    /// What happens to one notification: a double may be without its members, but it has one place only, so what comes
    /// later in line waits for the next one.
    pub(crate) fn mishaps_of(&self, resource: &str) -> Vec<Mishap> {
        let mut state = self.lock();
        let mut happens: Vec<Mishap> = Vec::new();
        for struck in state.mishaps.iter_mut().filter(|struck| resource.contains(&struck.about)) {
            if happens.iter().any(|other| aspect(*other) == aspect(struck.mishap)) {
                continue;
            }
            happens.push(struck.mishap);
            if let Times::N(left) = &mut struck.times {
                *left = left.saturating_sub(1);
            }
        }
        state.mishaps.retain(|struck| struck.times != Times::N(0));
        happens
    }
}

/// Body, number and place of a notification go wrong independently of each other.
fn aspect(mishap: Mishap) -> u8 {
    match mishap {
        Mishap::WithoutMembers => 0,
        Mishap::Double => 1,
        Mishap::Lose | Mishap::Overtake | Mishap::Delay(_) | Mishap::Hold => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_goes_wrong_once_in_each_respect() {
        let faults = Faults::default();
        faults.mishap("Groups/", Mishap::WithoutMembers, Times::Forever);
        faults.mishap("", Mishap::Lose, Times::N(1));
        faults.mishap("", Mishap::Hold, Times::N(1));
        assert_eq!(faults.mishaps_of("Groups/a"), [Mishap::WithoutMembers, Mishap::Lose]);
        assert_eq!(faults.mishaps_of("Users/a"), [Mishap::Hold]);
        assert_eq!(faults.mishaps_of("Users/a"), []);
        faults.clear();
        assert_eq!(faults.mishaps_of("Groups/a"), []);
    }
}
