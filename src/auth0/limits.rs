//! The Management API's limits: the tenant's, and under it one for each [`Class`] of requests. Auth0 asks the tenant's
//! first and then the endpoint's (Auth0, Rate Limit Policy); below Enterprise there are only the latter.
//!
//! Nobody has to name the plan: what the answers show decides ([`shown`]). Each limit keeps a share for containment, and
//! what one class has used up stops that class only. Where an answer leaves open whose limit was met, its class pauses for
//! everybody and all else for the directory lanes; containment goes on and is told by its own next answer.

mod class;
mod shown;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use self::shown::{Bounds, Shown, Whose};
use crate::auth0::limit::Limit;
use crate::auth0::wire;
use crate::event::Lane;
use crate::outbound::gate::{BY_THE_SECOND, Gate};
use crate::outbound::http::Answer;
use crate::outbound::{Deps, Trouble};

pub(super) use self::class::Class;

#[derive(Debug)]
pub(super) struct Limits {
    tenant: Limit,
    /// For the directory lanes: a pause that may be the tenant's.
    doubtful: Gate,
    classes: BTreeMap<Class, OfClass>,
    shown: Mutex<Shown>,
}

#[derive(Debug)]
struct OfClass {
    limit: Limit,
    /// Requests that have taken their share and were not answered yet.
    under_way: Arc<AtomicU32>,
    bounded: AtomicBool,
}

/// A request that has taken its share, until its answer was heard or will not come.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<AtomicU32>);

impl UnderWay {
    fn begin(count: &Arc<AtomicU32>) -> UnderWay {
        count.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// `per_second` and `burst` are what we allow ourselves of the tenant's.
    pub(super) fn new(name: &'static str, per_second: f64, burst: u32, deps: &Deps) -> Limits {
        Limits {
            tenant: Limit::new(name, per_second, burst, deps),
            doubtful: Gate::new(name, Arc::clone(&deps.clock), BY_THE_SECOND),
            classes: Class::ALL.map(|class| (class, OfClass::new(class, deps))).into(),
            shown: Mutex::default(),
        }
    }

    /// Whether anything of this class may be sent at all.
    pub(super) fn check(&self, class: Class, lane: Lane) -> Result<(), Trouble> {
        self.tenant.check()?;
        if lane != Lane::Contain {
            self.doubtful.check().map_err(|until| Trouble::HeldBack { until })?;
        }
        let closed = self.of(class).limit.closed_until();
        closed.map_or(Ok(()), |until| Err(Trouble::KindThrottled { until }))
    }

    /// Waits for a share of both budgets, within bounds: the narrower one first, because what is taken of the tenant's
    /// and then waits is lost to others.
    pub(super) async fn take(&self, class: Class, lane: Lane) -> Result<UnderWay, Trouble> {
        self.check(class, lane)?;
        let of = self.of(class);
        let bounds = self.shown().bounds(class);
        if of.keep_to(bounds) {
            of.limit.take_share(lane).await?;
        }
        let under_way = UnderWay::begin(&of.under_way);
        self.tenant.take_share(lane).await?;
        // Somebody may have been throttled while we waited.
        self.check(class, lane)?;
        Ok(under_way)
    }

    /// What an answer tells about the limits and the vendor's health; a refusal of the request itself is no trouble.
    pub(super) fn heard(&self, class: Class, answer: &Answer, under_way: UnderWay) -> Result<(), Trouble> {
        drop(under_way);
        let whose = self.learn(class, answer);
        if answer.status.as_u16() == 429 && whose != Whose::Tenant {
            return Err(self.throttled(class, whose, answer));
        }
        let of_tenant = self.tenant.judge(answer);
        if answer.status.is_success() {
            self.of(class).limit.passed();
            self.doubtful.passed();
        }
        of_tenant
    }

    fn learn(&self, class: Class, answer: &Answer) -> Whose {
        let (limit, remaining) = (wire::limit(answer), wire::remaining(answer));
        let (whose, bounds) = {
            let mut shown = self.shown();
            (shown.take(class, limit), shown.bounds(class))
        };
        let of = self.of(class);
        let bounded = of.keep_to(bounds);
        let Some(remaining) = remaining else { return whose };
        match whose {
            Whose::Tenant => self.tenant.budget.heard(remaining, limit),
            Whose::Class => {}
            Whose::Either => self.tenant.budget.heard_in_doubt(remaining, limit),
        }
        if bounded && whose != Whose::Tenant {
            of.limit.budget.follow(remaining, of.under_way.load(Ordering::Relaxed));
        }
        whose
    }

    fn throttled(&self, class: Class, whose: Whose, answer: &Answer) -> Trouble {
        let limit = &self.of(class).limit;
        let told = limit.told(answer);
        limit.gate.close(told);
        if whose == Whose::Either {
            self.doubtful.close(told);
        }
        // A pause that is over already is none.
        let until = limit.closed_until().unwrap_or_else(|| limit.now());
        Trouble::KindThrottled { until }
    }

    fn of(&self, class: Class) -> &OfClass {
        self.classes.get(&class).expect("every class has its limit")
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        // What is written under it are single values.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfClass {
    fn new(class: Class, deps: &Deps) -> OfClass {
        let Bounds { burst, per_second } =
            Shown::default().bounds(class).expect("assumed before it is known");
        OfClass {
            limit: Limit::new(class.name(), per_second, burst, deps),
            under_way: Arc::default(),
            bounded: AtomicBool::new(false),
        }
    }

    /// Goes by these bounds from now on; says whether there are any.
    fn keep_to(&self, bounds: Option<Bounds>) -> bool {
        if let Some(Bounds { burst, per_second }) = bounds {
            self.limit.budget.fit(per_second, burst);
        }
        let was_bounded = self.bounded.swap(bounds.is_some(), Ordering::Relaxed);
        if was_bounded && bounds.is_none() {
            self.limit.budget.retire();
        }
        bounds.is_some()
    }
}
