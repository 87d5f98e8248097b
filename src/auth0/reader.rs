//! What Lockstep asks the Management API.

use std::collections::{BTreeMap, BTreeSet};

use crate::auth0::call::{Caller, NotFound, Operation, Request, user_path};
use crate::auth0::wire::{self, CheckpointPage, DeviceCredential, OffsetPage, TokenSet};
use crate::auth0::{Error, Names, UserIds, catalogue, holding, memberships, search};
use crate::case::also::Extra;
use crate::case::{AccountId, Means};
use crate::event::ObjectId;
use crate::snapshot::sync::{Entrance, Holding, LookAlike, OrganizationId, RoleId, Tenant};
use crate::snapshot::{Access, Account, Count};

const USER_GET: Operation = Operation { word: "user.get", needs: "read:users", not_found: NotFound::Odd };
const SESSIONS_LIST: Operation =
    Operation { word: "sessions.list", needs: "read:sessions", not_found: NotFound::NotInPlan };
const TOKENS_LIST: Operation =
    Operation { word: "refresh_tokens.list", needs: "read:refresh_tokens", not_found: NotFound::NotInPlan };
const GRANTS_LIST: Operation =
    Operation { word: "grants.list", needs: "read:grants", not_found: NotFound::Odd };
const DEVICES_LIST: Operation =
    Operation { word: "device_credentials.list", needs: "read:device_credentials", not_found: NotFound::Odd };
/// Token Vault comes with a plan of its own; an unknown user is told as such.
const TOKEN_SETS_LIST: Operation = Operation {
    word: "token_sets.list",
    needs: "read:federated_connections_tokens",
    not_found: NotFound::NotInPlan,
};

/// What is counted is whether anything is left; beyond a page the exact number helps nobody.
const PER_PAGE: usize = 50;
/// A checkpoint list may have a next page and nothing on this one; that is followed this far.
const EMPTY_PAGES_MAX: usize = 4;
/// Device credentials of one account that are dealt with, per type.
pub(super) const DEVICES_MAX: usize = 1000;
const DEVICES_PER_PAGE: usize = 100;
/// The types that hold access: the third, `public_key`, is no credential of a session.
pub(super) const DEVICE_TYPES: [&str; 2] = ["refresh_token", "rotating_refresh_token"];

/// Reads from the Management API for one lane. Cheap to clone; may be used from many tasks at once.
#[derive(Debug, Clone)]
pub struct Reader {
    caller: Caller,
}

impl Reader {
    pub(super) fn new(caller: Caller) -> Reader {
        Reader { caller }
    }

    /// The accounts that belong to an Entra object, linked identities included, each once and sorted. Found by search,
    /// which lags behind: an account may be missing for some seconds after it was made or stamped.
    ///
    /// # Errors
    /// Also when more than a hundred accounts match.
    pub async fn accounts_of(&self, object: ObjectId) -> Result<Vec<AccountId>, Error> {
        search::accounts_of(&self.caller, object).await
    }

