//! What containment writes to Graph: one thing, and it has the same effect twice as once.

use reqwest::Method;

use crate::entra::Error;
use crate::entra::call::{At, Caller, Operation};
use crate::event::ObjectId;

const REVOKE_SESSIONS: Operation =
    Operation { word: "user.revoke_sessions", needs: "User.RevokeSessions.All", ..Operation::READ };

/// Writes to Graph for one lane. Cheap to clone; may be used from many tasks at once.
#[derive(Debug, Clone)]
pub struct Writer {
    caller: Caller,
}

impl Writer {
    pub(super) fn new(caller: Caller) -> Writer {
        Writer { caller }
    }

    /// Ends the person's sign-in sessions everywhere: who wants to go on signs in anew. Takes some minutes, and access
    /// tokens that are out live on. Any good status will do: the page says 204, the service 200 (docs/vendors.md).
    ///
    /// # Errors
    /// [`Error::Gone`] when there is no such person (any more).
    pub async fn revoke_sessions(&self, id: ObjectId) -> Result<(), Error> {
        let path = format!("/users/{id}/revokeSignInSessions");
        self.caller.ask(REVOKE_SESSIONS, Method::POST, At::Path(&path), None).await.map(drop)
    }
}
