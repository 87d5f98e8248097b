//! One change that keeps the directory in step: what it is, and its one sentence.
//!
//! A type of its own beside [`super::Action`]: what applies these cannot lock or release anybody, and what locks cannot
//! apply these. Applying one twice has the same effect as once. Sentences name attributes, never their values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::{AccountId, Means};
use crate::event::ObjectId;
use crate::policy::sync::Target;
use crate::snapshot::sync::{OrganizationId, RoleId};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncAction {
    Provision(NewAccount),
    /// One write for everything of one account; `None` clears.
    SetAttributes {
        account: AccountId,
        values: BTreeMap<Target, Option<Value>>,
    },
    AssignRoles {
        account: AccountId,
        roles: Vec<Named<RoleId>>,
    },
    RemoveRoles {
        account: AccountId,
        roles: Vec<Named<RoleId>>,
    },
    JoinOrganization {
        account: AccountId,
        organization: Named<OrganizationId>,
    },
    LeaveOrganization {
        account: AccountId,
        organization: Named<OrganizationId>,
    },
    AssignOrganizationRoles {
        account: AccountId,
        organization: Named<OrganizationId>,
        roles: Vec<Named<RoleId>>,
    },
    RemoveOrganizationRoles {
        account: AccountId,
        organization: Named<OrganizationId>,
        roles: Vec<Named<RoleId>>,
    },
    /// A privileged role was lost: the tokens that carry it end.
    EndAccess {
        account: AccountId,
        means: Means,
        lost: BTreeSet<String>,
    },
    /// `secondary` becomes an identity of `primary` and stops being an account of its own.
    Link {
        primary: AccountId,
        secondary: AccountId,
    },
    Delete {
        account: AccountId,
        because: String,
    },
    MailPasswordLink {
        account: AccountId,
        connection: String,
        email: String,
    },
    MailEnrolment {
        account: AccountId,
    },
}

/// An id with the name that the policy gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named<Id> {
    pub id: Id,
    pub name: String,
}

/// An account to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAccount {
    pub object: ObjectId,
    pub way: Way,
    pub user_name: String,
    pub email: Option<String>,
    /// The policy's attributes, without those that are empty.
    pub values: BTreeMap<Target, Value>,
    /// What SCIM knows by names of its own.
    pub display_name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The enterprise connection's SCIM endpoint.
    Scim,
    /// The Management API, in this database connection.
    Database { connection: String },
}

impl SyncAction {
    /// Done a second time, it is there twice.
    pub fn is_felt_twice(&self) -> bool {
        self.is_mail() || matches!(self, SyncAction::Provision(_))
    }

    /// What was not allowed before is, because of a group.
    pub fn gives(&self) -> bool {
        matches!(
            self,
            SyncAction::AssignRoles { .. }
                | SyncAction::JoinOrganization { .. }
                | SyncAction::AssignOrganizationRoles { .. }
        )
    }

    /// Sent by Auth0 to the person; whether it has left cannot be looked up.
    pub fn is_mail(&self) -> bool {
        matches!(self, SyncAction::MailPasswordLink { .. } | SyncAction::MailEnrolment { .. })
    }

    /// The account that it changes; a new one has none yet.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            SyncAction::Provision(_) => None,
            SyncAction::SetAttributes { account, .. }
            | SyncAction::AssignRoles { account, .. }
            | SyncAction::RemoveRoles { account, .. }
            | SyncAction::JoinOrganization { account, .. }
            | SyncAction::LeaveOrganization { account, .. }
            | SyncAction::AssignOrganizationRoles { account, .. }
            | SyncAction::RemoveOrganizationRoles { account, .. }
            | SyncAction::EndAccess { account, .. }
            | SyncAction::Link { primary: account, .. }
            | SyncAction::Delete { account, .. }
            | SyncAction::MailPasswordLink { account, .. }
            | SyncAction::MailEnrolment { account } => Some(account),
        }
    }

    /// The stable word used in the audit and in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            SyncAction::Provision(_) => "action.provision",
            SyncAction::SetAttributes { .. } => "action.set_attributes",
            SyncAction::AssignRoles { .. } => "action.assign_roles",
            SyncAction::RemoveRoles { .. } => "action.remove_roles",
            SyncAction::JoinOrganization { .. } => "action.join_organization",
            SyncAction::LeaveOrganization { .. } => "action.leave_organization",
            SyncAction::AssignOrganizationRoles { .. } => "action.assign_organization_roles",
            SyncAction::RemoveOrganizationRoles { .. } => "action.remove_organization_roles",
            SyncAction::EndAccess { .. } => "action.end_access",
            SyncAction::Link { .. } => "action.link",
            SyncAction::Delete { .. } => "action.delete",
            SyncAction::MailPasswordLink { .. } => "action.mail_password_link",
            SyncAction::MailEnrolment { .. } => "action.mail_enrolment",
        }
    }

    /// What people read, before and after it is done.
    pub fn sentence(&self) -> String {
        match self {
            SyncAction::Provision(new) => match &new.way {
                Way::Scim => format!("Provision {} by SCIM", new.object),
                Way::Database { connection } => format!("Provision {} in {connection}", new.object),
            },
            SyncAction::SetAttributes { account, values } => {
                let (set, clear): (Vec<_>, Vec<_>) = values.iter().partition(|(_, value)| value.is_some());
                let list = |part: &[(&Target, &Option<Value>)]| {
                    part.iter().map(|(target, _)| target.to_string()).collect::<Vec<_>>().join(", ")
                };
                match (set.is_empty(), clear.is_empty()) {
                    (false, true) => format!("Set {} of {account}", list(&set)),
                    (true, _) => format!("Clear {} of {account}", list(&clear)),
                    (false, false) => format!("Set {} and clear {} of {account}", list(&set), list(&clear)),
                }
            }
            SyncAction::AssignRoles { account, roles } => format!("Give {} to {account}", names(roles)),
            SyncAction::RemoveRoles { account, roles } => format!("Take {} from {account}", names(roles)),
            SyncAction::JoinOrganization { account, organization } => {
                format!("Make {account} a member of {}", organization.name)
            }
            SyncAction::LeaveOrganization { account, organization } => {
                format!("Remove {account} from {}", organization.name)
            }
            SyncAction::AssignOrganizationRoles { account, organization, roles } => {
                format!("Give {} in {} to {account}", names(roles), organization.name)
            }
            SyncAction::RemoveOrganizationRoles { account, organization, roles } => {
                format!("Take {} in {} from {account}", names(roles), organization.name)
            }
            SyncAction::EndAccess { account, means, lost } => {
                let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
                format!("End access of {account} by {} (lost {})", means.word(), lost.join(", "))
            }
            SyncAction::Link { primary, secondary } => format!("Link {secondary} into {primary}"),
            SyncAction::Delete { account, because } => format!("Delete {account} ({because})"),
            SyncAction::MailPasswordLink { account, .. } => {
                format!("Have Auth0 mail a change-password link to {account}")
            }
            SyncAction::MailEnrolment { account } => {
                format!("Have Auth0 mail an MFA enrolment ticket to {account}")
            }
        }
    }
}

fn names<Id>(named: &[Named<Id>]) -> String {
    named.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}
