//! Azure Monitor's alerts, by a secret in the URL and as a secure webhook.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lockstep::clock::Clock;
use lockstep::entra::Cloud;
use lockstep::ingest::AzureMonitorJwt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use super::world::{GROUP, TENANT, USER, World, settings};

const PATH: &str = "/webhooks/azure-monitor";
const SECRET_IN_URL: &str = "secret=monitor%2Bsecret%2Fwith%3Dsigns";
const CALLER: &str = "461e8683-5575-4561-ac7f-899cc907d62a";
const AUDIENCE: &str = "api://lockstep";
/// Made for these tests alone; the public half is in `entra-keys.json`.
const SIGNING_KEY: &str = include_str!("../fixtures/entra-signing-key.pem");
const PUBLISHED_KEYS: &str = include_str!("../fixtures/entra-keys.json");

fn row(cells: &[(&str, &str)]) -> Value {
    cells.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn alert(all_of: Value) -> Value {
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": { "signalType": "Log", "monitorCondition": "Fired", "firedDateTime": "2026-07-18T15:58:24Z" },
            "alertContext": { "conditionType": "LogQueryCriteria", "condition": { "allOf": all_of } }
        }
    })
}

fn fired() -> String {
    alert(json!([{ "dimensions": row(&[("UserId", USER), ("RiskLevel", "high")]) }])).to_string()
}

async fn post(world: &World, query: &str, body: String) -> u16 {
    world.post(&format!("{PATH}?{query}"), body).await.status().as_u16()
}

#[tokio::test]
async fn the_secret_in_the_url_is_decoded_once_and_must_be_right() {
    let world = World::start().await;
    assert_eq!(post(&world, SECRET_IN_URL, fired()).await, 202);
    assert_eq!(post(&world, &format!("a=b&{SECRET_IN_URL}"), fired()).await, 202);
    assert_eq!(world.events().await.len(), 2);
    for wrong in ["", "secret=", "secret=guess", "secret=monitor+secret%2Fwith%3Dsigns", "Secret=x"] {
        assert_eq!(post(&world, wrong, fired()).await, 401, "{wrong}");
    }
    assert_eq!(post(&world, &format!("{SECRET_IN_URL}&{SECRET_IN_URL}"), fired()).await, 401);
    let bearer =
        world.http.post(world.url(PATH)).bearer_auth("a.b.c").header("content-type", "application/json");
    assert_eq!(bearer.body(fired()).send().await.unwrap().status(), 401, "no tokens are expected");
    assert!(world.events().await.is_empty());
}

#[tokio::test]
async fn dimensions_and_embedded_rows_name_the_people() {
    let world = World::start().await;
    let criteria = json!([
        { "dimensions": row(&[("UserId", USER), ("RiskLevel", "high"), ("RiskState", "confirmedCompromised"),
            ("RiskEventType", "leakedCredentials"), ("TenantId", "00000000-0000-0000-0000-000000000001"),
            ("LastUpdatedDateTime", "2026-07-18T15:00:00Z")]) },
        { "dimensions": null, "event": [
            row(&[("Id", GROUP), ("RiskLevel", "none"), ("RiskState", "dismissed")]),
            row(&[("Id", "a3f515c85e60"), ("RiskEventType", "x")]),
            row(&[("userid", USER), ("RiskLevel", "medium"), ("time", "7/18/2026 2:03:03 PM")]),
            row(&[("UserId", "olack@adatum.com")]),
            row(&[("operation_Name", "GET /")])
        ] }
    ]);
    assert_eq!(post(&world, SECRET_IN_URL, alert(criteria).to_string()).await, 202);
    let of = |user: &str, detail: &str| format!("azure_monitor person {user}: risk_reported {detail}");
    assert_eq!(
        world.told().await,
        [
            of(USER, "high, confirmed compromised, leakedCredentials at 2026-07-18T15:00:00Z"),
            of(GROUP, "none, dismissed, - at 2026-07-18T15:58:24Z"),
            of(USER, "medium, at risk, - at 2026-07-18T15:58:24Z"),
        ]
    );
    assert_eq!(world.counted("azure_monitor", "unhandled"), 2);
    assert_eq!(world.counted("azure_monitor", "unreadable_item"), 1);
}

