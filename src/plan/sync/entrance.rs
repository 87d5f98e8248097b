//! Whether somebody whom the rules make a member of an organization can sign in there. Members do so only by a connection
//! that is enabled in the organization (Auth0, Enable Organization Connections). Nothing is changed: a person is told.

use std::collections::BTreeSet;

use super::Draft;
use super::roles::Wanted;
use crate::policy::Policy;
use crate::snapshot::sync::{AccountKind, Entrance, Groups, Holding, SyncSnapshot, Tenant};

/// What one account has to do with the door of an organization.
enum Way {
    Open,
    /// By the words for its connection.
    Shut(String),
    /// What was not read is not told of.
    NotTold,
}

pub(super) fn plan(snapshot: &SyncSnapshot, policy: &Policy, draft: &mut Draft) {
    let Groups::Known(groups) = &snapshot.groups else { return };
    let wanted = Wanted::of(policy, &snapshot.tenant, groups);
    for (id, organization) in wanted.organizations.iter().filter(|(_, organization)| organization.member) {
        let Some(entrances) = snapshot.tenant.entrances.get(id) else { continue };
        let accounts = snapshot.accounts.values().filter(|a| !policy.protected.accounts.contains(&a.id));
        let ways: Vec<Way> = accounts.map(|account| way(account, entrances, &snapshot.tenant)).collect();
        if ways.iter().any(|way| !matches!(way, Way::Shut(_))) {
            continue;
        }
        let shut: BTreeSet<String> = ways.into_iter().filter_map(Way::shut).collect();
        if !shut.is_empty() {
            let by = shut.into_iter().collect::<Vec<_>>().join(" or ");
            let name = &organization.name;
            draft.find(format!(
                "members of the organization {name} cannot sign in there by {by}: not enabled"
            ));
        }
    }
}

/// Whoever was linked into an account may sign in by a connection of their own, which is not known here.
fn way(account: &Holding, entrances: &BTreeSet<Entrance>, tenant: &Tenant) -> Way {
    let (is_open, words) = match &account.kind {
        AccountKind::Enterprise { .. } => {
            let Some(connection) = &tenant.connection else { return Way::NotTold };
            (entrances.iter().any(|one| one.id == *connection), "the enterprise connection".to_owned())
        }
        AccountKind::Database { connection } => {
            let is_open = entrances.iter().any(|one| one.name == *connection);
            (is_open, format!("the connection {connection}"))
        }
        AccountKind::Other => return Way::NotTold,
    };
    match is_open {
        true => Way::Open,
        false if account.absorbed.is_empty() => Way::Shut(words),
        false => Way::NotTold,
    }
}

impl Way {
    fn shut(self) -> Option<String> {
        match self {
            Way::Shut(words) => Some(words),
            Way::Open | Way::NotTold => None,
        }
    }
}
