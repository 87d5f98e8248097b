//! What may happen in a history. Numbers choose among those to whom it can happen by then, so that a history that is made
//! shorter still makes sense.

use proptest::prelude::*;

/// More than there are of anything.
const ANY: std::ops::Range<usize> = 0..60;

/// What becomes of the accounts of whoever is deleted in Entra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leavers {
    Kept,
    /// The grace is over as soon as it has begun.
    DeletedAtOnce,
    /// A grace that nobody outlives; whom Entra has purged is deleted ten minutes later.
    DeletedWhenPurged,
}

/// How accounts come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joiners {
    Scim,
    Database,
}

#[derive(Debug, Clone)]
pub enum Step {
    Hire,
    Move(usize, usize),
    Rename(usize, u8),
    Disable(usize),
    Enable(usize),
    SoftDelete(usize),
    Restore(usize),
    Purge(usize),
    Join(usize, usize),
    /// Whoever or whatever is a member.
    Leave(usize, usize),
    /// A new group, perhaps in another from the start.
    CreateGroup(Option<usize>),
    Nest(usize, usize),
    DeleteGroup(usize),
    RestoreGroup(usize),
    GrantByHand(usize, usize),
    RevokeByHand(usize, usize),
    ForgeDepartment(usize),
    Theirs(usize, u8),
    /// Auth0's search stays as it is now, or catches up.
    StaleSearch(bool),
    Mishap(u8),
    Fault(u8),
    /// Something is wrong with the next answers to delta queries.
    DeltaFault(u8),
    Pause,
}

pub fn leavers() -> impl Strategy<Value = Leavers> {
    prop_oneof![Just(Leavers::Kept), Just(Leavers::DeletedAtOnce), Just(Leavers::DeletedWhenPurged)]
}

pub fn joiners() -> impl Strategy<Value = Joiners> {
    prop_oneof![Just(Joiners::Scim), Just(Joiners::Database)]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => person(), 9 => membership(), 4 => by_hand(), 10 => trouble()]
}

fn person() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Hire),
        3 => (ANY, ANY).prop_map(|(p, d)| Step::Move(p, d)),
        1 => (ANY, any::<u8>()).prop_map(|(p, n)| Step::Rename(p, n)),
        1 => ANY.prop_map(Step::Disable),
        2 => ANY.prop_map(Step::Enable),
        3 => ANY.prop_map(Step::SoftDelete),
        2 => ANY.prop_map(Step::Restore),
        2 => ANY.prop_map(Step::Purge),
    ]
}

fn membership() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (ANY, ANY).prop_map(|(g, p)| Step::Join(g, p)),
        4 => (ANY, ANY).prop_map(|(g, p)| Step::Leave(g, p)),
        2 => proptest::option::of(ANY).prop_map(Step::CreateGroup),
        2 => (ANY, ANY).prop_map(|(a, b)| Step::Nest(a, b)),
        1 => ANY.prop_map(Step::DeleteGroup),
        1 => ANY.prop_map(Step::RestoreGroup),
    ]
}

fn by_hand() -> impl Strategy<Value = Step> {
    prop_oneof![
        (ANY, ANY).prop_map(|(p, r)| Step::GrantByHand(p, r)),
        (ANY, ANY).prop_map(|(p, r)| Step::RevokeByHand(p, r)),
        ANY.prop_map(Step::ForgeDepartment),
        (ANY, any::<u8>()).prop_map(|(p, n)| Step::Theirs(p, n)),
    ]
}

fn trouble() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<bool>().prop_map(Step::StaleSearch),
        3 => any::<u8>().prop_map(Step::Mishap),
        2 => any::<u8>().prop_map(Step::Fault),
        2 => any::<u8>().prop_map(Step::DeltaFault),
        3 => Just(Step::Pause),
    ]
}