#[tokio::test]
async fn resolved_metric_and_foreign_alerts_are_accepted_and_ignored() {
    let world = World::start().await;
    let mut resolved = alert(json!([]));
    resolved["data"]["essentials"]["monitorCondition"] = json!("Resolved");
    let mut metric = alert(json!([]));
    metric["data"]["essentials"]["signalType"] = json!("Metric");
    for body in [resolved, metric] {
        assert_eq!(post(&world, SECRET_IN_URL, body.to_string()).await, 202);
    }
    assert_eq!(post(&world, SECRET_IN_URL, json!({ "schemaId": "other", "data": 7 }).to_string()).await, 400);
    assert_eq!(post(&world, SECRET_IN_URL, json!({ "hello": "world" }).to_string()).await, 202);
    assert_eq!(world.counted("azure_monitor", "nothing_happened"), 2);
    assert_eq!(world.counted("azure_monitor", "unhandled"), 1);
    for broken in ["", "[]", "{", r#"{"schemaId":"azureMonitorCommonAlertSchema","data":{}}"#] {
        assert_eq!(post(&world, SECRET_IN_URL, broken.into()).await, 400, "{broken}");
    }
    let without_rows = alert(json!(7)).to_string();
    assert_eq!(post(&world, SECRET_IN_URL, without_rows).await, 400);
    assert!(world.events().await.is_empty());
}

/// Entra's key endpoint: counts how often it is asked, can be out of order, and can keep its askers waiting.
#[derive(Default)]
struct Entra {
    asked: AtomicU64,
    broken: std::sync::atomic::AtomicBool,
    silent: watch::Sender<bool>,
}

impl Entra {
    async fn until_asked(&self, times: u64) {
        let wait = async {
            while self.asked.load(Ordering::SeqCst) < times {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("Entra was not asked");
    }
}

async fn keys(State(entra): State<Arc<Entra>>) -> Result<&'static str, http::StatusCode> {
    entra.asked.fetch_add(1, Ordering::SeqCst);
    let _ = entra.silent.subscribe().wait_for(|silent| !silent).await;
    if entra.broken.load(Ordering::SeqCst) { Err(http::StatusCode::BAD_GATEWAY) } else { Ok(PUBLISHED_KEYS) }
}

async fn secure_world(entra: Arc<Entra>) -> World {
    secure_world_of(entra, Cloud::Global).await
}

async fn secure_world_of(entra: Arc<Entra>, cloud: Cloud) -> World {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let login_url: reqwest::Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().route(&format!("/{TENANT}/discovery/v2.0/keys"), get(keys)).with_state(entra);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut settings = settings();
    settings.azure_monitor_secrets.clear();
    settings.azure_monitor_jwt = Some(AzureMonitorJwt {
        audience: AUDIENCE.into(),
        role: "ActionGroupsSecureWebhook".into(),
        issuers: cloud.issuers(&login_url, &TENANT),
        login_url,
    });
    World::with(settings).await
}

fn claims(world: &World) -> Value {
    let now = world.clock.now().as_second();
    json!({ "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": AUDIENCE, "appid": CALLER, "tid": TENANT,
        "iat": now, "nbf": now, "exp": now + 3600, "roles": ["ActionGroupsSecureWebhook"] })
}

fn token(kid: &str, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(kid.into());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(SIGNING_KEY.as_bytes()).unwrap())
        .unwrap()
}

