//! Settings of this machine: data directory, store, listeners, queue, logs.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::address::{self, QueueUrl};
use super::mistakes::nearest;
use super::reader::{Reader, Wrong};
use super::variables::{self, Kind, Variable};
use super::{Local, Log};
use crate::telemetry::logging::{FILTER, Format};

const DATA_DIR: &str = "./data";
const LISTEN: &str = "0.0.0.0:8080";
const ADMIN_LISTEN: &str = "127.0.0.1:8081";
const PREFIX: &str = "lockstep";
/// Two million waiting events of half a kilobyte: days of a storm, and a disk notices before it is full.
const QUEUE_BYTES: u64 = 1 << 30;
/// A smaller file could not even hold one batch of notifications.
const QUEUE_BYTES_LEAST: u64 = 1 << 20;
const QUEUE_BYTES_MOST: u64 = 1 << 40;

pub fn local(reader: &mut Reader<'_>) -> Option<Local> {
    let data_dir = reader.parsed(variables::DATA_DIR, |text| Ok(PathBuf::from(text)));
    let data_dir = data_dir.unwrap_or_else(|| PathBuf::from(DATA_DIR));
    let file = reader.parsed(variables::DATABASE_URL, |text| address::database(text, &data_dir));
    let file = file.unwrap_or_else(|| address::default_database(&data_dir));
    let server = server(reader, &data_dir)?;
    let store = crate::store::Settings::Sqlite(crate::store::sqlite::Settings { file });
    Some(Local { data_dir, store, server })
}

fn server(reader: &mut Reader<'_>, data_dir: &std::path::Path) -> Option<crate::server::Settings> {
    let listen = or_default(reader, variables::LISTEN, LISTEN, address::listen)?;
    let admin_listen = or_default(reader, variables::ADMIN_LISTEN, ADMIN_LISTEN, address::listen)?;
    if listen == admin_listen && listen.port() != 0 {
        let wrong = Wrong::new(format!("the same address as {}", variables::LISTEN.name));
        let help = "the admin listener is not for the outside: give it an address of its own";
        reader.wrong(variables::ADMIN_LISTEN.name, Kind::Open, wrong.help(help));
    }
    Some(crate::server::Settings { listen, admin_listen, admin_token_file: data_dir.join("admin.token") })
}

pub fn queue(reader: &mut Reader<'_>, local: Option<&Local>) -> Option<crate::queue::Settings> {
    let named = or_default(reader, variables::QUEUE_URL, "embedded:", address::queue);
    let prefix = or_default(reader, variables::QUEUE_PREFIX, PREFIX, prefix);
    let bytes = number(reader, variables::QUEUE_BYTES_MAX, QUEUE_BYTES_LEAST..=QUEUE_BYTES_MOST);
    let backend = match named? {
        QueueUrl::Embedded => crate::queue::Backend::Embedded(crate::queue::embedded::Settings {
            file: local?.data_dir.join("queue.db"),
            bytes_max: bytes.unwrap_or(QUEUE_BYTES),
        }),
        QueueUrl::Brokers(urls) => {
            crate::queue::Backend::RabbitMq(crate::queue::rabbitmq::Settings { urls, prefix: prefix? })
        }
    };
    Some(crate::queue::Settings { backend, in_hand_max: crate::queue::IN_HAND_MAX })
}

pub fn log(reader: &mut Reader<'_>) -> Log {
    let format = reader
        .parsed(variables::LOG_FORMAT, |text| word(text, &[("json", Format::Json), ("text", Format::Text)]));
    let filter = reader.parsed(variables::LOG_FILTER, |text| {
        let read = tracing_subscriber::EnvFilter::builder().parse(text);
        read.map(|_| text.to_owned())
            .map_err(|error| Wrong::new(error.to_string()).help("write it like info,lockstep=debug"))
    });
    Log { format: format.unwrap_or(Format::Text), filter: filter.unwrap_or_else(|| FILTER.to_owned()) }
}

/// `parse` of the variable, or of `default` when it is not set; `None` only when it is wrong.
fn or_default<T>(
    reader: &mut Reader<'_>,
    variable: Variable,
    default: &str,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Option<T> {
    if reader.is_set(variable) { reader.parsed(variable, parse) } else { parse(default).ok() }
}

fn prefix(text: &str) -> Result<String, Wrong> {
    let fits = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new("expected at most 64 letters, digits, dots, dashes"))
    }
}

/// A number within `range`; `None` when it is not set or wrong.
pub fn number<N: FromStr + PartialOrd + std::fmt::Display>(
    reader: &mut Reader<'_>,
    variable: Variable,
    range: RangeInclusive<N>,
) -> Option<N> {
    reader.parsed(variable, |text| match text.parse::<N>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(Wrong::new(format!("expected a number from {} to {}", range.start(), range.end()))),
    })
}

/// One of a few words.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let wrong = Wrong::new(format!("expected {}", super::mistakes::one_of(&names)));
    match nearest(&text.to_ascii_lowercase(), names) {
        Some(meant) => Err(wrong.help(format!("did you mean {meant}?"))),
        None => Err(wrong),
    }
}
