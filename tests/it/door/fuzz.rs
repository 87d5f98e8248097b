//! Anything at all, at every route: it never makes us panic, and what is not authentic is never stored.

use axum::Router;
use axum::body::Body;
use http::Request;
use lockstep::clock::Clock;
use lockstep::queue::Queue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::eventgrid::{self, event};
use super::graph::{batch, user_changed};
use super::risk::alert;
use super::signing::{SECRET, sign};
use super::world::{GRID_SECRET, GROUP, TENANT, USER, World};

const CASES: u32 = 400;

/// A door without sockets: the same router, asked directly.
struct Direct {
    world: World,
    router: Router,
    runtime: tokio::runtime::Runtime,
}

impl Direct {
    fn new() -> Direct {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = runtime.block_on(World::start());
        let deps = lockstep::ingest::Deps {
            queue: world.queue.clone(),
            replays: world.replays.clone(),
            clock: world.clock.clone(),
            metrics: world.metrics.clone(),
            connections_max: lockstep::server::connections_max(),
        };
        let router = lockstep::ingest::router(&world.settings, deps);
        Direct { world, router, runtime }
    }

    fn ask(&self, path: &str, headers: &[(&str, String)], body: Vec<u8>) -> u16 {
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let answer = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        answer.status().as_u16()
    }

    fn signed(&self, body: &[u8]) -> Vec<(&'static str, String)> {
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        let timestamp = self.world.clock.now().as_second().to_string();
        let signature = sign(SECRET, &id, &timestamp, body);
        vec![("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
    }

    fn stored(&self) -> u64 {
        let depths = self.runtime.block_on(self.world.queue.depths()).unwrap();
        depths.values().map(|depth| depth.events).sum()
    }
}

fn run<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, test).unwrap();
}

#[test]
fn bytes_of_a_stranger_are_refused_and_never_stored() {
    let direct = Direct::new();
    let header = "[ -~]{0,80}";
    run((any::<Vec<u8>>(), header, header, header), |(body, id, timestamp, signature)| {
        let headers =
            [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        prop_assert_eq!(direct.ask("/webhooks/risk", &headers, body.clone()), 401);
        let graph = direct.ask("/webhooks/graph", &headers, body.clone());
        prop_assert!(matches!(graph, 400 | 401), "{}", graph);
        prop_assert_eq!(direct.ask("/webhooks/azure-monitor?secret=x", &headers, body.clone()), 401);
        prop_assert_eq!(direct.ask("/webhooks/eventgrid?secret=x", &headers, body), 401);
        Ok(())
    });
    assert_eq!(direct.stored(), 0);
}

#[test]
fn a_valid_alert_changed_in_any_byte_is_not_authentic() {
    let direct = Direct::new();
    let original = alert().to_string().into_bytes();
    run((any::<prop::sample::Index>(), 1..=255u8), |(place, change)| {
        let mut body = original.clone();
        let at = place.index(body.len());
        body[at] ^= change;
        let headers = direct.signed(&original);
        prop_assert_eq!(direct.ask("/webhooks/risk", &headers, body), 401);
        Ok(())
    });
    assert_eq!(direct.stored(), 0);
}

#[test]
fn a_notification_with_a_changed_client_state_or_tenant_is_not_authentic() {
    let direct = Direct::new();
    run((prop::bool::ANY, "\\PC{0,130}"), |(is_state, text)| {
        let mut item = user_changed();
        item[if is_state { "clientState" } else { "tenantId" }] = json!(text);
        prop_assert_eq!(
            direct.ask("/webhooks/graph", &[], batch(std::slice::from_ref(&item)).into_bytes()),
            401
        );
        let grid = direct.ask(&eventgrid::path(GRID_SECRET), &[], event(item).to_string().into_bytes());
        prop_assert_eq!(grid, 401);
        Ok(())
    });
    assert_eq!(direct.stored(), 0);
}

#[test]
fn signed_nonsense_is_answered_and_never_makes_us_panic() {
    let direct = Direct::new();
    let monitor = "/webhooks/azure-monitor?secret=monitor%2Bsecret%2Fwith%3Dsigns";
    let grid = eventgrid::path(GRID_SECRET);
    run(shapes(), |value| {
        let body = value.to_string().into_bytes();
        for (path, headers) in [
            ("/webhooks/risk", direct.signed(&body)),
            ("/webhooks/graph", vec![]),
            (monitor, vec![]),
            (&grid, vec![]),
        ] {
            let status = direct.ask(path, &headers, body.clone());
            prop_assert!(matches!(status, 202 | 400 | 401 | 413), "{} answered {}", path, status);
        }
        Ok(())
    });
}

#[test]
fn signed_bytes_are_answered_and_never_make_us_panic() {
    let direct = Direct::new();
    run(any::<Vec<u8>>(), |body| {
        let headers = direct.signed(&body);
        let status = direct.ask("/webhooks/risk", &headers, body);
        prop_assert!(matches!(status, 202 | 400), "{}", status);
        Ok(())
    });
}

#[test]
fn bytes_that_come_with_the_secret_of_event_grid_are_answered_and_never_make_us_panic() {
    let direct = Direct::new();
    let grid = eventgrid::path(GRID_SECRET);
    run((any::<Vec<u8>>(), any::<prop::sample::Index>()), |(bytes, place)| {
        let status = direct.ask(&grid, &[], bytes.clone());
        prop_assert!(matches!(status, 400 | 401), "{}", status);
        let mut body = event(user_changed()).to_string().into_bytes();
        let at = place.index(body.len());
        body.splice(at..at, bytes);
        let status = direct.ask(&grid, &[], body);
        prop_assert!(matches!(status, 202 | 400 | 401), "{}", status);
        Ok(())
    });
}

/// JSON made of the words that our parsers know, in places where they do not expect them.
fn shapes() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        USER,
        TENANT,
        GROUP,
        "high",
        "none",
        "atRisk",
        "resolved",
        "updated",
        "deleted",
        "missed",
        "Log",
        "Fired",
        "#microsoft.graph.riskyUser",
        "#Microsoft.Graph.User",
        "#microsoft.graph.security.userEvidence",
        "azureMonitorCommonAlertSchema",
        "9f6c1e0a-secret-client-state",
        "2026-07-18T15:00:00Z",
        "UserId",
        "RiskyUsers",
        "",
        "\u{0}",
        "é",
    ]);
    let names = prop::sample::select(vec![
        "value",
        "records",
        "data",
        "properties",
        "evidence",
        "userAccount",
        "azureAdUserId",
        "userId",
        "id",
        "level",
        "riskLevel",
        "riskState",
        "tenantId",
        "@odata.type",
        "severity",
        "status",
        "category",
        "clientState",
        "changeType",
        "lifecycleEvent",
        "resource",
        "resourceData",
        "members@delta",
        "subscriptionId",
        "schemaId",
        "essentials",
        "signalType",
        "monitorCondition",
        "alertContext",
        "condition",
        "allOf",
        "dimensions",
        "event",
        "name",
        "riskLastUpdatedDateTime",
        "detectedAt",
    ]);
    let leaf = prop_oneof![
        4 => words.prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 8, move |inner| {
        prop_oneof![
            2 => prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner.clone(), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            1 => prop::collection::vec(inner, 0..6).prop_map(Value::from),
        ]
    })
}
