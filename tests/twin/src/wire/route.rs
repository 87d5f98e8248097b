//! A vendor's routes as a table: what exists, which query parameters it takes, what it needs.

use super::call::{Answer, Call};
use percent_encoding::percent_decode_str;

/// One row of a vendor's table.
pub(crate) struct Route {
    pub method: &'static str,
    /// Path with `{…}` for one segment each.
    pub template: &'static str,
    /// `METHOD template`: the name in the journal.
    pub label: &'static str,
    /// Query parameters that the vendor documents here.
    pub query: &'static [&'static str],
    /// Permissions or scopes; what several of them mean is the vendor's business.
    pub needs: &'static [&'static str],
    pub answer: fn(&Call<'_>) -> Answer,
}

/// Name of everything that no row matches.
pub(crate) const UNMATCHED: &str = "unmatched";

/// Writes a [`Route`].
macro_rules! route {
    ($method:literal, $template:literal, query: $query:expr, needs: $needs:expr, $answer:expr) => {
        $crate::wire::route::Route {
            method: $method,
            template: $template,
            label: concat!($method, " ", $template),
            query: $query,
            needs: $needs,
            answer: $answer,
        }
    };
}
pub(crate) use route;

/// The row that matches, with the decoded path parameters in order.
pub(crate) fn find(
    routes: &'static [Route],
    method: &str,
    path: &str,
) -> Option<(&'static Route, Vec<String>)> {
    let matching = routes.iter().filter(|route| route.method == method);
    matching.filter_map(|route| Some((route, parameters(route.template, path)?))).next()
}

fn parameters(template: &str, path: &str) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let mut wanted = template.split('/');
    let mut given = path.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => {
                if given.is_empty() {
                    return None;
                }
                parameters.push(percent_decode_str(given).decode_utf8_lossy().into_owned());
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_whole_segments() {
        assert_eq!(
            parameters("/users/{id}/sessions", "/users/auth0%7Cabc/sessions"),
            Some(vec!["auth0|abc".to_owned()])
        );
        assert_eq!(parameters("/users/{id}", "/users/"), None);
        assert_eq!(parameters("/users/{id}", "/users/a/b"), None);
        assert_eq!(parameters("/users", "/users"), Some(vec![]));
    }
}
