//! The outgoing side, received by a few lines of server that keep what came.

use lockstep_twin::send::{Change, Lifecycle, RawAlert, notifications};
use lockstep_twin::{Hire, Setup, Twin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Received {
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// Answers one request with 202 and returns what it was.
async fn receive(listener: &TcpListener) -> Received {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut read = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0; 4096];
        let n = stream.read(&mut chunk).await.expect("bytes");
        assert!(n > 0, "the sender closed early");
        read.extend_from_slice(&chunk[..n]);
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).expect("an ASCII head");
            let length: usize = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse().expect("a length"));
            if read.len() >= end + 4 + length {
                break (head, length);
            }
        }
    };
    let answer = b"HTTP/1.1 202 Accepted\r\nconnection: close\r\nx-probe: yes\r\ncontent-length: 2\r\n\r\nok";
    stream.write_all(answer).await.expect("written");
    let body = String::from_utf8(read[read.len() - length..].to_vec()).expect("a text body");
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Received { target, headers: headers.map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect(), body }
}

async fn set_up() -> (Twin, TcpListener, String) {
    let twin = Twin::start(Setup::default()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (twin, listener, url)
}

#[tokio::test]
async fn a_risk_alert_is_signed_over_what_is_sent() {
    let (twin, listener, url) = set_up().await;
    let person = twin.world().hire(Hire::named("Adele Vance"));
    let sender = twin.sender(url);
    let (answer, received) = tokio::join!(sender.signed_risk_alert(person, "high"), receive(&listener));
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, answer.header("x-probe"), answer.body.as_str()), (202, Some("yes"), "ok"));
    assert_eq!(received.target, "/webhooks/risk");
    let header = |name: &str| received.headers[name].as_str();
    let again = RawAlert::signed_as(
        &twin.setup().risk_webhook_secret,
        header("webhook-id"),
        header("webhook-timestamp").parse().expect("seconds"),
        received.body.clone(),
    );
    assert_eq!(again.signature.as_deref(), Some(header("webhook-signature")));
    let body = received.json();
    assert_eq!(body["type"], json!("risk.reported"));
    assert_eq!(body["tenantId"], json!(twin.world().tenant_id()));
    assert_eq!((&body["userId"], &body["riskLevel"]), (&json!(person.to_string()), &json!("high")));
    assert_eq!(body["riskEventType"], json!("leakedCredentials"));
}

#[tokio::test]
async fn vendor_shapes_name_the_person_where_the_vendors_do() {
    let (twin, listener, url) = set_up().await;
    let person = twin.world().hire(Hire::named("Adele Vance"));
    twin.world().raise_risk(person, "medium", "passwordSpray");
    let sender = twin.sender(url);
    let id = json!(person.to_string());
    let (_, user) = tokio::join!(sender.risky_user(person), receive(&listener));
    assert_eq!((&user.json()["id"], &user.json()["riskLevel"]), (&id, &json!("medium")));
    let (_, detection) = tokio::join!(sender.risk_detection(person), receive(&listener));
    assert_eq!(
        (&detection.json()["userId"], &detection.json()["riskEventType"]),
        (&id, &json!("passwordSpray"))
    );
    let (_, alert) = tokio::join!(sender.security_alert(person), receive(&listener));
    assert_eq!(alert.json()["evidence"][1]["userAccount"]["azureAdUserId"], id);
    let (_, record) = tokio::join!(sender.diagnostic_risky_user(person), receive(&listener));
    assert_eq!(record.json()["records"][0]["properties"]["id"], id);
    let (_, record) = tokio::join!(sender.diagnostic_detection(person), receive(&listener));
    assert_eq!(record.json()["records"][0]["properties"]["userId"], id);
    let (_, azure) = tokio::join!(sender.azure_alert(person, "medium"), receive(&listener));
    assert_eq!(azure.target, format!("/webhooks/azure-monitor?secret={}", twin.setup().azure_monitor_secret));
    let dimensions = &azure.json()["data"]["alertContext"]["condition"]["allOf"][0]["dimensions"];
    assert_eq!(dimensions[0], json!({"name": "UserId", "value": id}));
}

#[tokio::test]
async fn graph_notifications_carry_the_client_state_and_the_handshake_its_token() {
    let (twin, listener, url) = set_up().await;
    let person = twin.world().hire(Hire::named("Adele Vance"));
    let sender = twin.sender(url);
    let (_, changed) = tokio::join!(sender.user_changed(person, Change::Updated), receive(&listener));
    let item = &changed.json()["value"][0];
    assert_eq!(item["resource"], json!(format!("Users/{person}")));
    assert_eq!(item["clientState"], json!(twin.setup().graph_client_state));
    let members = notifications::group_members(twin.setup(), "g-1", &[], &[person]);
    let (_, group) = tokio::join!(sender.notifications(vec![members]), receive(&listener));
    let delta = &group.json()["value"][0]["resourceData"]["members@delta"][0];
    assert_eq!(delta["@removed"], json!("deleted"), "a plain string here");
    let (_, missed) = tokio::join!(sender.lifecycle(Lifecycle::Missed), receive(&listener));
    assert_eq!(missed.json()["value"][0]["lifecycleEvent"], json!("missed"));
    let (_, handshake) = tokio::join!(sender.handshake("Validation: a+b/ä", "t=1"), receive(&listener));
    assert_eq!(handshake.target, "/webhooks/graph?t=1&validationToken=Validation%3A+a%2Bb%2F%C3%A4");
    assert_eq!(handshake.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn nobody_there_is_an_error_and_no_panic() {
    let (twin, listener, url) = set_up().await;
    drop(listener);
    let person = twin.world().hire(Hire::named("Adele Vance"));
    let error = twin.sender(url).signed_risk_alert(person, "high").await.expect_err("nobody answers");
    assert!(error.is_connect());
}

#[tokio::test]
async fn a_secure_webhook_carries_a_token_that_the_published_key_verifies() {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
    use base64::Engine as _;
    let decoded =
        |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (twin, listener, url) = set_up().await;
    let person = twin.world().hire(Hire::named("Adele Vance"));
    let sender = twin.sender(url);
    let (_, alert) =
        tokio::join!(sender.azure_alert_secure(person, "high", "api://lockstep"), receive(&listener));
    assert_eq!(alert.target, "/webhooks/azure-monitor");
    let token = alert.headers["authorization"].strip_prefix("Bearer ").expect("a bearer token").to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&decoded(parts[1])).expect("claims");
    assert_eq!(
        (&claims["aud"], &claims["tid"]),
        (&json!("api://lockstep"), &json!(twin.world().tenant_id()))
    );
    let keys = format!("{}/{}/discovery/v2.0/keys", twin.urls().login_url, twin.setup().tenant_id);
    let keys = reqwest::get(keys).await.expect("an answer").text().await.expect("a body");
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    let (n, e) =
        (decoded(keys["keys"][0]["n"].as_str().unwrap()), decoded(keys["keys"][0]["e"].as_str().unwrap()));
    let signed = format!("{}.{}", parts[0], parts[1]);
    let key = RsaPublicKeyComponents { n: &n, e: &e };
    assert!(key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decoded(parts[2])).is_ok());
}
