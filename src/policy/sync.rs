//! What should hold for the directory: who is in scope, how accounts are made, what they are made of, which roles and
//! organizations people have, and what happens to leavers.
//!
//! Only what is named here is managed: an attribute, a role or an organization that no line names is never read-modify-
//! written and never removed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::Policy;
use super::groups::GroupRule;
use super::mapping::Expression;
use crate::event::ObjectId;
use crate::snapshot::sync::RootField;

/// `[people]`: who is kept in step. Somebody who was never among them keeps what is there; who leaves them keeps the
/// account and its attributes, and loses the roles and organizations that the policy names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct People {
    /// Members of these Entra groups; empty means everybody.
    pub any_of: BTreeSet<ObjectId>,
    /// Never members of these.
    pub none_of: BTreeSet<ObjectId>,
    /// What becomes of guests (`userType`).
    pub guests: Guests,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guests {
    /// Guests are not kept in step; containment still covers them.
    #[default]
    Ignore,
    Include,
}

/// `[provision]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provision {
    pub method: Method,
    /// The database connection that accounts are made in, with `method = "database"`.
    pub connection: Option<String>,
    /// Have Auth0 mail a change-password link to a new database account.
    pub password_mail: Switch,
    /// What becomes of a database account with the same verified e-mail.
    pub link: Link,
}

/// How an account comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Auth0 makes it at the first login through the enterprise connection.
    #[default]
    FirstLogin,
    /// Auth0's inbound SCIM endpoint of the enterprise connection.
    Scim,
    /// The Management API, in a database connection.
    Database,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Look-alikes are shown to a person, never merged.
    #[default]
    Never,
    /// A database account with the same e-mail, verified on both sides, becomes a secondary identity.
    VerifiedEmail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    Yes,
    #[default]
    No,
}

/// `[[attributes]]`: one attribute that we own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub to: Target,
    pub from: Expression,
}

/// Where a value goes. Metadata merges on its first level only, so nothing deeper can be owned without
/// read-modify-write (Auth0, Manage Metadata Using the Management API).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Target {
    Root(RootField),
    AppMetadata(String),
    UserMetadata(String),
}

/// First-level `app_metadata` keys that Auth0 refuses (Auth0, Metadata Field Names and Data Types), and our own.
const FORBIDDEN_APP_METADATA: [&str; 20] = [
    "__tenant",
    "_id",
    "blocked",
    "clientID",
    "created_at",
    "email_verified",
    "email",
    "globalClientID",
    "global_client_id",
    "identities",
    "lastIP",
    "lastLogin",
    "loginsCount",
    "metadata",
    "multifactor_last_modified",
    "multifactor",
    "updated_at",
    "user_id",
    // SCIM and we find people by it.
    "external_id",
    // Whose block it is; written by containment alone.
    "lockstep",
];

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        if let Some(field) = RootField::ALL.into_iter().find(|field| field.word() == text) {
            return Ok(Target::Root(field));
        }
        let (home, key) = text.split_once('.').ok_or_else(|| {
            let fields: Vec<&str> = RootField::ALL.map(RootField::word).to_vec();
            format!("expected app_metadata.KEY, user_metadata.KEY or one of {}", fields.join(", "))
        })?;
        if key.is_empty() || key.contains(['.', '$']) || key.len() > 100 {
            return Err("a metadata key is on the first level, at most 100 bytes, without '.' and '$'".into());
        }
        match home {
            "app_metadata" if FORBIDDEN_APP_METADATA.contains(&key) => {
                Err(format!("app_metadata.{key} belongs to Auth0 or to Lockstep's own bookkeeping"))
            }
            "app_metadata" => Ok(Target::AppMetadata(key.to_owned())),
            "user_metadata" => Ok(Target::UserMetadata(key.to_owned())),
            _ => Err("values go to app_metadata.KEY, user_metadata.KEY or a root attribute".into()),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Target, String> {
        text.parse()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Root(field) => f.write_str(field.word()),
            Target::AppMetadata(key) => write!(f, "app_metadata.{key}"),
            Target::UserMetadata(key) => write!(f, "user_metadata.{key}"),
        }
    }
}

/// `[[roles]]`: one way to have a role. Several lines may name the same role: any of them gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// The role's name, or its id (`rol_…`).
    pub role: String,
    #[serde(default)]
    pub any_of: BTreeSet<ObjectId>,
    #[serde(default)]
    pub all_of: BTreeSet<ObjectId>,
    #[serde(default)]
    pub none_of: BTreeSet<ObjectId>,
    /// Losing it ends the tokens that carry it.
    #[serde(default)]
    pub privileged: Switch,
}

impl RoleRule {
    pub fn rule(&self) -> GroupRule {
        let (any_of, all_of, none_of) = (self.any_of.clone(), self.all_of.clone(), self.none_of.clone());
        GroupRule { any_of, all_of, none_of }
    }
}

