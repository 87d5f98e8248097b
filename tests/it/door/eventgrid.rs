//! Graph's events by Event Grid: the handshake of CloudEvents, single events and batches, and who may send them.

use serde_json::{Value, json};

use super::graph::{user_changed, with};
use super::samples::read;
use super::world::{
    CLIENT_STATE, GRID_SECRET, GROUP, Gate, OTHER_CLIENT_STATE, OTHER_GRID_SECRET, TENANT, USER, World,
    settings,
};

const PATH: &str = "/webhooks/eventgrid";
/// Of a single event, and of a batch.
const SINGLE: &str = "application/cloudevents+json; charset=utf-8";
const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";
/// .NET ticks, as in captures: too large for a float to keep.
const SEQUENCE_NUMBER: i64 = 637_628_640_120_385_565;

/// The route with a secret, which is encoded as in a URL.
pub fn path(secret: &str) -> String {
    let url = reqwest::Url::parse_with_params("http://localhost", [("secret", secret)]).unwrap();
    format!("{PATH}?{}", url.query().unwrap())
}

pub fn event(data: Value) -> Value {
    json!({
        "id": "0000aaaa-11bb-cccc-dd22-eeeeee333333",
        "type": "Microsoft.Graph.UserUpdated",
        "source": format!("/tenants/{TENANT}/applications/8e460676-ae3f-4b1e-8790-ee0fb5d6148f"),
        "subject": format!("Users/{USER}"),
        "time": "2026-07-18T15:59:58Z",
        "datacontenttype": "application/json",
        "specversion": "1.0",
        "data": data,
    })
}

async fn post(world: &World, path: &str, kind: &str, body: String) -> u16 {
    let request = world.http.post(world.url(path)).header("content-type", kind);
    request.body(body).send().await.unwrap().status().as_u16()
}

async fn send(world: &World, body: &Value) -> u16 {
    let kind = if body.is_array() { BATCH } else { SINGLE };
    post(world, &path(GRID_SECRET), kind, body.to_string()).await
}

async fn shake_hands(world: &World, path: &str, origins: &[&[u8]]) -> reqwest::Response {
    let mut request = world.http.request(http::Method::OPTIONS, world.url(path));
    for origin in origins {
        request = request.header("webhook-request-origin", *origin);
    }
    request.header("webhook-request-rate", "120").send().await.unwrap()
}

#[tokio::test]
async fn whoever_knows_the_secret_is_told_that_we_expect_deliveries() {
    let world = World::start().await;
    let origin = match read("graph/eventgrid-cloudevents-handshake.json") {
        Some(sample) => sample["request"]["headers"]["WebHook-Request-Origin"].as_str().unwrap().to_owned(),
        None => "eventemitter.example.com".to_owned(),
    };
    for origin in [&origin, "eventgrid.azure.net", "EventGrid.Azure.Net:443", "https://eventgrid.azure.net"] {
        for secret in [GRID_SECRET, OTHER_GRID_SECRET] {
            let answer = shake_hands(&world, &path(secret), &[origin.as_bytes()]).await;
            assert_eq!(answer.status(), 200, "{origin}");
            assert_eq!(answer.headers()["webhook-allowed-origin"], *origin);
            assert_eq!(answer.headers()["allow"], "POST");
            assert!(
                answer.headers()["webhook-allowed-rate"].to_str().unwrap().parse::<u32>().unwrap() >= 120
            );
            assert_eq!(answer.text().await.unwrap(), "");
        }
    }
    assert_eq!(world.counted("graph", "handshake"), 8);
}

#[tokio::test]
async fn a_stranger_learns_nothing_by_asking_for_the_handshake() {
    let world = World::start().await;
    for wrong in [PATH.to_owned(), format!("{PATH}?secret="), path("guess"), path(CLIENT_STATE)] {
        let answer = shake_hands(&world, &wrong, &[b"eventgrid.azure.net"]).await;
        assert_eq!(answer.status(), 401, "{wrong}");
        assert!(
            !answer.headers().contains_key("webhook-allowed-origin"),
            "consent is given by the header alone"
        );
    }
    assert_eq!(world.counted("graph", "handshake"), 0);
    assert_eq!((world.counted("graph", "unsigned"), world.counted("graph", "wrong_secret")), (1, 3));
}

#[tokio::test]
async fn an_origin_that_is_none_is_not_echoed() {
    let world = World::start().await;
    let long = "a".repeat(254);
    let odd: &[&[&[u8]]] = &[
        &[],
        &[b""],
        &[b"two words"],
        &[b"a\tb"],
        &[b"*"],
        &[b"*.azure.net"],
        &["münchen.example".as_bytes()],
        &[b"\xff\xfe"],
        &[b"<script>"],
        &[b"a.example", b"b.example"],
        &[long.as_bytes()],
    ];
    for origins in odd {
        let answer = shake_hands(&world, &path(GRID_SECRET), origins).await;
        assert_eq!(answer.status(), 400, "{origins:?}");
        assert!(!answer.headers().contains_key("webhook-allowed-origin"), "{origins:?}");
    }
    assert_eq!(world.counted("graph", "bad_handshake"), odd.len() as u64);
    let longest = shake_hands(&world, &path(GRID_SECRET), &[&long.as_bytes()[1..]]).await;
    assert_eq!(longest.status(), 200);
}

