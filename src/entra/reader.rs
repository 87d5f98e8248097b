//! What Lockstep asks Graph about one person; groups, whole directories and changes are in the files below this one.

pub(super) mod applications;
pub(super) mod delta;
pub(super) mod groups;
pub(super) mod profile;
mod within;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::entra::call::{At, Caller, Operation, Service, Shared};
use crate::entra::{Error, Link, Writer, wire};
use crate::event::{ObjectId, TenantId};
use crate::outbound::Trouble;
use crate::outbound::http::{Answer, Unreadable};
use crate::snapshot::{Directory, Person, RiskView};

const USER_GET: Operation = Operation { word: "user.get", needs: "User.Read.All", ..Operation::READ };
const DELETED_GET: Operation =
    Operation { word: "deleted_item.get", needs: "User.Read.All", ..Operation::READ };
const RISK_GET: Operation = Operation {
    word: "risk.get",
    needs: "IdentityRiskyUser.Read.All",
    service: Service::IdentityProtection,
    ..Operation::READ
};
const ORGANIZATION_GET: Operation =
    Operation { word: "organization.get", needs: "User.Read.All", ..Operation::READ };
/// Pages of one list that are read before it is called too long: 999 rows each, some twenty thousand groups.
const PAGES_MAX: usize = 20;

/// Reads from Graph for one lane. Cheap to clone; may be used from many tasks at once.
#[derive(Debug, Clone)]
pub struct Reader {
    caller: Caller,
}

impl Reader {
    pub(super) fn new(caller: Caller) -> Reader {
        Reader { caller }
    }

    /// A writer of the same lane, on the same connections.
    pub(super) fn writer(&self) -> Writer {
        Writer::new(self.caller.clone())
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.caller.shared
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

    /// The tenant that our token is for, in Graph's own words (Graph, Get organization: exactly one).
    ///
    /// # Errors
    /// Also when Graph names none or several.
    pub async fn organization(&self) -> Result<TenantId, Error> {
        let answer = self.caller.get(ORGANIZATION_GET, At::Path("/organization?$select=id")).await?;
        let listed: wire::Organizations = read(ORGANIZATION_GET, &answer)?;
        match listed.value[..] {
            [ref one] => Ok(TenantId(one.id)),
            _ => Err(misfit(ORGANIZATION_GET, &answer, Unreadable::Shape)),
        }
    }

    /// The application permissions that our token carries; `None` when it cannot be looked into. To be shown only: the
    /// identity platform promises nothing about the inside of Graph's tokens.
    ///
    /// # Errors
    /// When there is no token.
    pub async fn granted(&self) -> Result<Option<BTreeSet<String>>, Error> {
        Ok(self.caller.shared.tokens.get().await?.words_of("roles"))
    }

    /// What Identity Protection says. Paced at one request per second and tenant; see [`Error::Paced`].
    ///
    /// # Errors
    /// In the contain lane at once when the second's request is taken; nothing queues behind it.
    pub async fn risk(&self, id: ObjectId) -> Result<RiskView, Error> {
        let path = format!("/identityProtection/riskyUsers/{id}?$select={}", wire::RISK_SELECT);
        let answer = match self.caller.get(RISK_GET, At::Path(&path)).await {
            Err(error) if error.is_gone() => return Ok(RiskView::NotListed),
            other => other?,
        };
        let risky: wire::RiskyUser = read(RISK_GET, &answer)?;
        risky.into_risk(id).map(RiskView::Known).ok_or_else(|| misfit(RISK_GET, &answer, Unreadable::Shape))
    }

    async fn user(&self, id: ObjectId) -> Result<Person, Error> {
        let path = format!("/users/{id}?$select={}", wire::USER_SELECT);
        let answer = self.caller.get(USER_GET, At::Path(&path)).await?;
        let user: wire::User = read(USER_GET, &answer)?;
        user.into_person(id).ok_or_else(|| misfit(USER_GET, &answer, Unreadable::Shape))
    }

    async fn deleted(&self, id: ObjectId) -> Result<Directory, Error> {
        let path = format!("/directory/deletedItems/{id}");
        let answer = match self.caller.get(DELETED_GET, At::Path(&path)).await {
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

    /// The rows of a list from its first page on.
    async fn rows(&self, operation: Operation, first: Answer) -> Result<Vec<wire::Object>, Error> {
        let mut rows = Vec::new();
        let mut answer = first;
        for _ in 1..PAGES_MAX {
            let page: wire::Objects = read(operation, &answer)?;
            rows.extend(page.value);
            let Some(next) = page.next else { return Ok(rows) };
            answer = self.caller.get(operation, At::Link(&Link::new(next))).await?;
        }
        let page: wire::Objects = read(operation, &answer)?;
        rows.extend(page.value);
        let most = rows.len();
        if page.next.is_some() { Err(Error::TooLong { operation: operation.word, most }) } else { Ok(rows) }
    }
}

fn read<T: DeserializeOwned>(operation: Operation, answer: &Answer) -> Result<T, Error> {
    answer.json().map_err(|why| misfit(operation, answer, why))
}

fn misfit(operation: Operation, answer: &Answer, why: Unreadable) -> Error {
    super::call::trouble(operation, Trouble::Unreadable { status: answer.status.as_u16(), why })
}
