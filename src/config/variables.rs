//! Every variable that Lockstep reads: its name, and whether its value may be shown.
//!
//! `.env.example` and docs/configuration.md hold each of them; a test compares.

use super::mistakes::nearest;

/// One variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    pub kind: Kind,
}

/// What may be done with a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May be shown in a mistake.
    Open,
    /// No secret, but people paste secrets here by accident: never shown.
    Private,
    /// Never shown; `NAME_FILE` may name a file that holds it.
    Secret,
}

impl Variable {
    /// `NAME_FILE`, where there is one.
    pub fn file_name(&self) -> Option<String> {
        (self.kind == Kind::Secret).then(|| format!("{}_FILE", self.name))
    }
}

const fn open(name: &'static str) -> Variable {
    Variable { name, kind: Kind::Open }
}

const fn private(name: &'static str) -> Variable {
    Variable { name, kind: Kind::Private }
}

const fn secret(name: &'static str) -> Variable {
    Variable { name, kind: Kind::Secret }
}

pub const CONFIG: Variable = open("LOCKSTEP_CONFIG");
pub const MODE: Variable = open("LOCKSTEP_MODE");
pub const DATA_DIR: Variable = open("LOCKSTEP_DATA_DIR");
pub const QUEUE_URL: Variable = secret("LOCKSTEP_QUEUE_URL");
pub const QUEUE_PREFIX: Variable = open("LOCKSTEP_QUEUE_PREFIX");
pub const QUEUE_BYTES_MAX: Variable = open("LOCKSTEP_QUEUE_BYTES_MAX");
pub const DATABASE_URL: Variable = secret("LOCKSTEP_DATABASE_URL");
pub const LISTEN: Variable = open("LOCKSTEP_LISTEN");
pub const ADMIN_LISTEN: Variable = open("LOCKSTEP_ADMIN_LISTEN");
pub const PUBLIC_URL: Variable = open("LOCKSTEP_PUBLIC_URL");
pub const REQUESTS_MAX: Variable = open("LOCKSTEP_REQUESTS_MAX");
pub const CONCURRENCY: Variable = open("LOCKSTEP_CONCURRENCY");
pub const ATTEMPTS_MAX: Variable = open("LOCKSTEP_ATTEMPTS_MAX");
pub const LOG_FORMAT: Variable = open("LOCKSTEP_LOG_FORMAT");
pub const LOG_FILTER: Variable = open("RUST_LOG");
pub const ENTRA_TENANT_ID: Variable = private("ENTRA_TENANT_ID");
pub const ENTRA_CLIENT_ID: Variable = private("ENTRA_CLIENT_ID");
pub const ENTRA_CLIENT_SECRET: Variable = secret("ENTRA_CLIENT_SECRET");
pub const ENTRA_CLIENT_CERTIFICATE_FILE: Variable = open("ENTRA_CLIENT_CERTIFICATE_FILE");
pub const AZURE_FEDERATED_TOKEN_FILE: Variable = open("AZURE_FEDERATED_TOKEN_FILE");
pub const AZURE_TENANT_ID: Variable = private("AZURE_TENANT_ID");
pub const AZURE_CLIENT_ID: Variable = private("AZURE_CLIENT_ID");
pub const AZURE_AUTHORITY_HOST: Variable = open("AZURE_AUTHORITY_HOST");
pub const ENTRA_MANAGED_IDENTITY: Variable = open("ENTRA_MANAGED_IDENTITY");
pub const IDENTITY_ENDPOINT: Variable = open("IDENTITY_ENDPOINT");
pub const IDENTITY_HEADER: Variable = secret("IDENTITY_HEADER");
pub const AZURE_POD_IDENTITY_AUTHORITY_HOST: Variable = open("AZURE_POD_IDENTITY_AUTHORITY_HOST");
pub const ENTRA_CLOUD: Variable = open("ENTRA_CLOUD");
pub const ENTRA_LOGIN_URL: Variable = open("ENTRA_LOGIN_URL");
pub const ENTRA_GRAPH_URL: Variable = open("ENTRA_GRAPH_URL");
pub const GRAPH_RESOURCE_UNITS_PER_SECOND: Variable = open("GRAPH_RESOURCE_UNITS_PER_SECOND");
pub const AUTH0_DOMAIN: Variable = open("AUTH0_DOMAIN");
pub const AUTH0_URL: Variable = open("AUTH0_URL");
pub const AUTH0_CLIENT_ID: Variable = private("AUTH0_CLIENT_ID");
pub const AUTH0_CLIENT_SECRET: Variable = secret("AUTH0_CLIENT_SECRET");
pub const AUTH0_CONNECTION: Variable = open("AUTH0_CONNECTION");
pub const AUTH0_SCIM_TOKEN: Variable = secret("AUTH0_SCIM_TOKEN");
pub const AUTH0_REQUESTS_PER_SECOND: Variable = open("AUTH0_REQUESTS_PER_SECOND");
pub const AUTH0_BURST: Variable = open("AUTH0_BURST");
pub const GRAPH_CLIENT_STATE: Variable = secret("GRAPH_CLIENT_STATE");
pub const RISK_WEBHOOK_SECRET: Variable = secret("RISK_WEBHOOK_SECRET");
pub const AZURE_MONITOR_SECRET: Variable = secret("AZURE_MONITOR_SECRET");
pub const AZURE_MONITOR_AUDIENCE: Variable = open("AZURE_MONITOR_AUDIENCE");
pub const AZURE_MONITOR_ROLE: Variable = open("AZURE_MONITOR_ROLE");
pub const EVENT_GRID_SECRET: Variable = secret("EVENT_GRID_SECRET");
pub const SLACK_BOT_TOKEN: Variable = secret("SLACK_BOT_TOKEN");
pub const SLACK_CHANNEL: Variable = open("SLACK_CHANNEL");
pub const SLACK_WEBHOOK_URL: Variable = secret("SLACK_WEBHOOK_URL");
pub const SMTP_URL: Variable = secret("SMTP_URL");
pub const MAIL_FROM: Variable = private("MAIL_FROM");
pub const MAIL_TO: Variable = private("MAIL_TO");
pub const TICKET_URL: Variable = secret("TICKET_URL");
pub const TICKET_WEBHOOK_SECRET: Variable = secret("TICKET_WEBHOOK_SECRET");
pub const SLACK_API_URL: Variable = open("SLACK_API_URL");

