//! Events that come late, or many at once: each is weighed, and each is given up on by its own age only.

use std::time::Duration;

use lockstep::case::CaseState;
use lockstep::clock::{Clock, SharedClock, SystemClock};
use lockstep::config::{self, Environment, Role, Roles};
use lockstep::event::{About, Event, EventId, EventKind, RiskEvidence, RiskLevel, RiskState, Source};
use lockstep::queue::embedded::Embedded;
use lockstep::queue::rabbitmq::RabbitMq;
use lockstep::queue::{Backend as Queues, Queue};
use lockstep_twin::{Fault, FaultId, Match, PersonId, Setup, Times, Vendor};
use serde_json::{Value, json};

use crate::harness::{Stage, only};

/// More than anybody would read one by one.
const CROWD: usize = 40;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Stage {
    /// A high alert as it was accepted so many days ago.
    fn alerted(&self, person: PersonId, days_ago: u32) -> Event {
        let evidence = RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: Some("leakedCredentials".into()),
            detected_at: None,
        };
        Event {
            id: EventId::new(),
            source: Source::Risk,
            about: About::Person(self.subject(person)),
            kind: EventKind::RiskReported(evidence),
            signal_at: None,
            received_at: SystemClock.now() - DAY * days_ago,
            enqueued_at: None,
            caused_by: None,
        }
    }

    /// Lays events on the queue of a Lockstep that does not run.
    async fn lay_on_queue(&self, events: &[Event]) {
        let environment: Environment = self.env.clone().into_iter().collect();
        let settings = config::load(&environment, &Roles::all()).unwrap().queue;
        let clock: SharedClock = std::sync::Arc::new(SystemClock);
        let queue: Box<dyn Queue> = match &settings.backend {
            Queues::Embedded(file) => Box::new(Embedded::open(file, settings.in_hand_max, clock).unwrap()),
            Queues::RabbitMq(broker) => {
                Box::new(RabbitMq::open(broker, settings.in_hand_max, clock).unwrap())
            }
        };
        self.until("the queue is there", async || queue.ready().await.ok()).await;
        queue.enqueue(events).await.unwrap();
        queue.close().await;
    }

    fn fail_auth0(&self) -> FaultId {
        self.twin.faults().inject(Match::vendor(Vendor::Auth0), Fault::Status(503), Times::Forever)
    }

    /// One request with a crowd of medium alerts and, behind them, the same person's `last`; worked on when all of it waits.
    async fn alert_in_a_crowd(&mut self, person: PersonId, last: Value) {
        self.stop().await;
        self.start_as(only(Role::Ingest)).await;
        let mut medium = self.sender().alert_body(person, "medium");
        medium["riskState"] = json!("atRisk");
        let mut alerts = vec![medium; CROWD];
        alerts.push(last);
        self.alert_with(&alerts.into()).await;
        self.stop().await;
        self.start().await;
    }
}

crate::stories! {
    a_compromise_that_somebody_confirmed_is_not_overlooked_in_a_crowd_of_lesser_alerts(
        stage, Setup::unlimited()
    ) {
        let (anna, account) = stage.at_risk("Anna Berg", "medium");
        let mut confirmed = stage.twin.sender("http://localhost").alert_body(anna, "hidden");
        confirmed["riskState"] = json!("confirmedCompromised");
        stage.alert_in_a_crowd(anna, confirmed).await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        stage.end().await;
    }

    a_dismissal_is_not_overlooked_in_a_crowd_of_alerts(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account, case) = stage.contained("Anna Berg").await;
        stage.until_idle().await;
        stage.twin.world().dismiss_risk(anna);
        let mut dismissed = stage.sender().alert_body(anna, "none");
        dismissed["riskState"] = json!("dismissed");
        stage.alert_in_a_crowd(anna, dismissed).await;
        let released = stage.until_case(anna, CaseState::Released).await;
        assert_eq!(released.id, case.id);
        assert!(!stage.is_blocked(&account));
        stage.until_idle().await;
        stage.end().await;
    }

    a_dead_letter_of_days_ago_that_is_replayed_outlives_the_next_outage(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let away = stage.fail_auth0();
        stage.redeliver(&stage.alerted(anna, 4)).await;
        stage.until_failed(Vendor::Auth0, 3).await;
        stage.twin.faults().lift(away);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        stage.end().await;
    }

    what_waited_too_long_takes_no_fresh_alert_with_it(stage, Setup::unlimited()) {
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        let [first, old, fresh] = [0, 4, 0].map(|days| stage.alerted(anna, days));
        stage.lay_on_queue(&[first, old.clone(), fresh]).await;
        let away = stage.fail_auth0();
        stage.start().await;
        stage.until("the old one is given up on", async || {
            (!stage.dead_letters().await.is_empty()).then_some(())
        }).await;
        stage.until_failed(Vendor::Auth0, 3).await;
        stage.twin.faults().lift(away);
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        let dead: Vec<_> = stage.dead_letters().await.into_iter().map(|letter| letter.id).collect();
        assert_eq!(dead, [old.id]);
        stage.dead_letters_expected = 1;
        stage.end().await;
    }

    the_proof_of_a_lockout_is_waited_for_however_old_the_alert_is(
        stage, Setup { deletion_delay: Duration::from_secs(2), ..Setup::unlimited() }
    ) {
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.lay_on_queue(&[stage.alerted(anna, 4)]).await;
        stage.start().await;
        stage.until_case(anna, CaseState::Verified).await;
        assert!(stage.is_locked_out(&account));
        stage.until_idle().await;
        stage.end().await;
    }
}