/// `[[organizations]]`: one way to be a member of an organization, and the roles inside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationRule {
    /// The organization's name, or its id (`org_…`).
    pub organization: String,
    #[serde(default)]
    pub any_of: BTreeSet<ObjectId>,
    #[serde(default)]
    pub all_of: BTreeSet<ObjectId>,
    #[serde(default)]
    pub none_of: BTreeSet<ObjectId>,
    /// Roles that members have inside the organization; a member for whom none holds has none of them.
    #[serde(default)]
    pub roles: Vec<RoleRule>,
}

impl OrganizationRule {
    pub fn rule(&self) -> GroupRule {
        let (any_of, all_of, none_of) = (self.any_of.clone(), self.all_of.clone(), self.none_of.clone());
        GroupRule { any_of, all_of, none_of }
    }
}

/// `[mfa]`: for whom an Auth0 Action shall ask for a second factor. Lockstep sets the flag; the Action enforces it
/// (docs/operating.md has one to copy).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mfa {
    /// The first-level key of `app_metadata` that is `true` for them; nothing is done without it.
    pub metadata_key: Option<String>,
    pub any_of: BTreeSet<ObjectId>,
    pub none_of: BTreeSet<ObjectId>,
    /// Have Auth0 mail an enrolment ticket, once per person.
    pub enrolment_mail: Switch,
}

impl Mfa {
    pub fn rule(&self) -> GroupRule {
        let (any_of, none_of) = (self.any_of.clone(), self.none_of.clone());
        GroupRule { any_of, none_of, all_of: BTreeSet::new() }
    }
}

/// `[leavers]`: what follows when somebody is deleted in Entra. Disabling and deleting lock at once (`[contain]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Leavers {
    pub delete: Delete,
    /// How long a deleted person's accounts are kept, blocked.
    pub grace_days: u32,
}

impl Default for Leavers {
    fn default() -> Self {
        Leavers { delete: Delete::Never, grace_days: 30 }
    }
}

impl Leavers {
    pub fn grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.grace_days) * 24 * 3600)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delete {
    /// Accounts stay, blocked, until a person deletes them.
    #[default]
    Never,
    /// After the grace, counted from the first time the deletion was confirmed.
    AfterGrace,
    /// After the grace, or as soon as Entra has purged the person.
    AfterGraceOrPurge,
}

/// `[sweep]`: how often what notifications may have missed is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sweep {
    /// Seconds from one sweep of what has changed to the next.
    pub every_seconds: u32,
    /// Hours from one sweep of everybody to the next: it finds what people have changed by hand in Auth0.
    pub whole_every_hours: u32,
    /// Seconds from one question who was disabled, deleted or enabled to the next: whoever was goes straight to the contain
    /// lane, however much waits in the others.
    pub disabled_every_seconds: u32,
}

impl Default for Sweep {
    fn default() -> Self {
        Sweep { every_seconds: 300, whole_every_hours: 24, disabled_every_seconds: 15 }
    }
}

impl Policy {
    /// Whether the policy asks for anything beyond containment: without it the sync lane only watches for leavers.
    pub fn manages_directory(&self) -> bool {
        self.provision.method != Method::FirstLogin
            || self.provision.link != Link::Never
            || !self.attributes.is_empty()
            || !self.roles.is_empty()
            || !self.organizations.is_empty()
            || self.mfa.metadata_key.is_some()
            || self.leavers.delete != Delete::Never
    }

    /// Whether it holds what a variable cannot override.
    pub fn has_lists_of_tables(&self) -> bool {
        !(self.attributes.is_empty()
            && self.tables.is_empty()
            && self.roles.is_empty()
            && self.organizations.is_empty())
    }

    /// Every group that any rule names; memberships of others are of no interest.
    pub fn groups(&self) -> BTreeSet<ObjectId> {
        let organizations = self.organizations.iter().flat_map(|organization| {
            organization.rule().groups().chain(role_groups(&organization.roles)).collect::<Vec<_>>()
        });
        let people = self.people.any_of.iter().chain(&self.people.none_of).copied();
        let mfa = self.mfa.rule().groups().collect::<Vec<_>>();
        people.chain(role_groups(&self.roles)).chain(organizations).chain(mfa).collect()
    }

    /// The properties of an Entra user that any attribute reads, by their first part.
    pub fn properties(&self) -> BTreeSet<&str> {
        let needs = self.attributes.iter().flat_map(|attribute| attribute.from.needs());
        needs.map(|path| super::mapping::root(path)).collect()
    }
}

fn role_groups(rules: &[RoleRule]) -> Vec<ObjectId> {
    rules.iter().flat_map(|rule| rule.rule().groups().collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_on_the_first_level_and_ours_to_own() {
        assert_eq!("name".parse(), Ok(Target::Root(RootField::Name)));
        assert_eq!("app_metadata.department".parse(), Ok(Target::AppMetadata("department".into())));
        assert_eq!("user_metadata.locale".parse(), Ok(Target::UserMetadata("locale".into())));
        for wrong in [
            "",
            "blocked",
            "user_id",
            "app_metadata",
            "app_metadata.",
            "app_metadata.a.b",
            "app_metadata.lockstep",
            "app_metadata.user_id",
            "user_metadata.a$b",
            "metadata.x",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
