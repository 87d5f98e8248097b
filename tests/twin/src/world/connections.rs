//! Connections of the Auth0 tenant with their options, the inbound SCIM of enterprise connections, and its tokens.

use super::World;
use super::accounts::AccountId;
use crate::setup::Setup;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Ids of the two connections that a tenant starts with; `con_` and sixteen letters or digits, as every recorded one.
const ENTERPRISE_ID: &str = "con_TwinEntra0000001";
const DATABASE_ID: &str = "con_TwinDatabase0001";

/// SCIM tokens of one connection (API description: 409 beyond).
pub(crate) const SCIM_TOKENS_MAX: usize = 2;

/// A connection. Its options are shown and written as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub id: String,
    pub name: String,
    /// `auth0` for databases, `waad` for Entra.
    pub strategy: String,
    pub options: Map<String, Value>,
    pub scim: Option<ScimConfiguration>,
}

/// Inbound SCIM of one connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ScimConfiguration {
    pub user_id_attribute: String,
    /// SCIM attribute to Auth0 attribute.
    pub mapping: Vec<(String, String)>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A token for the SCIM endpoint of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimToken {
    pub id: String,
    pub token: String,
    pub connection_id: String,
    pub scopes: BTreeSet<String>,
    pub created: Timestamp,
    /// `None` never ends.
    pub valid_until: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
}

pub(super) struct Connections {
    by_id: BTreeMap<String, Connection>,
    tokens: Vec<ScimToken>,
    /// Accounts of a connection that its SCIM endpoint does not know.
    hidden: HashSet<AccountId>,
    /// Accounts that SCIM has made.
    provisioned: HashSet<AccountId>,
    custom_domains: usize,
}

impl Connections {
    /// One database and one Entra connection with inbound SCIM and one token.
    pub(super) fn new(setup: &Setup) -> Connections {
        let now = Timestamp::now();
        let enterprise = Connection {
            id: ENTERPRISE_ID.into(),
            name: setup.auth0_connection.clone(),
            strategy: "waad".into(),
            options: enterprise_options(setup),
            scim: Some(ScimConfiguration::of_waad(now)),
        };
        let database = Connection {
            id: DATABASE_ID.into(),
            name: setup.auth0_database.clone(),
            strategy: "auth0".into(),
            options: object(json!({ "passwordPolicy": "good", "brute_force_protection": true })),
            scim: None,
        };
        let (token_id, _) = setup.auth0_scim_token.split_once('.').unwrap_or_default();
        let token = ScimToken {
            id: token_id.to_owned(),
            token: setup.auth0_scim_token.clone(),
            connection_id: ENTERPRISE_ID.into(),
            scopes: SCIM_USER_SCOPES.into_iter().map(str::to_owned).collect(),
            created: now,
            valid_until: None,
            last_used: None,
        };
        Connections {
            by_id: [enterprise, database].into_iter().map(|it| (it.id.clone(), it)).collect(),
            tokens: vec![token],
            hidden: HashSet::new(),
            provisioned: HashSet::new(),
            custom_domains: 1,
        }
    }

    /// The SCIM token with these characters ends now.
    pub(super) fn expire(&mut self, token: &str) {
        let named = self.tokens.iter_mut().filter(|known| known.token == token);
        named.for_each(|known| known.valid_until = Some(Timestamp::now()));
    }

    /// The account is gone.
    pub(super) fn forget(&mut self, account: &str) {
        self.hidden.remove(account);
        self.provisioned.remove(account);
    }
}

/// What the SCIM endpoint's tokens may do with users (Auth0, Configure Inbound SCIM).
pub(crate) const SCIM_USER_SCOPES: [&str; 5] =
    ["get:users", "post:users", "put:users", "patch:users", "delete:users"];

