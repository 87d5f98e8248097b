//! What a reaction costs at least: two durable appends (the event, the case) and three requests to Auth0 (search,
//! read, block), one after the other and with nothing in between.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use lockstep_twin::{Hire, Setup, Twin};
use serde_json::json;

use crate::connection::Connection;
use crate::load;
use crate::raw_file;
use crate::requests;

const REPETITIONS: usize = 250;

/// The same conversation again and again, with a twin of its own that does not throttle.
pub async fn measure(file: &Path) -> anyhow::Result<Histogram<u64>> {
    let twin = Twin::start(Setup::unlimited()).await;
    let bytes = requests::envelope(twin.setup())?;
    let mut file = File::create(file)?;
    let auth0: SocketAddr = twin.urls().auth0_url.trim_start_matches("http://").parse()?;
    let [search, read, block] = conversation(&twin).await?;
    let mut connection = Connection::open(auth0).await?;
    let mut waits = load::new_histogram()?;
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        raw_file::append_once(&mut file, &bytes)?;
        for request in [&search, &read] {
            expect_ok(connection.exchange(request).await?)?;
        }
        raw_file::append_once(&mut file, &bytes)?;
        let sent = start.elapsed();
        let block_sent = Instant::now();
        expect_ok(connection.exchange(&block).await?)?;
        // Ours ends when Auth0 sees the request: half a round trip of this one.
        load::record(&mut waits, sent + block_sent.elapsed() / 2);
    }
    Ok(waits)
}

async fn conversation(twin: &Twin) -> anyhow::Result<[Vec<u8>; 3]> {
    let account = {
        let mut world = twin.world();
        let person = world.hire(Hire::named("Raw Person"));
        world.accounts_of(person).remove(0).replace('|', "%7C")
    };
    let token = token(twin).await?;
    let request = |method: &str, path: &str, body: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            twin.setup().auth0_domain,
            body.len()
        )
        .into_bytes()
    };
    Ok([
        request("GET", &format!("/api/v2/users/{account}?fields=user_id&include_fields=true"), ""),
        request("GET", &format!("/api/v2/users/{account}"), ""),
        request("PATCH", &format!("/api/v2/users/{account}"), r#"{"blocked":true}"#),
    ])
}

/// A token of the Management API.
pub async fn token(twin: &Twin) -> anyhow::Result<String> {
    let setup = twin.setup();
    let fields = json!({
        "grant_type": "client_credentials",
        "client_id": setup.auth0_client_id,
        "client_secret": setup.auth0_client_secret,
        "audience": setup.auth0_audience(),
    });
    let url = format!("{}/oauth/token", twin.urls().auth0_url);
    let answer: serde_json::Value =
        reqwest::Client::new().post(url).json(&fields).send().await?.json().await?;
    Ok(answer["access_token"].as_str().context("the twin gives no token")?.to_owned())
}

fn expect_ok(status: u16) -> anyhow::Result<()> {
    ensure!(status == 200, "the twin answered {status}");
    Ok(())
}
