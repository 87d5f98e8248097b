//! Reads the policy again when its file changes or on SIGHUP. All or nothing: a file with mistakes is refused, said and
//! counted, and the last good policy stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::PolicySource;
use crate::policy::{Mode, Policy};
use crate::telemetry::Metrics;

/// How often the file is looked at. A look is one `stat`.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// When the file was changed, and how long it is; `None` while there is none.
type Mark = Option<(SystemTime, u64)>;

pub(super) struct Reload {
    pub source: PolicySource,
    pub mode: Mode,
    pub publish: watch::Sender<Arc<Policy>>,
    pub metrics: Arc<Metrics>,
}

impl Reload {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::error!("SIGHUP cannot be listened for; the policy is not read again");
            return;
        };
        let path = self.source.path().to_owned();
        let mut read = mark(path.clone()).await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = hangup.recv() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if mark(path.clone()).await == read {
                        continue;
                    }
                }
            }
            read = mark(path.clone()).await;
            self.read_again().await;
        }
    }

    async fn read_again(&self) {
        let source = self.source.clone();
        let result = tokio::task::spawn_blocking(move || source.read()).await;
        match result {
            Ok(Ok(policy)) => {
                self.metrics.policy_refused(0);
                let policy = Arc::new(Policy { mode: self.mode, ..policy });
                if self.publish.send_if_modified(|held| std::mem::replace(held, policy.clone()) != policy) {
                    tracing::info!("the policy was read again and holds from now on");
                }
            }
            Ok(Err(mistakes)) => {
                self.metrics.policy_refused(1);
                tracing::error!("the policy file was refused, the last good policy stays:\n{mistakes}");
            }
            Err(error) => tracing::error!("reading the policy ended badly: {error}"),
        }
    }
}

async fn mark(path: PathBuf) -> Mark {
    let about = tokio::fs::metadata(path).await.ok()?;
    Some((about.modified().ok()?, about.len()))
}
