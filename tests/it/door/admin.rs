//! The admin listener: health, metrics, and the API that operators' commands use.

use std::collections::BTreeMap;

use lockstep::case::{Case, CaseId, CaseState, Reason, Response};
use lockstep::event::{Event, EventId, ObjectId, Source, Subject, TenantId};
use lockstep::queue::Queue;
use lockstep::store::{DeadLetter, SaveCase, Store};
use serde_json::{Value, json};

use super::graph::{batch, user_changed};
use super::world::{GROUP, Gate, NOW, TENANT, USER, World};

struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn refused(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap())
    }
}

async fn ask(world: &World, method: &str, path: &str, body: Option<Value>) -> Answer {
    let request = world.http.request(method.parse().unwrap(), world.admin_url(&format!("/api/v1{path}")));
    let request = request.bearer_auth(&world.token);
    answer(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.unwrap();
    Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

fn subject() -> Subject {
    Subject { tenant: TenantId(TENANT.parse().unwrap()), object: ObjectId(USER.parse().unwrap()) }
}

async fn stored_case(world: &World, state: CaseState) -> Case {
    let now = NOW.parse().unwrap();
    let event = EventId::new();
    let case = Case {
        id: CaseId::opened_by(event),
        version: 1,
        subject: subject(),
        display_name: Some("Olivia Lack".into()),
        state,
        reason: Reason::Disabled,
        source: Source::Graph,
        response: Response::Contain,
        restraint: None,
        entra_sessions: None,
        look_alikes: None,
        accounts: BTreeMap::new(),
        open: Vec::new(),
        event,
        signal_at: None,
        received_at: now,
        opened_at: now,
        accepted_at: None,
        verified_at: None,
        released_at: None,
        causes: Vec::new(),
        released_because: None,
        released_as_of: None,
        released_by: None,
        escalated_at: None,
        renewed_at: None,
        deletion: None,
        verify_by: now,
        exposed_until: None,
    };
    let save = SaveCase { case: case.clone(), audit: Vec::new(), owed: Vec::new(), links: Vec::new() };
    world.store.save_case(save).await.unwrap();
    case
}

#[tokio::test]
async fn nobody_without_the_token_is_served() {
    let world = World::start().await;
    let url = world.admin_url("/api/v1/queue");
    for offered in [None, Some(""), Some("wrong"), Some(&world.token[..63]), Some(&"0".repeat(64))] {
        let request = world.http.get(&url);
        let request = match offered {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let refused = request.send().await.unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        assert_eq!(refused.status(), 401);
    }
    let basic = world.http.get(&url).basic_auth("lockstep", Some(&world.token));
    assert_eq!(answer(basic).await.refused(), (401, "token_required"));
    assert_eq!(answer(world.http.get(world.admin_url("/api/v1/nothing"))).await.status, 401);
    assert_eq!(ask(&world, "GET", "/nothing", None).await.refused(), (404, "not_found"));
    assert_eq!(ask(&world, "GET", "/queue", None).await.status, 200);
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_even_with_the_token() {
    let world = World::start().await;
    let as_host = async |host: &str| {
        let request = world.http.get(world.admin_url("/api/v1/queue")).bearer_auth(&world.token);
        answer(request.header("host", host)).await
    };
    for host in [
        "evil.example",
        "evil.example:8081",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
    ] {
        assert_eq!(as_host(host).await.refused(), (421, "wrong_host"), "{host}");
    }
    for host in ["localhost:8081", "LOCALHOST", "127.0.0.1", "127.1.2.3:9", "[::1]:8081"] {
        assert_eq!(as_host(host).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn an_operator_contains_a_person_by_the_same_path_as_an_alert() {
    let world = World::start().await;
    let body = json!({ "user": USER, "reason": "seen on the dark web", "by": "kim" });
    let answer = ask(&world, "POST", "/contain", Some(body)).await;
    assert_eq!(answer.status, 202);
    let events = world.events().await;
    assert_eq!(answer.body["event"], events[0].id.to_string());
    assert_eq!(
        super::world::tell(&events[0]),
        format!("operator person {USER}: contain_requested by kim: seen on the dark web at {NOW}")
    );
}

#[tokio::test]
async fn a_request_of_an_operator_says_who_and_why_and_nothing_else() {
    let world = World::start().await;
    for body in [
        json!({ "user": USER, "reason": "x" }),
        json!({ "user": USER, "reason": " ", "by": "kim" }),
        json!({ "user": USER, "reason": "x", "by": "\u{7}" }),
        json!({ "user": "olack@adatum.com", "reason": "x", "by": "kim" }),
        json!({ "user": USER, "reason": "x", "by": "kim", "force": true }),
        json!([]),
    ] {
        assert_eq!(ask(&world, "POST", "/contain", Some(body)).await.refused(), (400, "invalid_request"));
    }
    let post = || world.http.post(world.admin_url("/api/v1/contain")).bearer_auth(&world.token);
    assert_eq!(answer(post().body("user=x")).await.refused(), (415, "wrong_content_type"));
    let huge = post().header("content-type", "application/json").body(" ".repeat(65 * 1024));
    assert_eq!(answer(huge).await.refused(), (413, "too_large"));
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn an_operator_hears_when_nothing_could_be_stored() {
    let world = World::start().await;
    world.gate(Gate::Broken);
    let body = json!({ "user": USER, "reason": "x", "by": "kim" });
    assert_eq!(ask(&world, "POST", "/contain", Some(body)).await.refused(), (503, "not_stored"));
}

#[tokio::test]
async fn cases_are_listed_shown_and_released() {
    let world = World::start().await;
    let closed = stored_case(&world, CaseState::Released).await;
    let open = stored_case(&world, CaseState::Verified).await;
    let listed = async |query: &str| {
        let answer = ask(&world, "GET", &format!("/cases{query}"), None).await;
        assert_eq!(answer.status, 200);
        answer.body["cases"].as_array().unwrap().len()
    };
    assert_eq!(listed("").await, 2);
    assert_eq!(listed("?open=true").await, 1);
    assert_eq!(listed("?open=false&limit=1").await, 1);
    assert_eq!(ask(&world, "GET", "/cases?limit=many", None).await.refused(), (400, "invalid_request"));
    let shown = ask(&world, "GET", &format!("/cases/{}", open.id), None).await;
    assert_eq!((shown.status, &shown.body["state"]), (200, &json!("verified")));

    let because = || Some(json!({ "reason": "talked to her", "by": "kim" }));
    let release = async |case: &str| ask(&world, "POST", &format!("/cases/{case}/release"), because()).await;
    assert_eq!(release(&open.id.to_string()).await.status, 202);
    assert_eq!(
        world.told().await,
        [format!("operator person {USER}: release_requested {} by kim: talked to her at {NOW}", open.id)]
    );
    assert_eq!(release(&closed.id.to_string()).await.refused(), (409, "case_not_open"));
    for unknown in ["case_00000000000000000000000000000000", "nonsense"] {
        assert_eq!(release(unknown).await.refused(), (404, "case_unknown"));
        assert_eq!(
            ask(&world, "GET", &format!("/cases/{unknown}"), None).await.refused(),
            (404, "case_unknown")
        );
    }
    assert!(world.events().await.is_empty());
}

async fn buried(world: &World, envelope: Vec<u8>) -> EventId {
    let id = EventId::new();
    let letter = DeadLetter {
        id,
        lane: lockstep::event::Lane::Sync,
        envelope,
        reason: "Auth0 refused it".into(),
        attempts: 5,
        died_at: NOW.parse().unwrap(),
    };
    world.store.bury(letter).await.unwrap();
    id
}

async fn an_event(world: &World) -> Event {
    assert_eq!(world.graph(batch(&[user_changed()])).await, 202);
    world.events().await.remove(0)
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_replayed_with_a_name_in_the_audit() {
    let world = World::start().await;
    let event = an_event(&world).await;
    let id = buried(&world, event.to_envelope().unwrap()).await;
    let listed = ask(&world, "GET", "/dead", None).await.body;
    assert_eq!(listed["dead"][0]["event"], id.to_string());
    assert_eq!(listed["dead"][0]["reason"], "Auth0 refused it");
    let shown = ask(&world, "GET", &format!("/dead/{id}"), None).await.body;
    assert_eq!(shown["envelope"]["id"], event.id.to_string());

    let replay = format!("/dead/{id}/replay");
    let because = || Some(json!({ "by": "kim", "reason": "permission granted" }));
    assert_eq!(ask(&world, "POST", &replay, None).await.refused(), (415, "wrong_content_type"));
    world.gate(Gate::Broken);
    assert_eq!(ask(&world, "POST", &replay, because()).await.refused(), (503, "not_stored"));
    assert_eq!(
        ask(&world, "GET", &format!("/dead/{id}"), None).await.status,
        200,
        "the letter is still there"
    );
    world.gate(Gate::Open);
    assert_eq!(ask(&world, "POST", &replay, because()).await.status, 202);
    let replayed = Event { enqueued_at: Some(NOW.parse().unwrap()), ..event };
    assert_eq!(world.events().await, [replayed], "it waits anew, for the same reason");
    assert_eq!(ask(&world, "POST", &replay, because()).await.refused(), (404, "letter_unknown"));
    let records = world.store.records(0, 10).await.unwrap();
    let entry: Value = serde_json::from_slice(&records[0].entry).unwrap();
    assert_eq!(
        (&entry["what"], &entry["actor"]["operator"]),
        (&json!("dead_letter.replayed"), &json!("kim"))
    );
    assert_eq!(entry["sentence"], "dead letter replayed: permission granted");
}

#[tokio::test]
async fn a_letter_that_nobody_can_read_is_shown_and_dropped_but_not_replayed() {
    let world = World::start().await;
    let id = buried(&world, b"\xff not an event".to_vec()).await;
    let because = || Some(json!({ "by": "kim", "reason": "noise" }));
    let shown = ask(&world, "GET", &format!("/dead/{id}"), None).await;
    assert_eq!((shown.status, shown.body.get("envelope")), (200, None));
    let replayed = ask(&world, "POST", &format!("/dead/{id}/replay"), because()).await;
    assert_eq!(replayed.refused(), (409, "letter_unreadable"));
    assert_eq!(ask(&world, "DELETE", &format!("/dead/{id}"), because()).await.status, 204);
    assert_eq!(
        ask(&world, "DELETE", &format!("/dead/{id}"), because()).await.refused(),
        (404, "letter_unknown")
    );
    assert_eq!(ask(&world, "GET", "/dead/nonsense", None).await.refused(), (404, "letter_unknown"));
    assert_eq!(world.store.records(0, 10).await.unwrap().len(), 1);

    let event = an_event(&world).await;
    let id = buried(&world, event.to_envelope().unwrap()).await;
    let only_by = Some(json!({ "by": "kim" }));
    assert_eq!(
        ask(&world, "DELETE", &format!("/dead/{id}"), only_by.clone()).await.refused(),
        (400, "invalid_request")
    );
    assert_eq!(
        ask(&world, "POST", &format!("/dead/{id}/replay"), only_by).await.status,
        202,
        "a replay needs no reason"
    );
}

#[tokio::test]
async fn the_queue_tells_its_depth_per_lane() {
    let world = World::start().await;
    assert_eq!(world.graph(batch(&[user_changed(), user_changed()])).await, 202);
    let depth = ask(&world, "GET", "/queue", None).await.body;
    let events = ["contain", "sync", "bulk"].map(|lane| &depth[lane]["events"]);
    assert_eq!(events, [&json!(0), &json!(2), &json!(0)]);
    assert!(depth["sync"]["oldest"].is_string());
}

#[tokio::test]
async fn readiness_is_the_queue_and_the_store_and_liveness_is_neither() {
    let world = World::start().await;
    let get =
        async |path: &str| world.http.get(world.admin_url(path)).send().await.unwrap().status().as_u16();
    assert_eq!((get("/livez").await, get("/readyz").await), (200, 200));
    world.gate(Gate::Broken);
    assert_eq!((get("/livez").await, get("/readyz").await), (200, 503));
    world.gate(Gate::Open);
    assert_eq!(get("/readyz").await, 200);
    world.queue.close().await;
    assert_eq!((get("/livez").await, get("/readyz").await), (200, 503));
    assert_eq!(
        world.http.get(world.url("/livez")).send().await.unwrap().status(),
        404,
        "not on the public listener"
    );
}

#[tokio::test]
async fn metrics_show_the_queue_the_letters_and_the_cases_as_they_are() {
    let world = World::start().await;
    stored_case(&world, CaseState::Accepted).await;
    buried(&world, Vec::new()).await;
    assert_eq!(world.graph(batch(&[user_changed()])).await, 202);
    world.clock.advance(3);
    let answer = world.http.get(world.admin_url("/metrics")).send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text().await.unwrap();
    for line in [
        "lockstep_queue_depth{lane=\"sync\"} 1",
        "lockstep_queue_depth{lane=\"contain\"} 0",
        "lockstep_queue_depth{lane=\"bulk\"} 0",
        "lockstep_queue_oldest_seconds{lane=\"sync\"} 3.0",
        "lockstep_dead_letters{lane=\"sync\"} 1",
        "lockstep_dead_letters{lane=\"contain\"} 0",
        "lockstep_dead_letters{lane=\"bulk\"} 0",
        "lockstep_unverified_containments 1",
        "lockstep_events_total{source=\"graph\",kind=\"user_updated\",outcome=\"accepted\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains(USER) && !text.contains(GROUP));
}