/// All of them, in the order of docs/configuration.md.
pub const ALL: &[Variable] = &[
    CONFIG,
    MODE,
    DATA_DIR,
    QUEUE_URL,
    QUEUE_PREFIX,
    QUEUE_BYTES_MAX,
    DATABASE_URL,
    LISTEN,
    ADMIN_LISTEN,
    PUBLIC_URL,
    REQUESTS_MAX,
    CONCURRENCY,
    ATTEMPTS_MAX,
    LOG_FORMAT,
    LOG_FILTER,
    ENTRA_TENANT_ID,
    ENTRA_CLIENT_ID,
    ENTRA_CLIENT_SECRET,
    ENTRA_CLIENT_CERTIFICATE_FILE,
    AZURE_FEDERATED_TOKEN_FILE,
    AZURE_TENANT_ID,
    AZURE_CLIENT_ID,
    AZURE_AUTHORITY_HOST,
    ENTRA_MANAGED_IDENTITY,
    IDENTITY_ENDPOINT,
    IDENTITY_HEADER,
    AZURE_POD_IDENTITY_AUTHORITY_HOST,
    ENTRA_CLOUD,
    ENTRA_LOGIN_URL,
    ENTRA_GRAPH_URL,
    GRAPH_RESOURCE_UNITS_PER_SECOND,
    AUTH0_DOMAIN,
    AUTH0_URL,
    AUTH0_CLIENT_ID,
    AUTH0_CLIENT_SECRET,
    AUTH0_CONNECTION,
    AUTH0_SCIM_TOKEN,
    AUTH0_REQUESTS_PER_SECOND,
    AUTH0_BURST,
    GRAPH_CLIENT_STATE,
    RISK_WEBHOOK_SECRET,
    AZURE_MONITOR_SECRET,
    AZURE_MONITOR_AUDIENCE,
    AZURE_MONITOR_ROLE,
    EVENT_GRID_SECRET,
    SLACK_BOT_TOKEN,
    SLACK_CHANNEL,
    SLACK_WEBHOOK_URL,
    SLACK_API_URL,
    SMTP_URL,
    MAIL_FROM,
    MAIL_TO,
    TICKET_URL,
    TICKET_WEBHOOK_SECRET,
];

