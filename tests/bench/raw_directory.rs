//! What a role costs at least: the very requests that were needed for one, one after the other and with nothing in
//! between, and three durable appends (the notification, the person, the decision).

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use lockstep_twin::{Entry, Twin, Vendor};

use crate::connection::Connection;
use crate::load;
use crate::raw_file;
use crate::raw_reaction;
use crate::requests;

const REPETITIONS: usize = 250;
const APPENDS: usize = 3;

/// The conversation of one change, again and again. It ends with the write, which Auth0 takes twice as once.
pub async fn measure(file: &Path, twin: &Twin, asked: &[Entry]) -> anyhow::Result<Histogram<u64>> {
    let bytes = requests::envelope(twin.setup())?;
    let mut file = File::create(file)?;
    let urls = twin.urls();
    let mut graph = Connection::open(address(&urls.graph_url)?).await?;
    let mut auth0 = Connection::open(address(&urls.auth0_url)?).await?;
    let (graph_token, auth0_token) = (graph_token(twin).await?, raw_reaction::token(twin).await?);
    let mut conversation = Vec::new();
    for entry in those_that_count(asked) {
        let (host, token) = match entry.vendor {
            Vendor::Auth0 => (twin.setup().auth0_domain.as_str(), &auth0_token),
            _ => ("graph.microsoft.com", &graph_token),
        };
        conversation.push((entry.vendor, request(entry, host, token)));
    }
    let mut waits = load::new_histogram()?;
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        for _ in 0..APPENDS {
            raw_file::append_once(&mut file, &bytes)?;
        }
        let mut last = start.elapsed();
        for (vendor, request) in &conversation {
            let sent = Instant::now();
            let connection = if *vendor == Vendor::Auth0 { &mut auth0 } else { &mut graph };
            let status = connection.exchange(request).await?;
            ensure!((200..300).contains(&status), "the twin answered {status}");
            last = sent.elapsed();
        }
        // Ours ends when Auth0 sees the last request: half a round trip of it less.
        load::record(&mut waits, start.elapsed() - last / 2);
    }
    Ok(waits)
}

/// The conversation in a line, each request with the milliseconds that had passed since the change.
pub fn words(asked: &[Entry], changed: Instant) -> String {
    let word = |entry: &Entry| {
        let passed = entry.at.saturating_duration_since(changed).as_secs_f64() * 1000.0;
        format!("{} {passed:.1}", entry.route)
    };
    those_that_count(asked).map(word).collect::<Vec<_>>().join(", ")
}

/// Tokens are fetched once an hour, and what is in a batch comes with it.
fn those_that_count(asked: &[Entry]) -> impl Iterator<Item = &Entry> {
    let counts = |entry: &&Entry| {
        matches!(entry.vendor, Vendor::Graph | Vendor::Auth0)
            && !entry.in_batch
            && !entry.route.contains("/token")
    };
    asked.iter().filter(counts)
}

fn request(entry: &Entry, host: &str, token: &str) -> Vec<u8> {
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        entry.method,
        entry.path,
        entry.body.len()
    );
    [head.as_bytes(), &entry.body].concat()
}

async fn graph_token(twin: &Twin) -> anyhow::Result<String> {
    let setup = twin.setup();
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &setup.entra_client_id),
        ("client_secret", &setup.entra_client_secret),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let url = format!("{}/{}/oauth2/v2.0/token", twin.urls().login_url, setup.tenant_id);
    let answer: serde_json::Value =
        reqwest::Client::new().post(url).form(&fields).send().await?.json().await?;
    Ok(answer["access_token"].as_str().context("the twin gives no token")?.to_owned())
}

fn address(url: &str) -> anyhow::Result<SocketAddr> {
    url.trim_start_matches("http://").parse().with_context(|| format!("{url} is no address"))
}
