//! Bodies of risk alerts: Lockstep's own schema, and the vendor shapes that a SIEM or a Logic App passes on.
//!
//! A person that the world does not know, or that is not at risk, still gets a body, because alerts about such people
//! are part of life.

use crate::world::{Person, PersonId, Risk, World, hex, stamp};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Lockstep's own alert: `risk.reported`.
pub fn alert(world: &World, person: PersonId, level: &str) -> Value {
    let risk = world.find_person(person).and_then(|person| person.risk.clone());
    json!({
        "type": "risk.reported",
        "tenantId": world.tenant_id(),
        "userId": person.to_string(),
        "riskLevel": level,
        "riskState": risk.as_ref().map_or("atRisk", |risk| &risk.state),
        "riskEventType": risk.as_ref().map_or("leakedCredentials", |risk| &risk.detection),
        "detectedDateTime": stamp(risk.as_ref().map_or_else(Timestamp::now, |risk| risk.updated)),
    })
}

/// Microsoft Graph, riskyUser resource type.
pub fn risky_user(world: &World, person: PersonId) -> Value {
    let about = About::of(world, person);
    let mut body = about.risky_user();
    body["@odata.context"] =
        "https://graph.microsoft.com/v1.0/$metadata#identityProtection/riskyUsers/$entity".into();
    body
}

/// Microsoft Graph, riskDetection resource type.
pub fn detection(world: &World, person: PersonId) -> Value {
    About::of(world, person).detection()
}

/// Microsoft Graph, alert resource type (alerts_v2), raised by Identity Protection.
pub fn security_alert(world: &World, person: PersonId) -> Value {
    let about = About::of(world, person);
    let time = stamp(about.risk.updated);
    json!({
        "@odata.type": "#microsoft.graph.security.alert",
        "id": format!("ad{}", &about.risk.detection_id[..12]),
        "providerAlertId": about.risk.detection_id,
        "incidentId": "40117",
        "status": "new",
        "severity": about.severity(),
        "classification": "unknown",
        "determination": "unknown",
        "serviceSource": "azureAdIdentityProtection",
        "detectionSource": "azureAdIdentityProtection",
        "productName": "Microsoft Entra ID Protection",
        "tenantId": world.tenant_id(),
        "title": about.risk.detection,
        "category": "InitialAccess",
        "createdDateTime": time,
        "lastUpdateDateTime": time,
        "evidence": [
            {
                "@odata.type": "#microsoft.graph.security.ipEvidence",
                "createdDateTime": time,
                "verdict": "suspicious",
                "roles": ["attacker"],
                "ipAddress": "203.0.113.56",
            },
            {
                "@odata.type": "#microsoft.graph.security.userEvidence",
                "createdDateTime": time,
                "verdict": "suspicious",
                "roles": ["compromised"],
                "userAccount": {
                    "accountName": about.upn.split('@').next(),
                    "azureAdUserId": about.id,
                    "userPrincipalName": about.upn,
                    "displayName": about.name,
                },
            },
        ],
    })
}

/// Entra diagnostic settings, category RiskyUsers, as an Event Hub message.
pub fn diagnostic_risky_user(world: &World, person: PersonId) -> Value {
    let about = About::of(world, person);
    let record = json!({
        "time": us_time(about.risk.updated),
        "category": "RiskyUsers",
        "operationName": "Risky user",
        "tenantId": world.tenant_id(),
        "properties": about.risky_user(),
    });
    json!({ "records": [record] })
}

/// Entra diagnostic settings, category UserRiskEvents, as an Event Hub message.
pub fn diagnostic_detection(world: &World, person: PersonId) -> Value {
    let about = About::of(world, person);
    let mut properties = about.detection();
    properties["riskType"] = about.risk.detection.clone().into();
    let record = json!({
        "time": us_time(about.risk.updated),
        "resourceId": format!("/tenants/{}/providers/microsoft.aadiam", world.tenant_id()),
        "operationName": "User Risk Detection",
        "operationVersion": "1.0",
        "category": "UserRiskEvents",
        "tenantId": world.tenant_id(),
        "durationMs": 0,
        "callerIpAddress": "203.0.113.56",
        "correlationId": about.risk.detection_id,
        "identity": about.name,
        "Level": 4,
        "properties": properties,
    });
    json!({ "records": [record] })
}

/// A person at risk, invented where the world does not say.
struct About {
    id: String,
    upn: String,
    name: String,
    risk: Risk,
}

impl About {
    fn of(world: &World, id: PersonId) -> About {
        let person = world.find_person(id);
        let text = |get: fn(&Person) -> &str, other: &str| person.map_or(other, get).to_owned();
        About {
            id: id.to_string(),
            upn: text(|person| &person.upn, "nobody@contoso.example"),
            name: text(|person| &person.display_name, "Nobody Known"),
            risk: person.and_then(|person| person.risk.clone()).unwrap_or_else(|| Risk {
                level: "high".into(),
                state: "atRisk".into(),
                detail: "none".into(),
                updated: Timestamp::now(),
                detection: "leakedCredentials".into(),
                detection_id: hex(64),
            }),
        }
    }

    fn risky_user(&self) -> Value {
        json!({
            "id": self.id,
            "isDeleted": false,
            "isProcessing": false,
            "riskLevel": self.risk.level,
            "riskState": self.risk.state,
            "riskDetail": self.risk.detail,
            "riskLastUpdatedDateTime": stamp(self.risk.updated),
            "userDisplayName": self.name,
            "userPrincipalName": self.upn,
        })
    }

    fn detection(&self) -> Value {
        json!({
            "id": self.risk.detection_id,
            "requestId": uuid::Uuid::nil().to_string(),
            "correlationId": self.risk.detection_id,
            "riskEventType": self.risk.detection,
            "riskState": self.risk.state,
            "riskLevel": self.risk.level,
            "riskDetail": self.risk.detail,
            "source": "IdentityProtection",
            "detectionTimingType": "offline",
            "activity": "signin",
            "tokenIssuerType": "AzureAD",
            "ipAddress": "203.0.113.56",
            "location": { "city": "Bremen", "state": "Bremen", "countryOrRegion": "DE", "geoCoordinates": null },
            "activityDateTime": stamp(self.risk.updated),
            "detectedDateTime": stamp(self.risk.updated),
            "lastUpdatedDateTime": stamp(self.risk.updated),
            "userId": self.id,
            "userDisplayName": self.name,
            "userPrincipalName": self.upn,
            // A JSON string in a JSON string, as Graph sends it.
            "additionalInfo": r#"[{"Key":"userAgent","Value":"Mozilla/5.0"},{"Key":"mitreTechniques","Value":"T1078"}]"#,
        })
    }

    /// Security alerts know other words than risks.
    fn severity(&self) -> &str {
        match self.risk.level.as_str() {
            level @ ("low" | "medium" | "high") => level,
            _ => "informational",
        }
    }
}

/// `7/18/2026 2:03:03 PM`, the local form of 2026 captures; receivers must take their times from the properties.
fn us_time(at: Timestamp) -> String {
    at.strftime("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}
