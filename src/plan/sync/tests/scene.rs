//! A person in Entra and Auth0 in a line or two, and what the plan says of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::action::sync::SyncAction;
use crate::case::{AccountId, CaseId, Means};
use crate::clock::Timestamp;
use crate::event::{EventId, ObjectId, Subject, TenantId};
use crate::plan::sync::check::check;
use crate::plan::sync::{SyncPlan, plan};
use crate::policy::Policy;
use crate::snapshot::sync::*;
use crate::snapshot::{AccountsSeen, Blocked, Directory, Enabled, Guest, Person, Stamp};

pub const ENGINEERS: ObjectId = ObjectId(Uuid::from_u128(0xE1));
pub const ADMINS: ObjectId = ObjectId(Uuid::from_u128(0xA1));
pub const CONTRACTORS: ObjectId = ObjectId(Uuid::from_u128(0xC1));

/// The picture, changed by name.
#[derive(Clone)]
pub struct Scene {
    pub snapshot: SyncSnapshot,
    pub policy: Policy,
    pub now: Timestamp,
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn account(id: &str) -> AccountId {
    AccountId::read(id).unwrap()
}

/// Roles and attributes as most tests want them.
pub const USUAL: &str = r#"
[[attributes]]
to = "app_metadata.department"
from = "department"
[[attributes]]
to = "user_metadata.title"
from = "jobTitle | default('none')"
[[roles]]
role = "Engineer"
any_of = ["00000000-0000-0000-0000-0000000000e1"]
[[roles]]
role = "Admin"
all_of = ["00000000-0000-0000-0000-0000000000e1", "00000000-0000-0000-0000-0000000000a1"]
none_of = ["00000000-0000-0000-0000-0000000000c1"]
privileged = "yes"
[[organizations]]
organization = "acme"
any_of = ["00000000-0000-0000-0000-0000000000e1"]
[[organizations.roles]]
role = "Owner"
any_of = ["00000000-0000-0000-0000-0000000000a1"]
"#;

/// Adele, an engineer with an enterprise account that holds nothing yet, under [`USUAL`].
pub fn adele() -> Scene {
    let subject = Subject { tenant: TenantId(Uuid::from_u128(7)), object: ObjectId(Uuid::from_u128(0xAD)) };
    let person = Person {
        object: subject.object,
        enabled: Enabled::Yes,
        guest: Guest::No,
        display_name: Some("Adele Vance".into()),
        mail: None,
    };
    let Value::Object(profile) = json!({
        "userType": "Member", "userPrincipalName": "adele@contoso.example", "mail": "adele@contoso.example",
        "displayName": "Adele Vance", "givenName": "Adele", "surname": "Vance",
        "department": "R&D", "jobTitle": null,
    }) else {
        unreachable!()
    };
    let named = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), format!("{name}-id"))).collect::<Vec<_>>()
    };
    let tenant = Tenant {
        roles: named(&["Engineer", "Admin", "Owner"]).into_iter().map(|(n, id)| (n, RoleId(id))).collect(),
        organizations: named(&["acme"]).into_iter().map(|(n, id)| (n, OrganizationId(id))).collect(),
        connection: Some("con_1".into()),
        entrances: BTreeMap::new(),
    };
    let mut scene = Scene {
        snapshot: SyncSnapshot {
            subject,
            depth: Depth::Full,
            directory: Directory::Present(person),
            profile: Profile(profile),
            groups: Groups::Known([ENGINEERS].into()),
            groups_told: GroupsTold::Twice,
            accounts: BTreeMap::new(),
            accounts_seen: AccountsSeen::All,
            look_alikes: BTreeMap::new(),
            tenant,
            case: None,
            remembered: None,
            asked_at: at("2026-03-02T08:00:00Z"),
            means: Means::RevokeAccess,
        },
        policy: toml::from_str(USUAL).unwrap(),
        now: at("2026-03-02T08:00:01Z"),
    };
    scene.holding("waad|adele");
    scene
}

impl Scene {
    /// An enterprise account for `waad|…`, a database one for `auth0|…`, holding nothing.
    pub fn holding(&mut self, id: &str) -> &mut Holding {
        let kind = match id.split_once('|').unwrap().0 {
            "waad" => AccountKind::Enterprise { root: RootWritable::No },
            "auth0" => AccountKind::Database { connection: "Users".into() },
            _ => AccountKind::Other,
        };
        let holding = Holding {
            id: account(id),
            kind,
            blocked: Blocked::No,
            stamp: None,
            email: Some("adele@contoso.example".into()),
            email_verified: true,
            root: BTreeMap::new(),
            app_metadata: serde_json::Map::new(),
            user_metadata: serde_json::Map::new(),
            absorbed: BTreeSet::new(),
            roles: Some(BTreeSet::new()),
            organizations: Some(BTreeMap::new()),
        };
        self.snapshot.accounts.entry(account(id)).or_insert(holding)
    }