#[tokio::test]
async fn the_route_takes_two_methods_and_is_not_there_without_its_secret() {
    let world = World::start().await;
    let answer = world.http.get(world.url(&path(GRID_SECRET))).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    for (grid, states) in [(vec![], vec![CLIENT_STATE.into()]), (vec![GRID_SECRET.into()], vec![])] {
        let mut closed = settings();
        (closed.event_grid_secrets, closed.graph_client_states) = (grid, states);
        let world = World::with(closed).await;
        assert_eq!(shake_hands(&world, &path(GRID_SECRET), &[b"eventgrid.azure.net"]).await.status(), 404);
        assert_eq!(send(&world, &event(user_changed())).await, 404);
    }
}

#[tokio::test]
async fn every_event_of_the_samples_becomes_its_look() {
    let world = World::start().await;
    let at = "at 2022-05-24T22:24:31.3062901Z";
    let samples = [
        ("user-updated", format!("graph person {USER}: user_updated {at}")),
        ("user-deleted", format!("graph person {USER}: user_deleted {at}")),
        ("group-updated", format!("graph group {GROUP}: group_updated {at}")),
        ("group-deleted", format!("graph group {GROUP}: group_deleted {at}")),
    ];
    let mut batch = Vec::new();
    for (name, told) in &samples {
        let Some(sample) = read(&format!("graph/eventgrid-cloudevent-{name}.json")) else { return };
        assert_eq!(send(&world, &sample).await, 202, "{name}");
        assert_eq!(world.told().await, [told.as_str()], "{name}");
        batch.push(sample);
    }
    assert_eq!(send(&world, &batch.into()).await, 202);
    let mut told = world.told().await;
    told.sort();
    let mut expected = samples.map(|(_, told)| told);
    expected.sort();
    assert_eq!(told, expected);
}

/// The other schema proves itself by an answer in the body, which a partner topic of Graph never asks for.
#[tokio::test]
async fn the_handshake_of_the_older_schema_is_not_taken_for_an_event() {
    let world = World::start().await;
    let Some(sample) = read("graph/eventgrid-subscription-validation-event.json") else { return };
    assert_eq!(post(&world, &path(GRID_SECRET), "application/json", sample.to_string()).await, 401);
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn a_sequence_number_may_be_text_or_a_bare_integer() {
    let world = World::start().await;
    for number in [json!(SEQUENCE_NUMBER.to_string()), json!(SEQUENCE_NUMBER), json!(null), json!({ "a": 1 })]
    {
        let mut data = user_changed();
        data["resourceData"]["sequenceNumber"] = number;
        assert_eq!(send(&world, &event(data)).await, 202);
        assert_eq!(world.told().await, [format!("graph person {USER}: user_updated")]);
    }
}

#[tokio::test]
async fn what_graph_says_of_its_subscription_comes_this_way_too() {
    let world = World::start().await;
    let data = json!({ "subscriptionId": USER, "tenantId": TENANT, "clientState": CLIENT_STATE,
        "lifecycleEvent": "missed" });
    assert_eq!(send(&world, &event(data)).await, 202);
    assert_eq!(world.told().await, [format!("graph tenant {TENANT}: subscription_lifecycle Missed")]);
}

#[tokio::test]
async fn either_secret_and_either_client_state_open_while_they_are_rotated() {
    let world = World::start().await;
    for secret in [GRID_SECRET, OTHER_GRID_SECRET] {
        for state in [CLIENT_STATE, OTHER_CLIENT_STATE] {
            let body = event(with(user_changed(), "clientState", json!(state))).to_string();
            assert_eq!(post(&world, &path(secret), SINGLE, body).await, 202);
        }
    }
    assert_eq!(world.events().await.len(), 4);
}

#[tokio::test]
async fn without_the_secret_nobody_is_heard() {
    let world = World::start().await;
    let body = || event(user_changed()).to_string();
    let twice = format!("{}&secret=x", path(GRID_SECRET));
    for wrong in [PATH, "/webhooks/eventgrid?secret=", "/webhooks/eventgrid?Secret=x", &path("guess"), &twice]
    {
        assert_eq!(post(&world, wrong, SINGLE, body()).await, 401, "{wrong}");
    }
    assert_eq!(post(&world, PATH, "text/plain", "x".into()).await, 401, "authenticity comes first");
    assert!(world.events().await.is_empty());
    assert_eq!((world.counted("graph", "unsigned"), world.counted("graph", "wrong_secret")), (4, 2));
}

/// The secret of the URL is known to whoever may read the event subscription in Azure; the client state is not.
#[tokio::test]
async fn the_secret_alone_does_not_make_an_event_authentic() {
    let world = World::start().await;
    let forged = event(with(user_changed(), "clientState", json!("guessed")));
    let stateless = event(with(user_changed(), "clientState", json!(null)));
    let foreign = event(with(user_changed(), "tenantId", json!(GROUP)));
    for body in [forged.clone(), stateless, foreign.clone(), json!([forged, foreign])] {
        assert_eq!(send(&world, &body).await, 401, "{body}");
    }
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("graph", "not_authentic"), 4);
    assert_eq!(
        (world.counted("graph", "wrong_client_state"), world.counted("graph", "wrong_tenant")),
        (3, 2)
    );
}

