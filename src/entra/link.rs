//! Links that Graph gives out to go on from: the next page, the next round of changes.

use crate::entra::Error;

/// An opaque address that Graph gave. Replayed as it is, but only under our own Graph address: wherever it was kept in
/// between, our token goes nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// A link as Graph gave it or as it was kept; judged when it is followed.
    pub fn new(text: impl Into<String>) -> Link {
        Link(text.into())
    }

    /// To keep it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// # Errors
    /// When it does not lie under `graph`.
    pub(super) fn under(&self, graph: &reqwest::Url, operation: &'static str) -> Result<reqwest::Url, Error> {
        let foreign = Error::ForeignLink { operation };
        let url = reqwest::Url::parse(&self.0).map_err(|_| foreign.clone())?;
        let home = crate::outbound::address(graph, "/v1.0/");
        let is_home = url.origin() == home.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.path().starts_with(home.path());
        if is_home { Ok(url) } else { Err(foreign) }
    }
}

/// Links hold the service's state about a whole directory.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_nowhere_but_to_our_graph() {
        let graph = reqwest::Url::parse("https://graph.microsoft.com/").unwrap();
        let followed = |text: &str| Link::new(text).under(&graph, "users.delta");
        let good = "https://graph.microsoft.com/v1.0/users/delta?$skiptoken=oEBw-P6ue_h%2B=";
        assert_eq!(followed(good).unwrap().as_str(), good);
        for bad in [
            "https://graph.microsoft.com.evil.example/v1.0/users/delta",
            "https://graph.microsoft.com@evil.example/v1.0/users/delta",
            "https://user@graph.microsoft.com/v1.0/users/delta",
            "http://graph.microsoft.com/v1.0/users/delta",
            "https://graph.microsoft.com:8443/v1.0/users/delta",
            "https://graph.microsoft.com/v1.0/../beta/users/delta",
            "https://graph.microsoft.com/v1.0evil",
            "//graph.microsoft.com/v1.0/users/delta",
            "/v1.0/users/delta",
            "",
        ] {
            assert_eq!(followed(bad), Err(Error::ForeignLink { operation: "users.delta" }), "{bad}");
        }
    }

    #[test]
    fn a_link_is_not_printed() {
        assert_eq!(format!("{:?}", Link::new("https://graph.microsoft.com/v1.0/x?$skiptoken=s")), "Link");
    }
}
