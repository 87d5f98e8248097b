//! Whose limit an answer tells about, found out from the sizes of the buckets that the answers show.
//!
//! `x-ratelimit-limit` is the size of one bucket and names no owner. A 429 shows the limit that was exceeded (Auth0, Rate
//! Limit Use Cases: "429 responses with the exceeded rate limit"); which of two limits another answer shows is not
//! documented. What is documented are the sizes themselves, so:
//!
//! - The tenant's limit is the same for every endpoint. A number is held to be the tenant's when two classes that have no
//!   limit of their own on Enterprise show it, and neither is documented to have it on a smaller plan.
//! - A number other than the tenant's is the class's own, documented or not.
//! - While the tenant's is not known, a number that is documented for the class is the class's own.
//! - Everything else may be either.
//!
//! Nothing here waits or sends; it is asked under a lock.

use std::collections::BTreeMap;

use super::class::Class;

/// Whose limit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Tenant,
    Class,
    Either,
}

/// A bucket to keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) burst: u32,
    pub(super) per_second: f64,
}

/// What the classes have shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    last: BTreeMap<Class, u32>,
    /// Sizes that were the class's own, or may have been.
    own: BTreeMap<Class, u32>,
}

/// Classes that must agree before a number is held to be the tenant's.
const AGREEING_LEAST: usize = 2;

impl Shown {
    /// Takes note of what an answer of this class shows.
    pub(super) fn take(&mut self, class: Class, limit: Option<u32>) -> Whose {
        let Some(limit) = limit else { return Whose::Either };
        self.last.insert(class, limit);
        let whose = self.whose(class, limit);
        match whose {
            // On Enterprise its own limit stays, also when the tenant's is shown in between.
            Whose::Tenant if class.enterprise().is_some() => {}
            Whose::Tenant => drop(self.own.remove(&class)),
            Whose::Class | Whose::Either => drop(self.own.insert(class, limit)),
        }
        whose
    }

    /// What requests of this class keep to beside the tenant's limit. Before anything tells the plan it is the smallest
    /// that has limits by endpoint: the first answers correct it.
    pub(super) fn bounds(&self, class: Class) -> Option<Bounds> {
        let tenant = self.tenant();
        let own = self.own.get(&class).copied().filter(|own| tenant != Some(*own));
        let assumed = || tenant.is_none().then(|| class.small_plan().burst);
        let burst = own.or_else(assumed)?;
        Some(Bounds { burst, per_second: class.per_second(burst) })
    }

    fn whose(&self, class: Class, limit: u32) -> Whose {
        match self.tenant() {
            Some(tenant) if tenant != limit => Whose::Class,
            // Enterprise's smallest tenants have the number of some of its endpoints.
            Some(_) if class.enterprise().is_some_and(|own| own.burst == limit) => Whose::Either,
            Some(_) => Whose::Tenant,
            None if class.documents(limit) => Whose::Class,
            None => Whose::Either,
        }
    }