    /// One account as it is now, its `access` unread; `None` when Auth0 says that it does not exist.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, Error> {
        let request = Request::get(USER_GET, user_path(USER_GET, id, "")?)
            .of_a_user()
            .query("fields", "user_id,blocked,app_metadata,email")
            .query("include_fields", true);
        let answer = match self.caller.call(&request).await {
            Err(error) if error.is_gone() => return Ok(None),
            other => other?,
        };
        let user: wire::User = answer.json().map_err(|why| request.misfit(&answer, why))?;
        let (access, email) = (Access::default(), user.email());
        Ok(Some(Account { id: id.clone(), blocked: user.blocked(), stamp: user.stamp(), access, email }))
    }

    /// What the account could still use, as far as `means` is able to end it; everything else stays unread. Counts are
    /// exact up to a page of fifty. An account that does not exist can use nothing.
    pub async fn access(&self, id: &AccountId, means: Means) -> Result<Access, Error> {
        let read = match means {
            Means::RevokeAccess | Means::SessionsAndTokens => self.sessions_and_tokens(id).await,
            Means::GrantsAndDevices => self.grants_and_devices(id).await,
        };
        match read {
            Err(error) if error.is_gone() => Ok(nothing(means)),
            other => other,
        }
    }

    /// How much is left of what is ended beside sessions and refresh tokens. Where it may not be listed, that is the
    /// answer; an account that does not exist has nothing.
    pub async fn left_of(&self, id: &AccountId, extra: Extra) -> Result<Count, Error> {
        let left = match extra {
            Extra::Grants => self.grants(id).await,
            Extra::DeviceCredentials => {
                device_credentials(&self.caller, id).await.map(|left| count(left.len() as u64))
            }
            Extra::TokenVault => token_sets(&self.caller, id).await.map(|left| count(left.len() as u64)),
        };
        match left {
            Err(error) if error.is_gone() => Ok(Count::Is(0)),
            Err(error) if error.is_refusal() => Ok(Count::NotInPlan),
            other => other,
        }
    }

    /// The account into which `id` was linked. To be asked after a 404: linking makes an account vanish, and what it
    /// could do lives on in the other.
    pub async fn holder_of(&self, id: &AccountId) -> Result<Option<AccountId>, Error> {
        search::holder_of(&self.caller, id).await
    }

    /// One account whole as it is now, its roles and organizations unread; `None` when Auth0 says that it does not exist.
    pub async fn holding(&self, id: &AccountId) -> Result<Option<Holding>, Error> {
        holding::read(&self.caller, id).await
    }

    /// The roles that the account has by itself, outside organizations.
    pub async fn roles_of(&self, id: &AccountId) -> Result<BTreeSet<RoleId>, Error> {
        memberships::roles_of(&self.caller, id).await
    }

    /// The organizations among `managed` that the account is a member of, with its roles there. Others are not told: what
    /// nobody manages is nobody's to compare.
    pub async fn organizations_of(
        &self,
        id: &AccountId,
        managed: &BTreeSet<OrganizationId>,
    ) -> Result<BTreeMap<OrganizationId, BTreeSet<RoleId>>, Error> {
        memberships::organizations_of(&self.caller, id, managed).await
    }

    /// The scopes that our token carries; `None` when it cannot be looked into.
    ///
    /// # Errors
    /// When there is no token.
    pub async fn granted(&self) -> Result<Option<BTreeSet<String>>, Error> {
        Ok(self.caller.shared.tokens.get().await?.words_of("scope"))
    }

    /// Of these roles, those that exist; asked for anew.
    pub async fn roles(&self, wanted: &BTreeSet<String>) -> Result<BTreeMap<String, RoleId>, Error> {
        catalogue::read_roles(&self.caller, wanted).await
    }

    /// Of these organizations, those that exist; asked for anew.
    pub async fn organizations(
        &self,
        wanted: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, OrganizationId>, Error> {
        catalogue::read_organizations(&self.caller, wanted).await
    }

    /// The id of the enterprise connection; `None` when none is named or there is none of that name.
    pub async fn connection(&self) -> Result<Option<String>, Error> {
        let found = self.caller.shared.catalogue.connection(&self.caller).await?;
        Ok(found.map(|connection| connection.id))
    }

    /// What the policy names, as it exists in the tenant; at most a minute old. What does not exist is absent.
    pub async fn tenant(&self, names: &Names) -> Result<Tenant, Error> {
        self.caller.shared.catalogue.tenant(&self.caller, names).await
    }

    /// The connections that members of an organization may sign in with.
    ///
    /// # Errors
    /// Also when the organization is gone.
    pub async fn enabled_connections(
        &self,
        organization: &OrganizationId,
    ) -> Result<BTreeSet<Entrance>, Error> {
        memberships::enabled_connections(&self.caller, organization).await
    }

    /// What the enterprise connection makes its accounts' ids of; `None` where there is none, or it may not be read.
    pub async fn user_ids(&self) -> Result<Option<UserIds>, Error> {
        let connection = self.caller.shared.catalogue.connection(&self.caller).await?;
        Ok(connection.and_then(|connection| connection.user_ids))
    }

    /// Reads the tenant anew when it is asked for next. [`Error::Stale`] has done so already.
    pub fn forget_tenant(&self) {
        self.caller.shared.catalogue.forget();
    }

    /// The accounts with this e-mail address in any spelling, each once and sorted, those of the person included.
    pub async fn accounts_with_email(&self, email: &str) -> Result<Vec<LookAlike>, Error> {
        search::accounts_with_email(&self.caller, email).await
    }

    /// The longest lifetime of an access token among the tenant's APIs, in seconds; at most ten minutes old.
    pub async fn longest_token_lifetime_seconds(&self) -> Result<u64, Error> {
        self.caller.shared.lifetimes.longest(&self.caller).await
    }

    async fn sessions_and_tokens(&self, id: &AccountId) -> Result<Access, Error> {
        let sessions = self.count(SESSIONS_LIST, id, "/sessions");
        let tokens = self.count(TOKENS_LIST, id, "/refresh-tokens");
        let (sessions, refresh_tokens) = futures_util::future::join(sessions, tokens).await;
        Ok(Access { sessions: sessions?, refresh_tokens: refresh_tokens?, ..Access::default() })
    }

    async fn grants_and_devices(&self, id: &AccountId) -> Result<Access, Error> {
        let grants = self.grants(id);
        let devices = device_credentials(&self.caller, id);
        let (grants, devices) = futures_util::future::join(grants, devices).await;
        let device_credentials = count(devices?.len() as u64);
        Ok(Access { grants: grants?, device_credentials, ..Access::default() })
    }

    async fn count(&self, operation: Operation, id: &AccountId, list: &str) -> Result<Count, Error> {
        let path = user_path(operation, id, list)?;
        match self.checkpoint_list(operation, &path).await {
            Err(error) if error.is_not_in_plan() => Ok(Count::NotInPlan),
            Err(error) => Err(error),
            Ok(left) => Ok(count(left as u64)),
        }
    }

    async fn checkpoint_list(&self, operation: Operation, path: &str) -> Result<usize, Error> {
        let mut from: Option<String> = None;
        for _ in 0..EMPTY_PAGES_MAX {
            let mut request = Request::get(operation, path).query("take", PER_PAGE);
            if let Some(from) = from.take() {
                request = request.query("from", from);
            }
            let answer = self.caller.call(&request).await?;
            let page: CheckpointPage = answer.json().map_err(|why| request.misfit(&answer, why))?;
            match page.next {
                Some(next) if page.items.is_empty() => from = Some(next),
                _ => return Ok(page.items.len()),
            }
        }
        // Never an end and never an item: nothing is proven, so something is taken to be left.
        Ok(1)
    }

    async fn grants(&self, id: &AccountId) -> Result<Count, Error> {
        let request = Request::get(GRANTS_LIST, "/grants")
            .query("user_id", id)
            .query("per_page", PER_PAGE)
            .query("include_totals", true);
        let answer = self.caller.call(&request).await?;
        let page: OffsetPage<serde_json::Value> =
            answer.json().map_err(|why| request.misfit(&answer, why))?;
        let (grants, total) = page.into_parts();
        Ok(count(total.unwrap_or_default().max(grants.len() as u64)))
    }
}

