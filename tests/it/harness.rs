//! The stage of a story: a twin, a Lockstep put together like the program does it, and what an operator can see.
//!
//! A story runs on every back end ([`stories!`](crate::stories)). At its end the stage stops Lockstep and fails on
//! anything left over: a complaint of the twin, a request that the vendors do not describe or that is not named, an unread
//! dead letter, a broken audit. Waits are for conditions, with a deadline that only a hang reaches; what the conversation was is
//! printed when one is reached.

mod broker;
pub mod named;
pub mod node;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lockstep::app::{self, Running};
use lockstep::audit::Verifier;
use lockstep::case::{Case, CaseState};
use lockstep::config::{self, Environment, Role, Roles};
use lockstep::event::{ObjectId, Subject, TenantId};
use lockstep::store::sqlite::{self, Sqlite};
use lockstep::store::{DeadLetter, Store, WhichCases};
use lockstep_twin::{PersonId, Sender, Setup, Twin};
use tokio::process::{Child, Command};

/// Longer than anything a story waits for, also where Lockstep waits ten seconds before it tries again and the machine is
/// busy; reached only when something hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Looks at the queue in a row that must find nothing: what is on its way from the broker, or was asked for in a lane that
/// had been counted, is seen by the next one.
const IDLE_LOOKS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Embedded,
    RabbitMq,
}

/// How often it is asked who was disabled.
pub const DISABLED_EVERY_SECONDS: &str = "LOCKSTEP__SWEEP__DISABLED_EVERY_SECONDS";

/// A twin and a Lockstep that lives beside it.
pub struct Stage {
    pub twin: Twin,
    pub env: BTreeMap<String, String>,
    pub dir: tempfile::TempDir,
    running: Option<Running>,
    /// Keeps the port of a Lockstep that Graph can reach.
    pub reserved: Option<tokio::net::TcpSocket>,
    /// What exists on the broker for this stage.
    scope: Option<broker::Scope>,
    /// Dead letters that the story means to leave behind.
    pub dead_letters_expected: usize,
    /// Complaints of the twin that the story means to cause.
    pub complaints_expected: usize,
}

impl Stage {
    /// Sets the stage; `None` when the back end is not there, which is said.
    pub async fn set(backend: Backend, setup: Setup) -> Option<Stage> {
        let scope = match backend {
            Backend::Embedded => None,
            Backend::RabbitMq => Some(broker::Scope::shared()?),
        };
        Some(Stage::set_on(scope, setup).await)
    }

    /// Sets the stage on a broker of its own; `None` where no broker can be had.
    pub async fn set_on_private_node(setup: Setup) -> Option<Stage> {
        Some(Stage::set_on(Some(broker::Scope::private()?), setup).await)
    }

    async fn set_on(scope: Option<broker::Scope>, setup: Setup) -> Stage {
        let twin = Twin::start(setup).await;
        let dir = tempfile::tempdir().unwrap();
        let mut env = twin.env();
        let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
        set("LOCKSTEP_DATA_DIR", dir.path().join("data").display().to_string());
        set("LOCKSTEP_CONFIG", dir.path().join("lockstep.toml").display().to_string());
        set("LOCKSTEP_LISTEN", "127.0.0.1:0".into());
        set("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:0".into());
        set("LOCKSTEP_MODE", "enforce".into());
        set("AUTH0_REQUESTS_PER_SECOND", "1000".into());
        set("AUTH0_BURST", "1000".into());
        set("GRAPH_RESOURCE_UNITS_PER_SECOND", "1000".into());
        // A story that is about it asks more often; in the others it would be one request more at any time.
        set(DISABLED_EVERY_SECONDS, "86400".into());
        if let Some(scope) = &scope {
            set("LOCKSTEP_QUEUE_URL", scope.url.clone());
            set("LOCKSTEP_QUEUE_PREFIX", scope.prefix.clone());
        }
        std::fs::write(dir.path().join("lockstep.toml"), "").unwrap();
        let (dead_letters_expected, complaints_expected) = (0, 0);
        Stage {
            twin,
            env,
            dir,
            running: None,
            reserved: None,
            scope,
            dead_letters_expected,
            complaints_expected,
        }
    }

