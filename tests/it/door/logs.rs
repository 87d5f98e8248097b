//! What the logs say, and what they never say.

use std::io::Write;
use std::sync::{Arc, Mutex};

use lockstep::telemetry::logging::{Format, subscriber};
use serde_json::{Value, json};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::eventgrid::{self, event};
use super::graph::{batch, user_changed, with};
use super::risk::alert;
use super::signing::SECRET;
use super::world::{CLIENT_STATE, GRID_SECRET, Gate, MONITOR_SECRET, OTHER_GRID_SECRET, USER, World};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Page {
    type Writer = Page;

    fn make_writer(&'w self) -> Page {
        self.clone()
    }
}

/// Everything that our own code says, down to the last trace, on this thread.
fn listen(format: Format) -> (Page, (tracing::Dispatch, tracing::subscriber::DefaultGuard)) {
    let page = Page::default();
    let subscriber = subscriber(format, EnvFilter::new("lockstep=trace"), page.clone());
    let second = crate::harness::second_subscriber();
    (page, (second, tracing::subscriber::set_default(subscriber)))
}

#[tokio::test]
async fn bad_requests_leave_no_secret_no_body_and_no_person_in_the_log() {
    let (page, _listening) = listen(Format::Text);
    let world = World::start().await;
    let named =
        json!({ "userId": "olivia@adatum.example", "level": "high", "detection": "hushhush" }).to_string();
    assert_eq!(world.alert(&named).await, 400);
    assert_eq!(world.post("/webhooks/risk", named.clone()).await.status(), 401);
    let forged = with(user_changed(), "clientState", json!("guessed-state"));
    assert_eq!(world.graph(batch(&[forged])).await, 401);
    assert_eq!(world.graph("{\"value\": hushhush").await, 400);
    assert_eq!(world.post("/webhooks/graph?validationToken=%3Chushhush%3E", "").await.status(), 400);
    let monitor = "/webhooks/azure-monitor?secret=monitor%2Bsecret%2Fwith%3Dsigns&x=hushhush";
    assert_eq!(world.post(monitor, "hushhush").await.status(), 400);
    assert_eq!(world.post("/webhooks/azure-monitor?secret=guessed-state", "hushhush").await.status(), 401);
    let grid = format!("{}&x=hushhush", eventgrid::path(GRID_SECRET));
    assert_eq!(world.post(&grid, "hushhush").await.status(), 400);
    assert_eq!(world.post(&eventgrid::path("guessed-state"), "hushhush").await.status(), 401);
    let stated = event(with(user_changed(), "clientState", json!("guessed-state"))).to_string();
    assert_eq!(world.post(&grid, stated).await.status(), 401);
    let handshake = world.http.request(http::Method::OPTIONS, world.url(&grid));
    let odd = handshake.header("webhook-request-origin", "hush hushhush");
    assert_eq!(odd.send().await.unwrap().status(), 400);
    let admin = world.http.post(world.admin_url("/api/v1/contain?x=hushhush")).bearer_auth("guessed-state");
    assert_eq!(admin.body("hushhush").send().await.unwrap().status(), 401);
    assert_eq!(world.post(&grid, event(user_changed()).to_string()).await.status(), 202);
    world.gate(Gate::Mined);
    assert_eq!(world.alert(&alert().to_string()).await, 500);
    assert_eq!(world.post(&grid, event(user_changed()).to_string()).await.status(), 500);

    let text = page.text();
    let secrets = [CLIENT_STATE, MONITOR_SECRET, &SECRET[6..], &world.token, "guessed-state", "monitor%2B"];
    let grid_secrets = [GRID_SECRET, OTHER_GRID_SECRET, "grid%2B"];
    for hidden in
        secrets.into_iter().chain(grid_secrets).chain(["olivia", "hushhush", USER, "clientState", "whsec_"])
    {
        assert!(!text.contains(hidden), "the log says {hidden}:\n{text}");
    }
    for cause in ["unreadable", "unsigned", "not_authentic", "bad_handshake", "wrong_secret"] {
        assert!(text.contains(cause), "the log does not say {cause}:\n{text}");
    }
}

#[tokio::test]
async fn an_accepted_alert_can_be_followed_by_its_event_id() {
    let (page, _listening) = listen(Format::Json);
    let world = World::start().await;
    assert_eq!(world.alert(&alert().to_string()).await, 202);
    let event = world.events().await.remove(0);
    let text = page.text();
    let line: Value = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["message"] == "event accepted")
        .expect("nothing was said about the alert");
    assert_eq!(line["event.id"], event.id.to_string());
    assert!(line["subject.id"].as_str().unwrap().ends_with(USER));
    assert_eq!((&line["level"], &line["kind"]), (&json!("INFO"), &json!("risk_reported")));
    assert!(!text.contains("leakedCredentials"), "the alert's own words stay out of the log");
}

#[tokio::test]
async fn a_queue_that_is_down_is_said_once_not_once_per_request() {
    let (page, _listening) = listen(Format::Text);
    let world = World::start().await;
    world.gate(Gate::Broken);
    for _ in 0..20 {
        assert_eq!(world.alert(&alert().to_string()).await, 503);
    }
    assert_eq!(page.text().matches("nothing can be stored durably").count(), 1);
    world.clock.advance(5);
    assert_eq!(world.alert(&alert().to_string()).await, 503);
    assert_eq!(page.text().matches("nothing can be stored durably").count(), 2);
}
