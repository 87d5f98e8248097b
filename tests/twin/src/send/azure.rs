//! Azure Monitor log search alerts in the common alert schema (Azure Monitor, Common alert schema). The rule is split by
//! dimensions, because result rows are not embedded.

use crate::setup::Setup;
use crate::world::{PersonId, World, stamp};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A fired alert about one person's risk.
pub fn fired(world: &World, person: PersonId, level: &str) -> Value {
    let known = world.find_person(person);
    let upn = known.map_or("nobody@contoso.example", |person| &person.upn);
    let detection = known.and_then(|person| person.risk.as_ref());
    let dimensions = [
        ("UserId", person.to_string()),
        ("UserPrincipalName", upn.to_owned()),
        ("RiskLevel", level.to_owned()),
        ("RiskState", "atRisk".to_owned()),
        ("RiskEventType", detection.map_or("leakedCredentials".to_owned(), |r| r.detection.clone())),
    ];
    let dimensions = dimensions.map(|(name, value)| json!({ "name": name, "value": value }));
    alert("Fired", &dimensions)
}

/// The same alert when it resolves: to be accepted and ignored.
pub fn resolved(world: &World, person: PersonId, level: &str) -> Value {
    let mut body = fired(world, person, level);
    body["data"]["essentials"]["monitorCondition"] = "Resolved".into();
    body["data"]["essentials"]["resolvedDateTime"] = stamp(Timestamp::now()).into();
    body
}

/// What a secure webhook's token says (Azure Monitor, Action groups: secure webhook): a version 1 token for the protected
/// API, issued to the application "AzNS AAD Webhook". Good for an hour.
pub fn claims(setup: &Setup, audience: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{}/", setup.tenant_id),
        "iat": now,
        "nbf": now,
        "exp": now + 3_600,
        "appid": AZURE_MONITOR_APP,
        "appidacr": "2",
        "idp": format!("https://sts.windows.net/{}/", setup.tenant_id),
        "oid": "7c1e92b4-35fd-4a06-8d17-b2e60f94c3a8",
        "roles": ["ActionGroupsSecureWebhook"],
        "sub": "7c1e92b4-35fd-4a06-8d17-b2e60f94c3a8",
        "tid": setup.tenant_id,
        "ver": "1.0",
    })
}

/// "AzNS AAD Webhook", the application that calls secure webhooks in every tenant (same page).
pub const AZURE_MONITOR_APP: &str = "461e8683-5575-4561-ac7f-899cc907d62a";

fn alert(condition: &str, dimensions: &[Value]) -> Value {
    let now = stamp(Timestamp::now());
    let subscription = "/subscriptions/0d3c8a57-6b1e-4f92-a0d4-5e7b9c2f1836";
    json!({
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": format!("{subscription}/providers/Microsoft.AlertsManagement/alerts/{}", uuid::Uuid::from_u128(fastrand::u128(..))),
                "alertRule": "entra-user-at-risk",
                "severity": "Sev1",
                "signalType": "Log",
                "monitorCondition": condition,
                "monitoringService": "Log Alerts V2",
                "alertTargetIDs": [format!("{subscription}/resourcegroups/rg-sec/providers/microsoft.operationalinsights/workspaces/law-entra")],
                "configurationItems": [format!("{subscription}/resourcegroups/rg-sec/providers/microsoft.operationalinsights/workspaces/law-entra")],
                "originAlertId": uuid::Uuid::from_u128(fastrand::u128(..)).to_string(),
                "firedDateTime": now,
                "description": "A person is at risk",
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
            },
            "alertContext": {
                "properties": {},
                "conditionType": "LogQueryCriteria",
                "condition": {
                    "windowSize": "PT5M",
                    "allOf": [{
                        "searchQuery": "AADUserRiskEvents | where RiskState == 'atRisk'",
                        "metricMeasureColumn": null,
                        "targetResourceTypes": "['microsoft.operationalinsights/workspaces']",
                        "operator": "GreaterThan",
                        "threshold": "0",
                        "timeAggregation": "Count",
                        "dimensions": dimensions,
                        "metricValue": 1.0,
                        "failingPeriods": { "numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1 },
                    }],
                    "windowStartTime": now,
                    "windowEndTime": now,
                },
            },
            "customProperties": null,
        },
    })
}
