//! What keeping the directory in step writes to Auth0.
//!
//! A type of its own beside [`super::Writer`]: no method of it blocks or unblocks anybody. Each call but the mails has the
//! same effect twice as once, or says [`Error::Exists`].

mod attributes;
mod password;
mod provision;

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::action::sync::NewAccount;
use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::memberships::member_path;
use crate::auth0::{Error, ending, holding, mail, scim};
use crate::case::{AccountId, Means};
use crate::outbound;
use crate::policy::sync::Target;
use crate::snapshot::sync::{Holding, OrganizationId, RoleId};

const USER_PATCH: Operation = Operation {
    word: "user.patch",
    needs: "update:users update:users_app_metadata",
    not_found: NotFound::Odd,
};
const USER_DELETE: Operation =
    Operation { word: "user.delete", needs: "delete:users", not_found: NotFound::Odd };
const ROLES_ASSIGN: Operation = Operation {
    word: "user.roles.assign",
    needs: "update:users read:roles create:role_members",
    not_found: NotFound::Stale,
};
const ROLES_REMOVE: Operation = Operation {
    word: "user.roles.remove",
    needs: "update:users delete:role_members",
    not_found: NotFound::Stale,
};
const MEMBERS_ADD: Operation =
    Operation { word: "organization.join", needs: "create:organization_members", not_found: NotFound::Stale };
const MEMBERS_REMOVE: Operation = Operation {
    word: "organization.leave",
    needs: "delete:organization_members",
    not_found: NotFound::Stale,
};
const MEMBER_ROLES_ASSIGN: Operation = Operation {
    word: "member.roles.assign",
    needs: "create:organization_member_roles",
    not_found: NotFound::Stale,
};
const MEMBER_ROLES_REMOVE: Operation = Operation {
    word: "member.roles.remove",
    needs: "delete:organization_member_roles",
    not_found: NotFound::Stale,
};
const LINK: Operation = Operation { word: "user.link", needs: "update:users", not_found: NotFound::Odd };
const ENROLMENT: Operation = Operation {
    word: "enrolment.mail",
    needs: "create:guardian_enrollment_tickets",
    not_found: NotFound::Odd,
};

/// Roles in one call: no largest number is documented, and nobody can have more (Auth0, Entity Limit Policy).
const ROLES_A_CALL: usize = 50;

/// Writes to Auth0 for one lane. Cheap to clone; may be used from many tasks at once.
#[derive(Debug, Clone)]
pub struct Keeper {
    caller: Caller,
}

impl Keeper {
    pub(super) fn new(caller: Caller) -> Keeper {
        Keeper { caller }
    }

    /// Makes the account of a person, so marked that it is found by the object id.
    ///
    /// # Errors
    /// [`Error::Exists`] when it has been made already, or when somebody else's account has the e-mail address: ask
    /// [`Keeper::provisioned`] which.
    pub async fn provision(&self, new: &NewAccount) -> Result<AccountId, Error> {
        provision::provision(&self.caller, new).await
    }

    /// The account that [`Keeper::provision`] made for the person before. Immediate, unlike the search.
    pub async fn provisioned(&self, new: &NewAccount) -> Result<Option<AccountId>, Error> {
        provision::provisioned(&self.caller, new).await
    }

    /// Writes all values in one request; `None` clears. What comes back is the account as it is now.
    ///
    /// # Errors
    /// [`Error::Unwritable`] names what Auth0 does not let be written, of which nothing has been written.
    pub async fn set_attributes(
        &self,
        id: &AccountId,
        values: &BTreeMap<Target, Option<Value>>,
    ) -> Result<Holding, Error> {
        let path = user_path(USER_PATCH, id, "")?;
        let request = Request::new(USER_PATCH, Method::PATCH, path).of_a_user();
        let request = request.body(attributes::body(values));
        let answer = self.caller.call(&request).await?;
        holding::told(&self.caller, &request, &answer, id).await
    }

    pub async fn assign_roles(&self, id: &AccountId, roles: &[RoleId]) -> Result<(), Error> {
        let path = user_path(ROLES_ASSIGN, id, "/roles")?;
        self.roles(ROLES_ASSIGN, Method::POST, &path, roles).await
    }

    pub async fn remove_roles(&self, id: &AccountId, roles: &[RoleId]) -> Result<(), Error> {
        let path = user_path(ROLES_REMOVE, id, "/roles")?;
        self.roles(ROLES_REMOVE, Method::DELETE, &path, roles).await
    }

