//! The roles and organizations that a policy names and the enterprise connection, as they exist in the tenant: read once
//! for all who ask, and kept for a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request};
use crate::auth0::entrances::Entrances;
use crate::auth0::kept::Kept;
use crate::auth0::pages::{self, Most};
use crate::auth0::wire::{self, Named, OffsetPage};
use crate::outbound;
use crate::retry::WhatNow;
use crate::snapshot::sync::{OrganizationId, RoleId, RootWritable, Tenant};

const ROLES_LIST: Operation = Operation { word: "roles.list", needs: "read:roles", not_found: NotFound::Odd };
const ORGANIZATION_GET: Operation =
    Operation { word: "organization.get", needs: "read:organizations", not_found: NotFound::Asked };
const CONNECTIONS_LIST: Operation =
    Operation { word: "connections.list", needs: "read:connections", not_found: NotFound::Odd };

/// How old an answer may be. A role that was made a minute ago can wait; one that is gone is noticed by the 404.
const AGE: Duration = Duration::from_secs(60);
/// The roles of a tenant (Auth0, Entity Limit Policy).
const ROLES: Most = Most { items: 1000, per_page: 100 };
/// Organizations that are asked for at a time; the smaller plans allow a burst of twenty (Auth0, Rate Limit Policy).
const ORGANIZATIONS_AT_A_TIME: usize = 4;
/// Policies whose names are remembered: the one in force, and the one before while its last looks end.
const POLICIES_MAX: usize = 4;

/// What a policy names, as it writes it: names or ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Names {
    pub roles: BTreeSet<String>,
    pub organizations: BTreeSet<String>,
}

/// The enterprise connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) id: String,
    pub(super) root: RootWritable,
    pub(super) user_ids: Option<UserIds>,
}

/// What a `waad` connection makes the ids of its accounts of (Auth0 Management API v2, options.userid_attribute).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserIds {
    /// `oid`: accounts are found by the person's object id.
    ObjectId,
    /// Another claim, or none is told.
    Other(Option<String>),
}

/// What only a person can mend is kept like an answer: a missing scope must not cost a request per look.
type Found = Result<Option<Connection>, Error>;

/// What was read last, shared by all.
#[derive(Debug)]
pub(super) struct Catalogue {
    connection: Arc<Kept<Found>>,
    tenants: Mutex<BTreeMap<Names, Arc<Kept<Tenant>>>>,
    entrances: Entrances,
}

impl Default for Catalogue {
    fn default() -> Catalogue {
        Catalogue { connection: Kept::new(), tenants: Mutex::default(), entrances: Entrances::default() }
    }
}

impl Catalogue {
    pub(super) async fn tenant(&self, caller: &Caller, names: &Names) -> Result<Tenant, Error> {
        let (clock, asking, wanted) = (&caller.shared.deps.clock, caller.clone(), names.clone());
        self.kept(names).get(AGE, clock, async move { read_tenant(&asking, &wanted).await }).await
    }

    /// The connection that the settings name; `None` when none is named or there is none of that name.
    pub(super) async fn connection(&self, caller: &Caller) -> Result<Option<Connection>, Error> {
        let Some(name) = caller.shared.connection.clone() else { return Ok(None) };
        let (clock, asking) = (&caller.shared.deps.clock, caller.clone());
        let read = async move {
            match read_connection(&asking, &name).await {
                Err(error) if error.what_now() != WhatNow::AskHuman => Err(error),
                told => Ok(told),
            }
        };
        self.connection.get(AGE, clock, read).await?
    }

    pub(super) fn forget(&self) {
        self.connection.forget();
        self.entrances.forget();
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn kept(&self, names: &Names) -> Arc<Kept<Tenant>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = tenants.get(names) {
            return Arc::clone(kept);
        }
        if tenants.len() >= POLICIES_MAX {
            tenants.clear();
        }
        Arc::clone(tenants.entry(names.clone()).or_insert_with(Kept::new))
    }
}

async fn read_tenant(caller: &Caller, names: &Names) -> Result<Tenant, Error> {
    let roles = read_roles(caller, &names.roles);
    let organizations = read_organizations(caller, &names.organizations);
    let connection = connection_if_told(caller);
    let (roles, organizations, connection) = futures_util::try_join!(roles, organizations, connection)?;
    let ids = organizations.values().cloned().collect();
    let entrances = caller.shared.catalogue.entrances.of(caller, ids).await;
    Ok(Tenant { roles, organizations, connection: connection.map(|connection| connection.id), entrances })
}

/// That a person has to mend a permission first does not keep roles and organizations from being read.
async fn connection_if_told(caller: &Caller) -> Result<Option<Connection>, Error> {
    match caller.shared.catalogue.connection(caller).await {
        Err(error) if matches!(error.what_now(), WhatNow::AskHuman | WhatNow::GiveUp | WhatNow::TryAgain) => {
            Ok(None)
        }
        told => told,
    }
}

/// An id is meant before a name: nobody can make a role whose name is another one's id mean that one.
pub(super) async fn read_roles(
    caller: &Caller,
    wanted: &BTreeSet<String>,
) -> Result<BTreeMap<String, RoleId>, Error> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let listed: Vec<Named> = pages::all(caller, ROLES_LIST, "/roles", ROLES).await?;
    let by_id: BTreeSet<&str> = listed.iter().map(|role| role.id.as_str()).collect();
    let by_name: BTreeMap<&str, &str> =
        listed.iter().map(|role| (role.name.as_str(), role.id.as_str())).collect();
    let find = |name: &str| by_id.get(name).or_else(|| by_name.get(name)).copied();
    let found = wanted.iter().filter_map(|name| Some((name.clone(), RoleId(find(name)?.to_owned()))));
    Ok(found.collect())
}

pub(super) async fn read_organizations(
    caller: &Caller,
    wanted: &BTreeSet<String>,
) -> Result<BTreeMap<String, OrganizationId>, Error> {
    let read = |name: String| async move { read_organization(caller, name).await };
    let found: Vec<Option<_>> = futures_util::stream::iter(wanted.clone())
        .map(read)
        .buffered(ORGANIZATIONS_AT_A_TIME)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// There may be a hundred thousand organizations, so that those that are named are asked for one by one.
async fn read_organization(caller: &Caller, name: String) -> Result<Option<(String, OrganizationId)>, Error> {
    let Some(segment) = outbound::segment(&name) else { return Ok(None) };
    let path = match name.starts_with("org_") {
        true => format!("/organizations/{segment}"),
        false => format!("/organizations/name/{segment}"),
    };
    let request = Request::get(ORGANIZATION_GET, path);
    let answer = match caller.call(&request).await {
        Err(error) if error.is_gone() => return Ok(None),
        other => other?,
    };
    let found: Named = answer.json().map_err(|why| request.misfit(&answer, why))?;
    Ok(Some((name, OrganizationId(found.id))))
}

/// The options hold the connection's secret in clear (Auth0, Management API v2, Get all connections): all but two of
/// them are dropped here.
async fn read_connection(caller: &Caller, name: &str) -> Result<Option<Connection>, Error> {
    let request = Request::get(CONNECTIONS_LIST, "/connections")
        .query("name", name)
        .query("fields", "id,name,options")
        .query("include_fields", true);
    let answer = caller.call(&request).await?;
    let listed: OffsetPage<wire::Connection> = answer.json().map_err(|why| request.misfit(&answer, why))?;
    let found = listed.into_parts().0.into_iter().find(|connection| connection.name == name);
    Ok(found.map(|found| Connection { root: found.root(), user_ids: found.user_ids(), id: found.id }))
}