/// Names as recorded on an Entra connection; `set_user_root_attributes` is left out, which means `on_each_login`.
fn enterprise_options(setup: &Setup) -> Map<String, Value> {
    object(json!({
        "client_id": setup.entra_client_id,
        "client_secret": "twin-connection-secret-0000000000",
        "tenant_domain": setup.tenant_domain,
        "domain": setup.tenant_domain,
        "tenantId": setup.tenant_id,
        "identity_api": "microsoft-identity-platform-v2.0",
        "waad_protocol": "openid-connect",
        "use_wsfed": false,
        "useCommonEndpoint": false,
        "waad_common_endpoint": false,
        "userid_attribute": "oid",
        "basic_profile": true,
        "ext_profile": true,
        "ext_groups": false,
        "api_enable_users": false,
        "should_trust_email_verified_connection": "never_set_emails_as_verified",
    }))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

impl World {
    /// Adds a connection; returns its id. Panics if the name is taken.
    pub fn add_connection(&mut self, name: &str, strategy: &str, options: Value) -> String {
        assert!(self.connection_named(name).is_none(), "there is a connection {name} already");
        let id = format!("con_{}", super::word(16));
        let connection = Connection {
            id: id.clone(),
            name: name.to_owned(),
            strategy: strategy.to_owned(),
            options: object(options),
            scim: None,
        };
        self.connections.by_id.insert(id.clone(), connection);
        id
    }

    /// The Entra connection that the tenant started with.
    pub fn enterprise_connection(&self) -> &Connection {
        self.connection(ENTERPRISE_ID)
    }

    /// The database that the tenant started with.
    pub fn database_connection(&self) -> &Connection {
        self.connection(DATABASE_ID)
    }

    /// The connection. Panics if there is none.
    pub fn connection(&self, id: &str) -> &Connection {
        self.find_connection(id).unwrap_or_else(|| panic!("there is no connection {id}"))
    }

    /// The connection with this id, if there is one.
    pub fn find_connection(&self, id: &str) -> Option<&Connection> {
        self.connections.by_id.get(id)
    }

    /// The connection with this name, if there is one.
    pub fn connection_named(&self, name: &str) -> Option<&Connection> {
        self.connections.by_id.values().find(|connection| connection.name == name)
    }

    /// All connections, in the order of their ids.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.by_id.values()
    }

    /// Somebody changes one option of a connection in the dashboard; null removes it. Panics if there is none.
    pub fn set_connection_option(&mut self, id: &str, name: &str, value: Value) {
        let connection = self.connection_mut(id).unwrap_or_else(|| panic!("there is no connection {id}"));
        match value {
            Value::Null => connection.options.remove(name),
            value => connection.options.insert(name.to_owned(), value),
        };
    }

    pub(crate) fn connection_mut(&mut self, id: &str) -> Option<&mut Connection> {
        self.connections.by_id.get_mut(id)
    }

    /// From now on, how many verified custom domains the tenant has; with more than one, calls that can send mail need
    /// the `auth0-custom-domain` header (recorded: TestAccUserCustomDomains).
    pub fn set_custom_domains(&mut self, count: usize) {
        self.connections.custom_domains = count;
    }

    pub(crate) fn has_several_domains(&self) -> bool {
        self.connections.custom_domains > 1
    }

    /// The SCIM endpoint does not know this account from now on, as one that was made by a sign-in before SCIM was set up.
    pub fn hide_from_scim(&mut self, account: &str) {
        let account = self.account(account).id.clone();
        self.connections.hidden.insert(account);
    }

    /// Whether the SCIM endpoint of this connection answers for the account: its primary identity is of the connection
    /// (Auth0, Configure Inbound SCIM).
    pub(crate) fn scim_knows(&self, connection: &Connection, account: &str) -> bool {
        let primary = self.find_account(account).and_then(|account| account.identities.first());
        primary.is_some_and(|primary| primary.connection == connection.name)
            && !self.connections.hidden.contains(account)
    }

    /// SCIM has made this account.
    pub(crate) fn provisioned_by_scim(&mut self, account: &AccountId) {
        self.connections.provisioned.insert(account.clone());
    }

    /// Whether SCIM has made this account.
    pub fn is_provisioned_by_scim(&self, account: &str) -> bool {
        self.connections.provisioned.contains(account)
    }

    /// Live and ended SCIM tokens of a connection.
    pub fn scim_tokens<'a>(&'a self, connection_id: &'a str) -> impl Iterator<Item = &'a ScimToken> {
        self.connections.tokens.iter().filter(move |token| token.connection_id == connection_id)
    }

    /// Makes a token for the SCIM endpoint, which lives for so many seconds or for ever.
    pub(crate) fn issue_scim_token(
        &mut self,
        connection_id: &str,
        scopes: BTreeSet<String>,
        seconds: Option<u64>,
    ) -> ScimToken {
        let now = Timestamp::now();
        let id = format!("tok_{}", super::word(16));
        let lifetime = seconds.and_then(|seconds| i64::try_from(seconds).ok()).map(SignedDuration::from_secs);
        let token = ScimToken {
            token: format!("{id}.{}", super::hex(64)),
            id,
            connection_id: connection_id.to_owned(),
            scopes,
            created: now,
            valid_until: lifetime.and_then(|lifetime| now.checked_add(lifetime).ok()),
            last_used: None,
        };
        self.connections.tokens.push(token.clone());
        token
    }

    /// The token with these characters, if it has not ended; it is marked as used.
    pub(crate) fn use_scim_token(&mut self, token: &str) -> Option<&ScimToken> {
        let now = Timestamp::now();
        let named = self.connections.tokens.iter_mut().find(|known| known.token == token)?;
        if named.valid_until.is_some_and(|end| end <= now) {
            return None;
        }
        named.last_used = Some(now);
        Some(named)
    }

    /// Somebody deletes a SCIM token, by its id.
    pub fn delete_scim_token(&mut self, id: &str) {
        self.connections.tokens.retain(|token| token.id != id);
    }

    /// Every SCIM token issued so far ends now.
    pub fn expire_scim_tokens(&mut self) {
        let now = Timestamp::now();
        self.connections.tokens.iter_mut().for_each(|token| token.valid_until = Some(now));
    }

    /// Turns inbound SCIM of a connection off, tokens and all.
    pub fn delete_scim(&mut self, connection_id: &str) {
        if let Some(connection) = self.connection_mut(connection_id) {
            connection.scim = None;
        }
        self.connections.tokens.retain(|token| token.connection_id != connection_id);
    }
}

