//! Every payload that the vendors print or that was captured from them: none is refused for its shape, and each becomes
//! exactly the events it stands for.

use std::path::Path;

use serde_json::Value;

use super::world::{TENANT, World, settings};

/// One sample, or `None` with a line when the samples are not beside the repository.
pub fn read(name: &str) -> Option<Value> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples")).join(name);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            eprintln!("skipped: the sample {name} is not beside the repository");
            None
        }
    }
}

async fn world_of(tenant: &str) -> World {
    let mut settings = settings();
    settings.tenant.0 = tenant.parse().unwrap();
    settings.graph_client_states[1] = "<secretClientState>".into();
    World::with(settings).await
}

#[tokio::test]
async fn every_graph_notification_of_the_samples_becomes_its_event() {
    let world = world_of(TENANT).await;
    let user = "person 87d349ed-44d7-43e1-9a83-5f2406dee5bd";
    let group = "group 0bc7d487-fd6f-41a0-8362-71ec81074f11";
    let members = "4d147cc8-10cb-4158-ac52-90ee8ff9d846 693acd06-2877-4339-8ade-b704261fe7a0";
    let updated = format!("graph {user}: user_updated");
    for (name, status, expected) in [
        ("notification-user-updated", 202, vec![updated.clone()]),
        (
            "notification-user-updated-legacy-fields",
            202,
            vec![format!("{updated} at 2022-05-24T22:24:31.3062901Z")],
        ),
        ("notification-user-deleted", 202, vec![format!("graph {user}: user_deleted")]),
        ("notification-group-updated", 202, vec![format!("graph {group}: group_updated")]),
        ("notification-group-members-delta", 202, vec![format!("graph {group}: group_updated {members}")]),
        ("notification-group-deleted", 202, vec![format!("graph {group}: group_deleted")]),
        // Its second item is another tenant's.
        ("notification-batch-two-tenants", 202, vec![updated]),
        ("notification-security-alert-legacy", 202, vec![]),
        ("notification-rich-encrypted", 202, vec![]),
        ("eventhub-validation-message", 202, vec![]),
        // Its client state is none of ours.
        ("notification-message-basic", 401, vec![]),
        ("lifecycle-missed", 202, vec![format!("graph tenant {TENANT}: subscription_lifecycle Missed")]),
        (
            "lifecycle-subscription-removed",
            202,
            vec![format!("graph tenant {TENANT}: subscription_lifecycle SubscriptionRemoved")],
        ),
        (
            "lifecycle-reauthorization-required",
            202,
            vec![format!("graph tenant {TENANT}: subscription_lifecycle ReauthorizationRequired")],
        ),
    ] {
        let Some(sample) = read(&format!("graph/{name}.json")) else { return };
        assert_eq!(world.graph(sample.to_string()).await, status, "{name}");
        assert_eq!(world.told().await, expected, "{name}");
    }
    assert_eq!(world.counted("graph", "unhandled"), 2);
    assert_eq!(world.counted("graph", "wrong_tenant"), 1);
}

#[tokio::test]
async fn every_risk_shape_of_the_samples_becomes_its_event() {
    let compromised = "b3c1b5fc-828c-45fa-a1e1-10d74f6d6e9c";
    let olack = "risk person abcdefab-af90-4edf-ac4c-742ff06735d0: risk_reported";
    for (name, tenant, expected) in [
        (
            "risky-user",
            TENANT,
            vec!["risk person 0a85025c-4238-4148-978f-587a8dd7960e: risk_reported high, at risk, - at 2026-07-18T15:01:38.24Z".to_owned()],
        ),
        (
            "risky-users-list",
            TENANT,
            vec![
                "risk person 0a85025c-4238-4148-978f-587a8dd7960e: risk_reported none, remediated, - at 2026-07-18T15:01:38.24Z".to_owned(),
                "risk person 87d349ed-44d7-43e1-9a83-5f2406dee5bd: risk_reported high, confirmed compromised, - at 2026-07-18T16:00:00Z".to_owned(),
            ],
        ),
        (
            "riskyuser-history-list",
            TENANT,
            vec!["risk person 0a85025c-4238-4148-978f-587a8dd7960e: risk_reported none, remediated, - at 2026-07-18T15:01:38.24Z".to_owned()],
        ),
        (
            "risk-detections-list",
            TENANT,
            vec![format!("{olack} medium, remediated, unfamiliarFeatures at 2018-09-05T00:11:27.773602Z")],
        ),
        (
            "diagnostic-user-risk-event",
            TENANT,
            vec!["risk person 5289e9c7-3945-4ffd-8fd3-d56124baf45d: risk_reported high, at risk, maliciousIPAddress at 2026-07-18T13:45:09.533Z".to_owned()],
        ),
        (
            "diagnostic-risky-user",
            TENANT,
            vec!["risk person 0a85025c-4238-4148-978f-587a8dd7960e: risk_reported none, remediated, - at 2026-07-18T15:01:38.24Z".to_owned()],
        ),
        (
            "alert-v2-identity-protection",
            compromised,
            vec![format!("{olack} high, at risk, Unfamiliar sign-in properties at 2021-05-02T14:19:01.3266667Z")],
        ),
        // No Entra user is in its evidence.
        ("alerts-v2-list", compromised, vec![]),
        ("alert-v2-identity-protection", TENANT, vec![]),
        ("alert-legacy", TENANT, vec![]),
    ] {
        let Some(sample) = read(&format!("graph/{name}.json")) else { return };
        let world = world_of(tenant).await;
        assert_eq!(world.alert(&sample.to_string()).await, 202, "{name}");
        assert_eq!(world.told().await, expected, "{name}");
    }
}

#[tokio::test]
async fn every_azure_monitor_alert_of_the_samples_becomes_its_event() {
    let world = world_of(TENANT).await;
    let post = async |body: String| {
        world
            .post("/webhooks/azure-monitor?secret=monitor%2Bsecret%2Fwith%3Dsigns", body)
            .await
            .status()
            .as_u16()
    };
    let Some(log) = read("graph/common-alert-schema-log-v2.json") else { return };
    assert_eq!(post(log.to_string()).await, 202);
    assert_eq!(
        world.told().await,
        [
            "azure_monitor person abcdefab-af90-4edf-ac4c-742ff06735d0: risk_reported high, at risk, unfamiliarFeatures at 2020-07-09T13:58:24.3713213Z"
        ]
    );
    let metric = read("graph/common-alert-schema-metric.json").unwrap();
    assert_eq!(post(metric.to_string()).await, 202);
    assert_eq!(world.counted("azure_monitor", "nothing_happened"), 1);
    // A context alone, of an alert about no person; put into the envelope of the other one.
    let mut simple = log;
    simple["data"]["alertContext"] =
        read("graph/common-alert-schema-simple-log-context.json").unwrap()["alertContext"].clone();
    assert_eq!(post(simple.to_string()).await, 202);
    assert!(world.events().await.is_empty());
    assert_eq!(world.counted("azure_monitor", "unhandled"), 1);
}
