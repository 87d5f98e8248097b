//! What a twin is started with: identities and secrets, plan and permissions, limits, delays, ports. Plain data; the
//! defaults are an Enterprise tenant without Auth0 rate limit and without latency, with Graph's own limits on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

/// Auth0 subscription plans, as far as they decide which endpoints answer (Auth0, Manage User Sessions with the
/// Management API: the session and refresh-token endpoints need Enterprise).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    Free,
    Essentials,
    Enterprise,
}

/// Which of the two recorded 403 bodies tells that the plan lacks an endpoint. Both occur in real exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanRefusal {
    /// `errorCode: insufficient_entitlement`.
    Entitlement,
    /// `errorCode: insufficient_scope` with a "Please upgrade" message.
    Scope,
}

/// The tenant-wide limit of the Management API: a burst and a refill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    pub burst: u32,
    pub per_second: f64,
}

impl RateLimit {
    /// Free plan: 2 burst, 2 per second (Auth0, Rate Limit Configurations).
    pub const FREE: RateLimit = RateLimit { burst: 2, per_second: 2.0 };
    /// Enterprise production tenants: 50 burst, 16 per second (same page).
    pub const ENTERPRISE: RateLimit = RateLimit { burst: 50, per_second: 16.0 };
    /// Enterprise non-production tenants: 10 burst, 2 per second (same page).
    pub const ENTERPRISE_NON_PRODUCTION: RateLimit = RateLimit { burst: 10, per_second: 2.0 };
    /// The SCIM endpoint of one connection on the Free plan (same page).
    pub const SCIM_FREE: RateLimit = RateLimit { burst: 5, per_second: 5.0 };
    /// The SCIM endpoint of one connection on paid plans (same page).
    pub const SCIM_PAID: RateLimit = RateLimit { burst: 25, per_second: 25.0 };
}

/// Fixed ports for the program; tests leave them out and get free ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub entra: u16,
    pub auth0: u16,
    pub slack: u16,
    pub smtp: u16,
    pub ticket: u16,
}

/// How long each vendor thinks before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    pub entra: Duration,
    pub auth0: Duration,
    pub slack: Duration,
}

/// How patient Graph is with an endpoint that it calls (Graph, Change notifications by webhooks, 2026-04-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the answer to a handshake.
    pub handshake: Duration,
    /// For the answer to a notification.
    pub answer: Duration,
    /// For the answer to a retry.
    pub answer_again: Duration,
    /// Before the first retry; twice as long before each further one. The page says "exponential" and names no number.
    pub pause: Duration,
    /// For how long a notification is tried again, until it is lost.
    pub horizon: Duration,
}

impl Patience {
    pub const GRAPH: Patience = Patience {
        handshake: Duration::from_secs(10),
        answer: Duration::from_secs(3),
        answer_again: Duration::from_secs(10),
        pause: Duration::from_secs(10),
        horizon: Duration::from_secs(4 * 3_600),
    };

    /// Graph's, with the pauses between attempts so many times as long; four hours pass in a second with a five
    /// thousandth. Answers keep their time, or a busy machine would look like a slow endpoint.
    pub fn scaled(by: f64) -> Patience {
        let graph = Patience::GRAPH;
        Patience { pause: graph.pause.mul_f64(by), horizon: graph.horizon.mul_f64(by), ..graph }
    }
}

/// A platform whose tokens the application trusts (Graph, federatedIdentityCredential resource type).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedCredential {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
}

impl FederatedCredential {
    /// A Kubernetes service account, with the one audience that Entra documents.
    pub fn service_account(namespace: &str, name: &str) -> FederatedCredential {
        FederatedCredential {
            issuer: "https://kubernetes.contoso.example/twin/".into(),
            subject: format!("system:serviceaccount:{namespace}:{name}"),
            audience: "api://AzureADTokenExchange".into(),
        }
    }
}

/// How the mail server lets clients in. Behind TLS it wants them to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailDoor {
    /// Without TLS and without a sign-in, as on the machine itself.
    Open,
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

impl MailDoor {
    /// What the settings of a client say; a certificate is for a name.
    pub(crate) fn url(self, http: &str, (user, password): &(String, String)) -> String {
        let address = http.trim_start_matches("http://");
        let named = address.replace("127.0.0.1", "localhost");
        match self {
            MailDoor::Open => format!("smtp://{address}"),
            MailDoor::StartTls => format!("smtp://{user}:{password}@{named}?tls=required"),
            MailDoor::Implicit => format!("smtps://{user}:{password}@{named}"),
        }
    }
}

