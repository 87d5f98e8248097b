//! How people are told: Slack, mail, tickets. Each is on when its address is set.

use percent_encoding::percent_decode_str;
use reqwest::Url;
use secrecy::SecretString;

use super::address;
use super::ingest::webhook_secret;
use super::reader::{Reader, Wrong};
use super::variables::{self, Kind, Variable};
use crate::notify::mail::{Address, Login, RECIPIENTS_MAX, Server, Tls};
use crate::notify::{Settings, mail, slack, ticket};

const SLACK_API_URL: &str = "https://slack.com/api/";
const SMTP_HELP: &str = "write smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST?tls=required, with @ : / in user or \
                         password as %40 %3A %2F";

pub fn notify(reader: &mut Reader<'_>) -> Option<Settings> {
    let (slack, mail, ticket) = (slack(reader), mail(reader), ticket(reader));
    Some(Settings { slack: slack?, mail: mail?, ticket: ticket? })
}

/// `Some(None)` when Slack is not set up.
fn slack(reader: &mut Reader<'_>) -> Option<Option<slack::Settings>> {
    let api_url = url_or(reader, variables::SLACK_API_URL, SLACK_API_URL);
    let token = reader.parsed(variables::SLACK_BOT_TOKEN, bot_token);
    let channel = reader.parsed(variables::SLACK_CHANNEL, channel);
    let webhook = reader.parsed(variables::SLACK_WEBHOOK_URL, |text| {
        address::https_or_loopback(text).map(|url| SecretString::from(String::from(url)))
    });
    let has_token = reader.is_set(variables::SLACK_BOT_TOKEN);
    let has_webhook = reader.is_set(variables::SLACK_WEBHOOK_URL);
    match (has_token, has_webhook) {
        (true, true) => {
            let wrong = Wrong::new(format!("{} is set too", variables::SLACK_BOT_TOKEN.name));
            let help = "keep the bot token: only a bot can update its message";
            reader.wrong(variables::SLACK_WEBHOOK_URL.name, Kind::Secret, wrong.help(help));
            None
        }
        (true, false) => {
            if !reader.is_set(variables::SLACK_CHANNEL) {
                reader.missing(variables::SLACK_CHANNEL, "beside a bot token");
            }
            Some(Some(slack::Settings::Bot { token: token?, channel: channel?, api_url: api_url? }))
        }
        (false, true) => Some(Some(slack::Settings::Webhook { url: webhook? })),
        (false, false) => Some(None),
    }
}

/// `Some(None)` when mail is not set up.
fn mail(reader: &mut Reader<'_>) -> Option<Option<mail::Settings>> {
    let server = reader.parsed(variables::SMTP_URL, smtp);
    let from = reader.parsed(variables::MAIL_FROM, mail_address);
    let to = reader.parsed(variables::MAIL_TO, recipients);
    let all = [variables::SMTP_URL, variables::MAIL_FROM, variables::MAIL_TO];
    if !together(reader, &all) {
        return all.iter().all(|variable| !reader.is_set(*variable)).then_some(None);
    }
    Some(Some(mail::Settings { server: server?, from: from?, to: to? }))
}

/// `Some(None)` when tickets are not set up.
fn ticket(reader: &mut Reader<'_>) -> Option<Option<ticket::Settings>> {
    let url = reader.parsed(variables::TICKET_URL, |text| {
        address::https_or_loopback(text).and_then(|url| match url.fragment() {
            Some(_) => Err(Wrong::new("the address must end before any #")),
            None => Ok(SecretString::from(String::from(url))),
        })
    });
    let secret = reader.parsed(variables::TICKET_WEBHOOK_SECRET, |text| {
        webhook_secret(text).map(|()| SecretString::from(text))
    });
    let both = [variables::TICKET_URL, variables::TICKET_WEBHOOK_SECRET];
    if !together(reader, &both) {
        return both.iter().all(|variable| !reader.is_set(*variable)).then_some(None);
    }
    Some(Some(ticket::Settings { url: url?, secret: secret? }))
}

/// Whether all of them are set. One that is not beside one that is is a mistake.
fn together(reader: &mut Reader<'_>, variables: &[Variable]) -> bool {
    let Some(set) = variables.iter().find(|variable| reader.is_set(**variable)) else { return false };
    let missing: Vec<&Variable> = variables.iter().filter(|variable| !reader.is_set(**variable)).collect();
    for variable in &missing {
        reader.missing(**variable, &format!("beside {}", set.name));
    }
    missing.is_empty()
}

/// Slack's bot tokens begin with `xoxb-` (Slack, Token types).
fn bot_token(text: &str) -> Result<SecretString, Wrong> {
    if text.starts_with("xoxb-") {
        return Ok(SecretString::from(text));
    }
    Err(Wrong::new("this is no bot token").help("it begins with xoxb-: Slack app, OAuth & Permissions"))
}

/// Updating a message takes the channel's id, not its name (Slack, chat.update).
fn channel(text: &str) -> Result<String, Wrong> {
    let is_id = text.starts_with(['C', 'G', 'D'])
        && text.len() >= 3
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if is_id {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("expected the id of a channel, not its name")
        .help("it looks like C024BE91L: Slack, the channel's details, at the foot"))
}