impl Connection {
    pub(crate) fn is_database(&self) -> bool {
        self.strategy == "auth0"
    }

    pub(crate) fn option(&self, name: &str) -> Option<&Value> {
        self.options.get(name)
    }

    /// Whether root attributes are overwritten at each login and so refuse to be written (Auth0, Configure Connection
    /// Sync with Auth0: the default).
    pub(crate) fn syncs_each_login(&self) -> bool {
        let option = self.option("set_user_root_attributes").and_then(Value::as_str);
        !self.is_database() && !matches!(option, Some("on_first_login" | "never_on_login"))
    }

    /// Whether inbound SCIM can be had; of what the twin plays, Entra's connections (recorded refusal for databases).
    pub(crate) fn supports_scim(&self) -> bool {
        self.strategy == "waad"
    }
}

impl ScimConfiguration {
    /// The default for Entra connections (recorded: TestAccSCIMToken).
    pub(crate) fn of_waad(now: Timestamp) -> ScimConfiguration {
        ScimConfiguration {
            user_id_attribute: "externalId".into(),
            mapping: WAAD_MAPPING.into_iter().map(|(scim, auth0)| (scim.into(), auth0.into())).collect(),
            created: now,
            updated: now,
        }
    }
}

/// The default mapping of Entra connections, in the recorded order (TestAccSCIMToken).
const WAAD_MAPPING: [(&str, &str); 30] = [
    ("userName", "upn"),
    ("emails[type eq \"work\"].value", "email"),
    ("externalId", "app_metadata.external_id"),
    ("active", "blocked"),
    ("displayName", "name"),
    ("name.givenName", "given_name"),
    ("name.familyName", "family_name"),
    ("nickName", "nickname"),
    ("photos[type eq \"photo\"].value", "picture"),
    ("phoneNumbers[type eq \"work\"].value", "app_metadata.work_phone_number"),
    ("phoneNumbers[type eq \"mobile\"].value", "app_metadata.mobile_phone_number"),
    ("phoneNumbers[type eq \"fax\"].value", "app_metadata.fax_number"),
    ("addresses[type eq \"work\"].streetAddress", "app_metadata.street_address"),
    ("addresses[type eq \"work\"].locality", "app_metadata.city"),
    ("addresses[type eq \"work\"].region", "app_metadata.state"),
    ("addresses[type eq \"work\"].postalCode", "app_metadata.postal_code"),
    ("addresses[type eq \"work\"].formatted", "app_metadata.postal_address"),
    ("addresses[type eq \"work\"].country", "app_metadata.country"),
    ("profileUrl", "app_metadata.profile_url"),
    ("userType", "app_metadata.user_type"),
    ("title", "app_metadata.title"),
    ("preferredLanguage", "app_metadata.language"),
    ("locale", "app_metadata.locale"),
    ("timezone", "app_metadata.timezone"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.employeeNumber", "app_metadata.employee_id"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.costCenter", "app_metadata.cost_center"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.organization", "app_metadata.organization"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.division", "app_metadata.division"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department", "app_metadata.department"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.manager", "app_metadata.manager"),
];