async fn secure(world: &World, token: &str) -> u16 {
    let request =
        world.http.post(world.url(PATH)).bearer_auth(token).header("content-type", "application/json");
    request.body(fired()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_secure_webhook_is_let_in_by_entras_token_of_either_version() {
    let entra = Arc::new(Entra::default());
    let world = secure_world(entra.clone()).await;
    let version_1 = claims(&world);
    let mut version_2 = claims(&world);
    let login = world.settings.azure_monitor_jwt.as_ref().unwrap().login_url.as_str().trim_end_matches('/');
    version_2["iss"] = json!(format!("{login}/{TENANT}/v2.0"));
    version_2["azp"] = version_2["appid"].take();
    assert_eq!(secure(&world, &token("key-of-today", &version_1)).await, 202);
    assert_eq!(secure(&world, &token("key-of-today", &version_2)).await, 202);
    assert_eq!(world.events().await.len(), 2);
    assert_eq!(entra.asked.load(Ordering::SeqCst), 1, "keys are fetched once and kept");
}

#[tokio::test]
async fn only_the_role_that_we_gave_opens_the_door_and_what_else_azure_monitor_may_does_not_matter() {
    let world = secure_world(Arc::default()).await;
    let with = |roles: Value| {
        let mut claims = claims(&world);
        claims["roles"] = roles;
        token("key-of-today", &claims)
    };
    let mut without = claims(&world);
    without.as_object_mut().unwrap().remove("roles");
    assert_eq!(secure(&world, &token("key-of-today", &without)).await, 401, "no role at all");
    for roles in [json!([]), json!(["Reader"]), json!(["actiongroupssecurewebhook"])] {
        assert_eq!(secure(&world, &with(roles.clone())).await, 401, "{roles}");
    }
    assert_eq!(world.counted("azure_monitor", "wrong_role"), 4);
    assert_eq!(secure(&world, &with(json!("ActionGroupsSecureWebhook"))).await, 401, "Entra sends a list");
    assert!(world.events().await.is_empty());
    assert_eq!(secure(&world, &with(json!(["Reader", "ActionGroupsSecureWebhook"]))).await, 202);
}

#[tokio::test]
async fn each_cloud_has_its_own_issuer_and_takes_no_others() {
    for (cloud, issuer, stranger) in [
        (Cloud::Global, "https://sts.windows.net", "https://sts.chinacloudapi.cn"),
        (Cloud::UsGov, "https://sts.windows.net", "https://sts.chinacloudapi.cn"),
        (Cloud::China, "https://sts.chinacloudapi.cn", "https://sts.windows.net"),
    ] {
        let world = secure_world_of(Arc::default(), cloud).await;
        let from = |issuer: &str| {
            let mut claims = claims(&world);
            claims["iss"] = json!(format!("{issuer}/{TENANT}/"));
            token("key-of-today", &claims)
        };
        assert_eq!(secure(&world, &from(stranger)).await, 401, "{cloud:?}");
        assert_eq!(secure(&world, &from(issuer)).await, 202, "{cloud:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_meant_for_us_opens_nothing() {
    let world = secure_world(Arc::default()).await;
    let now = world.clock.now().as_second();
    let changed = |field: &str, value: Value| {
        let mut claims = claims(&world);
        claims[field] = value;
        token("key-of-today", &claims)
    };
    let good = token("key-of-today", &claims(&world));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    let unsigned = "eyJhbGciOiJub25lIiwia2lkIjoia2V5LW9mLXRvZGF5In0";
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.kid = Some("key-of-today".into());
    let published = EncodingKey::from_secret(PUBLISHED_KEYS.as_bytes());
    for (name, token) in [
        ("another audience", changed("aud", json!("api://other"))),
        (
            "another issuer",
            changed("iss", json!("https://sts.windows.net/00000000-0000-0000-0000-000000000000/")),
        ),
        ("another caller", changed("appid", json!("0bf30f3b-4a52-48df-9a82-234910c4a086"))),
        ("no caller", changed("appid", json!(null))),
        ("another tenant", changed("tid", json!(GROUP))),
        ("expired", changed("exp", json!(now - 61))),
        ("not yet valid", changed("nbf", json!(now + 3600))),
        ("an unknown key", token("key-of-yesterday", &claims(&world))),
        ("a wrong signature", format!("{head}.{turned}")),
        ("no signature", format!("{header}.{payload}.")),
        ("algorithm none", format!("{unsigned}.{payload}.")),
        (
            "signed with what is public",
            jsonwebtoken::encode(&symmetric, &claims(&world), &published).unwrap(),
        ),
        ("no token", "hello".to_owned()),
        ("far too long", "a".repeat(20_000)),
    ] {
        assert_eq!(secure(&world, &token).await, 401, "{name}");
    }
    assert_eq!(post(&world, "secret=", fired()).await, 401);
    assert!(world.events().await.is_empty());
    assert_eq!(secure(&world, &good).await, 202);
}

#[tokio::test]
async fn forged_key_ids_make_us_ask_entra_once_a_minute_at_most() {
    let entra = Arc::new(Entra::default());
    let world = secure_world(entra.clone()).await;
    let forged = token("made-up", &claims(&world));
    for _ in 0..5 {
        assert_eq!(secure(&world, &forged).await, 401);
    }
    assert_eq!(entra.asked.load(Ordering::SeqCst), 1);
    world.clock.advance(60);
    assert_eq!(secure(&world, &forged).await, 401);
    assert_eq!(entra.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_entras_keys_the_sender_comes_again_and_old_keys_stay_good() {
    let entra = Arc::new(Entra::default());
    let world = secure_world(entra.clone()).await;
    entra.broken.store(true, Ordering::SeqCst);
    assert_eq!(secure(&world, &token("key-of-today", &claims(&world))).await, 503);
    assert_eq!(world.counted("azure_monitor", "keys_unavailable"), 1);
    entra.broken.store(false, Ordering::SeqCst);
    world.clock.advance(60);
    assert_eq!(secure(&world, &token("key-of-today", &claims(&world))).await, 202);
    entra.broken.store(true, Ordering::SeqCst);
    world.clock.advance(7200);
    assert_eq!(secure(&world, &token("key-of-today", &claims(&world))).await, 202);
}

/// The same door without a socket, so that a test decides how far a request gets.
fn direct(world: &World) -> Router {
    let deps = lockstep::ingest::Deps {
        queue: world.queue.clone(),
        replays: world.replays.clone(),
        clock: world.clock.clone(),
        metrics: world.metrics.clone(),
        connections_max: lockstep::server::connections_max(),
    };
    lockstep::ingest::router(&world.settings, deps)
}

async fn ask(router: Router, token: String) -> u16 {
    let request = http::Request::post(PATH)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    router.oneshot(request.body(Body::from(fired())).unwrap()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_forged_key_id_makes_nobody_wait_whose_key_is_known() {
    let entra = Arc::new(Entra::default());
    let world = secure_world(entra.clone()).await;
    let router = direct(&world);
    let good = token("key-of-today", &claims(&world));
    assert_eq!(ask(router.clone(), good.clone()).await, 202);
    world.clock.advance(60);
    entra.silent.send_replace(true);
    let forged = tokio::spawn(ask(router.clone(), token("made-up", &claims(&world))));
    entra.until_asked(2).await;
    let prompt = async {
        assert_eq!(ask(router.clone(), good.clone()).await, 202);
        assert_eq!(ask(router.clone(), token("another", &claims(&world))).await, 503);
    };
    tokio::time::timeout(Duration::from_secs(3), prompt).await.expect("they waited for Entra");
    entra.silent.send_replace(false);
    assert_eq!(forged.await.unwrap(), 401);
    assert_eq!(entra.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_stranger_who_goes_away_takes_no_fetch_with_him() {
    let entra = Arc::new(Entra::default());
    let world = secure_world(entra.clone()).await;
    let router = direct(&world);
    entra.silent.send_replace(true);
    tokio::select! {
        _ = ask(router.clone(), token("made-up", &claims(&world))) => panic!("without keys?"),
        () = entra.until_asked(1) => {}
    }
    entra.silent.send_replace(false);
    assert_eq!(ask(router, token("key-of-today", &claims(&world))).await, 202);
    assert_eq!(entra.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn strangers_who_wait_for_entra_are_few_and_take_no_place_of_those_with_the_secret() {
    let entra = Arc::new(Entra::default());
    let mut world = secure_world(entra.clone()).await;
    world.settings.requests_max = 2;
    world.settings.azure_monitor_secrets = vec!["rotated".into()];
    let router = direct(&world);
    entra.silent.send_replace(true);
    let forged = token("made-up", &claims(&world));
    let mut first = Box::pin(ask(router.clone(), forged.clone()));
    let mut second = Box::pin(ask(router.clone(), forged.clone()));
    assert!(futures_util::poll!(&mut first).is_pending() && futures_util::poll!(&mut second).is_pending());
    assert_eq!(ask(router.clone(), forged).await, 429);
    let with_secret = http::Request::post(format!("{PATH}?secret=rotated"));
    let with_secret = with_secret.header("content-type", "application/json").body(Body::from(fired()));
    assert_eq!(router.clone().oneshot(with_secret.unwrap()).await.unwrap().status(), 202);
    entra.silent.send_replace(false);
    assert_eq!(tokio::join!(first, second), (401, 401));
    assert_eq!(ask(router, token("key-of-today", &claims(&world))).await, 202);
}