fn url_or(reader: &mut Reader<'_>, variable: Variable, default: &str) -> Option<Url> {
    match reader.is_set(variable) {
        true => reader.parsed(variable, address::base),
        false => address::base(default).ok(),
    }
}

fn mail_address(text: &str) -> Result<Address, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new("this is no mail address").help("write it like Lockstep <lockstep@example.com>, in ASCII")
    })
}

/// Separated by commas; names only without one.
fn recipients(text: &str) -> Result<Vec<Address>, Wrong> {
    let all: Vec<&str> = text.split(',').map(str::trim).collect();
    if all.len() > RECIPIENTS_MAX {
        return Err(Wrong::new(format!("more than {RECIPIENTS_MAX} addresses")).help("name a list instead"));
    }
    all.into_iter().map(mail_address).collect()
}

/// No error of the parser is passed on, nor any part of the address: it holds the password.
fn smtp(text: &str) -> Result<Server, Wrong> {
    let no_address = || Wrong::new("this is no address of a mail server").help(SMTP_HELP);
    let url = Url::parse(text).map_err(|_| no_address())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(no_address)?;
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(Wrong::new("nothing may stand behind the host but ?tls=required").help(SMTP_HELP));
    }
    let (tls, port) = tls(&url)?;
    let login = login(&url)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Server { host, port: url.port().unwrap_or(port), tls, login })
}

/// How, and by which port (RFC 8314: 465; RFC 6409: 587).
fn tls(url: &Url) -> Result<(Tls, u16), Wrong> {
    match (url.scheme(), url.query()) {
        ("smtps", None | Some("tls=required")) => Ok((Tls::Implicit, 465)),
        ("smtp", Some("tls=required")) => Ok((Tls::StartTls, 587)),
        ("smtp", None) if address::is_loopback(url) => Ok((Tls::Loopback, 25)),
        ("smtp", None) => Err(Wrong::new("without TLS mail goes only to this machine").help(SMTP_HELP)),
        ("smtp" | "smtps", Some("tls=opportunistic")) => Err(Wrong::new(
            "tls=opportunistic falls back to clear text where somebody on the way wants it to",
        )
        .help(SMTP_HELP)),
        ("smtp" | "smtps", _) => {
            Err(Wrong::new("only ?tls=required may stand behind the host").help(SMTP_HELP))
        }
        _ => Err(Wrong::new("this is no address of a mail server").help(SMTP_HELP)),
    }
}

fn login(url: &Url) -> Result<Option<Login>, Wrong> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() => match (decoded(user), decoded(password)) {
            (Ok(user), Ok(password)) => Ok(Some(Login { user, password: SecretString::from(password) })),
            _ => Err(Wrong::new("user or password cannot be read").help(SMTP_HELP)),
        },
        _ => Err(Wrong::new("a user needs a password, and a password a user").help(SMTP_HELP)),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn mail_leaves_this_machine_only_with_tls() {
        let read = |text| smtp(text).map(|server| (server.tls, server.port));
        assert_eq!(read("smtps://mail.example.com").unwrap(), (Tls::Implicit, 465));
        assert_eq!(read("smtps://mail.example.com:4465/").unwrap(), (Tls::Implicit, 4465));
        assert_eq!(read("smtp://mail.example.com?tls=required").unwrap(), (Tls::StartTls, 587));
        assert_eq!(read("smtp://127.0.0.1:1025").unwrap(), (Tls::Loopback, 1025));
        assert_eq!(read("smtp://[::1]").unwrap(), (Tls::Loopback, 25));
        for bad in [
            "smtp://u:hunter2@mail.example.com",
            "smtp://u:hunter2@mail.example.com?tls=opportunistic",
            "smtp://u:hunter2@127.0.0.1?tls=opportunistic",
            "smtps://u:hunter2@mail.example.com?tls=none",
            "smtps://u:hunter2@mail.example.com/?tls=required&tls=none",
            "smtps://u:hunter2@mail.example.com/hello",
            "smtps://hunter2@mail.example.com",
            "smtps://:hunter2@mail.example.com",
            "smtps://u:hunter2@",
            "https://u:hunter2@mail.example.com",
            "mail.example.com hunter2",
            "smtp://127.0.0.1.example.com",
        ] {
            let wrong = smtp(bad).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }

    #[test]
    fn user_and_password_may_hold_anything() {
        let login =
            smtp("smtps://lockstep%40example.com:p%40ss%3Aw%2Frd@mail.example.com").unwrap().login.unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.expose_secret()),
            ("lockstep@example.com", "p@ss:w/rd")
        );
        assert!(smtp("smtps://u:%ff@mail.example.com").is_err());
        assert!(smtp("smtps://mail.example.com").unwrap().login.is_none());
    }

    #[test]
    fn recipients_are_addresses_and_not_too_many() {
        assert_eq!(recipients("Ops <ops@example.com>, soc@example.com").unwrap().len(), 2);
        for bad in ["", "ops@example.com,", "ops", "ops@example.com soc@example.com", "ö@example.com"] {
            let wrong = recipients(bad).unwrap_err();
            assert!(!format!("{wrong:?}").contains("soc@"), "{wrong:?}");
        }
        assert!(recipients(&vec!["ops@example.com"; RECIPIENTS_MAX + 1].join(",")).is_err());
    }
}