/// Everything a twin is started with. `Setup::default()` and struct update syntax are the way to write one.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Entra tenant id, a lower-case GUID.
    pub tenant_id: String,
    /// Initial domain of the Entra tenant; UPNs of hired people may use any domain.
    pub tenant_domain: String,
    pub entra_client_id: String,
    pub entra_client_secret: String,
    /// When Entra says that it ends; it is accepted all the same.
    pub entra_client_secret_ends: Timestamp,
    /// Certificates registered for the application, in PEM; keys beside them are skipped.
    pub entra_certificates: Vec<String>,
    /// Platforms that the application trusts.
    pub federated_credentials: Vec<FederatedCredential>,
    /// What App Service's identity endpoint wants to see in `X-IDENTITY-HEADER`.
    pub identity_header: String,
    /// Application permissions that an administrator has consented to.
    pub graph_permissions: Vec<String>,
    /// Canonical Auth0 domain; the only audience is `https://{domain}/api/v2/`.
    pub auth0_domain: String,
    pub auth0_client_id: String,
    pub auth0_client_secret: String,
    /// Management API scopes granted to the client.
    pub auth0_scopes: Vec<String>,
    /// Name of the `waad` enterprise connection.
    pub auth0_connection: String,
    /// Name of the database connection.
    pub auth0_database: String,
    /// Token for the SCIM endpoint of the enterprise connection, `tok_<16>.<64 hex>`; it may do everything with users.
    pub auth0_scim_token: String,
    /// Limit of the SCIM endpoint for one connection; `None` never throttles.
    pub scim_rate_limit: Option<RateLimit>,
    pub plan: Plan,
    pub plan_refusal: PlanRefusal,
    /// Tenant-wide Management API limit; `None` never throttles but still sends the headers.
    pub rate_limit: Option<RateLimit>,
    /// Also enforce the limits that the plan sets by endpoint (Auth0, Rate Limit Configurations).
    pub endpoint_limits: bool,
    /// How long deleted sessions and refresh tokens stay visible and usable after the 202.
    pub deletion_delay: Duration,
    /// How far the user search lags behind the users.
    pub search_lag: Duration,
    /// Lifetime of Graph access tokens.
    pub entra_token_lifetime: Duration,
    /// Lifetime of Management API access tokens.
    pub auth0_token_lifetime: Duration,
    /// Requests per second and tenant on Identity Protection resources; `None` lifts the limit for benchmarks.
    pub identity_protection_per_second: Option<u32>,
    /// ResourceUnits per 10 s for this app and tenant; `None` lifts the limit for benchmarks.
    pub resource_units_per_ten_seconds: Option<u32>,
    /// The limits of the subscriptions service, of which 25 lists in 20 s is the one that is met.
    pub subscription_limits: bool,
    /// Subscriptions to users, and as many to groups, that this application may have, and all of the tenant.
    pub subscriptions_per_app: usize,
    pub subscriptions_per_tenant: usize,
    /// How Graph deals with the endpoints that it calls.
    pub patience: Patience,
    /// Rows on one page of a delta query; Graph chooses as it likes.
    pub delta_page: usize,
    /// Members on one page of `/groups/delta`; a bigger group is repeated on the next page.
    pub delta_members_per_page: usize,
    /// Messages per second and channel that Slack takes before it says 429; `None` takes all.
    pub slack_messages_per_second: Option<u32>,
    pub slack_bot_token: String,
    /// Id of the one channel that exists at the start.
    pub slack_channel: String,
    /// Secret echoed in Graph change notifications.
    pub graph_client_state: String,
    /// Standard Webhooks secret (`whsec_…`) of the risk webhook.
    pub risk_webhook_secret: String,
    /// Secret in the URL of the Azure Monitor webhook.
    pub azure_monitor_secret: String,
    /// Secret in the URL of the Event Grid webhook.
    pub event_grid_secret: String,
    /// Signs the tickets' webhooks.
    pub ticket_webhook_secret: String,
    pub mail_door: MailDoor,
    /// User and password of whoever hands in mail, where the door asks.
    pub mail_login: (String, String),
    pub latency: Latency,
    /// Journal entries kept; the oldest go first, the counters stay exact.
    pub journal_cap: usize,
    pub ports: Option<Ports>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            tenant_id: "6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815".into(),
            tenant_domain: "contoso.onmicrosoft.com".into(),
            entra_client_id: "c2f61d0b-8a34-4be9-a7f5-1d0c93e6b472".into(),
            entra_client_secret: "twin~entra~secret~0000000000000000000000".into(),
            entra_client_secret_ends: Timestamp::now() + Duration::from_secs(180 * 86_400),
            entra_certificates: vec![crate::certificate::checked_in().to_owned()],
            federated_credentials: vec![FederatedCredential::service_account("lockstep", "lockstep")],
            identity_header: "twin-identity-header-7a3e09d4".into(),
            graph_permissions: owned(GRAPH_PERMISSIONS),
            auth0_domain: "contoso-twin.eu.auth0.com".into(),
            auth0_client_id: "TwinLockstepClient00000000000000".into(),
            auth0_client_secret: "twin-auth0-secret-000000000000000000000000000000".into(),
            auth0_scopes: owned(AUTH0_SCOPES),
            auth0_connection: "contoso-entra".into(),
            auth0_database: "Username-Password-Authentication".into(),
            auth0_scim_token: format!("tok_TwinScimToken001.{}", "0".repeat(64)),
            scim_rate_limit: None,
            plan: Plan::Enterprise,
            plan_refusal: PlanRefusal::Entitlement,
            rate_limit: None,
            endpoint_limits: false,
            deletion_delay: Duration::ZERO,
            search_lag: Duration::ZERO,
            entra_token_lifetime: Duration::from_secs(3599),
            auth0_token_lifetime: Duration::from_secs(86_400),
            identity_protection_per_second: Some(1),
            resource_units_per_ten_seconds: Some(8_000),
            subscription_limits: true,
            subscriptions_per_app: 100,
            subscriptions_per_tenant: 1_000,
            patience: Patience::GRAPH,
            delta_page: 200,
            delta_members_per_page: 1_000,
            slack_messages_per_second: None,
            slack_bot_token: "xoxb-twin-000000000000-lockstep".into(),
            slack_channel: "C0TWIN00001".into(),
            graph_client_state: "twin-client-state-5f0c2a91".into(),
            risk_webhook_secret: "whsec_dHdpbi1yaXNrLXdlYmhvb2stc2VjcmV0LTAwMDA=".into(),
            azure_monitor_secret: "twin-azure-monitor-secret-41d7".into(),
            event_grid_secret: "twin-event-grid-secret-8c26".into(),
            ticket_webhook_secret: "whsec_dHdpbi10aWNrZXQtd2ViaG9vay1zZWNyZXQtMDA=".into(),
            mail_door: MailDoor::Open,
            mail_login: ("lockstep".into(), "twin-mail-password".into()),
            latency: Latency::default(),
            journal_cap: 200_000,
            ports: None,
        }
    }
}

