//! What Lockstep asks Graph.

use serde::de::DeserializeOwned;

use crate::entra::call::{Caller, Operation, Service};
use crate::entra::{Error, wire};
use crate::event::ObjectId;
use crate::outbound::Trouble;
use crate::outbound::http::{Answer, Unreadable};
use crate::snapshot::{Directory, Person, RiskView};

const USER_GET: Operation =
    Operation { word: "user.get", needs: "User.Read.All", service: Service::Directory };
const DELETED_GET: Operation =
    Operation { word: "deleted_item.get", needs: "User.Read.All", service: Service::Directory };
const RISK_GET: Operation =
    Operation { word: "risk.get", needs: "IdentityRiskyUser.Read.All", service: Service::IdentityProtection };

/// Reads from Graph for one lane. Cheap to clone; may be used from many tasks at once.
#[derive(Debug, Clone)]
pub struct Reader {
    caller: Caller,
}

impl Reader {
    pub(super) fn new(caller: Caller) -> Reader {
        Reader { caller }
    }

    /// The person in the directory, looked for among the deleted items when not among the users; a soft-deleted user
    /// is a 404 among the users (Graph, Change notifications overview). Never [`Directory::Unread`].
    ///
    /// # Errors
    /// Whenever Graph has not said plainly where the person is. A 404 that is not Graph's own is such an error.
    pub async fn person(&self, id: ObjectId) -> Result<Directory, Error> {
        match self.user(id).await {
            Ok(person) => Ok(Directory::Present(person)),
            Err(error) if error.is_gone() => self.deleted(id).await,
            Err(error) => Err(error),
        }
    }

    /// What Identity Protection says. Paced at one request per second and tenant; see [`Error::Paced`].
    ///
    /// # Errors
    /// In the contain lane at once when the second's request is taken; nothing queues behind it.
    pub async fn risk(&self, id: ObjectId) -> Result<RiskView, Error> {
        let path = format!("/identityProtection/riskyUsers/{id}?$select={}", wire::RISK_SELECT);
        let answer = match self.caller.get(RISK_GET, &path).await {
            Err(error) if error.is_gone() => return Ok(RiskView::NotListed),
            other => other?,
        };
        let risky: wire::RiskyUser = read(RISK_GET, &answer)?;
        risky.into_risk(id).map(RiskView::Known).ok_or_else(|| misfit(RISK_GET, &answer, Unreadable::Shape))
    }

    async fn user(&self, id: ObjectId) -> Result<Person, Error> {
        let path = format!("/users/{id}?$select={}", wire::USER_SELECT);
        let answer = self.caller.get(USER_GET, &path).await?;
        let user: wire::User = read(USER_GET, &answer)?;
        user.into_person(id).ok_or_else(|| misfit(USER_GET, &answer, Unreadable::Shape))
    }

    async fn deleted(&self, id: ObjectId) -> Result<Directory, Error> {
        let path = format!("/directory/deletedItems/{id}");
        let answer = match self.caller.get(DELETED_GET, &path).await {
            Err(error) if error.is_gone() => return Ok(Directory::Missing),
            other => other?,
        };
        let user: wire::User = read(DELETED_GET, &answer)?;
        if !user.is_user() {
            return Ok(Directory::Missing);
        }
        let person = user.into_person(id).ok_or_else(|| misfit(DELETED_GET, &answer, Unreadable::Shape))?;
        Ok(Directory::SoftDeleted(person))
    }
}

fn read<T: DeserializeOwned>(operation: Operation, answer: &Answer) -> Result<T, Error> {
    answer.json().map_err(|why| misfit(operation, answer, why))
}

fn misfit(operation: Operation, answer: &Answer, why: Unreadable) -> Error {
    let trouble = Trouble::Unreadable { status: answer.status.as_u16(), why };
    Error::Trouble { operation: operation.word, trouble }
}
