//! What Azure Workload Identity puts into a container beside `AZURE_FEDERATED_TOKEN_FILE`: who we are, and which cloud this
//! is (Azure AD Workload Identity, Mutating admission webhook).
//!
//! Read only beside the token file: elsewhere these names may be meant for somebody else, such as an SDK in the same
//! container. Our own variables win.

use reqwest::Url;

use crate::config::address;
use crate::config::reader::{Reader, Wrong};
use crate::config::variables::{self, Variable};
use crate::entra::Cloud;

/// `ours`, or the platform's word for the same where it is the one that counts.
pub fn or_the_platforms(reader: &Reader<'_>, ours: Variable, platforms: Variable) -> Variable {
    let counts = !reader.is_set(ours) && is_on_the_platform(reader) && reader.is_set(platforms);
    if counts { platforms } else { ours }
}

fn is_on_the_platform(reader: &Reader<'_>) -> bool {
    reader.is_set(variables::AZURE_FEDERATED_TOKEN_FILE)
}

/// What `AZURE_AUTHORITY_HOST` says, where it has a say.
#[derive(Debug, Default)]
pub struct Authority {
    pub login: Option<Url>,
    pub cloud: Option<Cloud>,
}

/// `ENTRA_CLOUD` and `ENTRA_LOGIN_URL` say it better.
pub fn authority(reader: &mut Reader<'_>) -> Authority {
    let is_told = [variables::ENTRA_CLOUD, variables::ENTRA_LOGIN_URL].iter().any(|one| reader.is_set(*one));
    if is_told || !is_on_the_platform(reader) {
        return Authority::default();
    }
    let names_graph = reader.is_set(variables::ENTRA_GRAPH_URL);
    let read = reader.parsed(variables::AZURE_AUTHORITY_HOST, |text| {
        let login = address::base(text)?;
        let clouds = Cloud::at_login(&login);
        match clouds[..] {
            [] if !address::is_loopback(&login) => Err(unknown(&login)),
            // Which of them decides where Graph is.
            [_, _, ..] if !names_graph => Err(ambiguous(&login, &clouds)),
            _ => Ok(Authority { login: Some(login), cloud: clouds.first().copied() }),
        }
    });
    read.unwrap_or_default()
}

fn unknown(login: &Url) -> Wrong {
    let host = login.host_str().unwrap_or_default();
    let words = Cloud::ALL.map(Cloud::word).join(", ");
    Wrong::new(format!("{host} is the login of no cloud that is known here"))
        .help(format!("set ENTRA_CLOUD ({words}), or ENTRA_LOGIN_URL and ENTRA_GRAPH_URL"))
}

