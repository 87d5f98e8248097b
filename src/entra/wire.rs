//! The shapes of Graph's answers, reduced to what is used. Unknown properties are ignored, missing ones are not guessed.

pub(super) mod delta;
pub(super) mod subscription;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::entra::Kind;
use crate::event::{ObjectId, RiskLevel, RiskState};
use crate::outbound::http::Answer;
use crate::snapshot::{Email, Enabled, Guest, Person, Risk};

/// What is asked of a user. Without `$select` Graph leaves `accountEnabled` out (Graph, Get a user).
pub(super) const USER_SELECT: &str = "id,accountEnabled,displayName,userType,mail";
pub(super) const RISK_SELECT: &str = "id,riskLevel,riskState,riskLastUpdatedDateTime";

/// Names are for people only; a longer one is cut.
const DISPLAY_NAME_CHARS_MAX: usize = 256;

/// A user, also one among the deleted items.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    /// Deleted items are directory objects of several kinds; only there the type is named.
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    id: Uuid,
    account_enabled: Option<bool>,
    user_type: Option<String>,
    display_name: Option<String>,
    mail: Option<String>,
}

impl User {
    /// `None` when this is another object than the one asked for.
    pub(super) fn into_person(self, asked: ObjectId) -> Option<Person> {
        let enabled = match self.account_enabled {
            Some(true) => Enabled::Yes,
            Some(false) => Enabled::No,
            None => Enabled::NotTold,
        };
        (self.id == asked.0).then(|| Person {
            object: asked,
            enabled,
            guest: guest(self.user_type.as_deref()),
            display_name: self.display_name.as_deref().map(shown_name),
            mail: self.mail.as_deref().and_then(Email::read),
        })
    }

    /// A deleted group or application is not the person.
    pub(super) fn is_user(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("#microsoft.graph.user"))
    }
}