    /// The broker of a stage that has one of its own.
    pub fn node(&self) -> &node::Node {
        self.scope.as_ref().and_then(broker::Scope::node).expect("the story asked for a broker of its own")
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Writes the policy file; a running Lockstep reads it again by itself.
    pub fn policy(&self, toml: &str) {
        std::fs::write(self.dir.path().join("lockstep.toml"), toml).unwrap();
    }

    pub async fn start(&mut self) {
        self.start_as(Roles::all()).await;
    }

    pub async fn start_as(&mut self, roles: Roles) {
        assert!(self.running.is_none(), "Lockstep runs already");
        self.running = Some(start(&self.env, roles).await);
        self.until_ready().await;
    }

    /// Starts two on the same store and broker at the same time; the second one is the story's to stop.
    pub async fn start_two(&mut self) -> Running {
        let beside = self.beside();
        let ((), second) = tokio::join!(self.start(), start(&beside, Roles::all()));
        second
    }

    /// Another one on the same store and broker.
    pub async fn start_beside(&self, roles: Roles) -> Running {
        start(&self.beside(), roles).await
    }

    fn beside(&self) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        env.insert("LOCKSTEP_LISTEN".into(), "127.0.0.1:0".into());
        env
    }

    /// The real program on this stage, where it can be killed. It dies with the test.
    pub fn spawn(&self, talk: Stdio) -> Child {
        Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .arg("serve")
            .env_clear()
            .envs(&self.env)
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(talk)
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts")
    }

