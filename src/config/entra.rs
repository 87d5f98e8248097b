//! Settings for Entra: which cloud, and how we prove who we are.

mod platform;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::address;
use super::environment::{Unread, read_text};
use super::local::{number, word};
use super::reader::{Reader, Wrong, secret};
use super::variables::{self, Variable};
use crate::entra::{Cloud, Credential, IMDS_URL, Identity, IdentityHost};
use crate::event::TenantId;

pub use platform::or_the_platforms;

/// A third of what Graph gives an application in the smallest class of tenants: 3,500 ResourceUnits in ten seconds under
/// fifty users, 5,000 up to five hundred, 8,000 beyond (Microsoft Graph, Throttling limits: identity and access). The
/// rest is a reserve for whatever else signs in as the same application.
const RESOURCE_UNITS_PER_SECOND: u32 = 120;
/// From one person looked at in ten seconds to what an application gets in all tenants together (same page), and some.
const RESOURCE_UNITS_RANGE: RangeInclusive<u32> = 1..=10_000;

/// Where Entra and Graph are. An address that could not be read is `None`, and a mistake.
pub struct Places {
    pub cloud: Cloud,
    pub login: Option<Url>,
    pub graph: Option<Url>,
}

/// `ENTRA_CLOUD` names both; an address that is set wins.
pub fn places(reader: &mut Reader<'_>) -> Places {
    let words = Cloud::ALL.map(|cloud| (cloud.word(), cloud));
    let told = reader.parsed(variables::ENTRA_CLOUD, |text| word(text, &words));
    let authority = platform::authority(reader);
    let cloud = told.or(authority.cloud).unwrap_or(Cloud::Global);
    let default_login = authority.login.as_ref().map_or(cloud.login_url(), Url::as_str);
    let mut place = |variable: Variable, default: &str| match reader.is_set(variable) {
        true => reader.parsed(variable, address::base),
        false => address::base(default).ok(),
    };
    let login = place(variables::ENTRA_LOGIN_URL, default_login);
    let graph = place(variables::ENTRA_GRAPH_URL, cloud.graph_url());
    if let (Some(login), Some(graph)) = (&login, &graph) {
        refuse_two_clouds(reader, login, graph);
    }
    let of_graph = graph.as_ref().and_then(Cloud::of_graph);
    let of_login = || Cloud::at_login(login.as_ref()?).first().copied();
    let cloud = of_graph.or_else(of_login).unwrap_or(cloud);
    Places { cloud, login, graph }
}

fn refuse_two_clouds(reader: &mut Reader<'_>, login: &Url, graph: &Url) {
    let Some(cloud) = Cloud::of_graph(graph) else { return };
    if cloud.signs_in_at(login) != Some(false) {
        return;
    }
    let at = [variables::ENTRA_GRAPH_URL, variables::ENTRA_LOGIN_URL, variables::ENTRA_CLOUD];
    let at = at.into_iter().find(|variable| reader.is_set(*variable)).unwrap_or(variables::ENTRA_CLOUD);
    let (login, graph) = (login.host_str().unwrap_or_default(), graph.host_str().unwrap_or_default());
    let wrong = Wrong::new(format!("{graph} takes no tokens of {login}: they belong to different clouds"))
        .help(format!("set ENTRA_CLOUD={} and neither address", cloud.word()));
    reader.wrong(at.name, at.kind, wrong);
}

pub fn settings(
    reader: &mut Reader<'_>,
    tenant: Option<TenantId>,
    places: Places,
) -> Option<crate::entra::Settings> {
    let credential = credential(reader);
    let units = number(reader, variables::GRAPH_RESOURCE_UNITS_PER_SECOND, RESOURCE_UNITS_RANGE);
    Some(crate::entra::Settings {
        tenant: tenant?,
        credential: credential?,
        login_url: places.login?,
        graph_url: places.graph?,
        resource_units_per_second: units.unwrap_or(RESOURCE_UNITS_PER_SECOND),
    })
}

const CREDENTIALS: [Variable; 4] = [
    variables::ENTRA_CLIENT_SECRET,
    variables::ENTRA_CLIENT_CERTIFICATE_FILE,
    variables::AZURE_FEDERATED_TOKEN_FILE,
    variables::ENTRA_MANAGED_IDENTITY,
];

