//! What containment writes to Auth0. Each call has the same effect twice as once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::scim::{self, Active};
use crate::auth0::wire::OUR_KEY;
use crate::auth0::{Error, ending};
use crate::case::also::Extra;
use crate::case::{AccountId, CaseId, Means};
use crate::clock::Timestamp;
use crate::event::ObjectId;
use crate::snapshot::Blocked;

const USER_PATCH: Operation = Operation {
    word: "user.patch",
    needs: "update:users update:users_app_metadata",
    not_found: NotFound::Odd,
};
/// Writes to the Management API for one lane. Cheap to clone; may be used from many tasks at once.
#[derive(Debug, Clone)]
pub struct Writer {
    caller: Caller,
}

/// What a block is marked with in `app_metadata.lockstep`, so that it is known to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampToWrite {
    pub object: ObjectId,
    pub case: CaseId,
    pub reason: String,
    pub at: Timestamp,
}

impl Writer {
    pub(super) fn new(caller: Caller) -> Writer {
        Writer { caller }
    }

    /// Blocks sign-in and marks the block as ours, in one request: there is never a block of ours without its mark.
    pub async fn block(&self, id: &AccountId, stamp: &StampToWrite) -> Result<(), Error> {
        let ours = json!({
            "entra_object_id": stamp.object,
            "case": stamp.case,
            // Metadata values are best kept short (Auth0, Metadata Field Names and Data Types).
            "reason": crate::event::clip(&stamp.reason),
            "at": stamp.at.to_string(),
        });
        self.patch(id, Blocked::Yes, ours, Some(stamp.case)).await
    }

    /// Lifts the block and takes the mark away; the Entra object id stays, so that the account is found again.
    pub async fn unblock(&self, id: &AccountId, object: ObjectId) -> Result<(), Error> {
        self.patch(id, Blocked::No, json!({ "entra_object_id": object }), None).await
    }

    /// Ends access by `means`. Auth0 deletes in the background: accepted is not proven.
    ///
    /// # Errors
    /// The first that occurred; what comes after it has been tried all the same.
    pub async fn end_access(&self, id: &AccountId, means: Means) -> Result<(), Error> {
        ending::end_access(&self.caller, id, means).await
    }

    /// Ends what the account holds beside its sessions and refresh tokens. At once, and nothing left is fine.
    ///
    /// # Errors
    /// The first that occurred; what comes after it has been tried all the same.
    pub async fn end_extra(&self, id: &AccountId, extra: Extra) -> Result<(), Error> {
        ending::end_extra(&self.caller, id, extra).await
    }

    /// Blocks, signs out and takes the refresh tokens in one call, by SCIM, on any plan (Auth0, Configure Inbound SCIM).
    /// Accepted is not proven, and there is no mark of whose block it is: both are the caller's.
    ///
    /// # Errors
    /// [`Error::UnknownToScim`] for accounts that another means has to end.
    pub async fn deactivate(&self, id: &AccountId) -> Result<(), Error> {
        scim::set_active(&self.caller, id, Active::No).await
    }

    /// Takes [`Writer::deactivate`] back; sessions and tokens are gone for good.
    pub async fn reactivate(&self, id: &AccountId) -> Result<(), Error> {
        scim::set_active(&self.caller, id, Active::Yes).await
    }

    /// Our key of the metadata is replaced whole (Auth0, Manage Metadata Using the Management API), other keys stay.
    async fn patch(
        &self,
        id: &AccountId,
        blocked: Blocked,
        ours: Value,
        case: Option<CaseId>,
    ) -> Result<(), Error> {
        let blocked = blocked == Blocked::Yes;
        let body = json!({ "blocked": blocked, "app_metadata": { OUR_KEY: ours } });
        let mut request = Request::new(USER_PATCH, Method::PATCH, user_path(USER_PATCH, id, "")?).body(body);
        request.case = case;
        // A good status is all there is to this write: its answer is not looked into.
        self.caller.call(&request).await.map(drop)
    }
}
