//! Microsoft's clouds: which login and which Graph belong together (Microsoft Graph, National cloud deployments). Tokens
//! of one are worth nothing in another.

use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// The public cloud, GCC included.
    Global,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Government L5 (DoD).
    UsGovDod,
    /// Operated by 21Vianet.
    China,
}

/// Newer material names a second login for China; both are answered (assumed).
const CHINA_SECOND_LOGIN: &str = "login.partner.microsoftonline.cn";

/// Not the name of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchCloud;

impl FromStr for Cloud {
    type Err = NoSuchCloud;

    fn from_str(text: &str) -> Result<Cloud, NoSuchCloud> {
        Cloud::ALL.into_iter().find(|cloud| cloud.word() == text).ok_or(NoSuchCloud)
    }
}

impl Cloud {
    pub const ALL: [Cloud; 4] = [Cloud::Global, Cloud::UsGov, Cloud::UsGovDod, Cloud::China];

    /// The word in `ENTRA_CLOUD`.
    pub fn word(self) -> &'static str {
        match self {
            Cloud::Global => "global",
            Cloud::UsGov => "us-gov",
            Cloud::UsGovDod => "us-gov-dod",
            Cloud::China => "china",
        }
    }

    pub fn login_url(self) -> &'static str {
        match self {
            Cloud::Global => "https://login.microsoftonline.com",
            Cloud::UsGov | Cloud::UsGovDod => "https://login.microsoftonline.us",
            Cloud::China => "https://login.chinacloudapi.cn",
        }
    }

    pub fn graph_url(self) -> &'static str {
        match self {
            Cloud::Global => "https://graph.microsoft.com",
            Cloud::UsGov => "https://graph.microsoft.us",
            Cloud::UsGovDod => "https://dod-graph.microsoft.us",
            Cloud::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// The cloud of a Graph address; `None` for one that we do not know, such as a test's.
    pub fn of_graph(url: &reqwest::Url) -> Option<Cloud> {
        Cloud::ALL.into_iter().find(|cloud| host(cloud.graph_url()) == url.host_str())
    }

    /// The clouds that sign in at `login`: two for the US government's shared login, none for an address that we do not
    /// know.
    pub fn at_login(login: &reqwest::Url) -> Vec<Cloud> {
        Cloud::ALL.into_iter().filter(|cloud| cloud.signs_in_at(login) == Some(true)).collect()
    }

    /// What Entra calls itself in a tenant's tokens of version 1 and 2; `login` is where we sign in. The US government's
    /// clouds share the public one's name in version 1 (Microsoft Q&A 1190472); China has its own, and one login host in
    /// version 2 whichever of the two was asked (Azure China, OpenVPN with Entra ID; jenkinsci/azure-ad-plugin#679).
    pub fn issuers(self, login: &reqwest::Url, tenant: &impl fmt::Display) -> Vec<String> {
        let security_tokens = match self {
            Cloud::Global | Cloud::UsGov | Cloud::UsGovDod => "sts.windows.net",
            Cloud::China => "sts.chinacloudapi.cn",
        };
        let login = login.as_str().trim_end_matches('/');
        let mut issuers =
            vec![format!("https://{security_tokens}/{tenant}/"), format!("{login}/{tenant}/v2.0")];
        if self == Cloud::China {
            issuers.push(format!("https://{CHINA_SECOND_LOGIN}/{tenant}/v2.0"));
        }
        issuers
    }

    /// Whether `login` is where tokens for this cloud come from; `None` when we do not know the address at all.
    pub fn signs_in_at(self, login: &reqwest::Url) -> Option<bool> {
        let login = login.host_str();
        if login == Some(CHINA_SECOND_LOGIN) {
            return Some(self == Cloud::China);
        }
        let is_known = Cloud::ALL.into_iter().any(|cloud| host(cloud.login_url()) == login);
        is_known.then(|| host(self.login_url()) == login)
    }
}

/// The host of one of the addresses above.
fn host(address: &'static str) -> Option<&'static str> {
    address.strip_prefix("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> reqwest::Url {
        text.parse().unwrap()
    }

    #[test]
    fn every_cloud_is_found_by_its_word_and_its_graph() {
        for cloud in Cloud::ALL {
            assert_eq!(cloud.word().parse(), Ok(cloud));
            assert_eq!(Cloud::of_graph(&url(cloud.graph_url())), Some(cloud));
            assert_eq!(cloud.signs_in_at(&url(cloud.login_url())), Some(true));
        }
        assert_eq!("germany".parse::<Cloud>(), Err(NoSuchCloud));
    }

    #[test]
    fn a_pair_of_two_clouds_is_known_and_a_strange_address_is_not_judged() {
        let public = url(Cloud::Global.login_url());
        assert_eq!(Cloud::UsGov.signs_in_at(&public), Some(false));
        assert_eq!(Cloud::UsGovDod.signs_in_at(&url(Cloud::UsGov.login_url())), Some(true));
        assert_eq!(Cloud::China.signs_in_at(&url("https://login.partner.microsoftonline.cn/")), Some(true));
        assert_eq!(Cloud::Global.signs_in_at(&url("https://login.partner.microsoftonline.cn/")), Some(false));
        assert_eq!(Cloud::Global.signs_in_at(&url("http://127.0.0.1:18081")), None);
        assert_eq!(Cloud::of_graph(&url("http://127.0.0.1:18081")), None);
        assert_eq!(Cloud::at_login(&url("http://127.0.0.1:18081")), []);
        assert_eq!(Cloud::at_login(&url("https://login.partner.microsoftonline.cn/")), [Cloud::China]);
        assert_eq!(Cloud::at_login(&url(Cloud::UsGov.login_url())), [Cloud::UsGov, Cloud::UsGovDod]);
    }

    #[test]
    fn each_cloud_calls_itself_by_its_own_names() {
        let issuers = |cloud: Cloud| cloud.issuers(&url(cloud.login_url()), &"t").join(" ");
        assert_eq!(
            issuers(Cloud::Global),
            "https://sts.windows.net/t/ https://login.microsoftonline.com/t/v2.0"
        );
        let government = "https://sts.windows.net/t/ https://login.microsoftonline.us/t/v2.0";
        assert_eq!([Cloud::UsGov, Cloud::UsGovDod].map(issuers), [government, government]);
        assert_eq!(
            issuers(Cloud::China),
            "https://sts.chinacloudapi.cn/t/ https://login.chinacloudapi.cn/t/v2.0 \
             https://login.partner.microsoftonline.cn/t/v2.0"
        );
    }
}