fn credential(reader: &mut Reader<'_>) -> Option<Credential> {
    let mut set = CREDENTIALS.into_iter().filter(|variable| reader.is_set(*variable));
    let (first, second) = (set.next(), set.next());
    match (first, second) {
        (Some(first), Some(second)) => {
            // What names a file or a word may be shown; the secret may not, so the other one is named at its place.
            let wrong = Wrong::new(format!("{} is set too", first.name)).help(format!(
                "keep the one that is meant: exactly one of {}",
                CREDENTIALS.map(|variable| variable.name).join(", ")
            ));
            reader.wrong(second.name, second.kind, wrong);
            None
        }
        (None, _) => {
            reader.missing(
                variables::ENTRA_CLIENT_SECRET,
                "to sign in to Graph, or one of ENTRA_CLIENT_CERTIFICATE_FILE, AZURE_FEDERATED_TOKEN_FILE and \
                 ENTRA_MANAGED_IDENTITY",
            );
            client_id(reader);
            None
        }
        (Some(variables::ENTRA_MANAGED_IDENTITY), None) => managed_identity(reader),
        (Some(only), None) => {
            let client_id = client_id(reader);
            match only {
                variables::ENTRA_CLIENT_CERTIFICATE_FILE => {
                    let file = reader.parsed(only, |text| readable(text, certificate));
                    Some(Credential::Certificate { client_id: client_id?, file: file? })
                }
                variables::AZURE_FEDERATED_TOKEN_FILE => {
                    let file = reader.parsed(only, |text| readable(text, |_| Ok(())));
                    Some(Credential::Federated { client_id: client_id?, file: file? })
                }
                _ => {
                    let secret = reader.parsed(only, secret);
                    Some(Credential::Secret { client_id: client_id?, secret: secret? })
                }
            }
        }
    }
}

fn client_id(reader: &mut Reader<'_>) -> Option<String> {
    let variable = or_the_platforms(reader, variables::ENTRA_CLIENT_ID, variables::AZURE_CLIENT_ID);
    reader.needed(variable, "to sign in to Graph", |text| {
        uuid::Uuid::try_parse(text)
            .map(|id| id.hyphenated().to_string())
            .map_err(|_| Wrong::new("this is no application (client) id").help("it is a GUID"))
    })
}

#[derive(Clone, Copy)]
enum Which {
    System,
    User,
}

fn managed_identity(reader: &mut Reader<'_>) -> Option<Credential> {
    let words = [("system", Which::System), ("user", Which::User)];
    let which = reader.parsed(variables::ENTRA_MANAGED_IDENTITY, |text| word(text, &words));
    let host = identity_host(reader);
    let which = match which? {
        Which::System => Identity::SystemAssigned,
        Which::User => Identity::UserAssigned { client_id: client_id(reader)? },
    };
    Some(Credential::ManagedIdentity { which, host: host? })
}

/// App Service says where its endpoint is; everywhere else it is the metadata service.
fn identity_host(reader: &mut Reader<'_>) -> Option<IdentityHost> {
    let is_app_service = [variables::IDENTITY_ENDPOINT, variables::IDENTITY_HEADER]
        .into_iter()
        .any(|variable| reader.is_set(variable));
    if is_app_service {
        let what_for = "to ask App Service for tokens; it sets both itself";
        let endpoint = reader.needed(variables::IDENTITY_ENDPOINT, what_for, on_this_machine);
        let header = reader.needed(variables::IDENTITY_HEADER, what_for, secret);
        return Some(IdentityHost::AppService { endpoint: endpoint?, header: header? });
    }
    match reader.is_set(variables::AZURE_POD_IDENTITY_AUTHORITY_HOST) {
        true => reader.parsed(variables::AZURE_POD_IDENTITY_AUTHORITY_HOST, on_this_machine),
        false => Url::parse(IMDS_URL).ok(),
    }
    .map(IdentityHost::Imds)
}

fn on_this_machine(text: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text).map_err(|error| Wrong::new(format!("this is no address: {error}")))?;
    crate::outbound::check_local("it", &url).map_err(|_| {
        Wrong::new("only an http:// address of this machine is accepted")
            .help("it is a loopback address or one of 169.254.0.0/16")
    })?;
    Ok(url)
}

