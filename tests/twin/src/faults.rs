//! How the world misbehaves: faults that strike the next matching requests, whole vendors that are down, things that
//! happen to the world right after a request, and mishaps of change notifications.
//!
//! Faults are matched when a request's head has arrived and are used up by it. Several faults may strike one request:
//! it can be stalled *and* lose its reply. Without faults a request pays one atomic read.

mod mishaps;

pub use mishaps::Mishap;

use crate::world::World;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Who is being played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    /// The Entra token endpoint (`login.microsoftonline.com`).
    Login,
    /// Microsoft Graph.
    Graph,
    /// The Auth0 tenant: token endpoint and Management API.
    Auth0,
    /// The Slack Web API and incoming webhooks.
    Slack,
    /// A mail server.
    Mail,
    /// A ticket system's inbound webhook.
    Ticket,
}

impl Vendor {
    pub const ALL: [Vendor; 6] =
        [Vendor::Login, Vendor::Graph, Vendor::Auth0, Vendor::Slack, Vendor::Mail, Vendor::Ticket];
}

/// One way to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 429 in the vendor's shape, nothing performed; `retry_after` is sent as given (`"2"`, `"2.128"`, a date) or not at all.
    Throttle { retry_after: Option<String> },
    /// This status in the vendor's error shape, nothing performed.
    Status(u16),
    /// Somebody on the way (a proxy, a maintenance page) answers with this status and a page of HTML; nothing performed.
    Foreign(u16),
    /// Perform the request, then hold the reply for this long.
    Stall(Duration),
    /// Close the connection without reading the body; nothing performed.
    Refuse,
    /// Perform the request, then close the connection without a reply.
    LoseReply,
    /// The bearer token of the request expires just before it is looked at.
    ExpireToken,
    /// Graph: 200 with a page that is not what it should be.
    Page(PageFault),
    /// Graph delta queries: the link is not honoured any more.
    ExpireDelta(DeltaExpiry),
}

/// What is wrong with a page that was answered with 200. Lists of directory objects and delta queries can have each;
/// `Replayed` and `Late` only delta queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFault {
    /// Its rows are missing; the link goes on as if they had been there.
    Missing,
    /// Only so many of its rows are there; the link goes on as if all had been.
    Short(usize),
    /// The list ends here though there is more: no nextLink, or the deltaLink of the whole round.
    CutShort,
    /// No rows and a nextLink to the same place: normal, says Graph (Delta query overview).
    Empty,
    /// Every row comes twice.
    Repeated,
    /// Begins so many changes of the directory too early: changes are told again (Delta query overview: replays).
    Replayed(u64),
    /// The newest so many changes of the directory are not told yet; the next round has them (Delta query overview:
    /// replication delays).
    Late(u64),
}

/// How Graph says that a delta link is too old or reset (Delta query overview; Error responses), or does not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaExpiry {
    /// 410 with a `Location` to begin anew from.
    Gone,
    /// 400 `syncStateNotFound`.
    SyncStateNotFound,
    /// 400 `resyncRequired`.
    ResyncRequired,
    /// 400 with a code that asks for nothing (Error responses: `Request_BadRequest`).
    Refused,
}

/// Which requests a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub vendor: Vendor,
    /// `GET`, `PATCH`…; `None` strikes every method.
    pub method: Option<String>,
    /// A part of the route (`/users/{id}/sessions`) or of the path and query as sent (`auth0%7C64…`, `/users?q=`); `None`
    /// strikes every route.
    pub route_contains: Option<String>,
}

impl Match {
    /// Every request to this vendor.
    pub fn vendor(vendor: Vendor) -> Match {
        Match { vendor, method: None, route_contains: None }
    }

    /// Only this method.
    pub fn method(mut self, method: &str) -> Match {
        self.method = Some(method.to_owned());
        self
    }

    /// Only routes or paths that contain this text.
    pub fn route(mut self, part: &str) -> Match {
        self.route_contains = Some(part.to_owned());
        self
    }

    fn strikes(&self, request: &Request<'_>) -> bool {
        self.vendor == request.vendor
            && self.method.as_deref().is_none_or(|method| method == request.method)
            && self
                .route_contains
                .as_deref()
                .is_none_or(|part| request.route.contains(part) || request.path.contains(part))
    }
}

/// For how many matching requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    N(u32),
    Forever,
}

/// Names an injected fault so that it can be lifted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u64);

