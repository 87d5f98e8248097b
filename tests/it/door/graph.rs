//! Graph's change and lifecycle notifications, and its endpoint validation.

use serde_json::{Value, json};

use super::world::{CLIENT_STATE, GROUP, OTHER_CLIENT_STATE, TENANT, USER, World};

pub fn user_changed() -> Value {
    json!({
        "subscriptionId": "76222963-cc7b-42d2-882d-8aaa69cb2ba3",
        "subscriptionExpirationDateTime": "2026-08-02T11:00:00+00:00",
        "tenantId": TENANT,
        "clientState": CLIENT_STATE,
        "changeType": "updated",
        "resource": format!("Users/{USER}"),
        "resourceData": { "@odata.type": "#Microsoft.Graph.User", "@odata.id": format!("Users/{USER}"), "id": USER }
    })
}

pub fn with(mut item: Value, field: &str, value: Value) -> Value {
    item[field] = value;
    item
}

pub fn batch(items: &[Value]) -> String {
    json!({ "value": items }).to_string()
}

fn group_changed(members: Value) -> Value {
    let data = json!({ "@odata.type": "#Microsoft.Graph.Group", "id": GROUP, "members@delta": members });
    with(with(user_changed(), "resource", json!(format!("Groups/{GROUP}"))), "resourceData", data)
}

async fn handshake(world: &World, query: &str) -> (u16, String) {
    let url = world.url(&format!("/webhooks/graph?{query}"));
    let request = world.http.post(url).header("content-type", "text/plain; charset=utf-8");
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    if status == 200 {
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    (status, answer.text().await.unwrap())
}

#[tokio::test]
async fn graph_gets_its_validation_token_back_decoded_once() {
    let world = World::start().await;
    // As Graph sends it: form encoding, blanks as plus signs.
    let token =
        "Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+25460109-0e8b";
    let plain =
        "Validation: Testing client application reachability for subscription Request-Id: 25460109-0e8b";
    assert_eq!(handshake(&world, &format!("validationToken={token}")).await, (200, plain.into()));
    assert_eq!(
        handshake(&world, &format!("for=tenant-a&validationToken={token}")).await,
        (200, plain.into())
    );
    assert_eq!(
        handshake(&world, &format!("validationToken={token}&for=tenant-a")).await,
        (200, plain.into())
    );
    assert_eq!(handshake(&world, "validationToken=a%2Bb%20c%2525d%3D").await, (200, "a+b c%25d=".into()));
    assert_eq!(world.counted("graph", "handshake"), 4);
}

#[tokio::test]
async fn a_validation_token_that_a_browser_could_run_is_not_echoed() {
    let world = World::start().await;
    let long = "a".repeat(2049);
    for query in [
        "validationToken=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "validationToken=a%00b",
        "validationToken=a%0D%0Ab",
        "validationToken=%C3%A9",
        "validationToken=%ff",
        "validationToken=%4",
        "validationToken=",
        "validationToken=a&validationToken=b",
        &format!("validationToken={long}"),
    ] {
        let (status, body) = handshake(&world, query).await;
        assert_eq!(status, 400, "{query}");
        assert!(!body.contains("script") && !body.contains('\0'), "{query}");
    }
    assert_eq!(handshake(&world, &format!("validationToken={}", &long[..2048])).await.0, 200);
    assert_eq!(world.counted("graph", "bad_handshake"), 9);
}

#[tokio::test]
async fn a_notification_becomes_a_look_at_the_person_or_the_group() {
    let world = World::start().await;
    let deleted = with(user_changed(), "changeType", json!("deleted"));
    let created = with(user_changed(), "changeType", json!("created"));
    let group = group_changed(json!([
        { "id": USER },
        { "id": TENANT, "@removed": "deleted" },
        { "id": GROUP, "@removed": { "reason": "deleted" } }
    ]));
    let gone = with(group_changed(json!([])), "changeType", json!("deleted"));
    assert_eq!(world.graph(batch(&[user_changed(), deleted, created, group, gone])).await, 202);
    assert_eq!(
        world.told().await,
        [
            format!("graph person {USER}: user_deleted"),
            format!("graph person {USER}: user_updated"),
            format!("graph person {USER}: user_updated"),
            format!("graph group {GROUP}: group_updated {USER} {TENANT} {GROUP}"),
            format!("graph group {GROUP}: group_deleted"),
        ]
    );
}

#[tokio::test]
async fn a_group_whose_members_are_not_all_named_is_to_be_listed() {
    let world = World::start().await;
    let member = |n: u128| json!({ "id": uuid::Uuid::from_u128(n) });
    let many: Vec<Value> = (1..=201).map(member).collect();
    for members in [json!(null), json!([]), json!("x"), json!([{ "id": USER }, { "id": "bad" }]), json!(many)]
    {
        assert_eq!(world.graph(batch(&[group_changed(members)])).await, 202);
        assert_eq!(world.told().await, [format!("graph group {GROUP}: group_updated")]);
    }
}

#[tokio::test]
async fn either_client_state_opens_while_it_is_being_rotated() {
    let world = World::start().await;
    let other = with(user_changed(), "clientState", json!(OTHER_CLIENT_STATE));
    assert_eq!(world.graph(batch(&[other, user_changed()])).await, 202);
    assert_eq!(world.events().await.len(), 2);
}

#[tokio::test]
async fn one_forged_or_foreign_item_is_dropped_and_counted_and_the_good_one_counts() {
    let world = World::start().await;
    let items = [
        with(user_changed(), "clientState", json!("guessed")),
        with(user_changed(), "clientState", json!(null)),
        with(user_changed(), "tenantId", json!("bbbbcccc-1111-dddd-2222-eeee3333ffff")),
        with(user_changed(), "tenantId", json!("contoso.onmicrosoft.com")),
        json!("no notification"),
        user_changed(),
    ];
    assert_eq!(world.graph(batch(&items)).await, 202);
    assert_eq!(world.told().await, [format!("graph person {USER}: user_updated")]);
    assert_eq!(world.counted("graph", "wrong_client_state"), 2);
    assert_eq!(world.counted("graph", "wrong_tenant"), 2);
    assert_eq!(world.counted("graph", "unreadable_item"), 1);
}

#[tokio::test]
async fn a_request_in_which_no_item_is_authentic_is_refused() {
    let world = World::start().await;
    let forged = with(user_changed(), "clientState", json!("guessed"));
    let foreign = with(user_changed(), "tenantId", json!(GROUP));
    for body in
        [batch(std::slice::from_ref(&forged)), batch(&[forged, foreign]), batch(&[]), batch(&[json!(7)])]
    {
        assert_eq!(world.graph(body).await, 401);
    }
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("graph", "not_authentic"), 4);
    assert_eq!(world.counted("graph", "wrong_client_state"), 2);
}

