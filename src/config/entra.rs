//! Settings for Entra: which cloud, and how we prove who we are.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::address;
use super::environment::{Unread, read_text};
use super::local::word;
use super::reader::{Reader, Wrong, secret};
use super::variables::{self, Variable};
use crate::entra::{Cloud, Credential, IMDS_URL, Identity, IdentityHost};
use crate::event::TenantId;

/// Where Entra and Graph are. An address that could not be read is `None`, and a mistake.
pub struct Places {
    pub login: Option<Url>,
    pub graph: Option<Url>,
}

/// `ENTRA_CLOUD` names both; an address that is set wins.
pub fn places(reader: &mut Reader<'_>) -> Places {
    let words = Cloud::ALL.map(|cloud| (cloud.word(), cloud));
    let cloud = reader.parsed(variables::ENTRA_CLOUD, |text| word(text, &words)).unwrap_or(Cloud::Global);
    let mut place = |variable: Variable, default: &str| match reader.is_set(variable) {
        true => reader.parsed(variable, address::base),
        false => address::base(default).ok(),
    };
    let login = place(variables::ENTRA_LOGIN_URL, cloud.login_url());
    let graph = place(variables::ENTRA_GRAPH_URL, cloud.graph_url());
    if let (Some(login), Some(graph)) = (&login, &graph) {
        refuse_two_clouds(reader, login, graph);
    }
    Places { login, graph }
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
    Some(crate::entra::Settings {
        tenant: tenant?,
        credential: credential?,
        login_url: places.login?,
        graph_url: places.graph?,
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
    reader.needed(variables::ENTRA_CLIENT_ID, "to sign in to Graph", |text| {
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
