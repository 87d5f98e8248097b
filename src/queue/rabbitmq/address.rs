//! Where the brokers are: `amqp(s)://user:pass@host:port/vhost`, with several hosts in one URL or several URLs.
//!
//! The client library takes one host per URL, reads IPv6 literals as "localhost" and a trailing `/` as a virtual host
//! without a name; all three are put right here. An address is never printed with its credentials, and neither is a
//! URL that cannot be read.

use std::fmt;

use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret, SecretString};

/// Hosts of one setting; more than a cluster has is a mistake.
const HOSTS_MAX: usize = 16;
/// Seconds; a peer is dead after two missed ones. Below 5 gives false alarms (RabbitMQ, Detecting Dead TCP Connections).
const HEARTBEAT_SECONDS: u16 = 10;

/// One broker, ready to be dialled. Prints as `host:port`.
#[derive(Clone)]
pub(super) struct Address(AMQPUri);

impl Address {
    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.authority.host, self.0.authority.port)
    }
}

/// Reads every URL; the sentence of an error carries no part of it.
pub(super) fn read_all(urls: &[SecretString]) -> Result<Vec<Address>, &'static str> {
    let mut addresses = Vec::new();
    for url in urls.iter().flat_map(|urls| split_urls(urls.expose_secret())) {
        addresses.extend(read(url)?);
    }
    match addresses.len() {
        0 => Err("no URL of a broker is given"),
        1..=HOSTS_MAX => Ok(addresses),
        _ => Err("more than 16 brokers are given"),
    }
}

/// Whole URLs may be listed with commas; so may hosts inside one URL, which [`read`] takes apart.
fn split_urls(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = [",amqp://", ",amqps://"]
        .iter()
        .flat_map(|mark| text.match_indices(mark).map(|(at, _)| at))
        .collect();
    starts.sort_unstable();
    let mut urls = Vec::new();
    let mut from = 0;
    for start in starts {
        urls.push(text[from..start].trim());
        from = start + 1;
    }
    urls.push(text[from..].trim());
    urls
}

fn read(url: &str) -> Result<Vec<Address>, &'static str> {
    const UNREADABLE: &str = "a URL is not of the form amqp(s)://user:password@host:port/vhost";
    let (scheme, rest) = url.split_once("://").ok_or(UNREADABLE)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let at = if authority.contains('@') { "@" } else { "" };
    hosts
        .split(',')
        .map(|host| {
            let one = format!("{scheme}://{user}{at}{}{tail}", host.trim());
            let mut uri: AMQPUri = one.parse().map_err(|_| UNREADABLE)?;
            if let Some(literal) = ipv6_literal(host) {
                uri.authority.host = literal.to_owned();
            }
            if uri.vhost.is_empty() {
                uri.vhost = "/".to_owned();
            }
            uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
            Ok(Address(uri))
        })
        .collect()
}

fn ipv6_literal(host: &str) -> Option<&str> {
    let (literal, _port) = host.trim().strip_prefix('[')?.split_once(']')?;
    Some(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(urls: &[&str]) -> Vec<String> {
        let urls: Vec<SecretString> = urls.iter().map(|u| SecretString::from(*u)).collect();
        read_all(&urls).unwrap().iter().map(|a| format!("{} {} {a}", a.0.scheme, a.0.vhost)).collect()
    }

    #[test]
    fn several_hosts_share_credentials_and_virtual_host() {
        let expected = ["amqp v a:5672", "amqp v b:1234"];
        assert_eq!(shown(&["amqp://u:p@a,b:1234/v"]), expected);
        assert_eq!(shown(&["amqp://u:p@a/v,amqp://u:p@b:1234/v"]), expected);
        assert_eq!(shown(&["amqp://u:p@a/v", "amqp://u:p@b:1234/v"]), expected);
    }

    #[test]
    fn the_default_virtual_host_can_be_written_in_three_ways() {
        for url in ["amqps://u:p@a", "amqps://u:p@a/", "amqps://u:p@a/%2f"] {
            assert_eq!(shown(&[url]), ["amqps / a:5671"], "{url}");
        }
    }

    #[test]
    fn ipv6_literals_are_hosts() {
        assert_eq!(shown(&["amqp://u:p@[::1]:99/v"]), ["amqp v ::1:99"]);
    }

    #[test]
    fn a_heartbeat_is_asked_for_unless_the_url_names_another() {
        let one = |url: &str| read_all(&[SecretString::from(url)]).unwrap()[0].0.query.heartbeat;
        assert_eq!(one("amqp://a"), Some(10));
        assert_eq!(one("amqp://a/v?heartbeat=20"), Some(20));
    }

    #[test]
    fn an_unreadable_url_is_refused_without_being_repeated() {
        for url in ["", "http://u:secret@a", "amqp:secret", "amqp://u:secret@a:port/v"] {
            let refused = read_all(&[SecretString::from(url)]).err().unwrap();
            assert!(!refused.contains("secret"), "{refused}");
        }
        assert!(read_all(&[]).is_err());
    }
}
