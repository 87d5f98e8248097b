//! `doctor` against the twin: each thing that is wrong is told with its fix, and nothing is written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lockstep::clock::{Clock, SystemClock};
use lockstep_twin::setup::{Login, environment_with};
use lockstep_twin::{MailDoor, Setup, Twin, Vendor};
use serde_json::Value;

use super::program::{Place, Ran};
use super::service::Served;

const NOBODY: &str = "00000000-0000-0000-0000-0000000000e1";

/// What the policy of [`Clinic::in_order`] needs in enforce mode, and no more.
const SCOPES: [&str; 22] = [
    "read:users",
    "update:users",
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
    "read:connections",
    "read:roles",
    "read:role_members",
    "create:role_members",
    "delete:role_members",
    "read:organizations",
    "read:organization_connections",
    "read:organization_member_roles",
    "create:organization_members",
    "delete:organization_members",
];

/// A tenant whose permissions are what [`Clinic::in_order`] needs.
fn exact() -> Setup {
    let mut setup = Setup::unlimited();
    let graph = ["User.Read.All", "GroupMember.Read.All", "IdentityRiskyUser.Read.All"];
    setup.graph_permissions = graph.map(str::to_owned).into();
    setup.auth0_scopes = SCOPES.map(str::to_owned).into();
    setup
}

/// A twin, and where a program runs that is wired to it.
struct Clinic {
    twin: Twin,
    place: Place,
}

impl Clinic {
    async fn open(setup: Setup) -> Clinic {
        let twin = Twin::start(setup).await;
        let mut place = Place::new();
        for (name, value) in twin.env() {
            place.set(&name, &value);
        }
        Clinic { twin, place }
    }

    /// A group, and a policy that names it, a role and an organization.
    fn policy(&self, group: &str) {
        let policy = format!(
            "[[roles]]\nrole = \"Engineer\"\nany_of = [\"{group}\"]\n\
             [[organizations]]\norganization = \"acme\"\nany_of = [\"{group}\"]\n"
        );
        self.place.write("lockstep.toml", &policy);
    }

    /// Everything that the policy names exists, and members of the organization may sign in.
    fn in_order(&self) {
        let group = {
            let mut world = self.twin.world();
            world.create_role("Engineer");
            let acme = world.create_organization("acme");
            let connection = world.enterprise_connection().id.clone();
            world.enable_connection(&acme, &connection, false);
            world.create_group("Engineering")
        };
        self.policy(&group.to_string());
    }

    fn ask(&self) -> Ran {
        let ran = self.place.run(&["doctor"]);
        assert_eq!(self.twin.journal().writes(Vendor::Auth0), 0, "doctor only reads");
        crate::contract::assert_kept(&self.twin);
        ran
    }
}

