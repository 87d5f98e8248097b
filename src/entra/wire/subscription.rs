//! The shapes of subscriptions.

use serde::Deserialize;
use uuid::Uuid;

use crate::entra::{Subscription, SubscriptionId};

#[derive(Debug, Deserialize)]
pub(in crate::entra) struct Subscriptions {
    pub(in crate::entra) value: Vec<Wire>,
    #[serde(rename = "@odata.nextLink")]
    pub(in crate::entra) next: Option<String>,
}

/// Without `clientState`: a secret that is not needed is not kept.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::entra) struct Wire {
    id: Uuid,
    resource: String,
    change_type: String,
    notification_url: String,
    lifecycle_notification_url: Option<String>,
    expiration_date_time: String,
    application_id: Option<String>,
}

impl Wire {
    /// `None` when it does not say when it ends.
    pub(in crate::entra) fn understood(self) -> Option<Subscription> {
        Some(Subscription {
            id: SubscriptionId(self.id),
            resource: self.resource,
            change_type: self.change_type,
            notification_url: self.notification_url,
            lifecycle_url: self.lifecycle_notification_url,
            expires: self.expiration_date_time.parse().ok()?,
            application_id: self.application_id,
        })
    }
}

/// The id in `Subscription Id <…> already exists for the requested combination` (Graph, Receive change notifications
/// through webhooks): the first thing in the text that is one.
pub(in crate::entra) fn duplicate_id(message: &str) -> Option<SubscriptionId> {
    let words = message.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.filter(|word| word.len() == 36).find_map(|word| Uuid::try_parse(word).ok()).map(SubscriptionId)
}

/// Only the text of a 403 tells a used-up quota from a missing permission; it names the limit (Graph, Change
/// notifications overview).
pub(in crate::entra) fn says_quota(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["limit", "quota"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_without_its_secret() {
        let text = r#"{
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
            "id": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07", "resource": "users", "changeType": "updated,deleted",
            "clientState": "secretClientValue", "notificationUrl": "https://lockstep.example/webhooks/graph",
            "lifecycleNotificationUrl": null, "expirationDateTime": "2016-11-20T18:23:45.9356913Z",
            "applicationId": "24d3b144-21ae-4080-943f-7067b395b913", "creatorId": "x", "latestSupportedTlsVersion": "v1_2"
        }"#;
        let read = serde_json::from_str::<Wire>(text).unwrap().understood().unwrap();
        assert!(!format!("{read:?}").contains("secretClientValue"));
        assert_eq!(read.expires.to_string(), "2016-11-20T18:23:45.9356913Z");
        assert_eq!((read.resource.as_str(), read.lifecycle_url), ("users", None));
    }

    #[test]
    fn the_other_subscription_is_found_in_the_text() {
        let id = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";
        let expected = Some(SubscriptionId(id.parse().unwrap()));
        let documented = format!("Subscription Id <{id}> already exists for the requested combination");
        assert_eq!(duplicate_id(&documented), expected);
        assert_eq!(duplicate_id(&format!("Id {id} exists.")), expected);
        assert_eq!(duplicate_id("exists already"), None);
    }

    #[test]
    fn a_quota_names_its_limit_and_a_permission_does_not() {
        assert!(says_quota("Subscription limit of 100 per application and tenant has been reached."));
        assert!(!says_quota("Insufficient privileges to complete the operation."));
    }
}