/// `userType` is `Member` or `Guest`, and empty for some old accounts (Graph, user resource type).
fn guest(user_type: Option<&str>) -> Guest {
    match user_type {
        Some(kind) if kind.eq_ignore_ascii_case("guest") => Guest::Yes,
        Some(kind) if kind.eq_ignore_ascii_case("member") => Guest::No,
        _ => Guest::NotTold,
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RiskyUser {
    id: Uuid,
    risk_level: Option<String>,
    risk_state: Option<String>,
    risk_last_updated_date_time: Option<String>,
}

impl RiskyUser {
    /// `None` when this is another person than the one asked for. A word we do not know is
    /// [`RiskLevel::Unknown`], as is a missing one.
    pub(super) fn into_risk(self, asked: ObjectId) -> Option<Risk> {
        (self.id == asked.0).then(|| Risk {
            level: self.risk_level.as_deref().map_or(RiskLevel::Unknown, RiskLevel::read),
            state: self.risk_state.as_deref().map_or(RiskState::Unknown, RiskState::read),
            updated_at: self.risk_last_updated_date_time.and_then(|text| text.parse().ok()),
        })
    }
}

/// The tenant, in a list of one.
#[derive(Debug, Deserialize)]
pub(super) struct Organizations {
    pub(super) value: Vec<Organization>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Organization {
    pub(super) id: Uuid,
}

/// A page of directory objects of several kinds (Graph, Paging).
#[derive(Debug, Deserialize)]
pub(super) struct Objects {
    pub(super) value: Vec<Object>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
}

/// Ids of groups, all of them at once: a link to more would be news.
#[derive(Debug, Deserialize)]
pub(super) struct Ids {
    pub(super) value: Vec<Uuid>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
    id: Uuid,
    display_name: Option<String>,
}

impl Object {
    pub(super) fn id(&self) -> ObjectId {
        ObjectId(self.id)
    }

    /// `None` when Graph did not say, which in a list of several kinds it always does.
    pub(super) fn kind(&self) -> Option<Kind> {
        let kind = self.kind.as_deref()?;
        Some(match kind.to_ascii_lowercase().as_str() {
            "#microsoft.graph.user" => Kind::User,
            "#microsoft.graph.group" => Kind::Group,
            _ => Kind::Other,
        })
    }

    pub(super) fn name(&self) -> Option<String> {
        self.display_name.as_deref().map(shown_name)
    }
}

/// Properties as they were told: what was asked for, without OData's own.
pub(super) fn told(mut properties: Map<String, Value>, asked: impl Fn(&str) -> bool) -> Map<String, Value> {
    properties.retain(|name, _| asked(name));
    for object in properties.values_mut().filter_map(Value::as_object_mut) {
        object.retain(|name, _| !name.contains('@'));
    }
    properties
}

fn shown_name(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(DISPLAY_NAME_CHARS_MAX).collect()
}

/// Graph's error body; branch on `code` where it tells enough (Graph, Error responses).
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorCode,
}

#[derive(Debug, Deserialize)]
struct ErrorCode {
    code: Option<String>,
    message: Option<String>,
}

/// `error.code`; `None` when this is not Graph's error body at all (a proxy, a wrong address).
pub(super) fn error_code(answer: &Answer) -> Option<String> {
    answer.json::<ErrorBody>().ok().map(|body| body.error.code.unwrap_or_default())
}

/// `error.message`, for the few refusals that only it tells apart. May quote ids and addresses: never shown.
pub(super) fn error_message(answer: &Answer) -> Option<String> {
    answer.json::<ErrorBody>().ok()?.error.message
}

/// The codes with which Graph's services say "no such object". A 404 with anything else is no evidence of absence.
pub(super) fn says_absent(code: &str) -> bool {
    ["Request_ResourceNotFound", "ResourceNotFound", "itemNotFound", "NotFound"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(code))
}

/// The codes with which Graph says that a link to go on from is of no use any more: a change token older than seven
/// days, a reset on its side, a page token that waited too long (Graph, Delta query overview; Error responses).
pub(super) fn says_resync(code: &str) -> bool {
    ["syncStateNotFound", "resyncRequired", "Directory_ExpiredPageToken"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(code))
}

pub(super) fn retry_after(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    crate::retry::retry_after(answer.header("retry-after")?, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "87d349ed-44d7-43e1-9a83-5f2406dee5bd";

    fn asked() -> ObjectId {
        ObjectId(ID.parse().unwrap())
    }

    fn user(json: &str) -> User {
        serde_json::from_str(&json.replace("ID", ID)).unwrap()
    }

    #[test]
    fn a_missing_account_enabled_is_not_disabled() {
        let told = |json| user(json).into_person(asked()).unwrap().enabled;
        assert_eq!(told(r#"{"id":"ID","accountEnabled":true}"#), Enabled::Yes);
        assert_eq!(told(r#"{"id":"ID","accountEnabled":false}"#), Enabled::No);
        assert_eq!(told(r#"{"id":"ID"}"#), Enabled::NotTold);
        assert_eq!(told(r#"{"id":"ID","accountEnabled":null,"surprise":[{}]}"#), Enabled::NotTold);
    }

    #[test]
    fn only_a_told_type_makes_a_guest_or_a_member() {
        let told = |json| user(json).into_person(asked()).unwrap().guest;
        assert_eq!(told(r#"{"id":"ID","userType":"Guest"}"#), Guest::Yes);
        assert_eq!(told(r#"{"id":"ID","userType":"Member"}"#), Guest::No);
        assert_eq!(told(r#"{"id":"ID","userType":null}"#), Guest::NotTold);
        assert_eq!(told(r#"{"id":"ID","userType":""}"#), Guest::NotTold);
    }

    #[test]
    fn somebody_else_is_not_the_person_asked_for() {
        let other = r#"{"id":"00000000-0000-0000-0000-000000000001","accountEnabled":false}"#;
        assert_eq!(user(other).into_person(asked()), None);
    }

    #[test]
    fn a_deleted_group_is_not_a_user() {
        assert!(!user(r##"{"@odata.type":"#microsoft.graph.group","id":"ID"}"##).is_user());
        assert!(user(r##"{"@odata.type":"#microsoft.graph.user","id":"ID"}"##).is_user());
    }

    #[test]
    fn hidden_and_new_words_of_risk_are_unknown_not_none() {
        let risk = |json: &str| serde_json::from_str::<RiskyUser>(&json.replace("ID", ID)).unwrap();
        let hidden =
            risk(r#"{"id":"ID","riskLevel":"hidden","riskState":"somethingNew"}"#).into_risk(asked());
        let expected = Risk { level: RiskLevel::Unknown, state: RiskState::Unknown, updated_at: None };
        assert_eq!(hidden, Some(expected));
        let known = r#"{"id":"ID","riskLevel":"high","riskState":"atRisk",
            "riskLastUpdatedDateTime":"2026-07-18T15:01:38.240Z"}"#;
        let at = "2026-07-18T15:01:38.24Z".parse().ok();
        let expected = Risk { level: RiskLevel::High, state: RiskState::AtRisk, updated_at: at };
        assert_eq!(risk(known).into_risk(asked()), Some(expected));
    }
}
