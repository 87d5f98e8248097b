//! What the outbox writes to the log: a trouble once, and nobody's name.

use std::io::Write;
use std::sync::{Arc, Mutex};

use lockstep::clock::Clock;
use lockstep::notify::slack::Settings;
use tracing_subscriber::fmt::MakeWriter;

use super::desk::{Desk, requested, until, verified};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// One thread, so that everything the outbox does is seen by this test's subscriber.
#[tokio::test]
async fn a_lasting_trouble_is_one_line_and_its_end_another_without_anybodys_name() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _second = crate::harness::second_subscriber();
    let _seen = tracing::subscriber::set_default(subscriber);
    let mut desk = Desk::bot().await;
    desk.set_up(Settings::Bot {
        token: desk.twin.setup().slack_bot_token.clone().into(),
        channel: "C0NOTYET001".into(),
        api_url: desk.twin.urls().slack_api_url.parse().unwrap(),
    });
    let running = desk.start();
    for n in 1..=3 {
        let mut case = requested(n, desk.clock.now());
        case.display_name = Some("Adele Vance".into());
        desk.save(&case).await;
        desk.save(&verified(&case)).await;
    }
    for attempts in 1..=3 {
        until("every case has failed once more", || async {
            desk.owed().await.iter().all(|notice| notice.attempts >= attempts)
        })
        .await;
        desk.advance(300);
    }
    desk.twin.world().add_slack_channel("C0NOTYET001", "new");
    until("all is told", || async {
        desk.advance(300);
        desk.owed().await.is_empty()
    })
    .await;
    running.stop().await;
    let lines = log.lines();
    let about = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
    assert_eq!(about("people cannot be told"), 1, "{lines:#?}");
    assert_eq!(about("people can be told again"), 1, "{lines:#?}");
    assert_eq!(about("channel_not_found"), 1, "{lines:#?}");
    assert_eq!(about("Adele") + about("xoxb"), 0, "{lines:#?}");
}
