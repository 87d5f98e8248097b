//! Access tokens that the twin has issued for Graph and for the Management API, and what they allow.

use super::World;
use crate::faults::Vendor;
use crate::setup::Setup;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a bearer token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Expired,
}

pub(super) struct Issued {
    tokens: HashMap<String, Token>,
    graph: Grants,
    auth0: Grants,
    /// Ids of the client assertions that have been used.
    assertions: HashSet<String>,
}

struct Token {
    vendor: Vendor,
    expires: Instant,
    granted: Arc<BTreeSet<String>>,
}

struct Grants {
    lifetime: Duration,
    current: Arc<BTreeSet<String>>,
}

/// Live tokens kept; more than this means that a client asks for a token per request.
const TOKENS_MAX: usize = 10_000;

impl Issued {
    pub(super) fn new(setup: &Setup) -> Issued {
        Issued {
            tokens: HashMap::new(),
            graph: Grants {
                lifetime: setup.entra_token_lifetime,
                current: Arc::new(setup.graph_permissions.iter().cloned().collect()),
            },
            auth0: Grants {
                lifetime: setup.auth0_token_lifetime,
                current: Arc::new(setup.auth0_scopes.iter().cloned().collect()),
            },
            assertions: HashSet::new(),
        }
    }

    fn grants(&mut self, vendor: Vendor) -> &mut Grants {
        if vendor == Vendor::Auth0 { &mut self.auth0 } else { &mut self.graph }
    }
}

impl World {
    /// An administrator takes a Graph permission back. The twin takes it from live tokens too, although Graph goes on
    /// honouring them for up to an hour, because no test can wait that long.
    pub fn revoke_graph_permission(&mut self, permission: &str) {
        self.change_granted(Vendor::Graph, |granted| granted.remove(permission));
    }

    /// An administrator consents to a Graph permission; tokens issued from now on carry it.
    pub fn grant_graph_permission(&mut self, permission: &str) {
        self.change_granted(Vendor::Graph, |granted| granted.insert(permission.to_owned()));
    }

    /// Somebody takes a Management API scope back, from live tokens too.
    pub fn revoke_auth0_scope(&mut self, scope: &str) {
        self.change_granted(Vendor::Auth0, |granted| granted.remove(scope));
    }

    /// Somebody grants a Management API scope; tokens issued from now on carry it.
    pub fn grant_auth0_scope(&mut self, scope: &str) {
        self.change_granted(Vendor::Auth0, |granted| granted.insert(scope.to_owned()));
    }

    /// Every token issued so far for this vendor expires now.
    pub fn expire_tokens(&mut self, vendor: Vendor) {
        let now = Instant::now();
        let of_vendor = self.tokens.tokens.values_mut().filter(|token| token.vendor == vendor);
        of_vendor.for_each(|token| token.expires = now);
    }

    /// A new token for `vendor`, with its lifetime in seconds and what it carries.
    pub(crate) fn issue_token(&mut self, vendor: Vendor) -> (String, u64, Arc<BTreeSet<String>>) {
        let now = Instant::now();
        if self.tokens.tokens.len() >= TOKENS_MAX {
            self.tokens.tokens.retain(|_, token| token.expires > now);
        }
        let grants = self.tokens.grants(vendor);
        let (lifetime, granted) = (grants.lifetime, grants.current.clone());
        let token = signed(vendor, &granted);
        let kept = Token { vendor, expires: now + lifetime, granted: granted.clone() };
        self.tokens.tokens.insert(token.clone(), kept);
        (token, lifetime.as_secs(), granted)
    }

    /// Takes a client assertion in, and says whether its id is new. As many ids are remembered as tokens.
    pub(crate) fn use_assertion(&mut self, id: &str) -> bool {
        if self.tokens.assertions.len() >= TOKENS_MAX {
            self.tokens.assertions.clear();
        }
        self.tokens.assertions.insert(id.to_owned())
    }

    /// What a token allows now: what it was issued with, less what has been taken back since.
    pub(crate) fn token_allows(&self, vendor: Vendor, token: &str, wanted: &str) -> bool {
        let current = if vendor == Vendor::Auth0 { &self.tokens.auth0 } else { &self.tokens.graph };
        let issued = self.tokens.tokens.get(token);
        issued.is_some_and(|token| token.granted.contains(wanted)) && current.current.contains(wanted)
    }

    /// Whether a bearer token is accepted at all.
    pub(crate) fn check_token(&self, vendor: Vendor, token: &str) -> Result<(), Refusal> {
        match self.tokens.tokens.get(token).filter(|token| token.vendor == vendor) {
            None => Err(Refusal::Unknown),
            Some(token) if token.expires <= Instant::now() => Err(Refusal::Expired),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn expire_token(&mut self, token: &str) {
        if let Some(token) = self.tokens.tokens.get_mut(token) {
            token.expires = Instant::now();
        }
        self.connections.expire(token);
    }

    fn change_granted(&mut self, vendor: Vendor, change: impl FnOnce(&mut BTreeSet<String>) -> bool) {
        change(Arc::make_mut(&mut self.tokens.grants(vendor).current));
    }
}

/// Both vendors issue JWTs with what the application may do inside: Graph in `roles` (Microsoft identity platform, Access
/// token claims reference), Auth0 in `scope` (Auth0, Management API Access Tokens). Nobody checks the signature.
fn signed(vendor: Vendor, granted: &BTreeSet<String>) -> String {
    let id = super::word(24);
    let claims = match vendor {
        Vendor::Auth0 => {
            let words: Vec<&str> = granted.iter().map(String::as_str).collect();
            json!({ "jti": id, "scope": words.join(" "), "gty": "client-credentials" })
        }
        _ => json!({ "uti": id, "roles": granted, "idtyp": "app" }),
    };
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims), super::word(24))
}
