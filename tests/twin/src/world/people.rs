//! People in the Entra tenant: hired, changed, put at risk, disabled, deleted, restored.

use super::World;
use super::accounts::{AccountId, AccountSeed};
use super::changes::{Changed, Touched};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// An Entra object id. Shows as the lower-case GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(Uuid);

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for PersonId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<PersonId, uuid::Error> {
        Uuid::try_parse(text).map(PersonId)
    }
}

impl PersonId {
    /// A fresh object id that nobody has: for alerts about unknown people.
    pub fn nobody() -> PersonId {
        PersonId(uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid())
    }
}

/// Who is hired. Only the name and the UPN are needed; the rest has an ordinary employee's values.
#[derive(Debug, Clone, Default)]
pub struct Hire {
    pub display_name: String,
    pub upn: String,
    /// Defaults to the UPN.
    pub mail: Option<String>,
    pub given_name: Option<String>,
    pub surname: Option<String>,
    pub department: Option<String>,
    pub job_title: Option<String>,
    pub manager: Option<PersonId>,
    /// Further Graph properties by their own names (`employeeId`, `officeLocation`…).
    pub properties: Map<String, Value>,
    /// Also signed in to Auth0 once, which made the enterprise account `waad|<object id>`.
    pub auth0_enterprise: bool,
}

impl Hire {
    /// Somebody with an enterprise account, `first.last@contoso.example`.
    pub fn named(display_name: &str) -> Hire {
        let (first, last) = display_name.split_once(' ').unwrap_or((display_name, "Person"));
        Hire {
            display_name: display_name.to_owned(),
            upn: format!(
                "{}.{}@contoso.example",
                first.to_lowercase(),
                last.to_lowercase().replace(' ', "-")
            ),
            given_name: Some(first.to_owned()),
            surname: Some(last.to_owned()),
            auth0_enterprise: true,
            ..Hire::default()
        }
    }

    /// An invited guest of the tenant whose initial domain is `tenant_domain`: the UPN is made of the address, and the
    /// invitation is not accepted yet (Graph, user resource type: `userType`, `externalUserState`; Entra, Properties of a
    /// B2B guest user).
    pub fn guest(display_name: &str, mail: &str, tenant_domain: &str) -> Hire {
        let upn = format!("{}#EXT#@{tenant_domain}", mail.replace('@', "_"));
        let identities = serde_json::json!([
            { "signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": null },
            { "signInType": "userPrincipalName", "issuer": tenant_domain, "issuerAssignedId": upn },
        ]);
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let properties = [
            ("userType", "Guest".into()),
            ("creationType", "Invitation".into()),
            ("externalUserState", "PendingAcceptance".into()),
            ("externalUserStateChangeDateTime", now.into()),
            ("identities", identities),
        ];
        Hire {
            display_name: display_name.to_owned(),
            upn,
            mail: Some(mail.to_owned()),
            properties: properties.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            ..Hire::default()
        }
    }
}

/// One Entra user, deleted ones included until they are purged.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: PersonId,
    pub upn: String,
    pub display_name: String,
    pub mail: Option<String>,
    pub enabled: bool,
    pub manager: Option<PersonId>,
    /// Who was the manager before the last change of manager.
    pub(crate) former_manager: Option<PersonId>,
    pub created: Timestamp,
    /// Set while the person is in the directory's deleted items.
    pub deleted: Option<Timestamp>,
    /// Entra sessions from before this time are void (Graph, user: revokeSignInSessions).
    pub sessions_valid_from: Timestamp,
    /// `None` until Identity Protection has ever looked at the person.
    pub risk: Option<Risk>,
    /// Further Graph properties by their own names.
    pub properties: Map<String, Value>,
}

/// What Identity Protection says about a person (Graph, riskyUser resource type).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    pub level: String,
    pub state: String,
    pub detail: String,
    pub updated: Timestamp,
    /// `riskEventType` of the detection that raised it.
    pub detection: String,
    /// Id of that detection: 64 hex digits, not a GUID, as in public captures.
    pub detection_id: String,
}

impl World {
    /// Creates an Entra user, and the enterprise account if asked for. Panics if the UPN is taken.
    pub fn hire(&mut self, hire: Hire) -> PersonId {
        let id = PersonId::nobody();
        self.hire_as(id, hire);
        id
    }

