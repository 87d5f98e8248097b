//! The shapes of Graph's answers, reduced to what is used. Unknown properties are ignored, missing ones are not guessed.

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::{ObjectId, RiskLevel, RiskState};
use crate::outbound::http::Answer;
use crate::snapshot::{Enabled, Person, Risk};

/// What is asked of a user. Without `$select` Graph leaves `accountEnabled` out (Graph, Get a user).
pub(super) const USER_SELECT: &str = "id,accountEnabled,displayName,userType";
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
    display_name: Option<String>,
}

impl User {
    /// `None` when this is another object than the one asked for.
    pub(super) fn into_person(self, asked: ObjectId) -> Option<Person> {
        let enabled = match self.account_enabled {
            Some(true) => Enabled::Yes,
            Some(false) => Enabled::No,
            None => Enabled::NotTold,
        };
        let name =
            |name: String| name.chars().filter(|c| !c.is_control()).take(DISPLAY_NAME_CHARS_MAX).collect();
        (self.id == asked.0).then(|| Person {
            object: asked,
            enabled,
            display_name: self.display_name.map(name),
        })
    }

    /// A deleted group or application is not the person.
    pub(super) fn is_user(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("#microsoft.graph.user"))
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

/// Graph's error body; branch on `code` only (Graph, Error responses).
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorCode,
}

#[derive(Debug, Deserialize)]
struct ErrorCode {
    code: Option<String>,
}

/// `error.code`; `None` when this is not Graph's error body at all (a proxy, a wrong address).
pub(super) fn error_code(answer: &Answer) -> Option<String> {
    answer.json::<ErrorBody>().ok().map(|body| body.error.code.unwrap_or_default())
}

/// The codes with which Graph's services say "no such object". A 404 with anything else is no evidence of absence.
pub(super) fn says_absent(code: &str) -> bool {
    ["Request_ResourceNotFound", "ResourceNotFound", "itemNotFound", "NotFound"]
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
