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
use lockstep::notify::mail::{self, Server, Tls};
use lockstep::notify::{Error, Notifier, Settings, connect, slack, text, ticket};
use lockstep::outbound;
use lockstep::store::sqlite::Sqlite;
use lockstep::store::{self, Notice, Owed, SaveCase, Store, Topic};
use lockstep::telemetry::Metrics;
use lockstep::worker::notices::{self, Deps, Poke};
use lockstep_twin::world::{Hook, Letter, Message};
use lockstep_twin::{Setup, Twin, Vendor};
use tokio::task::JoinSet;
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

/// Everything between a saved case and what people read.
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
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Running {
    /// An orderly end.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) =
            tokio::time::timeout(DEADLINE, self.tasks.join_next()).await.expect("the outbox ends")
        {
            ended.unwrap();
        }
    }

    /// What SIGKILL does: nothing is finished.
    pub async fn kill(mut self) {
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            assert!(ended.unwrap_err().is_cancelled());
        }
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
        Desk::telling(twin, Settings { slack: Some(slack), ..Settings::default() })
    }

    /// By mail to two people.
    pub async fn mail() -> Desk {
        let twin = Twin::start(Setup::default()).await;
        let mail = Some(mail_of(&twin));
        Desk::telling(twin, Settings { mail, ..Settings::default() })
    }

    /// By the webhook of a ticket system.
    pub async fn ticket() -> Desk {
        let twin = Twin::start(Setup::default()).await;
        let ticket = Some(ticket_of(&twin));
        Desk::telling(twin, Settings { ticket, ..Settings::default() })
    }

    /// Slack, mail and tickets.
    pub async fn of_every_kind() -> Desk {
        let mut desk = Desk::bot().await;
        desk.settings.mail = Some(mail_of(&desk.twin));
        desk.settings.ticket = Some(ticket_of(&desk.twin));
        desk
    }

    pub fn set_up_mail(&mut self, mail: mail::Settings) {
        self.settings = Settings { mail: Some(mail), ..Settings::default() };
    }

    pub fn set_up_ticket(&mut self, ticket: ticket::Settings) {
        self.settings = Settings { ticket: Some(ticket), ..Settings::default() };
    }

    /// On the channels that the settings name.
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
        self.settings = Settings { slack: Some(slack), ..Settings::default() };
    }

    /// The first of them.
    pub fn notifier(&self) -> Arc<dyn Notifier> {
        self.notifiers().remove(0)
    }

    fn notifiers(&self) -> Vec<Arc<dyn Notifier>> {
        let deps = outbound::Deps { clock: self.clock.clone(), metrics: self.metrics.clone() };
        connect(&self.settings, &deps).unwrap()
    }

    fn channels(&self) -> Vec<&'static str> {
        self.notifiers().iter().map(|notifier| notifier.channel().word()).collect()
    }

    /// An outbox on every channel.
    pub fn start(&self) -> Running {
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for notifier in self.notifiers() {
            let all = self.notifiers().into_iter().map(|notifier| notifier.channel());
            let deps = Deps {
                policy: tokio::sync::watch::channel(Arc::default()).1,
                others: all.filter(|channel| *channel != notifier.channel()).collect(),
                store: self.store.clone(),
                notifier,
                clock: self.clock.clone(),
                poke: self.poke.clone(),
            };
            tasks.spawn(notices::run(deps, shutdown.clone()));
        }
        Running { tasks, shutdown }
    }

    /// Saves the case and what is owed for it, as the worker does.
    pub async fn save(&self, case: &Case) {
        let owed = |channel: &str| Owed {
            topic: Topic::Case(case.id),
            channel: channel.into(),
            version: case.version,
            text: None,
            due_at: self.clock.now(),
        };
        let owed = self.channels().into_iter().map(owed).collect();
        let save = SaveCase { case: case.clone(), audit: vec![], owed, links: vec![] };
        self.store.save_case(save).await.unwrap();
        self.poke.poke();
    }

    /// What comes of one attempt that fails.
    pub async fn refusal(&self) -> Error {
        let case = requested(1, self.clock.now());
        self.notifier().post(&text::case(&case, self.clock.now())).await.unwrap_err()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.poke.poke();
    }

    /// What is owed and not delivered, due or not.
    pub async fn owed(&self) -> Vec<Notice> {
        self.due_within(1_000_000).await
    }

    /// Whether anything would be tried `seconds` from now.
    pub async fn is_due_in(&self, seconds: u64) -> bool {
        !self.due_within(seconds).await.is_empty()
    }

    async fn due_within(&self, seconds: u64) -> Vec<Notice> {
        let then = clock::after(self.clock.now(), Duration::from_secs(seconds));
        let mut due = Vec::new();
        for channel in self.channels() {
            due.extend(self.store.due_notices(channel, then, 1_000).await.unwrap());
        }
        due
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

    /// Every mail that was taken.
    pub fn letters(&self) -> Vec<Letter> {
        self.twin.world().letters()
    }

    /// Every webhook that the ticket system took.
    pub fn hooks(&self) -> Vec<Hook> {
        self.twin.world().hooks()
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

/// Mail at the twin's server, to two people.
pub fn mail_of(twin: &Twin) -> mail::Settings {
    let url: reqwest::Url = twin.urls().smtp_url.parse().unwrap();
    let server =
        Server { host: "127.0.0.1".into(), port: url.port().unwrap(), tls: Tls::Loopback, login: None };
    mail::Settings {
        server,
        from: "Lockstep <lockstep@contoso.example>".parse().unwrap(),
        to: ["security@contoso.example", "On Call <oncall@contoso.example>"]
            .map(|to| to.parse().unwrap())
            .into(),
    }
}

/// The twin's ticket system.
pub fn ticket_of(twin: &Twin) -> ticket::Settings {
    ticket::Settings {
        url: twin.urls().ticket_url.into(),
        secret: twin.setup().ticket_webhook_secret.clone().into(),
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
        entra_sessions: None,
        look_alikes: None,
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
