//! Events that come many at once: each is weighed.

use lockstep::case::CaseState;
use lockstep::config::Role;
use lockstep_twin::{PersonId, Setup};
use serde_json::{Value, json};

use crate::harness::{Stage, only};

/// More than anybody would read one by one.
const CROWD: usize = 40;

impl Stage {
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
}
