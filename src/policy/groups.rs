//! Who a rule is about: by membership of Entra groups, nested ones included.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::event::ObjectId;

/// `any_of`, `all_of` and `none_of`: all three must hold; one that is empty holds for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupRule {
    pub any_of: BTreeSet<ObjectId>,
    pub all_of: BTreeSet<ObjectId>,
    pub none_of: BTreeSet<ObjectId>,
}

impl GroupRule {
    /// Whether the rule holds for somebody who is in `groups`.
    pub fn holds(&self, groups: &BTreeSet<ObjectId>) -> bool {
        let any = self.any_of.is_empty() || !self.any_of.is_disjoint(groups);
        any && self.all_of.is_subset(groups) && self.none_of.is_disjoint(groups)
    }

    /// Every group that decides it.
    pub fn groups(&self) -> impl Iterator<Item = ObjectId> {
        self.any_of.iter().chain(&self.all_of).chain(&self.none_of).copied()
    }

    /// Groups of which everybody for whom the rule holds is in one; `None` where it may hold for people in none at all.
    pub fn reach(&self) -> Option<BTreeSet<ObjectId>> {
        match (self.any_of.is_empty(), self.all_of.first()) {
            (false, _) => Some(self.any_of.clone()),
            // Each has them all; one is enough.
            (true, Some(one)) => Some([*one].into()),
            (true, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u128]) -> BTreeSet<ObjectId> {
        ids.iter().map(|id| ObjectId(uuid::Uuid::from_u128(*id))).collect()
    }

    fn rule(any: &[u128], all: &[u128], none: &[u128]) -> GroupRule {
        GroupRule { any_of: set(any), all_of: set(all), none_of: set(none) }
    }

    #[test]
    fn all_three_must_hold_and_an_empty_one_does() {
        assert!(rule(&[], &[], &[]).holds(&set(&[])));
        assert!(rule(&[1, 2], &[], &[]).holds(&set(&[2])));
        assert!(!rule(&[1, 2], &[], &[]).holds(&set(&[3])));
        assert!(rule(&[], &[1, 2], &[]).holds(&set(&[1, 2, 3])));
        assert!(!rule(&[], &[1, 2], &[]).holds(&set(&[1])));
        assert!(!rule(&[1], &[], &[9]).holds(&set(&[1, 9])));
        assert!(rule(&[1], &[2], &[9]).holds(&set(&[1, 2])));
    }

    #[test]
    fn whom_it_holds_for_is_in_a_group_of_its_reach() {
        assert_eq!(rule(&[1, 2], &[3], &[9]).reach(), Some(set(&[1, 2])));
        assert_eq!(rule(&[], &[3, 4], &[9]).reach(), Some(set(&[3])));
        assert_eq!(rule(&[], &[], &[9]).reach(), None);
    }
}