    pub async fn join_organization(
        &self,
        id: &AccountId,
        organization: &OrganizationId,
    ) -> Result<(), Error> {
        self.member(MEMBERS_ADD, Method::POST, id, organization).await
    }

    pub async fn leave_organization(
        &self,
        id: &AccountId,
        organization: &OrganizationId,
    ) -> Result<(), Error> {
        self.member(MEMBERS_REMOVE, Method::DELETE, id, organization).await
    }

    pub async fn assign_organization_roles(
        &self,
        id: &AccountId,
        organization: &OrganizationId,
        roles: &[RoleId],
    ) -> Result<(), Error> {
        let path = member_path(MEMBER_ROLES_ASSIGN, organization, id, "/roles")?;
        self.roles(MEMBER_ROLES_ASSIGN, Method::POST, &path, roles).await
    }

    pub async fn remove_organization_roles(
        &self,
        id: &AccountId,
        organization: &OrganizationId,
        roles: &[RoleId],
    ) -> Result<(), Error> {
        let path = member_path(MEMBER_ROLES_REMOVE, organization, id, "/roles")?;
        self.roles(MEMBER_ROLES_REMOVE, Method::DELETE, &path, roles).await
    }

    /// Ends the tokens that carry what was lost; see [`super::Writer::end_access`].
    pub async fn end_access(&self, id: &AccountId, means: Means) -> Result<(), Error> {
        ending::end_access(&self.caller, id, means).await
    }

    /// Makes `secondary` an identity of `primary`. Its roles, metadata and sessions are not carried over, and its own id
    /// stops being one (Auth0, User Account Linking).
    ///
    /// # Errors
    /// [`Error::Exists`] when it is linked already, to whomever: [`Holding::absorbed`] tells.
    pub async fn link(&self, primary: &AccountId, secondary: &AccountId) -> Result<(), Error> {
        let not_an_id = Error::NotAnId { operation: LINK.word };
        let (provider, own) = secondary.as_str().split_once('|').ok_or(not_an_id)?;
        let body = json!({ "provider": provider, "user_id": own });
        let path = user_path(LINK, primary, "/identities")?;
        let linked = self.send(Request::new(LINK, Method::POST, path).body(body)).await;
        linked.map_err(provision::conflict_is_existence)
    }

    /// Deletes an account with everything that is linked into it; one that is gone already is fine.
    pub async fn delete(&self, id: &AccountId) -> Result<(), Error> {
        let path = user_path(USER_DELETE, id, "")?;
        ending::absent_is_fine(self.send(Request::new(USER_DELETE, Method::DELETE, path)).await)
    }

    /// Deletes an account by SCIM, whose own records go with it; one that SCIM does not know is fine.
    pub async fn delete_by_scim(&self, id: &AccountId) -> Result<(), Error> {
        scim::delete(&self.caller, id).await
    }

    /// Has Auth0 mail a change-password link to whoever has this address in a database connection. We never see it.
    pub async fn mail_password_link(&self, connection: &str, email: &str) -> Result<(), Error> {
        mail::password_link(&self.caller, connection, email).await
    }

    /// Has Auth0 mail an MFA enrolment ticket. The ticket in the answer is not looked at: it is a secret.
    pub async fn mail_enrolment(&self, id: &AccountId) -> Result<(), Error> {
        let body = json!({ "user_id": id, "send_mail": true });
        let request = Request::new(ENROLMENT, Method::POST, "/guardian/enrollments/ticket");
        self.send(request.body(body)).await
    }

    async fn roles(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        roles: &[RoleId],
    ) -> Result<(), Error> {
        for some in roles.chunks(ROLES_A_CALL) {
            let request = Request::new(operation, method.clone(), path).body(json!({ "roles": some }));
            self.send(request).await?;
        }
        Ok(())
    }

    async fn member(
        &self,
        operation: Operation,
        method: Method,
        id: &AccountId,
        organization: &OrganizationId,
    ) -> Result<(), Error> {
        let not_an_id = Error::NotAnId { operation: operation.word };
        let organization = outbound::segment(&organization.0).ok_or(not_an_id)?;
        let path = format!("/organizations/{organization}/members");
        self.send(Request::new(operation, method, path).body(json!({ "members": [id] }))).await
    }

    /// A good status is all there is to most writes: their answers are not looked into.
    async fn send(&self, request: Request) -> Result<(), Error> {
        self.caller.call(&request).await.map(drop)
    }
}