/// All faults of one world. Safe to use from any thread at any time; a fault counts from the next request head on.
#[derive(Default)]
pub struct Faults {
    active: AtomicUsize,
    state: Mutex<State>,
    down: std::sync::atomic::AtomicU8,
    /// Listeners wait here for a vendor to go down or come back.
    pub(crate) weather: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    next_id: u64,
    injected: Vec<Injected>,
    awaited: Vec<Awaited>,
    mishaps: Vec<mishaps::Struck>,
}

struct Injected {
    id: FaultId,
    wanted: Match,
    fault: Fault,
    times: Times,
}

struct Awaited {
    id: FaultId,
    wanted: Match,
    left: u32,
    effect: Effect,
}

/// Something that happens to the world.
pub(crate) type Effect = Box<dyn FnOnce(&mut World) + Send>;

/// A request as far as faults look at it.
pub(crate) struct Request<'a> {
    pub vendor: Vendor,
    pub method: &'a str,
    pub route: &'a str,
    pub path: &'a str,
}

/// What will happen to one request.
#[derive(Default)]
pub(crate) struct Strike {
    pub refuse: bool,
    pub instead: Option<Fault>,
    pub expire_token: bool,
    pub stall: Option<Duration>,
    pub lose_reply: bool,
    pub page: Option<PageFault>,
    pub delta_expiry: Option<DeltaExpiry>,
    pub after: Vec<Effect>,
}

impl Faults {
    /// Strikes the next `times` matching requests with `fault`.
    pub fn inject(&self, wanted: Match, fault: Fault, times: Times) -> FaultId {
        let mut state = self.lock();
        let id = state.issue();
        state.injected.push(Injected { id, wanted, fault, times });
        self.active.fetch_add(1, Ordering::Release);
        id
    }

    /// When the `nth` (from 1) matching request has been performed, and before its reply leaves, does `effect` to the
    /// world: an account deleted halfway, a permission revoked in between, a second administrator at work.
    pub fn after(
        &self,
        wanted: Match,
        nth: u32,
        effect: impl FnOnce(&mut World) + Send + 'static,
    ) -> FaultId {
        let mut state = self.lock();
        let id = state.issue();
        state.awaited.push(Awaited { id, wanted, left: nth.max(1), effect: Box::new(effect) });
        self.active.fetch_add(1, Ordering::Release);
        id
    }

    /// Lifts one fault; one that has run out already is no error.
    pub fn lift(&self, id: FaultId) {
        let mut state = self.lock();
        state.injected.retain(|fault| fault.id != id);
        state.awaited.retain(|awaited| awaited.id != id);
        state.mishaps.retain(|struck| struck.id != id);
        self.recount(&state);
    }

    /// Whether an injected fault has struck as often as it was told to, or was lifted.
    pub fn is_spent(&self, id: FaultId) -> bool {
        let state = self.lock();
        !state.injected.iter().any(|fault| fault.id == id) && !state.awaited.iter().any(|one| one.id == id)
    }

    /// Lifts every fault and brings every vendor up.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.injected.clear();
        state.awaited.clear();
        state.mishaps.clear();
        self.recount(&state);
        drop(state);
        self.down.store(0, Ordering::Release);
        self.weather.notify_waiters();
    }

    /// Takes a vendor off the network: its connections break and new ones are refused. `Login` and `Graph` share a
    /// listener, so with only one of them down its connections are closed instead, before anything is read.
    pub fn down(&self, vendor: Vendor) {
        self.down.fetch_or(bit(vendor), Ordering::AcqRel);
        self.weather.notify_waiters();
    }

    /// Brings a vendor back.
    pub fn up(&self, vendor: Vendor) {
        self.down.fetch_and(!bit(vendor), Ordering::AcqRel);
        self.weather.notify_waiters();
    }

    /// Whether this vendor is off the network now.
    pub fn is_down(&self, vendor: Vendor) -> bool {
        self.down.load(Ordering::Acquire) & bit(vendor) != 0
    }

    pub(crate) fn take(&self, request: &Request<'_>) -> Strike {
        if self.active.load(Ordering::Acquire) == 0 {
            return Strike::default();
        }
        let mut state = self.lock();
        let strike = state.take(request);
        self.recount(&state);
        strike
    }

    fn recount(&self, state: &State) {
        self.active.store(state.injected.len() + state.awaited.len(), Ordering::Release);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn issue(&mut self) -> FaultId {
        self.next_id += 1;
        FaultId(self.next_id)
    }

    fn take(&mut self, request: &Request<'_>) -> Strike {
        let mut strike = Strike::default();
        for injected in &mut self.injected {
            if injected.wanted.strikes(request) && strike.has_room_for(&injected.fault) {
                strike.add(injected.fault.clone());
                if let Times::N(left) = &mut injected.times {
                    *left = left.saturating_sub(1);
                }
            }
        }
        self.injected.retain(|injected| injected.times != Times::N(0));
        for awaited in &mut self.awaited {
            // What is refused is not performed, so nothing can happen after it.
            if !strike.refuse && awaited.wanted.strikes(request) {
                awaited.left -= 1;
            }
        }
        for due in self.awaited.extract_if(.., |awaited| awaited.left == 0) {
            strike.after.push(due.effect);
        }
        strike
    }
}