/// The line that says `what` and is wrong, with what to do about it.
fn fix_of(ran: &Ran, what: &str) -> String {
    assert_eq!(ran.code, 1, "{ran:#?}");
    let mut lines = ran.out.lines();
    let line = lines.find(|line| line.contains(what));
    let line = line.unwrap_or_else(|| panic!("nothing says {what:?}:\n{}", ran.out));
    assert!(line.starts_with("wrong  "), "{line}");
    lines.next().expect("a fix follows").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_in_order_is_told_so_and_exits_0() {
    let clinic = Clinic::open(exact()).await;
    clinic.in_order();
    let ran = clinic.ask();
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.lines().all(|line| line.starts_with("ok     ")), "{}", ran.out);
    for told in [
        &*format!("this is the tenant {}", clinic.twin.setup().tenant_id),
        "when ENTRA_CLIENT_SECRET expires cannot be told without Application.Read.All",
        "users can be read",
        "groups can be read",
        "risk can be read",
        "all 1 groups of the policy exist",
        "Graph: the token has the 3 permissions needed",
        "Auth0: the token has the scopes that policy and mode need",
        "accounts can be read",
        "the tenant's APIs can be read",
        "roles can be read",
        "organizations can be read",
        &format!("the connection {} exists", clinic.twin.setup().auth0_connection),
        "is enabled in all 1 organizations",
        "Graph does not notify",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_names_and_nobody_made_is_told_with_its_fix() {
    let clinic = Clinic::open(Setup::unlimited()).await;
    clinic.policy(NOBODY);
    let ran = clinic.ask();
    assert!(fix_of(&ran, &format!("{NOBODY} is no group")).contains("correct the object id"));
    assert!(fix_of(&ran, "there is no role Engineer").contains("create it"));
    assert!(fix_of(&ran, "there is no organization acme").contains("create it"));
    let json: Value = clinic.place.run(&["doctor", "--json"]).json();
    let wrong: Vec<&Value> = json.as_array().unwrap().iter().filter(|line| line["ok"] == false).collect();
    assert_eq!(wrong.len(), 3, "{json:#}");
    assert!(wrong.iter().all(|line| line["what"].is_string() && line["fix"].is_string()), "{json:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_not_there_or_not_enabled_is_told_with_its_fix() {
    let mut clinic = Clinic::open(Setup::unlimited()).await;
    clinic.in_order();
    clinic.twin.world().create_organization("globex");
    let policy = std::fs::read_to_string(clinic.place.path("lockstep.toml")).unwrap();
    clinic.place.write("lockstep.toml", &policy.replace("acme", "globex"));
    let fix = fix_of(&clinic.ask(), "is not enabled in the organization globex");
    assert!(fix.contains("enable it there"), "{fix}");
    clinic.place.set("AUTH0_CONNECTION", "contoso-entar");
    let fix = fix_of(&clinic.ask(), "the connection contoso-entar was not found");
    assert!(fix.contains("AUTH0_CONNECTION") && fix.contains("read:connections"), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named_by_what_cannot_be_read_without_it() {
    let mut setup = Setup::unlimited();
    setup.graph_permissions = vec!["User.Read.All".to_owned()];
    setup.auth0_scopes.retain(|scope| scope != "read:organization_connections");
    let clinic = Clinic::open(setup).await;
    clinic.in_order();
    let ran = clinic.ask();
    let fix = fix_of(&ran, "not so that groups can be read");
    assert!(fix.contains("GroupMember.Read.All"), "{fix}");
    assert!(fix_of(&ran, "not so that risk can be read").contains("IdentityRiskyUser.Read.All"));
    let fix = fix_of(&ran, "the connections of the organization acme cannot be read");
    assert!(fix.contains("read:organization_connections"), "{fix}");
    assert!(ran.out.contains("ok     Graph: users can be read"), "{}", ran.out);

    assert!(fix_of(&ran, "Graph: the token lacks GroupMember.Read.All").contains("memberships in groups"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_auth0s_lists_is_tried_by_itself() {
    let mut setup = exact();
    setup.auth0_scopes.retain(|scope| scope != "read:roles" && scope != "read:connections");
    let clinic = Clinic::open(setup).await;
    clinic.in_order();
    let ran = clinic.ask();
    assert!(fix_of(&ran, "Auth0: not so that roles can be read").contains("read:roles"));
    assert!(fix_of(&ran, "Auth0: not so that connections can be read").contains("read:connections"));
    for told in ["accounts can be read", "the tenant's APIs can be read", "organizations can be read"] {
        assert!(ran.out.contains(&format!("ok     Auth0: {told}")), "{told}: {}", ran.out);
    }
    assert!(!ran.out.contains("there is no role"), "nothing is missed that was not read: {}", ran.out);
}

/// The line after the one that says `what` and that nothing fails by.
fn advice_of<'a>(ran: &'a Ran, what: &str) -> (&'a str, &'a str) {
    let mut lines = ran.out.lines();
    let line = lines.find(|line| line.starts_with("note   ") && line.contains(what));
    let line = line.unwrap_or_else(|| panic!("no advice says {what:?}:\n{}", ran.out));
    (line, lines.next().expect("a fix follows"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tokens_lack_and_have_too_much_depends_on_policy_and_mode() {
    let mut setup = exact();
    setup.auth0_scopes.retain(|scope| scope != "delete:grants");
    setup.auth0_scopes.push("update:clients".to_owned());
    setup.graph_permissions.push("Mail.Read".to_owned());
    let mut clinic = Clinic::open(setup).await;
    clinic.in_order();
    let ran = clinic.ask();
    assert_eq!(ran.code, 0, "observe mode takes no grants, and too much is no failure: {ran:#?}");
    advice_of(&ran, "LOCKSTEP_MODE=enforce will also need delete:grants");
    let (line, fix) = advice_of(&ran, "Auth0: the token allows more than this policy needs");
    assert!(
        line.ends_with(": update:clients") && fix.contains("take it from the application"),
        "{line} {fix}"
    );
    assert!(advice_of(&ran, "Graph: the token allows more").0.ends_with(": Mail.Read"));

    clinic.place.set("LOCKSTEP_MODE", "enforce");
    let fix = fix_of(&clinic.ask(), "Auth0: the token lacks delete:grants");
    assert!(fix.contains("grant it to the application"), "{fix}");

    clinic.place.write("lockstep.toml", "[leavers]\ndelete = \"after-grace\"\n");
    let ran = clinic.ask();
    fix_of(&ran, "Auth0: the token lacks delete:users");
    let (line, _) = advice_of(&ran, "Auth0: the token allows more than this policy needs");
    assert!(line.contains("create:role_members") && line.contains("read:organizations"), "{line}");
    assert!(advice_of(&ran, "Graph: the token allows more").0.contains("GroupMember.Read.All"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_containment_also_ends_needs_permissions_of_its_own() {
    let (revoke, read, delete) = (
        "User.RevokeSessions.All",
        "read:federated_connections_tokens",
        "delete:federated_connections_tokens",
    );
    let policy = "[contain]\nalso = [\"token-vault\", \"entra-sessions\"]\n";
    let mut clinic = Clinic::open(exact()).await;
    clinic.in_order();
    clinic.place.write("lockstep.toml", policy);
    let ran = clinic.ask();
    fix_of(&ran, &format!("Auth0: the token lacks {read}"));
    advice_of(&ran, &format!("Auth0: LOCKSTEP_MODE=enforce will also need {delete}"));
    advice_of(&ran, &format!("Graph: LOCKSTEP_MODE=enforce will also need {revoke}"));
    clinic.place.set("LOCKSTEP_MODE", "enforce");
    let ran = clinic.ask();
    for what in [format!("Auth0: the token lacks {delete}"), format!("Graph: the token lacks {revoke}")] {
        fix_of(&ran, &what);
    }

    let mut setup = exact();
    setup.graph_permissions.push(revoke.to_owned());
    setup.auth0_scopes.extend([read, delete].map(str::to_owned));
    let mut clinic = Clinic::open(setup).await;
    clinic.in_order();
    clinic.place.set("LOCKSTEP_MODE", "enforce");
    let ran = clinic.ask();
    assert!(advice_of(&ran, "Graph: the token allows more").0.ends_with(revoke), "nobody asks for it");
    let (line, _) = advice_of(&ran, "Auth0: the token allows more");
    assert!(line.contains(read) && line.contains(delete), "{line}");
    clinic.place.write("lockstep.toml", policy);
    let ran = clinic.ask();
    let told = |what: &str| ran.out.lines().any(|line| line.contains(what));
    assert!([revoke, read, delete].iter().all(|what| !told(what)), "{}", ran.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_that_ends_soon_is_told_to_whoever_may_know() {
    let days = |days: u64| SystemClock.now() + std::time::Duration::from_secs(days * 86_400 + 3600);
    let mut setup = exact();
    setup.graph_permissions.push("Application.Read.All".to_owned());
    setup.entra_client_secret_ends = days(100);
    let clinic = Clinic::open(setup.clone()).await;
    clinic.in_order();
    let ran = clinic.ask();
    assert!(ran.out.contains("ok     Entra: ENTRA_CLIENT_SECRET is good for 100 more days"), "{}", ran.out);
    assert_eq!(ran.code, 0, "what is used for this alone is no excess: {}", ran.out);
    assert!(!ran.out.contains("more than this policy needs"), "{}", ran.out);

    setup.entra_client_secret_ends = days(29);
    let clinic = Clinic::open(setup).await;
    clinic.in_order();
    let fix = fix_of(&clinic.ask(), "ENTRA_CLIENT_SECRET expires in 29 days");
    assert!(fix.contains("make a second one"), "{fix}");
}

/// The twin's certificate with another end; nobody checks its signature.
fn certificate_until(twin: &Twin, end: jiff::Timestamp) -> String {
    let pem = twin.entra_certificate_pem();
    let (key, rest) = pem.split_once("-----BEGIN CERTIFICATE-----").unwrap();
    let base64: String = rest.split("-----END").next().unwrap().split_whitespace().collect();
    let mut der = STANDARD.decode(base64).unwrap();
    // The second of two GeneralizedTimes is not before 2050 (RFC 5280, 4.1.2.5).
    let at = der.windows(15).position(|time| time.starts_with(b"2126") && time.ends_with(b"Z")).unwrap();
    der[at..at + 15].copy_from_slice(end.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes());
    format!("{key}-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_told_by_doctor_and_by_the_service() {
    let mut clinic = Clinic::open(exact()).await;
    let setup = clinic.twin.setup().clone();
    for (days, told) in [(400, "is good for 400 more days"), (29, "expires in 29 days"), (-1, "has expired")]
    {
        let end = SystemClock.now() + jiff::SignedDuration::from_secs(days * 86_400 + 3600);
        let pem = certificate_until(&clinic.twin, end);
        clinic.twin = Twin::start(Setup { entra_certificates: vec![pem.clone()], ..setup.clone() }).await;
        clinic.place = Place::new();
        clinic.place.write("client.pem", &pem);
        let file = clinic.place.path("client.pem").display().to_string();
        for (name, value) in clinic.twin.env().into_iter().filter(|(name, _)| name != "ENTRA_CLIENT_SECRET") {
            clinic.place.set(&name, &value);
        }
        clinic.place.set("ENTRA_CLIENT_CERTIFICATE_FILE", &file);
        clinic.in_order();
        let told = format!("the certificate of ENTRA_CLIENT_CERTIFICATE_FILE {told}");
        let ran = clinic.ask();
        match days {
            30.. => assert!(ran.out.contains(&format!("ok     Entra: {told}")), "{}", ran.out),
            _ => assert!(fix_of(&ran, &told).contains("add its public half"), "{}", ran.out),
        }
        warned(&mut clinic.place, &told, days);
    }
}

/// The service says so at its start, unless there is time; and its metric counts down.
fn warned(place: &mut Place, told: &str, days: i64) {
    place.set("LOCKSTEP_LISTEN", "127.0.0.1:0").set("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:0");
    let until = if days < 30 { told } else { "ready" };
    let mut served = Served::start(place, until);
    if !served.said.concat().contains("ready") {
        served.hear("ready");
    }
    assert_eq!(
        served.said.concat().contains("ENTRA_CLIENT_CERTIFICATE_FILE"),
        days < 30,
        "{:?}",
        served.said
    );
    let name = "lockstep_credential_expiry_seconds{name=\"entra_client_certificate\"} ";
    let scrapes = std::iter::repeat_with(|| served.get("admin=", "/metrics")).take(1000);
    let left = scrapes.filter_map(|scrape| {
        Some(scrape.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
    });
    let left: i64 = left.into_iter().next().expect("the metric is not there").parse().unwrap();
    assert_eq!(left.div_euclid(86_400), days);
}

/// Azure Workload Identity names its own variables; only where Graph is has to be told here, because the twin is no cloud.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_sets_beside_its_token_is_enough_to_sign_in() {
    let mut clinic = Clinic::open(exact()).await;
    let (setup, login) = (clinic.twin.setup().clone(), format!("{}/", clinic.twin.urls().login_url));
    let ours = ["ENTRA_TENANT_ID", "ENTRA_CLIENT_ID", "ENTRA_CLIENT_SECRET", "ENTRA_LOGIN_URL"];
    clinic.place = Place::new();
    for (name, value) in clinic.twin.env().into_iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
        clinic.place.set(&name, &value);
    }
    clinic.place.write("token", &clinic.twin.federated_token());
    let file = clinic.place.path("token").display().to_string();
    let set = [
        ("AZURE_FEDERATED_TOKEN_FILE", &file),
        ("AZURE_TENANT_ID", &setup.tenant_id),
        ("AZURE_CLIENT_ID", &setup.entra_client_id),
        ("AZURE_AUTHORITY_HOST", &login),
    ];
    for (name, value) in set {
        clinic.place.set(name, value);
    }
    clinic.in_order();
    let ran = clinic.ask();
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_name_people_by_object_id_is_told() {
    for (claim, says) in [(Value::from("sub"), "says sub"), (Value::Null, "does not say oid")] {
        let clinic = Clinic::open(Setup::unlimited()).await;
        clinic.in_order();
        {
            let mut world = clinic.twin.world();
            let id = world.enterprise_connection().id.clone();
            world.set_connection_option(&id, "userid_attribute", claim);
        }
        let fix = fix_of(&clinic.ask(), &format!("{says} for userid_attribute"));
        assert!(fix.contains("userid_attribute to oid"), "{fix}");
    }
}

/// A managed identity's token is for the tenant of its machine, whatever ENTRA_TENANT_ID says.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_another_tenant_is_found_out() {
    let mut clinic = Clinic::open(Setup::unlimited()).await;
    let (setup, urls) = (clinic.twin.setup().clone(), clinic.twin.urls().clone());
    clinic.place = Place::new();
    for (name, value) in environment_with(&setup, &urls, Login::Imds) {
        clinic.place.set(&name, &value);
    }
    clinic.in_order();
    assert_eq!(clinic.ask().code, 0);
    clinic.place.set("ENTRA_TENANT_ID", NOBODY);
    let ran = clinic.ask();
    let fix =
        fix_of(&ran, &format!("this is the tenant {}, and ENTRA_TENANT_ID says {NOBODY}", setup.tenant_id));
    assert!(fix.contains("correct ENTRA_TENANT_ID"), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_not_there_is_told_with_the_command_that_makes_it() {
    let mut clinic = Clinic::open(Setup::unlimited()).await;
    clinic.in_order();
    clinic.place.set("LOCKSTEP_PUBLIC_URL", "https://lockstep.example");
    let ran = clinic.ask();
    for resource in ["users", "groups"] {
        let fix = fix_of(&ran, &format!("does not notify of {resource}"));
        assert!(fix.contains("lockstep subscriptions ensure"), "{fix}");
    }
}

#[test]
fn vendors_that_do_not_answer_are_told_and_a_bad_configuration_is_78() {
    let mut place = Place::complete();
    let ran = place.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(
        !ran.out.contains("wrong  Auth0: there is no"),
        "nothing is missed that was not read: {}",
        ran.out
    );
    place.set("AUTH0_DOMAIN", "https://contoso.eu.auth0.com/");
    assert_eq!(place.run(&["doctor"]).code, 78);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_is_greeted_and_no_mail_leaves() {
    let mut clinic = Clinic::open(Setup::unlimited()).await;
    clinic.in_order();
    for (name, value) in clinic.twin.env_to_tell() {
        clinic.place.set(&name, &value);
    }
    let ran = clinic.ask();
    assert!(ran.out.contains("ok     Mail: the server in SMTP_URL lets Lockstep in"), "{}", ran.out);
    clinic.twin.faults().down(Vendor::Mail);
    assert!(fix_of(&clinic.ask(), "SMTP_URL does not let Lockstep in").contains("connection refused"));
    clinic.twin.faults().up(Vendor::Mail);
    let url = clinic.twin.urls().smtp_url.replace("127.0.0.1", "user:hunter2@127.0.0.1");
    clinic.place.set("SMTP_URL", &url);
    let ran = clinic.ask();
    assert!(fix_of(&ran, "SMTP_URL does not let Lockstep in").contains("no way to sign in"));
    assert!(!format!("{ran:?}").contains("hunter2"));
    let said = clinic.twin.journal();
    assert_eq!((said.count(Vendor::Mail, "MAIL"), said.count(Vendor::Mail, "AUTH")), (0, 0));
    assert_eq!(said.complaints(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_behind_tls_must_be_trusted_and_know_us() {
    for mail_door in [MailDoor::StartTls, MailDoor::Implicit] {
        let mut clinic = Clinic::open(Setup { mail_door, ..Setup::unlimited() }).await;
        clinic.in_order();
        for (name, value) in clinic.twin.env_to_tell() {
            clinic.place.set(&name, &value);
        }
        let stranger = clinic.ask();
        assert!(
            fix_of(&stranger, "SMTP_URL does not let Lockstep in").contains("not trusted"),
            "{stranger:#?}"
        );
        let said = clinic.twin.journal();
        assert_eq!((said.count(Vendor::Mail, "AUTH"), said.count(Vendor::Mail, "MAIL")), (0, 0));
        clinic.place.write("mail-server.pem", clinic.twin.mail_certificate_pem());
        let authority = clinic.place.path("mail-server.pem");
        clinic.place.set("SSL_CERT_FILE", authority.to_str().unwrap());
        let ran = clinic.ask();
        assert!(ran.out.contains("ok     Mail: the server in SMTP_URL lets Lockstep in"), "{}", ran.out);
        let wrong = clinic.twin.urls().smtp_url.replace(&clinic.twin.setup().mail_login.1, "hunter2");
        clinic.place.set("SMTP_URL", &wrong);
        let ran = clinic.ask();
        assert!(fix_of(&ran, "SMTP_URL does not let Lockstep in").contains("check user and password"));
        assert!(!format!("{ran:?}").contains("hunter2"));
        assert_eq!(clinic.twin.journal().complaints(), []);
    }
}
