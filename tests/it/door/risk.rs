//! Signed risk alerts: who may send them, and what they may look like.

use serde_json::{Value, json};

use super::samples;
use super::signing::{OLD_SECRET, SECRET, sign};
use super::world::{GROUP, TENANT, USER, World, settings};

/// The alert of `docs/webhooks.md`.
pub fn alert() -> Value {
    json!({ "tenantId": TENANT, "userId": USER, "level": "high", "state": "atRisk",
        "detection": "leakedCredentials", "detectedAt": "2026-07-18T15:59:00Z" })
}

fn told(detail: &str) -> String {
    format!("risk person {USER}: risk_reported {detail}")
}

#[tokio::test]
async fn a_signed_alert_becomes_durable_evidence() {
    let world = World::start().await;
    assert_eq!(world.alert(&alert().to_string()).await, 202);
    assert_eq!(world.told().await, [told("high, at risk, leakedCredentials at 2026-07-18T15:59:00Z")]);
    let accepted = "lockstep_events_total{source=\"risk\",kind=\"risk_reported\",outcome=\"accepted\"}";
    assert_eq!(world.metric(accepted), 1);
}

#[tokio::test]
async fn the_smallest_alert_names_a_user_and_a_level() {
    let world = World::start().await;
    assert_eq!(world.alert(&json!({ "userId": USER, "level": "Medium" }).to_string()).await, 202);
    assert_eq!(world.alert(&json!({ "userId": USER, "state": "dismissed" }).to_string()).await, 202);
    assert_eq!(world.alert(&json!({ "userId": USER, "level": "none" }).to_string()).await, 202);
    assert_eq!(world.alert(&json!({ "userId": USER, "level": "volcanic" }).to_string()).await, 202);
    assert_eq!(
        world.told().await,
        [
            told("medium, at risk, -"),
            told("unknown, dismissed, -"),
            told("none, none, -"),
            told("unknown, at risk, -")
        ]
    );
}

#[tokio::test]
async fn every_vector_of_standard_webhooks_is_judged_as_it_should_be() {
    let Some(vectors) = samples::read("notify/standard-webhooks-vectors.json") else { return };
    for case in vectors["cases"].as_array().unwrap() {
        let mut settings = settings();
        settings.risk_secrets = case["secrets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|secret| secret.as_str().unwrap().into())
            .collect();
        let now = jiff::Timestamp::from_second(case["now"].as_i64().unwrap()).unwrap();
        let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
        let world = World::at(&now.to_string(), settings, dir).await;
        let mut request =
            world.http.post(world.url("/webhooks/risk")).header("content-type", "application/json");
        for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            if let Some(value) = case[header].as_str() {
                request = request.header(header, value);
            }
        }
        let status = request.body(case["body"].as_str().unwrap().to_owned()).send().await.unwrap().status();
        // The body of the vectors is no alert: authentic ones are accepted and dropped.
        let expected = if case["valid"].as_bool().unwrap() { 202 } else { 401 };
        assert_eq!(status.as_u16(), expected, "{}", case["name"]);
        assert!(world.events().await.is_empty());
    }
}

#[tokio::test]
async fn an_alert_without_proof_is_refused_whatever_is_wrong_with_it() {
    let world = World::start().await;
    let body = alert().to_string();
    let now = lockstep::clock::Clock::now(&*world.clock).as_second();
    let good = |id: &str, at: i64| sign(SECRET, id, &at.to_string(), body.as_bytes());
    let cases = [
        ("nothing", None, None, None),
        ("no id", None, Some(now.to_string()), Some(good("msg_1", now))),
        ("no time", Some("msg_1"), None, Some(good("msg_1", now))),
        ("no signature", Some("msg_1"), Some(now.to_string()), None),
        ("empty signature", Some("msg_1"), Some(now.to_string()), Some(String::new())),
        ("another id", Some("msg_2"), Some(now.to_string()), Some(good("msg_1", now))),
        ("another time", Some("msg_1"), Some((now - 1).to_string()), Some(good("msg_1", now))),
        ("301 s old", Some("msg_1"), Some((now - 301).to_string()), Some(good("msg_1", now - 301))),
        ("301 s ahead", Some("msg_1"), Some((now + 301).to_string()), Some(good("msg_1", now + 301))),
        ("a time that is none", Some("msg_1"), Some("soon".into()), Some(good("msg_1", now))),
        (
            "a signed time",
            Some("msg_1"),
            Some(format!("+{now}")),
            Some(sign(SECRET, "msg_1", &format!("+{now}"), body.as_bytes())),
        ),
        ("a dot in the id", Some("msg.1"), Some(now.to_string()), Some(good("msg.1", now))),
    ];
    for (name, id, timestamp, signature) in cases {
        let mut request =
            world.http.post(world.url("/webhooks/risk")).header("content-type", "application/json");
        for (header, value) in [
            ("webhook-id", id.map(str::to_owned)),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ] {
            if let Some(value) = value {
                request = request.header(header, value);
            }
        }
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{name}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(problem["code"], "not_authentic", "{name}");
    }
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("risk", "expired"), 2);
    assert_eq!(world.counted("risk", "bad_signature"), 3);
    assert_eq!(world.counted("risk", "unsigned"), 7);
}