#[tokio::test]
async fn one_bad_event_of_a_batch_never_costs_the_good_ones() {
    let world = World::start().await;
    let mut without_data = event(json!({}));
    without_data.as_object_mut().unwrap().remove("data");
    let batch = json!([
        event(with(user_changed(), "clientState", json!("guessed"))),
        event(with(user_changed(), "tenantId", json!(GROUP))),
        event(with(user_changed(), "resourceData", json!({ "@odata.type": "#Microsoft.Graph.Message" }))),
        event(json!("a text")),
        event(json!(null)),
        without_data,
        json!("no event"),
        event(user_changed()),
    ]);
    assert_eq!(send(&world, &batch).await, 202);
    assert_eq!(world.told().await, [format!("graph person {USER}: user_updated")]);
    for (outcome, times) in
        [("wrong_client_state", 1), ("wrong_tenant", 1), ("unhandled", 1), ("unreadable_item", 4)]
    {
        assert_eq!(world.counted("graph", outcome), times, "{outcome}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let world = World::start().await;
    let twice = format!(r#"{{"data":{},"data":1}}"#, user_changed());
    let own = user_changed().to_string();
    for body in ["", "{", "7", "[]", "[7]", "{}", r#"[{"data":]"#, "\u{0}", &twice, &own] {
        assert_eq!(post(&world, &path(GRID_SECRET), SINGLE, body.to_owned()).await, 400, "{body}");
    }
    assert_eq!(world.counted("graph", "unreadable"), 10);
    for (kind, status) in
        [("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/json", 202)]
    {
        assert_eq!(post(&world, &path(GRID_SECRET), kind, event(user_changed()).to_string()).await, status);
    }
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn too_much_too_many_and_too_deep_are_refused_before_anything_reads_them() {
    let world = World::start().await;
    let text = async |body: String| post(&world, &path(GRID_SECRET), BATCH, body).await;
    let large = event(with(user_changed(), "x", json!("x".repeat(1 << 20)))).to_string();
    assert_eq!(text(large).await, 413);
    assert_eq!(text(Value::from(vec![json!({}); 5001]).to_string()).await, 413);
    assert_eq!(text("[".repeat(500_000)).await, 400);
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert_eq!(text(format!(r#"{{"data":{}}}"#, deep)).await, 400);
    for (outcome, times) in [("too_large", 1), ("too_many_items", 1), ("too_deep", 2)] {
        assert_eq!(world.counted("graph", outcome), times, "{outcome}");
    }
    assert!(world.events().await.is_empty());
}

/// Event Grid never sends again what was refused with 413 (Azure Event Grid, Delivery and retry).
#[tokio::test]
async fn the_largest_batch_of_event_grid_is_taken_whole() {
    let world = World::start().await;
    // As short as an event can be, so that the largest number fits into the largest body.
    let data =
        json!({ "clientState": CLIENT_STATE, "tenantId": TENANT, "resource": format!("Users/{USER}") });
    let batch = Value::from(vec![json!({ "data": data }); 5000]).to_string();
    assert!(batch.len() <= 1 << 20, "{} bytes", batch.len());
    assert_eq!(post(&world, &path(GRID_SECRET), BATCH, batch).await, 202);
    assert_eq!(world.events().await.len(), 5000);
}

#[tokio::test]
async fn nobody_is_told_yes_before_the_event_is_durable() {
    let world = World::start().await;
    world.gate(Gate::Shut);
    let request = world.http.post(world.url(&path(GRID_SECRET))).header("content-type", SINGLE);
    let waiting = tokio::spawn(request.body(event(user_changed()).to_string()).send());
    world.enqueues(1).await;
    assert!(!waiting.is_finished(), "an answer came before the queue had the event");
    world.gate(Gate::Open);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 202);
    assert_eq!(world.events().await.len(), 1);
}

/// Event Grid comes again after 503, and never after 400, 401, 404 or 413 (Azure Event Grid, Delivery and retry).
#[tokio::test]
async fn a_queue_that_is_down_makes_event_grid_come_again() {
    let world = World::start().await;
    world.gate(Gate::Broken);
    assert_eq!(send(&world, &event(user_changed())).await, 503);
    assert_eq!(send(&world, &json!([event(user_changed()), event(user_changed())])).await, 503);
    assert_eq!(world.counted("graph", "queue_unavailable"), 2);
    world.gate(Gate::Open);
    assert!(world.events().await.is_empty());
    assert_eq!(send(&world, &event(user_changed())).await, 202);
    assert_eq!(world.events().await.len(), 1);
}