impl Strike {
    /// Whether the answer is not the vendor's: it has none of its headers.
    pub fn is_foreign(&self) -> bool {
        matches!(self.instead, Some(Fault::Foreign(_)))
    }

    /// The part that only a handler can play.
    pub fn bent(&self) -> crate::wire::call::Bent {
        crate::wire::call::Bent::new(self.page, self.delta_expiry)
    }

    /// A request is refused or answered wrongly at most once; what comes later in line waits for the next request.
    fn has_room_for(&self, fault: &Fault) -> bool {
        if self.refuse || self.instead.is_some() {
            return matches!(fault, Fault::Stall(_)) && !self.refuse && self.stall.is_none();
        }
        match fault {
            Fault::Stall(_) => self.stall.is_none(),
            Fault::LoseReply => !self.lose_reply,
            Fault::ExpireToken => !self.expire_token,
            Fault::Page(_) => self.page.is_none() && self.delta_expiry.is_none(),
            Fault::ExpireDelta(_) => self.page.is_none() && self.delta_expiry.is_none(),
            Fault::Refuse | Fault::Throttle { .. } | Fault::Status(_) | Fault::Foreign(_) => {
                !self.lose_reply && !self.expire_token && self.page.is_none() && self.delta_expiry.is_none()
            }
        }
    }

    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Stall(pause) => self.stall = Some(pause),
            Fault::LoseReply => self.lose_reply = true,
            Fault::ExpireToken => self.expire_token = true,
            Fault::Refuse => self.refuse = true,
            Fault::Page(fault) => self.page = Some(fault),
            Fault::ExpireDelta(expiry) => self.delta_expiry = Some(expiry),
            Fault::Throttle { .. } | Fault::Status(_) | Fault::Foreign(_) => self.instead = Some(fault),
        }
    }
}

fn bit(vendor: Vendor) -> u8 {
    1 << vendor as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch() -> Request<'static> {
        Request {
            vendor: Vendor::Auth0,
            method: "PATCH",
            route: "PATCH /api/v2/users/{id}",
            path: "/api/v2/users/auth0%7Cabc",
        }
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_was_told_and_only_what_it_matches() {
        let faults = Faults::default();
        let wanted = Match::vendor(Vendor::Auth0).method("PATCH").route("/users/");
        let id = faults.inject(wanted, Fault::Status(500), Times::N(2));
        let get = Request { method: "GET", ..patch() };
        assert!(faults.take(&get).instead.is_none());
        assert_eq!(faults.take(&patch()).instead, Some(Fault::Status(500)));
        assert!(!faults.is_spent(id));
        assert_eq!(faults.take(&patch()).instead, Some(Fault::Status(500)));
        assert!(faults.is_spent(id));
        assert!(faults.take(&patch()).instead.is_none());
    }

    #[test]
    fn a_request_may_be_stalled_and_lose_its_reply_but_fails_only_once() {
        let faults = Faults::default();
        let all = Match::vendor(Vendor::Auth0);
        faults.inject(all.clone(), Fault::Status(500), Times::N(1));
        faults.inject(all.clone(), Fault::Throttle { retry_after: None }, Times::N(1));
        faults.inject(all, Fault::Stall(Duration::from_secs(1)), Times::N(2));
        let first = faults.take(&patch());
        assert_eq!(first.instead, Some(Fault::Status(500)));
        assert!(first.stall.is_some());
        assert_eq!(faults.take(&patch()).instead, Some(Fault::Throttle { retry_after: None }));
    }

    #[test]
    fn clear_lifts_everything() {
        let faults = Faults::default();
        faults.inject(Match::vendor(Vendor::Auth0), Fault::Refuse, Times::Forever);
        faults.down(Vendor::Slack);
        faults.clear();
        assert!(!faults.take(&patch()).refuse);
        assert!(!faults.is_down(Vendor::Slack));
    }
}
