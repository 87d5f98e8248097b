//! What Lockstep writes to Auth0. Each call has the same effect twice as once.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth0::Error;
use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::reader::device_credentials;
use crate::auth0::wire::OUR_KEY;
use crate::case::{AccountId, CaseId, Means};
use crate::clock::Timestamp;
use crate::event::ObjectId;
use crate::outbound;
use crate::snapshot::Blocked;

const USER_PATCH: Operation = Operation {
    word: "user.patch",
    needs: "update:users update:users_app_metadata",
    not_found: NotFound::Odd,
};
const REVOKE_ACCESS: Operation = Operation {
    word: "user.revoke_access",
    needs: "delete:sessions delete:refresh_tokens",
    not_found: NotFound::NotInPlan,
};
const SESSIONS_DELETE: Operation =
    Operation { word: "sessions.delete", needs: "delete:sessions", not_found: NotFound::NotInPlan };
const TOKENS_DELETE: Operation = Operation {
    word: "refresh_tokens.delete",
    needs: "delete:refresh_tokens",
    not_found: NotFound::NotInPlan,
};
const GRANTS_DELETE: Operation =
    Operation { word: "grants.delete", needs: "delete:grants", not_found: NotFound::Fine };
const DEVICE_DELETE: Operation = Operation {
    word: "device_credential.delete",
    needs: "delete:device_credentials",
    not_found: NotFound::Fine,
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
        self.patch(id, Blocked::Yes, ours, stamp.case.to_string()).await
    }

    /// Lifts the block and takes the mark away; the Entra object id stays, so that the account is found again.
    pub async fn unblock(&self, id: &AccountId, object: ObjectId) -> Result<(), Error> {
        self.patch(id, Blocked::No, json!({ "entra_object_id": object }), correlation()).await
    }

    /// Ends access by `means`. Auth0 deletes in the background: accepted is not proven.
    ///
    /// # Errors
    /// The first that occurred; what comes after it has been tried all the same.
    pub async fn end_access(&self, id: &AccountId, means: Means) -> Result<(), Error> {
        match means {
            Means::RevokeAccess => self.revoke_access(id).await,
            Means::SessionsAndTokens => self.delete_sessions_and_tokens(id).await,
            Means::GrantsAndDevices => self.delete_grants_and_devices(id).await,
        }
    }

    /// Our key of the metadata is replaced whole (Auth0, Manage Metadata Using the Management API), other keys stay.
    async fn patch(
        &self,
        id: &AccountId,
        blocked: Blocked,
        ours: Value,
        correlation: String,
    ) -> Result<(), Error> {
        let blocked = blocked == Blocked::Yes;
        let mut request = write(USER_PATCH, Method::PATCH, user_path(USER_PATCH, id, "")?);
        request.body = Some(json!({ "blocked": blocked, "app_metadata": { OUR_KEY: ours } }));
        request.correlation = Some(correlation);
        self.send(&request).await
    }

    /// An empty object stands for "everything" (Auth0 Management API v2, Revokes selected resources from a user: every
    /// field is optional).
    async fn revoke_access(&self, id: &AccountId) -> Result<(), Error> {
        let path = user_path(REVOKE_ACCESS, id, "/revoke-access")?;
        let mut request = write(REVOKE_ACCESS, Method::POST, path);
        request.body = Some(json!({}));
        self.send(&request).await
    }

    /// Neither takes the other along: offline refresh tokens outlive their session (Auth0, Revoke Refresh Tokens).
    async fn delete_sessions_and_tokens(&self, id: &AccountId) -> Result<(), Error> {
        let sessions = user_path(SESSIONS_DELETE, id, "/sessions")?;
        let sessions = write(SESSIONS_DELETE, Method::DELETE, sessions);
        let tokens = user_path(TOKENS_DELETE, id, "/refresh-tokens")?;
        let tokens = write(TOKENS_DELETE, Method::DELETE, tokens);
        let (sessions, tokens) = futures_util::future::join(self.send(&sessions), self.send(&tokens)).await;
        sessions.and(tokens)
    }

    /// On every plan: consents with the refresh tokens that hang on them, then the credentials of devices.
    async fn delete_grants_and_devices(&self, id: &AccountId) -> Result<(), Error> {
        let grants = write(GRANTS_DELETE, Method::DELETE, "/grants".into()).query("user_id", id);
        let grants = absent_is_fine(self.send(&grants).await);
        grants.and(self.delete_devices(id).await)
    }

    async fn delete_devices(&self, id: &AccountId) -> Result<(), Error> {
        let mut ended = Ok(());
        for credential in device_credentials(&self.caller, id).await? {
            let Some(segment) = outbound::segment(&credential) else { continue };
            let request = write(DEVICE_DELETE, Method::DELETE, format!("/device-credentials/{segment}"));
            ended = ended.and(absent_is_fine(self.send(&request).await));
        }
        ended
    }

    /// A good status is all there is to a write: its answer is not looked into.
    async fn send(&self, request: &Request) -> Result<(), Error> {
        self.caller.call(request).await.map(drop)
    }
}

fn write(operation: Operation, method: Method, path: String) -> Request {
    Request { method, correlation: Some(correlation()), ..Request::get(operation, path) }
}

fn absent_is_fine(ended: Result<(), Error>) -> Result<(), Error> {
    ended.or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
}

fn correlation() -> String {
    Uuid::now_v7().to_string()
}
