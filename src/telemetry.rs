//! The one list of metrics, and logging set-up.
//!
//! Every label comes from a bounded set: never a user id, an e-mail or a vendor's free text.
//! [`Metrics`] is shared by all parts of one process and may be used from many tasks at once.

pub mod logging;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::clock::{self, Timestamp};

/// From a millisecond (an idle reaction) to ten minutes (Auth0 was down).
const CONTAINMENT_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

type Words = &'static str;
type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HopLabel {
    hop: Words,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    source: Words,
    kind: Words,
    outcome: Words,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: Words,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    vendor: Words,
    operation: Words,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLabels {
    vendor: Words,
    class: Words,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabel {
    resource: Words,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabel {
    name: Words,
}

/// A step of a containment whose time is measured, each from the step before it; `Total` from signal to verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    SignalToReceived,
    ReceivedToActed,
    ActedToVerified,
    Total,
}

impl Hop {
    fn word(self) -> Words {
        match self {
            Hop::SignalToReceived => "signal_to_received",
            Hop::ReceivedToActed => "received_to_acted",
            Hop::ActedToVerified => "acted_to_verified",
            Hop::Total => "total",
        }
    }
}

/// Every metric Lockstep has.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    containment_seconds: Family<HopLabel, Histogram, fn() -> Histogram>,
    events: Family<EventLabels, Counter>,
    queue_depth: Family<LaneLabel, Gauge>,
    queue_oldest_seconds: Family<LaneLabel, FloatGauge>,
    dead_letters: Family<LaneLabel, Gauge>,
    vendor_requests: Family<RequestLabels, Counter>,
    vendor_budget_remaining: Family<BudgetLabels, FloatGauge>,
    subscription_expiry_seconds: Family<ResourceLabel, Gauge>,
    credential_expiry_seconds: Family<NameLabel, Gauge>,
    unverified_containments: Gauge,
    brake_held: Gauge,
    policy_refused: Gauge,
    audit_lag_seconds: FloatGauge,
    audit_waits_since: Mutex<Option<Timestamp>>,
    subscriptions_expire: Mutex<BTreeMap<Words, Timestamp>>,
}

impl Metrics {
    pub fn new() -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("lockstep");
        let metrics = Metrics {
            containment_seconds: Family::new_with_constructor(containment_histogram),
            events: Family::default(),
            queue_depth: Family::default(),
            queue_oldest_seconds: Family::default(),
            dead_letters: Family::default(),
            vendor_requests: Family::default(),
            vendor_budget_remaining: Family::default(),
            subscription_expiry_seconds: Family::default(),
            credential_expiry_seconds: Family::default(),
            unverified_containments: Gauge::default(),
            brake_held: Gauge::default(),
            policy_refused: Gauge::default(),
            audit_lag_seconds: FloatGauge::default(),
            audit_waits_since: Mutex::default(),
            subscriptions_expire: Mutex::default(),
            registry: Registry::default(),
        };
        let m = &metrics;
        registry.register(
            "containment_seconds",
            "Time of each step of a containment",
            m.containment_seconds.clone(),
        );
        registry.register("events", "Events by source, kind and what became of them", m.events.clone());
        registry.register("queue_depth", "Events waiting, leased or delayed", m.queue_depth.clone());
        registry.register(
            "queue_oldest_seconds",
            "Age of the oldest waiting event",
            m.queue_oldest_seconds.clone(),
        );
        registry.register("dead_letters", "Events given up on, waiting for a person", m.dead_letters.clone());
        registry.register("vendor_requests", "Requests to Graph, Auth0 and Slack", m.vendor_requests.clone());
        registry.register(
            "vendor_budget_remaining_ratio",
            "Share of the request budget that is left, by class",
            m.vendor_budget_remaining.clone(),
        );
        registry.register(
            "subscription_expiry_seconds",
            "Time until a Graph subscription expires, 0 where none stands",
            m.subscription_expiry_seconds.clone(),
        );
        registry.register(
            "credential_expiry_seconds",
            "Time until a credential of ours expires, negative when it has",
            m.credential_expiry_seconds.clone(),
        );
        registry.register(
            "unverified_containments",
            "Open cases that are not proven yet",
            m.unverified_containments.clone(),
        );
        registry.register("brake_held", "1 while the contain brake is on", m.brake_held.clone());
        registry.register(
            "policy_refused",
            "1 while the policy file has mistakes and an older policy holds",
            m.policy_refused.clone(),
        );
        registry.register(
            "audit_lag_seconds",
            "How long the oldest containment has waited to be put on record",
            m.audit_lag_seconds.clone(),
        );
        Arc::new(Metrics { registry, ..metrics })
    }

    /// The text that `/metrics` answers with (OpenMetrics).
    pub fn render(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a String cannot fail");
        out
    }

    pub fn containment(&self, hop: Hop, took: std::time::Duration) {
        self.containment_seconds.get_or_create(&HopLabel { hop: hop.word() }).observe(took.as_secs_f64());
    }

    /// `source` and `kind` are the words of [`crate::event`], or `none` where a request did not get that far.
    pub fn event(&self, source: &'static str, kind: &'static str, outcome: &'static str) {
        self.events.get_or_create(&EventLabels { source, kind, outcome }).inc();
    }

    pub fn queue(&self, lane: &'static str, depth: u64, oldest_seconds: f64) {
        let label = LaneLabel { lane };
        self.queue_depth.get_or_create(&label).set(depth.try_into().unwrap_or(i64::MAX));
        self.queue_oldest_seconds.get_or_create(&label).set(oldest_seconds);
    }

    pub fn dead_letters(&self, lane: &'static str, count: u64) {
        self.dead_letters.get_or_create(&LaneLabel { lane }).set(count.try_into().unwrap_or(i64::MAX));
    }

    /// `operation` is our own short word (`user.patch`), `status` an HTTP status or `none` when no answer came.
    pub fn vendor_request(&self, vendor: &'static str, operation: &'static str, status: Option<u16>) {
        let status = status.map_or_else(|| "none".to_owned(), |s| s.to_string());
        self.vendor_requests.get_or_create(&RequestLabels { vendor, operation, status }).inc();
    }

    pub fn vendor_budget(&self, vendor: &'static str, class: &'static str, remaining_ratio: f64) {
        self.vendor_budget_remaining.get_or_create(&BudgetLabels { vendor, class }).set(remaining_ratio);
    }

    /// A limit that turned out not to be there has no share left of it either.
    pub fn vendor_budget_gone(&self, vendor: &'static str, class: &'static str) {
        self.vendor_budget_remaining.remove(&BudgetLabels { vendor, class });
    }

    /// When the subscription to `resource` (`users` or `groups`) ends, or has ended.
    pub fn subscription_expires(&self, resource: &'static str, at: Timestamp) {
        lock(&self.subscriptions_expire).insert(resource, at);
    }

    /// Another process keeps the subscriptions: what is known of them here is not true for long.
    pub fn forget_subscriptions(&self) {
        lock(&self.subscriptions_expire).clear();
        self.subscription_expiry_seconds.clear();
    }

    /// `name` is our own word for the credential; `left_seconds` is negative when it has expired.
    pub fn credential_expiry(&self, name: &'static str, left_seconds: i64) {
        self.credential_expiry_seconds.get_or_create(&NameLabel { name }).set(left_seconds);
    }

    pub fn unverified_containments(&self, count: u64) {
        self.unverified_containments.set(count.try_into().unwrap_or(i64::MAX));
    }

    pub fn policy_refused(&self, refused: u32) {
        self.policy_refused.set(i64::from(refused));
    }

    /// Since when the oldest containment waits to be put on record; `None` when every one is.
    pub fn audit_waits_since(&self, oldest: Option<Timestamp>) {
        *lock(&self.audit_waits_since) = oldest;
    }

    /// Brings what changes by itself up to date, before it is shown.
    pub fn measure(&self, now: Timestamp) {
        let since = *lock(&self.audit_waits_since);
        self.audit_lag_seconds.set(since.map_or(0.0, |since| clock::elapsed(since, now).as_secs_f64()));
        for (&resource, &at) in &*lock(&self.subscriptions_expire) {
            let seconds = i64::try_from(clock::elapsed(now, at).as_secs()).unwrap_or(i64::MAX);
            self.subscription_expiry_seconds.get_or_create(&ResourceLabel { resource }).set(seconds);
        }
    }

    pub fn brake_held(&self, held: u32) {
        self.brake_held.set(i64::from(held));
    }
}

