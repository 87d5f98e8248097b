//! `subscriptions`: Graph's change notifications, listed, made sure of, removed.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::ask::Consent;
use super::exit::{Exit, Failure};
use super::output::{Output, table};
use super::records;
use super::vendors::work;
use crate::clock::{SharedClock, SystemClock, Timestamp};
use crate::config::{Config, Role, Roles};
use crate::entra::{self, Subscription, SubscriptionId, Subscriptions as Client};
use crate::outbound::{self, Deps};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::worker::scheduler::{
    Done, Kept, Renew, SUBSCRIPTIONS_LEASE, SubscriptionSettings, keep_subscriptions,
};

/// How often it is looked whether a server is still at it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// List, make sure of, or delete the Graph subscriptions of this application
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the environment that a scheduler has, and reaches Entra. A running server keeps its subscriptions by itself;
`ensure` also works in observe mode and while no scheduler runs; where one is at it, it waits.

Examples:
  lockstep subscriptions list
  lockstep subscriptions ensure
  lockstep subscriptions delete 0c7d1f5e-… --yes")]
pub struct Subscriptions {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every subscription of this application, also those of other installations
    List,
    /// Make, renew or replace the subscriptions for users and groups
    Ensure,
    /// Delete one by its id; notifications through it stop at once
    Delete(Delete),
}

#[derive(Debug, Args)]
struct Delete {
    /// The id that `subscriptions list` shows
    id: uuid::Uuid,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    resource: String,
    url: String,
    expires: Timestamp,
    ours: bool,
}

#[derive(Debug, Serialize)]
struct Ensured {
    resource: &'static str,
    id: Option<String>,
    expires: Option<Timestamp>,
    done: String,
}

struct Wiring {
    config: Config,
    client: Client,
    clock: SharedClock,
}

impl Subscriptions {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let wiring = Wiring::of_environment()?;
        match self.command {
            Command::List => wiring.list(output).await,
            Command::Ensure => wiring.ensure(output).await,
            Command::Delete(delete) => wiring.delete(delete, output).await,
        }
    }
}

impl Wiring {
    fn of_environment() -> Result<Wiring, Failure> {
        let config = crate::config::load(&super::environment(), &Roles::only([Role::Scheduler]))?;
        let clock: SharedClock = std::sync::Arc::new(SystemClock);
        let deps = Deps { clock: clock.clone(), metrics: Metrics::new() };
        let client =
            entra::Client::new(&work(&config).entra, &deps).and_then(|client| client.subscriptions());
        let client = client.map_err(Failure::other)?;
        Ok(Wiring { config, client, clock })
    }

    fn url(&self) -> Option<reqwest::Url> {
        let url = self.config.public_url.as_ref()?;
        Some(outbound::address(url, "/webhooks/graph"))
    }

    async fn list(&self, output: &Output) -> Result<Exit, Failure> {
        let ours = self.url();
        let listed = |subscription: Subscription| Listed {
            ours: ours.as_ref().is_some_and(|url| url.as_str() == subscription.notification_url),
            id: subscription.id.to_string(),
            resource: subscription.resource,
            url: subscription.notification_url,
            expires: subscription.expires,
        };
        let all = self.client.list().await.map_err(Failure::other)?;
        let all: Vec<Listed> = all.into_iter().map(listed).collect();
        if all.is_empty() {
            output.say("no subscriptions");
        }
        output.data(&all, || {
            let row = |one: &Listed| {
                let ours = if one.ours { "yes" } else { "no" };
                let expires = format!("{:.0}", one.expires);
                vec![one.id.clone(), one.resource.clone(), expires, ours.to_owned(), one.url.clone()]
            };
            table(&["id", "resource", "expires", "ours", "url"], all.iter().map(row))
        })?;
        Ok(Exit::Done)
    }

    async fn ensure(&self, output: &Output) -> Result<Exit, Failure> {
        let (Some(notification_url), Some(client_state)) = (self.url(), self.config.client_state.clone())
        else {
            let why = "LOCKSTEP_PUBLIC_URL and GRAPH_CLIENT_STATE must be set: where Graph sends to, and with what secret";
            return Err(Failure::Other(anyhow::anyhow!(why)));
        };
        let settings = SubscriptionSettings { client: self.client.clone(), notification_url, client_state };
        let store = records::open(&self.config.local)?;
        let kept = self.keep(&settings, store.as_ref(), output).await?;
        let mut failed = false;
        let ensured: Vec<Ensured> = kept
            .into_iter()
            .map(|one| {
                let done = match one.done {
                    Done::Nothing => "stands".to_owned(),
                    Done::Renewed => "renewed".to_owned(),
                    Done::Made => "made".to_owned(),
                    Done::Later(why) | Done::Failed(why) => {
                        failed = true;
                        format!("failed: {why}")
                    }
                };
                Ensured {
                    resource: one.resource,
                    id: one.id.map(|id| id.to_string()),
                    expires: one.expires,
                    done,
                }
            })
            .collect();
        output.data(&ensured, || {
            let row = |one: &Ensured| {
                let expires = one.expires.map(|at| format!("{at:.0}")).unwrap_or_default();
                vec![one.resource.to_owned(), one.id.clone().unwrap_or_default(), expires, one.done.clone()]
            };
            table(&["resource", "id", "expires", "done"], ensured.iter().map(row))
        })?;
        Ok(if failed { Exit::Error } else { Exit::Done })
    }

    /// Waits while a server is at it, or one that was killed may be.
    async fn keep(
        &self,
        settings: &SubscriptionSettings,
        store: &dyn Store,
        output: &Output,
    ) -> Result<Vec<Kept>, Failure> {
        for attempt in 0..=SUBSCRIPTIONS_LEASE.as_secs() {
            if let Some(kept) = keep_subscriptions(settings, store, &self.clock, Renew::Due).await? {
                return Ok(kept);
            }
            if attempt == 0 {
                output.say("waiting: a server looks after them");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(Failure::TryLater(anyhow::anyhow!(
            "a server looks after the subscriptions, and is slow; try again"
        )))
    }

    async fn delete(&self, delete: Delete, output: &Output) -> Result<Exit, Failure> {
        delete.consent.obtain(&format!("Delete the subscription {}?", delete.id))?;
        match self.client.delete(SubscriptionId(delete.id)).await {
            Ok(()) => output.say("deleted"),
            Err(error) if error.is_gone() => output.say("it is gone already"),
            Err(error) => return Err(Failure::other(error)),
        }
        Ok(Exit::Done)
    }
}
