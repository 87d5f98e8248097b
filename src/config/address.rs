//! Addresses: where vendors, listeners, brokers and databases are, checked before anything is sent there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;
use secrecy::SecretString;

use super::reader::Wrong;

/// Brokers of one cluster; more is a mistake of copying.
const BROKERS_MAX: usize = 16;

/// An `https://` address, or a loopback one for tests: tokens and names never travel in the clear.
pub fn https_or_loopback(text: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text).map_err(|error| {
        Wrong::new(format!("this is no address: {error}")).help("write it like https://host")
    })?;
    let safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    if !safe {
        return Err(Wrong::new("only https:// or a loopback address (http://127.0.0.1:…) is accepted"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("an address must not hold a user name or a password"));
    }
    Ok(url)
}

/// Like [`https_or_loopback`], for an address that paths are appended to: no query, and the path ends with `/`.
pub fn base(text: &str) -> Result<Url, Wrong> {
    let mut url = https_or_loopback(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("the address must end before any ? or #"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `address:port`
pub fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new("this is no address and port")
            .help("write it like 127.0.0.1:8081, 0.0.0.0:8080 or [::]:8080")
    })
}

/// The canonical domain of an Auth0 tenant, without scheme or path.
pub fn domain(text: &str) -> Result<String, Wrong> {
    let is_host = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
    if is_host && Url::parse(&format!("https://{text}")).is_ok() {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Wrong::new("this is no domain")
        .help("write only the name, like example.eu.auth0.com, without https://"))
}

/// What `LOCKSTEP_QUEUE_URL` names.
#[derive(Debug)]
pub enum QueueUrl {
    Embedded,
    Brokers(Vec<SecretString>),
}

/// `embedded:`, or brokers of one cluster: `amqp://user:pass@a,amqp://user:pass@b` or `amqp://user:pass@a,b/vhost`.
pub fn queue(text: &str) -> Result<QueueUrl, Wrong> {
    if text == "embedded:" || text == "embedded" {
        return Ok(QueueUrl::Embedded);
    }
    let urls = brokers(text)?;
    if urls.len() > BROKERS_MAX {
        return Err(Wrong::new(format!("more than {BROKERS_MAX} brokers are named")));
    }
    urls.iter().map(|url| broker(url)).collect::<Result<_, _>>().map(QueueUrl::Brokers)
}

fn brokers(text: &str) -> Result<Vec<String>, Wrong> {
    let no_broker = || Wrong::new("this names no queue").help(QUEUE_HELP);
    let (scheme, rest) = text.split_once("://").ok_or_else(no_broker)?;
    if rest.contains("://") {
        return Ok(text.split(',').map(|url| url.trim().to_owned()).collect());
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    Ok(hosts.split(',').map(|host| format!("{scheme}://{user}{}{path}", host.trim())).collect())
}

const QUEUE_HELP: &str = "write embedded: or amqp://user:password@host:5672/vhost, several hosts separated by commas, \
                          a comma in the password as %2C";

/// No error of the parser is passed on: it may quote the password.
fn broker(text: &str) -> Result<SecretString, Wrong> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "amqp" | "amqps") && url.has_host());
    match url {
        Some(url) if url.host_str() != Some("") => Ok(SecretString::from(text)),
        _ => Err(Wrong::new("one of the brokers has no address that can be read").help(QUEUE_HELP)),
    }
}

/// `sqlite:` for the file in the data directory, `sqlite:PATH` for another.
pub fn database(text: &str, data_dir: &Path) -> Result<PathBuf, Wrong> {
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return Err(Wrong::new("this version has SQLite only").help("write sqlite:, or leave it out"));
    }
    let path = text
        .strip_prefix("sqlite:")
        .ok_or_else(|| Wrong::new("this names no database").help("write sqlite: or sqlite:PATH"))?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() { Ok(default_database(data_dir)) } else { Ok(PathBuf::from(path)) }
}

pub fn default_database(data_dir: &Path) -> PathBuf {
    data_dir.join("lockstep.db")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_https_and_loopback_addresses_are_accepted() {
        for good in [
            "https://graph.microsoft.com",
            "http://127.0.0.1:18081",
            "http://localhost:1",
            "http://[::1]:1/x",
        ] {
            assert!(https_or_loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "http://graph.microsoft.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "https://user:pw@host",
            "graph.microsoft.com",
            "https://",
        ] {
            assert!(https_or_loopback(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_address_ends_with_a_slash() {
        assert_eq!(base("https://slack.com/api").unwrap().as_str(), "https://slack.com/api/");
        assert_eq!(base("http://127.0.0.1:9").unwrap().as_str(), "http://127.0.0.1:9/");
        assert!(base("https://slack.com/api?x=1").is_err());
    }

    fn urls(text: &str) -> Vec<String> {
        match queue(text).unwrap() {
            QueueUrl::Brokers(urls) => urls.iter().map(|url| url.expose_secret().to_owned()).collect(),
            QueueUrl::Embedded => panic!("{text} is not embedded"),
        }
    }

    #[test]
    fn several_brokers_may_be_written_as_addresses_or_as_hosts() {
        assert_eq!(urls("amqp://u:p@a:5672/v"), ["amqp://u:p@a:5672/v"]);
        assert_eq!(
            urls("amqps://u:p@a,b:5671,c/v"),
            ["amqps://u:p@a/v", "amqps://u:p@b:5671/v", "amqps://u:p@c/v"]
        );
        assert_eq!(urls("amqp://u:p@a/v, amqp://u:p@b/v"), ["amqp://u:p@a/v", "amqp://u:p@b/v"]);
        assert!(matches!(queue("embedded:"), Ok(QueueUrl::Embedded)));
    }

    #[test]
    fn what_is_no_broker_is_refused_without_quoting_it() {
        for bad in ["", "redis://u:hunter2@a", "amqp://u:hunter2@a,", "amqp://u:hunter2@a:port/v", "hunter2"]
        {
            let wrong = queue(bad).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }

    #[test]
    fn the_database_is_a_file_for_now() {
        let dir = Path::new("data");
        assert_eq!(database("sqlite:", dir).unwrap(), Path::new("data/lockstep.db"));
        assert_eq!(database("sqlite:/var/l.db", dir).unwrap(), Path::new("/var/l.db"));
        assert_eq!(database("sqlite:///var/l.db", dir).unwrap(), Path::new("/var/l.db"));
        assert!(database("postgres://u:p@h/db", dir).unwrap_err().what.contains("SQLite only"));
        assert!(database("mysql://u:p@h/db", dir).is_err());
    }
}