#[tokio::test]
async fn the_edge_of_the_tolerance_is_inside() {
    let world = World::start().await;
    let body = alert().to_string();
    let now = lockstep::clock::Clock::now(&*world.clock).as_second();
    for (id, at) in [("msg_early", now + 300), ("msg_late", now - 300)] {
        let at = at.to_string();
        let request = world.http.post(world.url("/webhooks/risk")).header("content-type", "application/json");
        let request = request
            .header("webhook-id", id)
            .header("webhook-signature", sign(OLD_SECRET, id, &at, body.as_bytes()));
        assert_eq!(
            request.header("webhook-timestamp", at).body(body.clone()).send().await.unwrap().status(),
            202
        );
    }
    assert_eq!(world.events().await.len(), 2);
}

#[tokio::test]
async fn any_mixture_of_shapes_in_lists_in_envelopes_is_read() {
    let world = World::start().await;
    let risky_user = json!({ "id": USER, "riskLevel": "high", "riskState": "confirmedCompromised",
        "riskLastUpdatedDateTime": "2026-07-18T15:01:38.240Z" });
    let detection = json!({ "@odata.type": "#microsoft.graph.riskDetection", "id": "a3f5", "userId": USER,
        "riskLevel": "low", "riskState": "atRisk", "riskEventType": "anonymizedIPAddress",
        "detectedDateTime": "2026-07-18T13:00:00Z", "lastUpdatedDateTime": "2026-07-18T14:00:00Z" });
    let records = json!({ "records": [
        { "time": "7/18/2026 2:03:03 PM", "category": "UserRiskEvents", "tenantId": TENANT, "properties": detection },
        { "time": "7/18/2026 2:03:03 PM", "category": "RiskyUsers", "tenantId": TENANT, "properties": risky_user },
        { "time": "7/18/2026 2:03:03 PM", "category": "RiskyServicePrincipals", "tenantId": TENANT, "properties": risky_user },
        { "time": "7/18/2026 2:03:03 PM", "category": "RiskyUsers", "tenantId": GROUP, "properties": risky_user }
    ] });
    let mixture = json!([alert(), { "value": [risky_user] }, [records], { "type": "risk.reported", "data": detection }, 7]);
    assert_eq!(world.alert(&mixture.to_string()).await, 202);
    let of_detection = told("low, at risk, anonymizedIPAddress at 2026-07-18T14:00:00Z");
    let of_risky_user = told("high, confirmed compromised, - at 2026-07-18T15:01:38.24Z");
    assert_eq!(
        world.told().await,
        [
            told("high, at risk, leakedCredentials at 2026-07-18T15:59:00Z"),
            of_risky_user.clone(),
            of_detection.clone(),
            of_risky_user,
            of_detection,
        ]
    );
    assert_eq!(world.counted("risk", "unhandled"), 1);
    assert_eq!(world.counted("risk", "wrong_tenant"), 1);
    assert_eq!(world.counted("risk", "unreadable_item"), 1);
}