impl Setup {
    /// A twin that never throttles by itself: for benchmarks of what stands in front of it.
    pub fn unlimited() -> Setup {
        Setup {
            identity_protection_per_second: None,
            resource_units_per_ten_seconds: None,
            subscription_limits: false,
            ..Setup::default()
        }
    }

    /// The only audience that the Management API's token endpoint accepts.
    pub fn auth0_audience(&self) -> String {
        format!("https://{}/api/v2/", self.auth0_domain)
    }
}

/// Where the twin listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// Entra token endpoint host, without a trailing slash.
    pub login_url: String,
    /// Graph host without the version segment.
    pub graph_url: String,
    /// Host of the metadata service that stands for `http://169.254.169.254`.
    pub imds_url: String,
    /// App Service's `$IDENTITY_ENDPOINT`.
    pub identity_endpoint: String,
    /// Auth0 tenant host.
    pub auth0_url: String,
    /// Slack Web API base, with the trailing slash that the SDKs expect.
    pub slack_api_url: String,
    /// An incoming webhook of the same channel.
    pub slack_webhook_url: String,
    /// A mail server, with the user and the way of TLS that its door wants.
    pub smtp_url: String,
    /// A ticket system's inbound webhook.
    pub ticket_url: String,
}

/// Every environment variable that Lockstep needs to work against the twin.
pub fn environment(setup: &Setup, urls: &Urls) -> BTreeMap<String, String> {
    [
        ("ENTRA_TENANT_ID", &setup.tenant_id),
        ("ENTRA_CLIENT_ID", &setup.entra_client_id),
        ("ENTRA_CLIENT_SECRET", &setup.entra_client_secret),
        ("ENTRA_LOGIN_URL", &urls.login_url),
        ("ENTRA_GRAPH_URL", &urls.graph_url),
        ("AUTH0_DOMAIN", &setup.auth0_domain),
        ("AUTH0_CLIENT_ID", &setup.auth0_client_id),
        ("AUTH0_CLIENT_SECRET", &setup.auth0_client_secret),
        ("AUTH0_URL", &urls.auth0_url),
        ("AUTH0_CONNECTION", &setup.auth0_connection),
        ("AUTH0_SCIM_TOKEN", &setup.auth0_scim_token),
        ("GRAPH_CLIENT_STATE", &setup.graph_client_state),
        ("RISK_WEBHOOK_SECRET", &setup.risk_webhook_secret),
        ("AZURE_MONITOR_SECRET", &setup.azure_monitor_secret),
        ("EVENT_GRID_SECRET", &setup.event_grid_secret),
        ("SLACK_BOT_TOKEN", &setup.slack_bot_token),
        ("SLACK_CHANNEL", &setup.slack_channel),
        ("SLACK_API_URL", &urls.slack_api_url),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .collect()
}

/// What sets up mail and tickets.
pub fn environment_to_tell(setup: &Setup, urls: &Urls) -> BTreeMap<String, String> {
    let all = [
        ("SMTP_URL", urls.smtp_url.as_str()),
        ("MAIL_FROM", "lockstep@contoso.example"),
        ("MAIL_TO", "security@contoso.example,oncall@contoso.example"),
        ("TICKET_URL", &urls.ticket_url),
        ("TICKET_WEBHOOK_SECRET", &setup.ticket_webhook_secret),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// How a Lockstep proves to Entra who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login<'a> {
    Secret,
    /// A file with [`crate::Twin::entra_certificate_pem`].
    Certificate(&'a Path),
    /// A file with [`crate::Twin::federated_token`].
    Federated(&'a Path),
    /// The metadata service of a virtual machine.
    Imds,
    /// The identity endpoint of App Service and Container Apps.
    AppService,
}

/// [`environment`] with another credential than the secret. `AZURE_POD_IDENTITY_AUTHORITY_HOST` is the name by which
/// Microsoft's own libraries let the metadata service be moved.
pub fn environment_with(setup: &Setup, urls: &Urls, login: Login<'_>) -> BTreeMap<String, String> {
    let mut all = environment(setup, urls);
    if login == Login::Secret {
        return all;
    }
    all.remove("ENTRA_CLIENT_SECRET");
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    match login {
        Login::Secret => {}
        Login::Certificate(file) => {
            set("ENTRA_CLIENT_CERTIFICATE_FILE", file.display().to_string());
        }
        Login::Federated(file) => {
            set("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string());
        }
        Login::Imds => {
            set("ENTRA_MANAGED_IDENTITY", "user".into());
            set("AZURE_POD_IDENTITY_AUTHORITY_HOST", urls.imds_url.clone());
        }
        Login::AppService => {
            set("ENTRA_MANAGED_IDENTITY", "user".into());
            set("IDENTITY_ENDPOINT", urls.identity_endpoint.clone());
            set("IDENTITY_HEADER", setup.identity_header.clone());
        }
    }
    all
}

/// What Lockstep's containment needs (Microsoft Graph permissions reference, least privileged application permissions).
const GRAPH_PERMISSIONS: &[&str] =
    &["User.Read.All", "Group.Read.All", "IdentityRiskyUser.Read.All", "User.RevokeSessions.All"];

/// What Lockstep's containment and directory work need (security blocks of the Management API description).
const AUTH0_SCOPES: &[&str] = &[
    "read:users",
    "update:users",
    "create:users",
    "delete:users",
    "update:users_app_metadata",
    "read:sessions",
    "delete:sessions",
    "read:refresh_tokens",
    "delete:refresh_tokens",
    "read:grants",
    "delete:grants",
    "read:device_credentials",
    "delete:device_credentials",
    "read:resource_servers",
    "read:federated_connections_tokens",
    "delete:federated_connections_tokens",
    "read:roles",
    "read:role_members",
    "create:role_members",
    "delete:role_members",
    "read:organizations",
    "read:organization_members",
    "create:organization_members",
    "delete:organization_members",
    "read:organization_member_roles",
    "create:organization_member_roles",
    "delete:organization_member_roles",
    "read:organization_connections",
    "read:connections",
    "update:connections",
    "read:scim_config",
    "create:scim_config",
    "update:scim_config",
    "create:scim_token",
    "create:user_tickets",
    "create:guardian_enrollment_tickets",
];

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