#[tokio::test]
async fn kinds_that_we_do_not_handle_are_accepted_counted_and_dropped() {
    let world = World::start().await;
    let of_type =
        |name: &str| with(user_changed(), "resourceData", json!({ "@odata.type": name, "id": USER }));
    let items = [
        of_type("#Microsoft.Graph.Message"),
        of_type("#Microsoft.Graph.alert"),
        with(user_changed(), "encryptedContent", json!({ "data": "x" })),
        with(user_changed(), "lifecycleEvent", json!("somethingNew")),
        with(with(user_changed(), "resourceData", json!(null)), "resource", json!("security/alerts/1")),
    ];
    assert_eq!(world.graph(batch(&items)).await, 202);
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("graph", "unhandled"), 5);
}

#[tokio::test]
async fn a_validation_dummy_of_event_hubs_means_nothing() {
    let world = World::start().await;
    let dummy = json!({ "subscriptionId": "NA", "clientState": "NA", "changeType": "Validation: Testing client",
        "resource": "NA", "resourceData": { "@odata.type": "NA", "id": "NA" } });
    assert_eq!(world.graph(batch(&[dummy])).await, 202);
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("graph", "nothing_happened"), 1);
}

#[tokio::test]
async fn an_unknown_subscription_that_knows_our_secret_is_listened_to_and_counted() {
    let world = World::start().await;
    let unknown = with(user_changed(), "subscriptionId", json!("not-a-guid"));
    assert_eq!(world.graph(batch(&[unknown])).await, 202);
    assert_eq!(world.told().await, [format!("graph person {USER}: user_updated")]);
    assert_eq!(world.counted("graph", "unknown_subscription"), 1);
}

#[tokio::test]
async fn what_graph_says_about_time_is_kept_but_never_from_the_future() {
    let world = World::start().await;
    let at = |time: &str| {
        let data = json!({ "@odata.type": "#Microsoft.Graph.User", "id": USER, "eventTime": time });
        batch(&[with(user_changed(), "resourceData", data)])
    };
    for (time, told) in [
        ("2026-07-18T15:59:58.3062901Z", " at 2026-07-18T15:59:58.30629Z"),
        ("2099-01-01T00:00:00Z", " at 2026-07-18T16:00:00Z"),
        ("7/18/2026 2:03:03 PM", ""),
    ] {
        assert_eq!(world.graph(at(time)).await, 202);
        let [line] = &world.told().await[..] else { panic!("not one event") };
        // The queue keeps microseconds at least.
        assert!(
            line.starts_with(&format!("graph person {USER}: user_updated{}", &told[..told.len().min(24)])),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_graph_body_that_cannot_be_read_is_refused() {
    let world = World::start().await;
    let in_order = format!("[{}]", batch(&[user_changed()]));
    for body in
        [&*in_order, "", "{", "[]", "7", r#"{"value":7}"#, r#"{"value":{}}"#, "{}", r#"{"value":[}"#, "\u{0}"]
    {
        assert_eq!(world.graph(body.to_owned()).await, 400, "{body}");
    }
    assert_eq!(world.counted("graph", "unreadable"), 10);
}