/// What is behind it is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn containment_histogram() -> Histogram {
    Histogram::new(CONTAINMENT_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_operations_guide() {
        let metrics = Metrics::new();
        metrics.containment(Hop::Total, std::time::Duration::from_millis(3));
        metrics.event("risk", "risk_reported", "accepted");
        metrics.queue("contain", 2, 0.5);
        metrics.dead_letters("sync", 1);
        metrics.vendor_request("auth0", "user.patch", Some(200));
        metrics.vendor_budget("auth0", "contain", 0.9);
        metrics.audit_waits_since(Some(Timestamp::UNIX_EPOCH));
        metrics.measure(clock::after(Timestamp::UNIX_EPOCH, std::time::Duration::from_millis(1500)));
        let text = metrics.render();
        for line in [
            "lockstep_containment_seconds_count{hop=\"total\"} 1",
            "lockstep_events_total{source=\"risk\",kind=\"risk_reported\",outcome=\"accepted\"} 1",
            "lockstep_queue_depth{lane=\"contain\"} 2",
            "lockstep_queue_oldest_seconds{lane=\"contain\"} 0.5",
            "lockstep_dead_letters{lane=\"sync\"} 1",
            "lockstep_vendor_requests_total{vendor=\"auth0\",operation=\"user.patch\",status=\"200\"} 1",
            "lockstep_vendor_budget_remaining_ratio{vendor=\"auth0\",class=\"contain\"} 0.9",
            "lockstep_audit_lag_seconds 1.5",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn what_is_left_of_a_subscription_falls_by_itself_until_nothing_is() {
        let metrics = Metrics::new();
        let hours =
            |hours: u64| clock::after(Timestamp::UNIX_EPOCH, std::time::Duration::from_secs(hours * 3600));
        metrics.subscription_expires("users", hours(72));
        for (at, left) in [(0, 259_200), (25, 169_200), (73, 0)] {
            metrics.measure(hours(at));
            let line = format!("lockstep_subscription_expiry_seconds{{resource=\"users\"}} {left}\n");
            assert!(metrics.render().contains(&line), "{line} is missing in\n{}", metrics.render());
        }
        metrics.forget_subscriptions();
        metrics.measure(hours(74));
        assert!(!metrics.render().contains("resource=\"users\""));
    }
}