    /// Waits until a load balancer would send requests: the listeners listen before the broker is reached.
    async fn until_ready(&self) {
        let url = format!("{}/readyz", self.admin_url());
        self.until("Lockstep is ready", async || {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the story has started Lockstep")
    }

    pub fn public_url(&self) -> String {
        format!("http://{}", self.running().public_addr)
    }

    pub fn admin_url(&self) -> String {
        format!("http://{}", self.running().admin_addr)
    }

    /// The vendors' outgoing side.
    pub fn sender(&self) -> Sender {
        self.twin.sender(self.public_url())
    }

    /// The store, opened beside Lockstep like the command line does.
    pub fn store(&self) -> Arc<dyn Store> {
        let file = self.data_dir().join("lockstep.db");
        Arc::new(Sqlite::open(&sqlite::Settings { file }).unwrap())
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn subject(&self, person: PersonId) -> Subject {
        let tenant = TenantId(self.twin.setup().tenant_id.parse().unwrap());
        Subject { tenant, object: ObjectId(uuid::Uuid::from_str(&person.to_string()).unwrap()) }
    }

    /// Every case of a person, newest first.
    pub async fn cases_of(&self, person: PersonId) -> Vec<Case> {
        let subject = self.subject(person);
        let all = self.store().cases(WhichCases::All, 10_000).await.unwrap();
        all.into_iter().filter(|case| case.subject == subject).collect()
    }

    /// Waits until the newest case of a person is in `state`.
    pub async fn until_case(&self, person: PersonId, state: CaseState) -> Case {
        let what = format!("the case of {person} is {}", state.word());
        self.until(&what, async || {
            self.cases_of(person).await.into_iter().next().filter(|case| case.state == state)
        })
        .await
    }

    /// Waits until the newest case of a person is in `state` and says that something is open, with these words.
    pub async fn until_open(&self, person: PersonId, state: CaseState, words: &str) {
        self.until(&format!("the case of {person} is {} and says {words:?}", state.word()), async || {
            let case = self.cases_of(person).await.into_iter().next().filter(|case| case.state == state)?;
            case.open.iter().any(|open| open.contains(words)).then_some(())
        })
        .await;
    }

    /// Waits for a condition.
    pub async fn until<T>(&self, what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            if tokio::time::Instant::now() > deadline {
                self.print_conversation().await;
                panic!("waited {} s in vain until {what}", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Calls the admin API as the command line does.
    pub async fn admin(
        &self,
        method: reqwest::Method,
        path: &str,
        body: serde_json::Value,
    ) -> (u16, serde_json::Value) {
        let token = std::fs::read_to_string(self.data_dir().join("admin.token")).unwrap();
        let request = reqwest::Client::new()
            .request(method, format!("{}/api/v1{path}", self.admin_url()))
            .bearer_auth(token.trim())
            .json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.store().dead_letters(100).await.unwrap()
    }

    /// Waits until nothing is asked for any more, now or later.
    pub async fn until_idle(&self) {
        self.until("the queue is empty", async || {
            for _ in 0..IDLE_LOOKS {
                self.is_idle().await.then_some(())?;
            }
            Some(())
        })
        .await;
    }

    async fn is_idle(&self) -> bool {
        let (status, depths) = self.admin(reqwest::Method::GET, "/queue", serde_json::Value::Null).await;
        let lanes = depths.as_object().filter(|_| status == 200);
        let empty = lanes.is_some_and(|lanes| lanes.values().all(|lane| lane["events"] == 0));
        // Lockstep does not know what the broker delays for it.
        empty
            && match &self.scope {
                Some(scope) => scope.delayed().await == 0,
                None => true,
            }
    }

    /// Stops Lockstep and fails on anything left over.
    pub async fn end(mut self) {
        self.stop().await;
        let complaints = self.twin.journal().complaints();
        assert_eq!(complaints.len(), self.complaints_expected, "the twin complains: {complaints:#?}");
        crate::contract::assert_kept(&self.twin);
        named::assert_named(&self.twin);
        let dead = self.dead_letters().await;
        assert_eq!(dead.len(), self.dead_letters_expected, "dead letters: {dead:#?}");
        self.verify_audit().await;
    }

    pub async fn verify_audit(&self) -> u64 {
        let store = self.store();
        let (mut verifier, mut after) = (Verifier::default(), 0);
        loop {
            let records = store.records(after, 1000).await.unwrap();
            let Some(last) = records.last() else { break };
            after = last.number;
            for record in &records {
                verifier.take(record.number, &record.entry, &record.hash.0).unwrap();
            }
        }
        verifier.finish(store.audit_head().await.unwrap()).unwrap()
    }

    async fn print_conversation(&self) {
        eprintln!("--- what was asked of the twin");
        for entry in self.twin.journal().requests() {
            eprintln!("{entry:?}");
        }
        eprintln!("--- cases");
        for case in self.store().cases(WhichCases::All, 50).await.unwrap() {
            eprintln!("{case:#?}");
        }
        eprintln!("--- audit");
        for record in self.store().records(0, 200).await.unwrap() {
            eprintln!("{}", String::from_utf8_lossy(&record.entry));
        }
    }
}

async fn start(env: &BTreeMap<String, String>, roles: Roles) -> Running {
    let environment: Environment = env.clone().into_iter().collect();
    let config = config::load(&environment, &roles).unwrap_or_else(|wrong| panic!("{wrong}"));
    app::start(config).await.unwrap()
}

/// With one subscriber in the process, `tracing` decides about a log line by the thread that reaches it first, for
/// ever: a test without a subscriber would switch it off for the test that reads the log. With two it asks each.
pub fn second_subscriber() -> tracing::Dispatch {
    tracing::Dispatch::new(tracing_subscriber::registry())
}

/// Only the worker, or only the door.
pub fn only(role: Role) -> Roles {
    Roles::only([role])
}

/// Tells stories on every back end: `stories! { name(stage) { … } }`. Each gets a stage that is set but not started.
#[macro_export]
macro_rules! stories {
    ($($(#[$about:meta])* $name:ident($stage:ident $(, $setup:expr)?) $story:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            use $crate::harness::{Backend, Stage};

            $(#[$about])*
            async fn story(backend: Backend) {
                #[allow(unused_mut, unused_variables)]
                let setup = lockstep_twin::Setup::default();
                $(let setup = $setup;)?
                #[allow(unused_mut)]
                let Some(mut $stage) = Stage::set(backend, setup).await else { return };
                $story
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                story(Backend::Embedded).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn rabbitmq() {
                story(Backend::RabbitMq).await;
            }
        }
    )*};
}
