//! What the tests of this folder share: a store, the twin's Slack, a clock that is moved by hand, and the outbox.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep::case::{
    AccountId, AccountProgress, BlockProgress, Case, CaseId, CaseState, Means, Reason, Response,
};
use lockstep::clock::{self, Clock, SystemClock, Timestamp};
use lockstep::event::{EventId, ObjectId, RiskEvidence, RiskLevel, RiskState, Source, Subject, TenantId};
use lockstep::notify::{Notifier, Settings, connect, slack};
use lockstep::outbound;
use lockstep::store::sqlite::Sqlite;
use lockstep::store::{self, Notice, Owed, SaveCase, Store, Topic};
use lockstep::telemetry::Metrics;
use lockstep::worker::notices::{self, Deps, Poke};
use lockstep_twin::world::Message;
use lockstep_twin::{Setup, Twin, Vendor};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longer than anything here takes on a busy machine; reached only by a test that fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// Moves only when told to. Starts at the real time, for the twin dates its messages by that.
#[derive(Debug)]
pub struct HandClock(Mutex<Timestamp>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl HandClock {
    fn new() -> Arc<HandClock> {
        Arc::new(HandClock(Mutex::new(SystemClock.now())))
    }

    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = clock::after(*now, by);
    }
}

/// Everything between a saved case and a message in Slack.
pub struct Desk {
    pub twin: Twin,
    pub store: Arc<dyn Store>,
    pub clock: Arc<HandClock>,
    pub poke: Poke,
    pub metrics: Arc<Metrics>,
    settings: Settings,
    _dir: tempfile::TempDir,
}

/// A running outbox; dropping it kills it where it stands.
pub struct Running {
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Running {
    /// An orderly end.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, &mut self.task).await.expect("the outbox ends").unwrap();
    }