/// The file is read again for every token; that it can be read now catches most mistakes.
fn readable(text: &str, check: impl FnOnce(&str) -> Result<(), Wrong>) -> Result<PathBuf, Wrong> {
    let path = Path::new(text);
    let content = read_text(path).map_err(|unread| match unread {
        Unread::Absent => Wrong::new("the file does not exist"),
        Unread::Failed(why) => Wrong::new(why),
    })?;
    if content.trim().is_empty() {
        return Err(Wrong::new("the file is empty"));
    }
    check(&content)?;
    Ok(path.to_owned())
}

fn certificate(pem: &str) -> Result<(), Wrong> {
    crate::entra::check_certificate(pem).map_err(|no| {
        Wrong::new(no.meaning()).help("one PEM file with the RSA private key and its certificate")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Mistakes, Roles, load};

    const CLIENT: &str = "c2f61d0b-8a34-4be9-a7f5-1d0c93e6b472";
    const REST: [(&str, &str); 4] = [
        ("ENTRA_TENANT_ID", "6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815"),
        ("AUTH0_DOMAIN", "contoso.eu.auth0.com"),
        ("AUTH0_CLIENT_ID", "x"),
        ("AUTH0_CLIENT_SECRET", "x"),
    ];

    fn loaded(more: &[(&str, &str)]) -> Result<crate::entra::Settings, Mistakes> {
        let all = REST.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config: Config = load(&all.collect(), &Roles::all())?;
        Ok(config.work.unwrap().entra)
    }

    fn told(more: &[(&str, &str)]) -> String {
        loaded(more).unwrap_err().to_string()
    }

    fn with_secret<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("ENTRA_CLIENT_ID", CLIENT), ("ENTRA_CLIENT_SECRET", "hunter2")], more].concat()
    }

    #[test]
    fn one_credential_is_needed_and_two_are_a_mistake() {
        let none = told(&[("ENTRA_CLIENT_ID", CLIENT)]);
        assert!(
            none.contains("ENTRA_CLIENT_SECRET: not set, but needed to sign in to Graph, or one of"),
            "{none}"
        );
        for name in ["ENTRA_CLIENT_CERTIFICATE_FILE", "AZURE_FEDERATED_TOKEN_FILE", "ENTRA_MANAGED_IDENTITY"]
        {
            assert!(none.contains(name), "{none}");
            let two = told(&with_secret(&[(name, "system")]));
            assert!(two.contains(&format!("{name}: ENTRA_CLIENT_SECRET is set too")), "{two}");
            assert!(!two.contains("hunter2"), "{two}");
        }
    }

    #[test]
    fn a_managed_identity_needs_a_client_id_only_when_it_is_a_users() {
        let system = loaded(&[("ENTRA_MANAGED_IDENTITY", "system")]).unwrap().credential;
        let Credential::ManagedIdentity { which, host: IdentityHost::Imds(url) } = system else { panic!() };
        assert_eq!((which, url.as_str()), (Identity::SystemAssigned, "http://169.254.169.254/"));
        let user = loaded(&[("ENTRA_MANAGED_IDENTITY", "user"), ("ENTRA_CLIENT_ID", CLIENT)]).unwrap();
        assert_eq!(user.credential.client_id(), Some(CLIENT));
        assert!(told(&[("ENTRA_MANAGED_IDENTITY", "user")]).contains("ENTRA_CLIENT_ID: not set"));
        assert!(told(&[("ENTRA_MANAGED_IDENTITY", "both")]).contains("ENTRA_MANAGED_IDENTITY"));
    }

    #[test]
    fn app_service_says_where_it_is_and_anything_else_than_this_machine_is_refused() {
        let system = ("ENTRA_MANAGED_IDENTITY", "system");
        let (endpoint, header) =
            (("IDENTITY_ENDPOINT", "http://169.254.130.2:8081/msi/token"), ("IDENTITY_HEADER", "hunter2"));
        let credential = loaded(&[system, endpoint, header]).unwrap().credential;
        assert!(matches!(
            credential,
            Credential::ManagedIdentity { host: IdentityHost::AppService { .. }, .. }
        ));
        assert!(told(&[system, endpoint]).contains("IDENTITY_HEADER: not set"));
        let elsewhere = [system, ("IDENTITY_ENDPOINT", "http://10.0.0.1/msi/token"), header];
        assert!(told(&elsewhere).contains("only an http:// address of this machine is accepted"));
        let elsewhere = [system, ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "https://imds.example")];
        assert!(told(&elsewhere).contains("only an http:// address of this machine is accepted"));
    }

    #[test]
    fn credential_files_are_looked_at_beforehand() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file").display().to_string();
        let client = ("ENTRA_CLIENT_ID", CLIENT);
        for name in ["ENTRA_CLIENT_CERTIFICATE_FILE", "AZURE_FEDERATED_TOKEN_FILE"] {
            let _ = std::fs::remove_file(&path);
            assert!(told(&[client, (name, &path)]).contains(&format!("{name}: the file does not exist")));
            std::fs::write(&path, "\n").unwrap();
            assert!(told(&[client, (name, &path)]).contains("the file is empty"));
        }
        std::fs::write(&path, "eyJ.a.b").unwrap();
        let federated = loaded(&[client, ("AZURE_FEDERATED_TOKEN_FILE", &path)]).unwrap().credential;
        assert!(matches!(federated, Credential::Federated { .. }));
        let no_key = told(&[client, ("ENTRA_CLIENT_CERTIFICATE_FILE", &path)]);
        assert!(no_key.contains("the file holds no private key in PEM"), "{no_key}");
    }

    #[test]
    fn a_cloud_names_both_addresses_and_an_address_that_is_set_wins() {
        let places = |more: &[(&'static str, &'static str)]| {
            let settings = loaded(&with_secret(more)).unwrap();
            (settings.login_url.to_string(), settings.graph_url.to_string())
        };
        let pair = |login: &str, graph: &str| (format!("https://{login}/"), format!("https://{graph}/"));
        assert_eq!(places(&[]), pair("login.microsoftonline.com", "graph.microsoft.com"));
        let dod = pair("login.microsoftonline.us", "dod-graph.microsoft.us");
        assert_eq!(places(&[("ENTRA_CLOUD", "us-gov-dod")]), dod);
        let other =
            [("ENTRA_CLOUD", "china"), ("ENTRA_LOGIN_URL", "https://login.partner.microsoftonline.cn")];
        let expected = pair("login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn");
        assert_eq!(places(&other), expected);
        let twin = [("ENTRA_CLOUD", "us-gov"), ("ENTRA_GRAPH_URL", "http://127.0.0.1:18081")];
        assert_eq!(places(&twin).1, "http://127.0.0.1:18081/");
        assert!(told(&with_secret(&[("ENTRA_CLOUD", "germany")])).contains("ENTRA_CLOUD"));
    }

    #[test]
    fn graphs_pace_is_a_third_of_the_smallest_tenants_limit_unless_told_otherwise() {
        let name = "GRAPH_RESOURCE_UNITS_PER_SECOND";
        assert_eq!(loaded(&with_secret(&[])).unwrap().resource_units_per_second, 120);
        for good in ["1", "250", "10000"] {
            let settings = loaded(&with_secret(&[(name, good)])).unwrap();
            assert_eq!(settings.resource_units_per_second.to_string(), good);
        }
        for bad in ["0", "-1", "10001", "1.5", "fast"] {
            let told = told(&with_secret(&[(name, bad)]));
            assert!(told.contains(&format!("{name}: expected a number from 1 to 10000")), "{bad}: {told}");
        }
    }

    #[test]
    fn two_clouds_are_a_mistake_that_names_the_way_out() {
        let told = told(&with_secret(&[("ENTRA_GRAPH_URL", "https://graph.microsoft.us")]));
        assert!(
            told.contains("graph.microsoft.us takes no tokens of login.microsoftonline.com")
                && told.contains("set ENTRA_CLOUD=us-gov and neither address"),
            "{told}"
        );
        let crossed = with_secret(&[
            ("ENTRA_CLOUD", "us-gov"),
            ("ENTRA_LOGIN_URL", "https://login.microsoftonline.com"),
        ]);
        assert!(loaded(&crossed).is_err());
    }
}