    fn tenant(&self) -> Option<u32> {
        let mut agreeing: BTreeMap<u32, usize> = BTreeMap::new();
        let says = |(class, limit): (&Class, &u32)| {
            let counts = class.enterprise().is_none() && !class.documents(*limit);
            counts.then_some(*limit)
        };
        for limit in self.last.iter().filter_map(says) {
            *agreeing.entry(limit).or_default() += 1;
        }
        let most = agreeing.into_iter().max_by_key(|(_, classes)| *classes);
        most.filter(|(_, classes)| *classes >= AGREEING_LEAST).map(|(limit, _)| limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: &[(Class, u32)]) -> Shown {
        let mut shown = Shown::default();
        for (class, limit) in answers {
            shown.take(*class, Some(*limit));
        }
        shown
    }

    #[test]
    fn a_small_plans_numbers_are_each_its_class_s_own() {
        let mut shown = Shown::default();
        for class in Class::ALL {
            assert_eq!(shown.take(class, Some(class.small_plan().burst)), Whose::Class, "{class:?}");
        }
        assert_eq!(shown.tenant(), None, "equal numbers of several classes make no tenant's limit");
        let writes = shown.bounds(Class::WriteUsers).unwrap();
        assert_eq!((writes.burst, writes.per_second * 60.0), (20, 200.0));
    }

    #[test]
    fn what_two_classes_show_that_is_neither_s_own_is_the_tenants() {
        for tenant in [2, 10, 50, 250] {
            let mut shown = Shown::default();
            assert_eq!(shown.take(Class::ReadUsers, Some(tenant)), Whose::Either, "{tenant}");
            assert_eq!(shown.take(Class::WriteUsers, Some(tenant)), Whose::Tenant, "{tenant}");
            assert_eq!(shown.take(Class::ReadUsers, Some(tenant)), Whose::Tenant, "{tenant}");
            assert_eq!(shown.take(Class::Others, Some(tenant)), Whose::Tenant, "{tenant}");
            for class in Class::ALL {
                assert_eq!(shown.bounds(class), None, "{tenant}: {class:?} has no limit of its own");
            }
        }
    }

    #[test]
    fn under_a_known_tenants_limit_every_other_number_is_the_class_s_own_and_stays() {
        let mut shown = after(&[(Class::ReadUsers, 50), (Class::WriteUsers, 50)]);
        assert_eq!(shown.take(Class::WriteMembers, Some(20)), Whose::Class);
        assert_eq!(shown.take(Class::Others, Some(33)), Whose::Class, "also where none is documented");
        assert_eq!(shown.take(Class::WriteMembers, Some(50)), Whose::Tenant);
        assert_eq!(shown.bounds(Class::WriteMembers).map(|own| own.burst), Some(20));
        assert_eq!(shown.bounds(Class::ReadUsers), None);
    }

    #[test]
    fn what_cannot_be_told_may_be_either_s() {
        let mut shown = Shown::default();
        assert_eq!(shown.take(Class::WriteUsers, None), Whose::Either, "no number at all");
        assert_eq!(shown.take(Class::WriteUsers, Some(30)), Whose::Either, "a number of nobody's");
        assert_eq!(shown.bounds(Class::WriteUsers).map(|own| own.burst), Some(30), "kept to meanwhile");
        let mut shown = after(&[(Class::ReadUsers, 10), (Class::WriteUsers, 10)]);
        assert_eq!(shown.take(Class::OrganizationById, Some(10)), Whose::Either, "both have ten");
        assert_eq!(shown.take(Class::Others, Some(10)), Whose::Tenant, "on Enterprise it has none");
    }

    #[test]
    fn organizations_have_no_say_in_what_the_tenants_limit_is() {
        let shown =
            after(&[(Class::ReadMemberRoles, 100), (Class::WriteMembers, 100), (Class::ReadUsers, 250)]);
        assert_eq!(shown.tenant(), None);
    }

    #[test]
    fn a_changed_plan_is_noticed() {
        let mut shown = after(&[(Class::ReadUsers, 40), (Class::WriteUsers, 20), (Class::Others, 10)]);
        for class in [Class::ReadUsers, Class::WriteUsers, Class::Others] {
            shown.take(class, Some(50));
        }
        assert_eq!(shown.tenant(), Some(50));
        assert_eq!(shown.bounds(Class::WriteUsers), None);
        for class in [Class::ReadUsers, Class::WriteUsers, Class::Others] {
            shown.take(class, Some(class.small_plan().burst));
        }
        assert_eq!(shown.tenant(), None);
        assert_eq!(shown.bounds(Class::Others).map(|own| own.burst), Some(10));
    }

    #[test]
    fn before_the_first_answer_the_smallest_plan_is_assumed() {
        let shown = Shown::default();
        assert_eq!(shown.bounds(Class::WriteUsers).map(|own| own.burst), Some(20));
    }
}
