//! Bodies of which only a part has come: so many, and so many bytes of them all.
//!
//! Anybody may begin a body before anything is proven. When there is no room for more, the oldest is cut off instead of
//! the newcomer refused: an honest body is whole within milliseconds, and whoever keeps us waiting is older. A limit per
//! address would not tell them apart, because behind a proxy all of them have the proxy's.
//!
//! The parts lie in here and not with the requests: what is cut off is freed at once, so the limits hold whatever the
//! tasks are doing. A body that is there with its head never comes here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::refusal::Refusal;

/// Twice what one route works on at a time by default.
const BODIES_MAX: usize = 1024;
/// One of so many connections: one that waits for its body makes no room for others, and those who finish need some too.
const SHARE: usize = 4;
/// Of all of them together: as much as 64 of the largest bodies.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// The first allocation for a body; the next ones double it.
const ROOM_LEAST: usize = 4096;

pub(super) struct Unfinished {
    bodies_max: usize,
    bytes_max: usize,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    /// By their order of arrival.
    parts: BTreeMap<u64, Part>,
    next: u64,
    /// What is allocated for all parts.
    bytes: usize,
}

struct Part {
    bytes: Vec<u8>,
    /// Dropped with the part, which wakes whoever waits for the rest of it.
    _kept: oneshot::Sender<()>,
}

impl Unfinished {
    pub(super) fn among(connections_max: usize) -> Unfinished {
        Unfinished::within((connections_max / SHARE).clamp(1, BODIES_MAX), BYTES_MAX)
    }

    fn within(bodies_max: usize, bytes_max: usize) -> Unfinished {
        Unfinished { bodies_max, bytes_max, shelf: Mutex::default() }
    }

    /// A new body; the second value ends when it was cut off.
    pub(super) fn begin(&self) -> (Growing<'_>, oneshot::Receiver<()>) {
        let (kept, cut) = oneshot::channel();
        let mut shelf = self.shelf();
        while shelf.parts.len() >= self.bodies_max {
            shelf.cut_oldest();
        }
        let serial = shelf.next;
        shelf.next += 1;
        shelf.parts.insert(serial, Part { bytes: Vec::new(), _kept: kept });
        (Growing { among: self, serial }, cut)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing in here panics half-way through a change, so a poisoned lock guards sound data.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One body that grows. Dropped, it is forgotten.
pub(super) struct Growing<'a> {
    among: &'a Unfinished,
    serial: u64,
}

impl Growing<'_> {
    pub(super) fn append(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.among.shelf().append(self.serial, piece, self.among.bytes_max)
    }

    /// Gives the bytes back and stays: the rest is still to be read, but nobody will look at it.
    pub(super) fn discard(&mut self) {
        let mut shelf = self.among.shelf();
        if let Some(part) = shelf.parts.get_mut(&self.serial) {
            let bytes = std::mem::take(&mut part.bytes);
            shelf.bytes -= bytes.capacity();
        }
    }

    /// The whole body, whose bytes are no longer counted.
    pub(super) fn finish(self) -> Result<Bytes, Refusal> {
        let whole = self.among.shelf().take(self.serial);
        whole.map(Bytes::from).ok_or(Refusal::CutOff)
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        self.among.shelf().take(self.serial);
    }
}

impl Shelf {
    /// Makes room first, so that the limit is never passed. The oldest may be this very body.
    fn append(&mut self, serial: u64, piece: &[u8], bytes_max: usize) -> Result<(), Refusal> {
        let part = self.parts.get(&serial).ok_or(Refusal::CutOff)?;
        let (len, capacity) = (part.bytes.len(), part.bytes.capacity());
        let room = match len + piece.len() {
            needed if needed <= capacity => capacity,
            needed => needed.next_power_of_two().max(ROOM_LEAST),
        };
        while self.bytes + room - capacity > bytes_max && self.parts.contains_key(&serial) {
            self.cut_oldest();
        }
        let part = self.parts.get_mut(&serial).ok_or(Refusal::CutOff)?;
        part.bytes.reserve_exact(room - len);
        part.bytes.extend_from_slice(piece);
        self.bytes += part.bytes.capacity() - capacity;
        Ok(())
    }

    fn cut_oldest(&mut self) {
        if let Some((&oldest, _)) = self.parts.first_key_value() {
            self.take(oldest);
        }
    }

    fn take(&mut self, serial: u64) -> Option<Vec<u8>> {
        let part = self.parts.remove(&serial)?;
        self.bytes -= part.bytes.capacity();
        Some(part.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(unfinished: &Unfinished) -> usize {
        unfinished.shelf().bytes
    }

    #[test]
    fn a_body_is_put_together_and_no_longer_counted() {
        let unfinished = Unfinished::within(2, 1 << 20);
        let (mut body, _cut) = unfinished.begin();
        for _ in 0..3000 {
            body.append(b"abc").unwrap();
        }
        assert_eq!(bytes(&unfinished), 16 * 1024);
        assert_eq!(body.finish().unwrap(), b"abc".repeat(3000));
        assert_eq!(bytes(&unfinished), 0);
    }

    #[test]
    fn at_the_number_the_oldest_is_cut_off_and_not_the_newcomer() {
        let unfinished = Unfinished::within(2, 1 << 20);
        let (mut first, mut first_cut) = unfinished.begin();
        first.append(b"a").unwrap();
        let (mut second, mut second_cut) = unfinished.begin();
        let (third, _third_cut) = unfinished.begin();
        assert_eq!(first_cut.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(second_cut.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(first.append(b"b"), Err(Refusal::CutOff));
        assert_eq!(first.finish(), Err(Refusal::CutOff));
        second.append(b"c").unwrap();
        assert_eq!(second.finish().unwrap(), "c");
        drop(third);
        assert_eq!((bytes(&unfinished), unfinished.shelf().parts.len()), (0, 0));
    }

    #[test]
    fn the_bytes_of_all_never_pass_the_limit() {
        const MOST: usize = 64 * 1024;
        let unfinished = Unfinished::within(1000, MOST);
        let mut bodies: Vec<_> = (0..40).map(|_| unfinished.begin().0).collect();
        for round in 0..30 {
            for body in &mut bodies {
                let _ = body.append(&[7; 700]);
                assert!(bytes(&unfinished) <= MOST, "round {round}");
            }
        }
        let allocated: usize = unfinished.shelf().parts.values().map(|part| part.bytes.capacity()).sum();
        assert_eq!(bytes(&unfinished), allocated);
        let (mut alone, _cut) = unfinished.begin();
        alone.append(&[7; MOST]).unwrap();
        assert_eq!(bytes(&unfinished), MOST, "the newest has room, the others were cut off");
        assert_eq!(alone.append(b"x"), Err(Refusal::CutOff), "nobody is older than itself");
        drop(bodies);
        assert_eq!(bytes(&unfinished), 0);
    }

    #[test]
    fn what_nobody_will_look_at_takes_no_room() {
        let unfinished = Unfinished::within(2, 1 << 20);
        let (mut body, _cut) = unfinished.begin();
        body.append(&[7; 5000]).unwrap();
        body.discard();
        assert_eq!(bytes(&unfinished), 0);
        drop(body);
        assert_eq!(bytes(&unfinished), 0);
    }
}