#[tokio::test]
async fn a_security_alert_is_about_every_person_whom_its_evidence_accuses() {
    let world = World::start().await;
    let person = |id: Value, verdict: &str| {
        json!({ "@odata.type": "#microsoft.graph.security.userEvidence", "verdict": verdict,
            "userAccount": { "azureAdUserId": id, "displayName": "Olivia Lack" } })
    };
    let evidence = json!([
        person(json!(USER), "suspicious"),
        person(json!(USER), "malicious"),
        person(json!(GROUP), "unknown"),
        person(json!(null), "suspicious"),
        person(json!(TENANT), "noThreatsFound"),
        { "@odata.type": "#microsoft.graph.security.ipEvidence", "ipAddress": "203.0.113.56" },
        7
    ]);
    let alert = |severity: &str, status: &str| {
        json!({ "@odata.type": "#microsoft.graph.security.alert", "tenantId": TENANT, "severity": severity,
            "status": status, "title": "Unfamiliar sign-in properties", "evidence": evidence,
            "createdDateTime": "2026-07-18T10:00:00Z", "lastUpdateDateTime": "2026-07-18T11:00:00Z" })
    };
    assert_eq!(world.alert(&alert("high", "new").to_string()).await, 202);
    let title = "Unfamiliar sign-in properties at 2026-07-18T11:00:00Z";
    let about = |user: &str, judged: &str| format!("risk person {user}: risk_reported {judged}, {title}");
    assert_eq!(world.told().await, [about(GROUP, "high, at risk"), about(USER, "high, at risk")]);
    for (severity, status, judged) in [
        ("medium", "inProgress", "medium, at risk"),
        ("informational", "new", "low, at risk"),
        ("somethingNew", "new", "unknown, at risk"),
        ("high", "resolved", "high, none"),
    ] {
        assert_eq!(world.alert(&alert(severity, status).to_string()).await, 202);
        assert_eq!(world.told().await, [about(GROUP, judged), about(USER, judged)]);
    }
}

#[tokio::test]
async fn risky_workloads_and_alerts_about_nobody_are_dropped_and_counted() {
    let world = World::start().await;
    let items = json!([
        { "id": USER, "appId": USER, "servicePrincipalType": "Application", "riskLevel": "high", "riskState": "atRisk",
          "riskLastUpdatedDateTime": "2026-07-18T15:01:38Z" },
        { "servicePrincipalId": USER, "riskLevel": "high", "riskEventType": "leakedCredentials" },
        { "tenantId": TENANT, "severity": "high", "evidence": [] },
        { "hello": "world" }
    ]);
    assert_eq!(world.alert(&items.to_string()).await, 202);
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("risk", "unhandled"), 4);
}

#[tokio::test]
async fn a_bad_item_never_costs_the_good_ones_but_nothing_but_bad_ones_is_refused() {
    let world = World::start().await;
    let bad = [
        json!({ "userId": "olack@adatum.com", "level": "high" }),
        json!({ "userId": "87d349ed44d743e19a835f2406dee5bd", "level": "high" }),
        json!({ "userId": USER }),
        json!({ "level": "high" }),
        json!("high"),
    ];
    for bad in &bad {
        assert_eq!(world.alert(&bad.to_string()).await, 400, "{bad}");
        assert_eq!(world.alert(&json!([bad, alert()]).to_string()).await, 202);
        assert_eq!(world.events().await.len(), 1);
    }
    assert_eq!(world.alert(r#"{"userId":"a","userId":"b","level":"high"}"#).await, 400);
    let elsewhere = json!({ "tenantId": GROUP, "userId": USER, "level": "high" });
    assert_eq!(world.alert(&json!([elsewhere, alert()]).to_string()).await, 202);
    assert_eq!(world.events().await.len(), 1);
    assert_eq!(world.counted("risk", "wrong_tenant"), 1);
}

#[tokio::test]
async fn long_and_hostile_texts_are_cut_to_what_an_event_carries() {
    let world = World::start().await;
    let mut long = alert();
    long["detection"] = json!(format!("a\u{0}\n\u{1b}[31m{}", "é".repeat(5000)));
    assert_eq!(world.alert(&long.to_string()).await, 202);
    let lockstep::event::EventKind::RiskReported(risk) = &world.events().await[0].kind else { panic!() };
    let kept = risk.detection.as_deref().unwrap();
    assert_eq!(kept.chars().count(), 200);
    assert!(kept.starts_with("a[31mé") && !kept.chars().any(char::is_control));
}

#[tokio::test]
async fn a_signed_body_that_cannot_be_read_is_refused() {
    let world = World::start().await;
    for body in ["", "{", "7", "\"x\"", "null", "[1,", r#"{"userId":}"#, "{} {}"] {
        assert_eq!(world.alert(body).await, 400, "{body}");
    }
}