/// Whether `name` is a variable, or the file of a secret, that Lockstep reads.
pub fn is_known(name: &str) -> bool {
    ALL.iter().any(|known| known.name == name || known.file_name().as_deref() == Some(name))
}

/// The variable that was probably meant by `name`.
pub fn meant_by(name: &str) -> Option<String> {
    let names = ALL.iter().flat_map(|known| [Some(known.name.to_owned()), known.file_name()]).flatten();
    let names: Vec<String> = names.collect();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Kubernetes (and Docker links) put variables named after services into every container: a service `lockstep` gives
/// `LOCKSTEP_SERVICE_HOST`, `LOCKSTEP_PORT` and `LOCKSTEP_PORT_8080_TCP_ADDR` (Kubernetes, Service: environment
/// variables). They are nobody's mistake.
pub fn is_service_link(name: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let after_prefix =
        |word: &str| parts.iter().skip(1).position(|part| *part == word).map(|i| &parts[i + 2..]);
    let is_service =
        after_prefix("SERVICE").is_some_and(|rest| matches!(rest.first(), Some(&"HOST" | &"PORT")));
    let is_port = after_prefix("PORT").is_some_and(|rest| match rest {
        [] => true,
        [number, protocol, ..] => {
            number.parse::<u16>().is_ok() && matches!(*protocol, "TCP" | "UDP" | "SCTP")
        }
        [_] => false,
    });
    is_service || is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_known() {
        for (i, variable) in ALL.iter().enumerate() {
            assert!(is_known(variable.name));
            assert!(!ALL[..i].contains(variable), "{} is listed twice", variable.name);
        }
        assert!(is_known("RISK_WEBHOOK_SECRET_FILE") && !is_known("LOCKSTEP_MODE_FILE"));
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        assert_eq!(meant_by("LOCKSTEP_LISTNE").as_deref(), Some("LOCKSTEP_LISTEN"));
        assert_eq!(meant_by("LOCKSTEP_QUEUE_URL_FIEL").as_deref(), Some("LOCKSTEP_QUEUE_URL_FILE"));
        assert_eq!(meant_by("LOCKSTEP_SOMETHING_ELSE"), None);
    }

    #[test]
    fn what_kubernetes_adds_is_no_mistake() {
        for name in [
            "LOCKSTEP_SERVICE_HOST",
            "LOCKSTEP_SERVICE_PORT",
            "LOCKSTEP_SERVICE_PORT_WEBHOOKS",
            "LOCKSTEP_PORT",
            "LOCKSTEP_PORT_8080_TCP",
            "LOCKSTEP_PORT_8080_TCP_ADDR",
            "LOCKSTEP_ADMIN_SERVICE_HOST",
            "LOCKSTEP_ADMIN_PORT_8081_TCP_PROTO",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        for name in
            ["LOCKSTEP_LISTEN", "LOCKSTEP_PROT", "LOCKSTEP_PORTS", "LOCKSTEP_PORT_NUMBER", "LOCKSTEP_"]
        {
            assert!(!is_service_link(name), "{name}");
        }
    }
}