    /// Like [`World::hire`], with a chosen object id: for populations that must be the same on every run.
    pub fn hire_as(&mut self, id: PersonId, hire: Hire) {
        let taken = self.by_upn.insert(hire.upn.to_lowercase(), id);
        assert!(taken.is_none(), "the UPN {} is taken", hire.upn);
        let enterprise = hire.auth0_enterprise;
        self.hold_person(id);
        self.people.insert(id, Person::from_hire(id, hire));
        self.changes.write(Changed::UserUpdated { id, touched: Touched::Everything });
        if enterprise {
            self.add_enterprise_account(id);
        }
    }

    /// The person, deleted or not. Panics if never hired or purged.
    pub fn person(&self, id: PersonId) -> &Person {
        self.people.get(&id).unwrap_or_else(|| panic!("nobody has the object id {id}"))
    }

    /// The person, deleted or not.
    pub fn find_person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)
    }

    /// The person with this user principal name, in any case.
    pub fn find_person_by_upn(&self, upn: &str) -> Option<&Person> {
        self.by_upn.get(&upn.to_lowercase()).and_then(|id| self.people.get(id))
    }

    /// Everybody, deleted ones included, in the order of their ids.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    pub(crate) fn people_after(&self, id: Option<PersonId>) -> impl Iterator<Item = &Person> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.people.range((id.map_or(Unbounded, Excluded), Unbounded)).map(|(_, person)| person)
    }

    /// Puts a person at risk: level (`low`, `medium`, `high`, `hidden`…) and the detection's `riskEventType`.
    pub fn raise_risk(&mut self, id: PersonId, level: &str, detection: &str) {
        self.person_mut(id).risk = Some(Risk {
            level: level.to_owned(),
            state: "atRisk".to_owned(),
            detail: "none".to_owned(),
            updated: Timestamp::now(),
            detection: detection.to_owned(),
            detection_id: super::hex(64),
        });
    }

    /// An administrator dismisses the risk.
    pub fn dismiss_risk(&mut self, id: PersonId) {
        self.settle_risk(id, "none", "dismissed", "adminDismissedAllRiskForUser");
    }

    /// The person has reset the password securely.
    pub fn remediate_risk(&mut self, id: PersonId) {
        self.settle_risk(id, "none", "remediated", "userPerformedSecuredPasswordReset");
    }

    /// An administrator confirms the compromise; Graph sets the level to high (riskyUser: confirmCompromised).
    pub fn confirm_compromised(&mut self, id: PersonId) {
        self.settle_risk(id, "high", "confirmedCompromised", "adminConfirmedUserCompromised");
    }

    /// An administrator confirms that the person is safe.
    pub fn confirm_safe(&mut self, id: PersonId) {
        self.settle_risk(id, "none", "confirmedSafe", "adminConfirmedAccountSafe");
    }

    /// Blocks sign-in in Entra (`accountEnabled: false`).
    pub fn disable(&mut self, id: PersonId) {
        self.change_person(id, Touched::property("accountEnabled"), |person| person.enabled = false);
    }

    /// Allows sign-in in Entra again.
    pub fn enable(&mut self, id: PersonId) {
        self.change_person(id, Touched::property("accountEnabled"), |person| person.enabled = true);
    }

    /// Deletes the person into the directory's deleted items, where they stay restorable.
    pub fn soft_delete(&mut self, id: PersonId) {
        self.change_person(id, Touched::Everything, |person| person.deleted = Some(Timestamp::now()));
        let upn = self.person(id).upn.to_lowercase();
        self.by_upn.remove(&upn);
    }

    /// Purges the person: neither the directory nor its deleted items know them any more.
    pub fn hard_delete(&mut self, id: PersonId) {
        self.hold_person(id);
        if let Some(person) = self.people.remove(&id) {
            if person.deleted.is_none() {
                self.by_upn.remove(&person.upn.to_lowercase());
            }
            self.leave_all_groups(id.into());
            self.changes.write(Changed::UserDeleted(id));
        }
    }

    /// Brings a soft-deleted person back.
    pub fn restore(&mut self, id: PersonId) {
        self.change_person(id, Touched::Everything, |person| person.deleted = None);
        let upn = self.person(id).upn.to_lowercase();
        self.by_upn.insert(upn, id);
    }

    pub(crate) fn revoke_entra_sessions(&mut self, id: PersonId) {
        let touched = Touched::property("signInSessionsValidFromDateTime");
        self.change_person(id, touched, |person| person.sessions_valid_from = Timestamp::now());
    }

    /// Creates the account that the first sign-in through the enterprise connection makes. Its id is `waad|<object id>`,
    /// one of the forms seen in public code; Auth0 states none.
    pub fn add_enterprise_account(&mut self, id: PersonId) -> AccountId {
        let person = self.person(id);
        let mut seed = AccountSeed::of(person, &format!("waad|{id}"), &self.connection.clone());
        seed.root.insert("upn".into(), person.upn.clone().into());
        seed.root.insert("oid".into(), id.to_string().into());
        seed.root.insert("tid".into(), self.tenant_id.clone().into());
        self.add_account_raw(seed)
    }

    /// Creates a database account of this person, its own Auth0 user, whose `app_metadata.external_id` is the object id
    /// (the key that Auth0's default SCIM mapping for Entra uses).
    pub fn add_database_account(&mut self, id: PersonId) -> AccountId {
        let person = self.person(id);
        let mut seed =
            AccountSeed::of(person, &format!("auth0|{}", super::hex(24)), "Username-Password-Authentication");
        seed.email = seed.email.map(|email| email.to_lowercase());
        seed.app_metadata.insert("external_id".into(), id.to_string().into());
        self.add_account_raw(seed)
    }

    fn settle_risk(&mut self, id: PersonId, level: &str, state: &str, detail: &str) {
        let risk = &mut self.person_mut(id).risk;
        let before = risk.take();
        *risk = Some(Risk {
            level: level.to_owned(),
            state: state.to_owned(),
            detail: detail.to_owned(),
            updated: Timestamp::now(),
            detection: before
                .as_ref()
                .map_or("adminConfirmedUserCompromised".into(), |r| r.detection.clone()),
            detection_id: before.map_or_else(|| super::hex(64), |r| r.detection_id),
        });
    }

    /// Changes what the directory says about a person, and tells so.
    pub(super) fn change_person(&mut self, id: PersonId, touched: Touched, change: impl FnOnce(&mut Person)) {
        self.hold_person(id);
        change(self.person_mut(id));
        self.changes.write(Changed::UserUpdated { id, touched });
    }

    fn person_mut(&mut self, id: PersonId) -> &mut Person {
        self.people.get_mut(&id).unwrap_or_else(|| panic!("nobody has the object id {id}"))
    }
}