    /// What SIGKILL does: nothing is finished.
    pub async fn kill(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    /// With a bot token.
    pub async fn bot() -> Desk {
        Desk::bot_at(Setup::default()).await
    }

    pub async fn bot_at(setup: Setup) -> Desk {
        let twin = Twin::start(setup).await;
        let settings = slack::Settings::Bot {
            token: twin.setup().slack_bot_token.clone().into(),
            channel: twin.setup().slack_channel.clone(),
            api_url: twin.urls().slack_api_url.parse().unwrap(),
        };
        Desk::with(twin, settings)
    }

    pub async fn webhook() -> Desk {
        let twin = Twin::start(Setup::default()).await;
        let settings = slack::Settings::Webhook { url: twin.urls().slack_webhook_url.into() };
        Desk::with(twin, settings)
    }

    pub fn with(twin: Twin, slack: slack::Settings) -> Desk {
        Desk::telling(twin, Settings { slack: Some(slack) })
    }

    /// On the channel that the settings name.
    pub fn telling(twin: Twin, settings: Settings) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&store::sqlite::Settings { file: dir.path().join("lockstep.db") }).unwrap();
        Desk {
            twin,
            store: Arc::new(store),
            clock: HandClock::new(),
            poke: Poke::default(),
            metrics: Metrics::new(),
            settings,
            _dir: dir,
        }
    }

    /// The same desk, set up for another way of telling.
    pub fn set_up(&mut self, slack: slack::Settings) {
        self.settings = Settings { slack: Some(slack) };
    }

    pub fn notifier(&self) -> Arc<dyn Notifier> {
        let deps = outbound::Deps { clock: self.clock.clone(), metrics: self.metrics.clone() };
        connect(&self.settings, &deps).unwrap().remove(0)
    }

    fn channel(&self) -> &'static str {
        self.notifier().channel()
    }

    pub fn start(&self) -> Running {
        let shutdown = CancellationToken::new();
        let deps = Deps {
            store: self.store.clone(),
            notifier: self.notifier(),
            clock: self.clock.clone(),
            poke: self.poke.clone(),
        };
        Running { task: tokio::spawn(notices::run(deps, shutdown.clone())), shutdown }
    }

    /// Saves the case and what is owed for it, as the worker does.
    pub async fn save(&self, case: &Case) {
        let owed = Owed {
            topic: Topic::Case(case.id),
            channel: self.channel().into(),
            version: case.version,
            text: None,
            due_at: self.clock.now(),
        };
        let save = SaveCase { case: case.clone(), audit: vec![], owed: vec![owed], links: vec![] };
        self.store.save_case(save).await.unwrap();
        self.poke.poke();
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.poke.poke();
    }

    /// What is owed and not delivered, due or not.
    pub async fn owed(&self) -> Vec<Notice> {
        self.store
            .due_notices(
                self.channel(),
                clock::after(self.clock.now(), Duration::from_secs(1_000_000)),
                1_000,
            )
            .await
            .unwrap()
    }

    /// Whether anything would be tried `seconds` from now.
    pub async fn is_due_in(&self, seconds: u64) -> bool {
        let then = clock::after(self.clock.now(), Duration::from_secs(seconds));
        !self.store.due_notices(self.channel(), then, 1).await.unwrap().is_empty()
    }

    pub async fn until_all_told(&self) {
        until("everything owed is told", || async { self.owed().await.is_empty() }).await;
    }

    /// Until an attempt has failed and this is written down.
    pub async fn until_failed(&self) {
        until("an attempt has failed", || async { self.owed().await.iter().any(|n| n.attempts > 0) }).await;
    }

    pub fn messages(&self) -> Vec<Message> {
        self.twin.world().slack_messages(&self.twin.setup().slack_channel)
    }

    /// The headline of every version of the only message.
    pub fn history_of_the_one(&self) -> Vec<String> {
        let messages = self.messages();
        assert_eq!(messages.len(), 1, "one message per case: {:#?}", self.headlines());
        messages[0].versions.iter().map(|version| version.text.clone()).collect()
    }

    /// What every message says now.
    pub fn headlines(&self) -> Vec<String> {
        self.messages().iter().map(|message| message.text().to_owned()).collect()
    }

    pub fn requests(&self, method: &str) -> u64 {
        let verb = if method == "conversations.history" { "GET" } else { "POST" };
        self.twin.journal().count(Vendor::Slack, &format!("{verb} /api/{method}"))
    }

    /// Nothing was sent that Slack would have frowned at.
    pub fn assert_no_complaints(&self) {
        let complaints = self.twin.journal().complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

/// Looks until `wanted`, at most [`DEADLINE`].
pub async fn until<F: Future<Output = bool>>(what: &str, wanted: impl Fn() -> F) {
    let looking = async {
        while !wanted().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// A case just opened for the `n`th person.
pub fn requested(n: u128, now: Timestamp) -> Case {
    let event = EventId(Uuid::from_u128(n));
    let progress = AccountProgress::wanted(Response::Contain);
    Case {
        id: CaseId::opened_by(event),
        version: 1,
        subject: Subject { tenant: TenantId(Uuid::from_u128(1)), object: ObjectId(Uuid::from_u128(n)) },
        display_name: Some(format!("Person {n}")),
        state: CaseState::Requested,
        reason: Reason::Risk(RiskEvidence {
            level: RiskLevel::High,
            state: RiskState::AtRisk,
            detection: None,
            detected_at: None,
        }),
        source: Source::Risk,
        response: Response::Contain,
        restraint: None,
        accounts: BTreeMap::from([(AccountId::read(&format!("auth0|{n}")).unwrap(), progress)]),
        open: vec![],
        event,
        signal_at: None,
        received_at: now,
        opened_at: now,
        accepted_at: None,
        verified_at: None,
        released_at: None,
        causes: Vec::new(),
        released_because: None,
        released_as_of: None,
        released_by: None,
        escalated_at: None,
        renewed_at: None,
        deletion: None,
        verify_by: clock::after(now, Duration::from_secs(120)),
        exposed_until: None,
    }
}

pub fn accepted(case: &Case) -> Case {
    let mut next = Case { version: case.version + 1, state: CaseState::Accepted, ..case.clone() };
    next.accepted_at = Some(next.received_at);
    for progress in next.accounts.values_mut() {
        (progress.block, progress.ended_by) = (BlockProgress::Ours, Some(Means::RevokeAccess));
        progress.open = vec!["2 sessions".into()];
    }
    next
}

pub fn verified(case: &Case) -> Case {
    let mut next = Case { version: case.version + 1, state: CaseState::Verified, ..accepted(case) };
    next.verified_at = Some(clock::after(next.received_at, Duration::from_millis(4_200)));
    next.accounts.values_mut().for_each(|progress| progress.open.clear());
    next
}

pub fn released(case: &Case) -> Case {
    Case {
        version: case.version + 1,
        state: CaseState::Released,
        released_at: Some(case.received_at),
        released_because: Some("risk dismissed in Entra".into()),
        ..case.clone()
    }
}
