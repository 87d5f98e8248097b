//! Signed risk alerts as bytes, made before the clock starts: each about another person, with an id of its own.

use std::net::SocketAddr;

use lockstep::clock::{Clock, SystemClock};
use lockstep::event::{
    About, Event, EventId, EventKind, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject, TenantId,
};
use lockstep_twin::PersonId;
use lockstep_twin::send::{risk, signature};
use lockstep_twin::{Setup, World};
use uuid::Uuid;

pub const PATH: &str = "/webhooks/risk";

/// Many requests in one piece of memory.
pub struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    /// `count` alerts that are valid for five minutes from now.
    pub fn signed_alerts(setup: &Setup, world: &World, to: SocketAddr, count: usize) -> Requests {
        let mut requests = Requests { bytes: Vec::new(), ends: Vec::with_capacity(count) };
        for _ in 0..count {
            let body = risk::alert(world, PersonId::nobody(), "high").to_string();
            requests.push(&signed(setup, to, &body));
        }
        requests
    }

    fn push(&mut self, request: &[u8]) {
        self.bytes.extend_from_slice(request);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// One POST with this body, signed now.
pub fn signed(setup: &Setup, to: SocketAddr, body: &str) -> Vec<u8> {
    let id = signature::fresh_id();
    let timestamp = SystemClock.now().as_second().to_string();
    let signature = signature::sign(&setup.risk_webhook_secret, &id, &timestamp, body);
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n\
         webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What such an alert is on the queue: the bytes that the raw limits carry.
pub fn envelope(setup: &Setup) -> anyhow::Result<Vec<u8>> {
    let now = SystemClock.now();
    let evidence = RiskEvidence {
        level: RiskLevel::High,
        state: RiskState::AtRisk,
        detection: Some("leakedCredentials".into()),
        detected_at: Some(now),
    };
    Ok(event(setup, EventKind::RiskReported(evidence), Uuid::now_v7())?.to_envelope()?)
}

/// An event of Graph about this person.
pub fn event(setup: &Setup, kind: EventKind, person: Uuid) -> anyhow::Result<Event> {
    let now = SystemClock.now();
    let subject = Subject { tenant: TenantId(setup.tenant_id.parse()?), object: ObjectId(person) };
    Ok(Event {
        id: EventId::new(),
        source: Source::Graph,
        about: About::Person(subject),
        kind,
        signal_at: Some(now),
        received_at: now,
        enqueued_at: None,
        caused_by: None,
    })
}