/// The ids of the account's refresh-token credentials, at most [`DEVICES_MAX`] per type.
pub(super) async fn device_credentials(caller: &Caller, id: &AccountId) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for kind in DEVICE_TYPES {
        found.extend(devices_of_type(caller, id, kind).await?);
    }
    Ok(found)
}

/// The ids of the account's token sets: a bare array without pages (Auth0 Management API v2, Get tokensets for a user).
pub(super) async fn token_sets(caller: &Caller, id: &AccountId) -> Result<Vec<String>, Error> {
    let path = user_path(TOKEN_SETS_LIST, id, "/federated-connections-tokensets")?;
    let request = Request::get(TOKEN_SETS_LIST, path);
    let answer = caller.call(&request).await?;
    let sets: Vec<TokenSet> = answer.json().map_err(|why| request.misfit(&answer, why))?;
    Ok(sets.into_iter().map(|set| set.id).collect())
}

async fn devices_of_type(caller: &Caller, id: &AccountId, kind: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for page in 0..DEVICES_MAX / DEVICES_PER_PAGE {
        let request = Request::get(DEVICES_LIST, "/device-credentials")
            .query("user_id", id)
            .query("type", kind)
            .query("fields", "id")
            .query("include_fields", true)
            .query("include_totals", true)
            .query("page", page)
            .query("per_page", DEVICES_PER_PAGE);
        let answer = caller.call(&request).await?;
        let listed: OffsetPage<DeviceCredential> =
            answer.json().map_err(|why| request.misfit(&answer, why))?;
        let (credentials, total) = listed.into_parts();
        let empty = credentials.is_empty();
        found.extend(credentials.into_iter().map(|credential| credential.id));
        if empty || total.is_some_and(|total| found.len() as u64 >= total) {
            break;
        }
    }
    Ok(found)
}

fn count(left: u64) -> Count {
    Count::Is(u32::try_from(left).unwrap_or(u32::MAX))
}

fn nothing(means: Means) -> Access {
    let none = Count::Is(0);
    match means {
        Means::RevokeAccess | Means::SessionsAndTokens => {
            Access { sessions: none, refresh_tokens: none, ..Access::default() }
        }
        Means::GrantsAndDevices => Access { grants: none, device_credentials: none, ..Access::default() },
    }
}