    pub fn policy(mut self, toml: &str) -> Scene {
        self.policy = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}"));
        self
    }

    pub fn groups(mut self, groups: &[ObjectId]) -> Scene {
        self.snapshot.groups = Groups::Known(groups.iter().copied().collect());
        self
    }

    pub fn tells(mut self, property: &str, value: Value) -> Scene {
        self.snapshot.profile.0.insert(property.to_owned(), value);
        self
    }

    /// Once the deletion is verified, every account there is bears its block.
    pub fn case(mut self, about: CaseAbout, counts_from: &str) -> Scene {
        let id = CaseId::opened_by(EventId(Uuid::from_u128(5)));
        self.snapshot.case = Some(OpenCase { id, counts_from: at(counts_from), about });
        for holding in self.snapshot.accounts.values_mut().filter(|_| about == CaseAbout::DeletionVerified) {
            (holding.blocked, holding.stamp) = (Blocked::Yes, Some(Stamp { case: id }));
        }
        self
    }

    pub fn plan(&self) -> SyncPlan {
        let made = plan(&self.snapshot, &self.policy, self.now);
        check(&made, &self.snapshot, &self.policy, self.now).unwrap_or_else(|refused| panic!("{refused}"));
        made
    }

    /// The plan as people read it: actions, then what was held.
    pub fn printed(&self) -> String {
        let made = self.plan();
        let mut lines: Vec<String> = made.actions.iter().map(SyncAction::sentence).collect();
        lines.extend(made.held.iter().map(|why| format!("held: {why}")));
        if made.next != crate::plan::sync::Next::Settled {
            lines.push(format!("next: {:?}", made.next));
        }
        lines.join("\n")
    }

    /// As if every action had been applied and everything was read again.
    pub fn applied(mut self) -> Scene {
        let made = self.plan();
        self.snapshot.remembered = made.remembered.clone();
        for action in made.actions {
            self.apply(action);
        }
        self
    }

    fn apply(&mut self, action: SyncAction) {
        use crate::policy::sync::Target;
        use crate::snapshot::sync::RootField;
        let remembered = &mut self.snapshot.remembered;
        if let SyncAction::Provision(new) = &action {
            let id = match &new.way {
                crate::action::sync::Way::Scim => format!("waad|{}", new.object),
                crate::action::sync::Way::Database { .. } => format!("auth0|{}", new.object),
            };
            self.holding(&id);
            return;
        }
        let id = action.account().unwrap().clone();
        let Some(holding) = self.snapshot.accounts.get_mut(&id) else { panic!("{id} is not there") };
        let roles = holding.roles.as_mut().unwrap();
        let organizations = holding.organizations.as_mut().unwrap();
        match action {
            SyncAction::Provision(_) => unreachable!(),
            SyncAction::SetAttributes { values, .. } => {
                for (target, value) in values {
                    match (target, value) {
                        (Target::Root(RootField::Email), value) => {
                            holding.email = value.map(|v| v.as_str().unwrap().to_lowercase());
                        }
                        (Target::Root(field), Some(value)) => {
                            holding.root.insert(field, value.as_str().unwrap().to_owned());
                        }
                        (Target::Root(field), None) => drop(holding.root.remove(&field)),
                        (Target::AppMetadata(key), Some(value)) => {
                            drop(holding.app_metadata.insert(key, value))
                        }
                        (Target::AppMetadata(key), None) => drop(holding.app_metadata.remove(&key)),
                        (Target::UserMetadata(key), Some(value)) => {
                            drop(holding.user_metadata.insert(key, value))
                        }
                        (Target::UserMetadata(key), None) => drop(holding.user_metadata.remove(&key)),
                    }
                }
            }
            SyncAction::AssignRoles { roles: given, .. } => roles.extend(given.into_iter().map(|r| r.id)),
            SyncAction::RemoveRoles { roles: taken, .. } => {
                roles.retain(|id| taken.iter().all(|r| r.id != *id))
            }
            SyncAction::JoinOrganization { organization, .. } => {
                organizations.entry(organization.id).or_default();
            }
            SyncAction::LeaveOrganization { organization, .. } => {
                drop(organizations.remove(&organization.id))
            }
            SyncAction::AssignOrganizationRoles { organization, roles, .. } => {
                let there = organizations.get_mut(&organization.id).unwrap();
                there.extend(roles.into_iter().map(|r| r.id));
            }
            SyncAction::RemoveOrganizationRoles { organization, roles, .. } => {
                let there = organizations.get_mut(&organization.id).unwrap();
                there.retain(|id| roles.iter().all(|r| r.id != *id));
            }
            SyncAction::EndAccess { account, .. } => {
                remembered.as_mut().unwrap().proven.remove(&account);
            }
            SyncAction::Link { secondary, .. } => {
                holding.absorbed.insert(secondary.clone());
                self.snapshot.look_alikes.remove(&secondary);
            }
            SyncAction::Delete { account, .. } => drop(self.snapshot.accounts.remove(&account)),
            SyncAction::MailPasswordLink { .. } => remembered.as_mut().unwrap().password_mail = Mail::Sent,
            SyncAction::MailEnrolment { .. } => remembered.as_mut().unwrap().enrolment_mail = Mail::Sent,
        }
    }

    /// Applies until nothing is left; everything must hold after a few rounds.
    pub fn settled(mut self) -> Scene {
        for _ in 0..4 {
            if self.plan().actions.is_empty() {
                return Scene {
                    snapshot: SyncSnapshot { remembered: self.plan().remembered, ..self.snapshot },
                    ..self
                };
            }
            self = self.applied();
        }
        panic!("not settled:\n{}", self.printed());
    }
}