fn ambiguous(login: &Url, clouds: &[Cloud]) -> Wrong {
    let host = login.host_str().unwrap_or_default();
    let choices: Vec<String> = clouds.iter().map(|cloud| format!("ENTRA_CLOUD={}", cloud.word())).collect();
    Wrong::new(format!("{host} is the login of several clouds, and each has a Graph of its own"))
        .help(format!("set {}", choices.join(" or ")))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Mistakes, Roles, load};
    use crate::entra::Credential;

    const TENANT: &str = "6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815";
    const OTHER: &str = "00000000-0000-0000-0000-0000000000e1";
    const CLIENT: &str = "c2f61d0b-8a34-4be9-a7f5-1d0c93e6b472";
    const AUTH0: [(&str, &str); 3] =
        [("AUTH0_DOMAIN", "contoso.eu.auth0.com"), ("AUTH0_CLIENT_ID", "x"), ("AUTH0_CLIENT_SECRET", "x")];
    /// What the platform sets.
    const SET: [(&str, &str); 3] = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ];

    fn loaded(sets: &[&[(&str, &str)]]) -> Result<Config, Mistakes> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("token");
        std::fs::write(&file, "eyJ.a.b").unwrap();
        let file = [("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())];
        let all = [&AUTH0[..], &file].into_iter().chain(sets.iter().copied()).flatten();
        load(&all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), &Roles::all())
    }

    fn places(sets: &[&[(&str, &str)]]) -> (String, String) {
        let entra = loaded(sets).unwrap().work.unwrap().entra;
        (entra.login_url.to_string(), entra.graph_url.to_string())
    }

    fn told(sets: &[&[(&str, &str)]]) -> String {
        loaded(sets).unwrap_err().to_string()
    }

    #[test]
    fn what_the_platform_sets_is_enough_and_our_own_names_win() {
        let config = loaded(&[&SET]).unwrap();
        let entra = config.work.unwrap().entra;
        let Credential::Federated { client_id, .. } = &entra.credential else { panic!() };
        assert_eq!((config.tenant.to_string().as_str(), client_id.as_str()), (TENANT, CLIENT));
        let config = loaded(&[&SET, &[("ENTRA_TENANT_ID", OTHER), ("ENTRA_CLIENT_ID", OTHER)]]).unwrap();
        assert_eq!(config.tenant.to_string(), OTHER);
        assert_eq!(config.work.unwrap().entra.credential.client_id(), Some(OTHER));
        let wrong = told(&[&SET[1..], &[("AZURE_TENANT_ID", "contoso.com")]]);
        assert!(wrong.contains("AZURE_TENANT_ID") && !wrong.contains("ENTRA_TENANT_ID"), "{wrong}");
    }

    #[test]
    fn without_the_token_file_they_are_somebody_elses() {
        let secret = [("ENTRA_CLIENT_SECRET", "x"), ("AZURE_FEDERATED_TOKEN_FILE", "")];
        let told = told(&[&SET, &secret]);
        assert!(
            told.contains("ENTRA_TENANT_ID: not set") && told.contains("ENTRA_CLIENT_ID: not set"),
            "{told}"
        );
        let ids = [("ENTRA_TENANT_ID", TENANT), ("ENTRA_CLIENT_ID", CLIENT)];
        let host = [("AZURE_AUTHORITY_HOST", "https://login.example.com")];
        assert_eq!(places(&[&ids, &secret, &host]).0, "https://login.microsoftonline.com/");
    }

    #[test]
    fn the_authority_names_the_cloud_unless_we_are_told() {
        let at = |host: &'static str, more: &[(&str, &str)]| {
            places(&[&SET[..2], &[("AZURE_AUTHORITY_HOST", host)], more])
        };
        let pair = |login: &str, graph: &str| (format!("https://{login}/"), format!("https://{graph}/"));
        let public = pair("login.microsoftonline.com", "graph.microsoft.com");
        assert_eq!(at("https://login.microsoftonline.com/", &[]), public);
        assert_eq!(places(&[&SET[..2]]), public);
        let china = at("https://login.partner.microsoftonline.cn", &[]);
        assert_eq!(china, pair("login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"));
        let dod = pair("login.microsoftonline.us", "dod-graph.microsoft.us");
        assert_eq!(at("https://login.microsoftonline.com/", &[("ENTRA_CLOUD", "us-gov-dod")]), dod);
        let government = "https://login.microsoftonline.us/";
        assert_eq!(at(government, &[("ENTRA_CLOUD", "us-gov-dod")]), dod);
        assert_eq!(at(government, &[("ENTRA_GRAPH_URL", "https://dod-graph.microsoft.us")]), dod);
        let twin = at("http://127.0.0.1:18081/", &[("ENTRA_GRAPH_URL", "http://127.0.0.1:18082")]);
        assert_eq!(twin, ("http://127.0.0.1:18081/".to_owned(), "http://127.0.0.1:18082/".to_owned()));
        let ours =
            at("https://login.example.com", &[("ENTRA_LOGIN_URL", "https://login.microsoftonline.com")]);
        assert_eq!(ours, public);
    }

    #[test]
    fn an_authority_that_names_no_cloud_or_several_is_refused_with_the_way_out() {
        let at = |host: &'static str| told(&[&SET[..2], &[("AZURE_AUTHORITY_HOST", host)]]);
        let shared = at("https://login.microsoftonline.us/");
        assert!(shared.contains("set ENTRA_CLOUD=us-gov or ENTRA_CLOUD=us-gov-dod"), "{shared}");
        let unknown = at("https://login.example.com/");
        assert!(unknown.contains("login.example.com is the login of no cloud"), "{unknown}");
        assert!(at("http://login.microsoftonline.com/").contains("only https://"), "in the clear");
    }
}
