//! The world behind its mutex, with a guard that turns a deadlock into a panic: holding the world and asking for it again
//! in the same statement is the mistake that tests make most easily.

use super::World;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    /// Addresses of the worlds that this thread holds.
    static HELD: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Shared(Mutex<World>);

/// Exclusive access to the world until it is dropped.
pub struct WorldGuard<'a> {
    guard: MutexGuard<'a, World>,
    address: usize,
}

impl Shared {
    pub fn new(world: World) -> Shared {
        Shared(Mutex::new(world))
    }

    /// Waits for the world. Panics if this thread holds it already. A panic of a test that held the guard does not take
    /// the others down.
    pub fn lock(&self) -> WorldGuard<'_> {
        let address = std::ptr::from_ref(self).addr();
        let held = HELD.with_borrow(|held| held.contains(&address));
        assert!(!held, "this thread holds the world already: use one statement per `world()`");
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        HELD.with_borrow_mut(|held| held.push(address));
        WorldGuard { guard, address }
    }
}

impl Drop for WorldGuard<'_> {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.retain(|address| *address != self.address));
    }
}

impl Deref for WorldGuard<'_> {
    type Target = World;
    fn deref(&self) -> &World {
        &self.guard
    }
}

impl DerefMut for WorldGuard<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.guard
    }
}
