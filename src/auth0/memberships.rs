//! Which roles an account has, which organizations it is a member of, and how one signs in there. Immediate, unlike the lists of a role's or an
//! organization's members (Auth0, Retrieve Organization Members).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt};

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, user_path};
use crate::auth0::pages::{self, Most};
use crate::auth0::wire::{EnabledConnection, Named};
use crate::case::AccountId;
use crate::outbound;
use crate::snapshot::sync::{Entrance, OrganizationId, RoleId};

const ROLES_LIST: Operation = Operation {
    word: "user.roles",
    needs: "read:users read:roles read:role_members",
    not_found: NotFound::Odd,
};
const ORGANIZATIONS_LIST: Operation = Operation {
    word: "user.organizations",
    needs: "read:users read:organizations",
    not_found: NotFound::Odd,
};
const MEMBER_ROLES_LIST: Operation =
    Operation { word: "member.roles", needs: "read:organization_member_roles", not_found: NotFound::Stale };

const ENABLED_LIST: Operation = Operation {
    word: "organization.connections",
    needs: "read:organization_connections",
    // Read as a part of the catalogue: it must not make the catalogue forget itself.
    not_found: NotFound::Odd,
};

/// Twice what Auth0 allows for one user, and for one member (Auth0, Entity Limit Policy: 50).
const ROLES: Most = Most { items: 100, per_page: 50 };
/// Where paging by number ends (Auth0 Management API v2, pagination).
const ORGANIZATIONS: Most = Most { items: 1000, per_page: 100 };
/// Connections of one organization; also where paging by number ends.
const ENABLED: Most = Most { items: 1000, per_page: 100 };
/// Organizations whose roles are asked for at a time.
const AT_A_TIME: usize = 8;

pub(super) async fn roles_of(caller: &Caller, id: &AccountId) -> Result<BTreeSet<RoleId>, Error> {
    roles(caller, ROLES_LIST, &user_path(ROLES_LIST, id, "/roles")?).await
}

/// Of the organizations in `managed`, those that the account is a member of, with its roles there.
pub(super) async fn organizations_of(
    caller: &Caller,
    id: &AccountId,
    managed: &BTreeSet<OrganizationId>,
) -> Result<BTreeMap<OrganizationId, BTreeSet<RoleId>>, Error> {
    if managed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let path = user_path(ORGANIZATIONS_LIST, id, "/organizations")?;
    let listed: Vec<Named> = pages::all(caller, ORGANIZATIONS_LIST, &path, ORGANIZATIONS).await?;
    let memberships = listed.into_iter().map(|organization| OrganizationId(organization.id));
    let memberships = memberships.filter(|organization| managed.contains(organization));
    let with_roles = |organization: OrganizationId| async move {
        let path = member_path(MEMBER_ROLES_LIST, &organization, id, "/roles")?;
        let roles = roles(caller, MEMBER_ROLES_LIST, &path).await?;
        Ok::<_, Error>((organization, roles))
    };
    futures_util::stream::iter(memberships).map(with_roles).buffered(AT_A_TIME).try_collect().await
}

/// The connections that members of the organization may sign in with.
pub(super) async fn enabled_connections(
    caller: &Caller,
    organization: &OrganizationId,
) -> Result<BTreeSet<Entrance>, Error> {
    let segment = outbound::segment(&organization.0);
    let segment = segment.ok_or(Error::NotAnId { operation: ENABLED_LIST.word })?;
    let path = format!("/organizations/{segment}/enabled_connections");
    let listed: Vec<EnabledConnection> = pages::all(caller, ENABLED_LIST, &path, ENABLED).await?;
    let entrance = |one: EnabledConnection| Entrance { id: one.connection_id, name: one.connection.name };
    Ok(listed.into_iter().map(entrance).collect())
}

/// The path of something of one member of an organization.
pub(super) fn member_path(
    operation: Operation,
    organization: &OrganizationId,
    id: &AccountId,
    rest: &str,
) -> Result<String, Error> {
    let (Some(organization), Some(id)) = (outbound::segment(&organization.0), outbound::segment(id.as_str()))
    else {
        return Err(Error::NotAnId { operation: operation.word });
    };
    Ok(format!("/organizations/{organization}/members/{id}{rest}"))
}

async fn roles(caller: &Caller, operation: Operation, path: &str) -> Result<BTreeSet<RoleId>, Error> {
    let listed: Vec<Named> = pages::all(caller, operation, path, ROLES).await?;
    Ok(listed.into_iter().map(|role| RoleId(role.id)).collect())
}