impl Person {
    /// Sets or, with null, clears a property, wherever it is kept. A cleared one is remembered as cleared, because a
    /// delta query tells it as null and leaves out one that was never set.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match (name, value) {
            ("displayName", Value::String(text)) => self.display_name = text,
            ("userPrincipalName", Value::String(_)) => panic!("World::set_upn keeps the index of UPNs"),
            ("accountEnabled", Value::Bool(enabled)) => self.enabled = enabled,
            ("mail", Value::String(text)) => {
                self.mail = Some(text);
                self.properties.remove("mail");
            }
            (name, value) => {
                if name == "mail" {
                    self.mail = None;
                }
                self.properties.insert(name.to_owned(), value);
            }
        }
    }

    fn from_hire(id: PersonId, hire: Hire) -> Person {
        let now = Timestamp::now();
        let mut properties = hire.properties;
        let named = [
            ("givenName", hire.given_name),
            ("surname", hire.surname),
            ("department", hire.department),
            ("jobTitle", hire.job_title),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                properties.insert(name.to_owned(), value.into());
            }
        }
        Person {
            id,
            mail: hire.mail.or_else(|| Some(hire.upn.clone())),
            upn: hire.upn,
            display_name: hire.display_name,
            enabled: true,
            manager: hire.manager,
            former_manager: None,
            created: now,
            deleted: None,
            sessions_valid_from: now,
            risk: None,
            properties,
        }
    }

    /// A further property as text, if it is set.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.properties.get(property).and_then(Value::as_str)
    }
}
