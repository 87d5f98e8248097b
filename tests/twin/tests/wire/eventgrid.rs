//! Event Grid: its handshake, its CloudEvents, its view of an answer.

use crate::receiver::Receiver;
use lockstep_twin::send::Change;
use lockstep_twin::send::eventgrid::{self, Sequence, Verdict};
use lockstep_twin::{Hire, Setup, Twin};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn permission_is_asked_for_with_options() {
    let (twin, receiver) = (Twin::start(Setup::default()).await, Receiver::open().await);
    let answer = twin.sender(&receiver.base).eventgrid_handshake().await.expect("an answer");
    assert!(eventgrid::is_allowed(&answer));
    let asked = &receiver.received()[0];
    assert_eq!(asked.method, "OPTIONS");
    assert_eq!(asked.target, format!("/webhooks/eventgrid?secret={}", twin.setup().event_grid_secret));
    assert_eq!(asked.headers["webhook-request-origin"], "eventgrid.azure.net");
}

#[tokio::test]
async fn events_come_one_by_one_or_together() {
    let (twin, receiver) = (Twin::start(Setup::default()).await, Receiver::open().await);
    let person = twin.world().hire(Hire::named("Adele Vance"));
    let (setup, sender) = (twin.setup(), twin.sender(&receiver.base));
    let updated = eventgrid::user(setup, person, Change::Updated, Sequence::Text);
    let deleted = eventgrid::group(setup, "g-1", Change::Deleted, Sequence::Number);
    assert_eq!(sender.cloud_event(&updated).await.verdict, Verdict::Delivered);
    assert_eq!(sender.cloud_events(&[updated, deleted]).await.status(), Some(202));
    let received = receiver.received();
    assert!(received[0].headers["content-type"].starts_with("application/cloudevents+json"));
    assert!(received[1].headers["content-type"].starts_with("application/cloudevents-batch+json"));
    let event = received[0].json();
    assert_eq!(
        (&event["type"], &event["specversion"]),
        (&json!("Microsoft.Graph.UserUpdated"), &json!("1.0"))
    );
    assert_eq!(event["subject"], json!(format!("Users/{person}")));
    assert_eq!(event["data"]["clientState"], json!(setup.graph_client_state));
    assert_eq!(event["data"]["resourceData"]["sequenceNumber"], json!("637628640120385565"));
    let batch = received[1].json();
    assert_eq!(batch[1]["type"], json!("Microsoft.Graph.GroupDeleted"));
    assert_eq!(batch[1]["data"]["resourceData"]["sequenceNumber"], json!(637_628_640_120_385_565_i64));
}

#[tokio::test]
async fn the_answer_decides_whether_it_comes_again() {
    let (twin, receiver) = (Twin::start(Setup::default()).await, Receiver::open().await);
    let person = twin.world().hire(Hire::named("Adele Vance"));
    let event = eventgrid::user(twin.setup(), person, Change::Updated, Sequence::Absent);
    let sender = twin.sender(&receiver.base);
    receiver.answer(&[401, 503]);
    assert_eq!(sender.cloud_event(&event).await.verdict, Verdict::Lost);
    assert_eq!(sender.cloud_event(&event).await.verdict, Verdict::Again(Duration::from_secs(30)));
    drop(receiver);
    let nobody = twin.sender("http://127.0.0.1:9");
    assert_eq!(nobody.cloud_event(&event).await.verdict, Verdict::Again(Duration::from_secs(10)));
}
