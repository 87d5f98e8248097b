//! The whole story in one process and no account anywhere: Lockstep, as the program puts it together, beside the twin
//! that plays Entra, Auth0 and Slack.
//!
//! `cargo run --release --example demo` plays it and ends; `-- --stay` keeps both running and says what to try.

mod stay;
mod tell;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep::app::{self, Running};
use lockstep::audit::Verifier;
use lockstep::case::{Case, CaseState};
use lockstep::config::{self, Environment, Roles};
use lockstep::store::sqlite::{self, Sqlite};
use lockstep::store::{Store, WhichCases};
use lockstep_twin::{AccountId, Hire, Latency, PersonId, Setup, SignIn, Twin, Vendor};

/// Nothing in the story takes longer; past it something is wrong and the demo says so.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything on the stage.
struct Stage {
    twin: Twin,
    lockstep: Running,
    store: Sqlite,
    env: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

/// The person whom it happens to, and what she holds.
struct Adele {
    person: PersonId,
    accounts: Vec<AccountId>,
    held: Vec<SignIn>,
}

fn main() -> anyhow::Result<()> {
    let stays = std::env::args().skip(1).any(|argument| argument == "--stay");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(play(stays))
}

async fn play(stays: bool) -> anyhow::Result<()> {
    let stage = set_stage().await?;
    let adele = sign_in(&stage);
    let contained = raise_risk(&stage, &adele).await?;
    prove_it(&stage, &adele, &contained)?;
    let released = dismiss_risk(&stage, &adele).await?;
    show_message(&stage).await?;
    show_record(&stage, &released).await?;
    if stays {
        stay::stay(&stage, adele.person).await?;
    }
    stage.lockstep.stop().await;
    tell::end(stays);
    Ok(())
}

/// The vendors answer as quickly as real ones do, and Auth0 deletes after it has said yes.
async fn set_stage() -> anyhow::Result<Stage> {
    let latency =
        Latency { auth0: Duration::from_millis(40), entra: Duration::from_millis(60), ..Latency::default() };
    let setup = Setup { latency, deletion_delay: Duration::from_millis(400), ..Setup::default() };
    let twin = Twin::start(setup).await;
    let dir = tempfile::tempdir()?;
    let mut env = twin.env();
    let data_dir = dir.path().join("data");
    for (name, value) in [
        ("LOCKSTEP_DATA_DIR", data_dir.display().to_string()),
        ("LOCKSTEP_LISTEN", "127.0.0.1:0".to_owned()),
        ("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("LOCKSTEP_MODE", "enforce".to_owned()),
    ] {
        env.insert(name.to_owned(), value);
    }
    let environment: Environment = env.clone().into_iter().collect();
    let config = config::load(&environment, &Roles::all()).map_err(|wrong| anyhow::anyhow!("{wrong}"))?;
    let lockstep = app::start(config).await?;
    let store = Sqlite::open(&sqlite::Settings { file: data_dir.join("lockstep.db") })?;
    tell::opening(lockstep.public_addr, &twin.urls());
    Ok(Stage { twin, lockstep, store, env, _dir: dir })
}

fn sign_in(stage: &Stage) -> Adele {
    let mut world = stage.twin.world();
    let person = world.hire(Hire::named("Adele Vance"));
    world.add_database_account(person);
    let accounts = world.accounts_of(person);
    let held: Vec<SignIn> = accounts.iter().filter_map(|account| world.sign_in(account)).collect();
    tell::scene(
        "Adele works here",
        "She has an enterprise account and a linked database account, and is signed in.",
    );
    for account in &accounts {
        tell::holds(account, world.sessions(account).len(), world.refresh_tokens(account).len());
    }
    Adele { person, accounts, held }
}

async fn raise_risk(stage: &Stage, adele: &Adele) -> anyhow::Result<Case> {
    tell::scene(
        "Her password turns up in a leak",
        "Entra ID Protection says: high risk. A signed alert is on its way.",
    );
    stage.twin.world().raise_risk(adele.person, "high", "leakedCredentials");
    let before = last_seen(&stage.twin);
    let sent = Instant::now();
    let answer = stage.twin.sender(public_url(stage)).signed_risk_alert(adele.person, "high").await?;
    tell::hop(sent.elapsed(), &format!("{} the alert is on disk; the sender can forget it", answer.status));
    ensure!(answer.status == 202, "the alert was answered with {}", answer.status);
    let case = until_case(stage, CaseState::Verified).await?;
    for entry in stage.twin.journal().requests().into_iter().filter(|entry| entry.seq > before) {
        if let Some(words) = tell::in_words(&entry) {
            tell::hop(entry.at.saturating_duration_since(sent), &words);
        }
    }
    tell::hop(sent.elapsed(), "verified: read back until nothing was left");
    tell::times(&case);
    Ok(case)
}

fn prove_it(stage: &Stage, adele: &Adele, case: &Case) -> anyhow::Result<()> {
    tell::scene("Is it true?", "We ask Auth0's side of the world, not Lockstep.");
    let world = stage.twin.world();
    for (account, held) in adele.accounts.iter().zip(&adele.held) {
        ensure!(world.account(account).blocked, "{account} is not blocked");
        ensure!(!world.can_use_session(&held.session), "a session of {account} still works");
        ensure!(!world.can_exchange(&held.refresh_token), "a refresh token of {account} still works");
        tell::locked(account);
    }
    let writes = stage.twin.journal().writes(Vendor::Auth0);
    tell::fact(&format!("{writes} writes for {} accounts, none of them twice", adele.accounts.len()));
    if let Some(until) = case.exposed_until {
        tell::fact(&format!("what cannot be revoked: access tokens already out may live until {until:.0}"));
    }
    Ok(())
}

async fn dismiss_risk(stage: &Stage, adele: &Adele) -> anyhow::Result<Case> {
    tell::scene(
        "The help desk has reset her password",
        "Entra says: dismissed. Lockstep asks Entra itself, then lets go.",
    );
    stage.twin.world().dismiss_risk(adele.person);
    let sent = Instant::now();
    let answer = stage.twin.sender(public_url(stage)).risky_user(adele.person).await?;
    tell::hop(sent.elapsed(), &format!("{} the news is on disk", answer.status));
    let case = until_case(stage, CaseState::Released).await?;
    tell::hop(sent.elapsed(), &format!("released: {}", case.released_because.as_deref().unwrap_or("-")));
    let mut world = stage.twin.world();
    for account in &adele.accounts {
        ensure!(world.sign_in(account).is_some(), "{account} cannot sign in again");
    }
    tell::fact("she can sign in again, with both accounts");
    Ok(case)
}

/// One message, changed in place: requested, verified, released.
async fn show_message(stage: &Stage) -> anyhow::Result<()> {
    let channel = stage.twin.setup().slack_channel.clone();
    let released = stage.twin.wait_until(PATIENCE, |world| {
        world.slack_messages(&channel).first().is_some_and(|message| message.text().starts_with("Released"))
    });
    ensure!(released.await, "Slack was not told of the release");
    let messages = stage.twin.world().slack_messages(&channel);
    ensure!(messages.len() == 1, "{} messages for one case", messages.len());
    tell::scene("What people saw", "One message in Slack, changed in place.");
    for version in &messages[0].versions {
        tell::fact(&version.text);
    }
    Ok(())
}

async fn show_record(stage: &Stage, case: &Case) -> anyhow::Result<()> {
    let records = stage.store.records(0, 1000).await?;
    let mut verifier = Verifier::default();
    for record in &records {
        verifier.take(record.number, &record.entry, &record.hash.0)?;
    }
    let whole = verifier.finish(stage.store.audit_head().await?)?;
    tell::scene("What is on record", &format!("{whole} audit records of {}; the chain is whole.", case.id));
    for record in &records {
        let entry: lockstep::audit::Entry = serde_json::from_slice(&record.entry)?;
        tell::record(record.number, &entry);
    }
    Ok(())
}

async fn until_case(stage: &Stage, state: CaseState) -> anyhow::Result<Case> {
    let look = async {
        loop {
            let newest = stage.store.cases(WhichCases::All, 1).await?.into_iter().next();
            if let Some(case) = newest.filter(|case| case.state == state) {
                return anyhow::Ok(case);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .with_context(|| format!("no case came to be {}", state.word()))?
}

fn public_url(stage: &Stage) -> String {
    format!("http://{}", stage.lockstep.public_addr)
}

fn last_seen(twin: &Twin) -> u64 {
    twin.journal().requests().last().map_or(0, |entry| entry.seq)
}
