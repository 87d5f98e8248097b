//! Mail and tickets beside Slack, as the policy says; none of them waits for another.

use std::process::Stdio;

use lockstep::case::CaseState;
use lockstep_twin::{MailDoor, Setup, Vendor};

use crate::harness::{Backend, Stage};

impl Stage {
    /// Sets up mail and tickets too.
    fn tells_everywhere(&mut self) {
        self.env.extend(self.twin.env_to_tell());
    }

    /// First lines of all mails.
    fn letters(&self) -> Vec<String> {
        self.twin.world().letters().iter().map(|letter| letter.headline().to_owned()).collect()
    }

    fn hooks(&self) -> Vec<String> {
        self.twin.world().hooks().iter().map(|hook| hook.kind().to_owned()).collect()
    }

    /// One lockout and its mail, by a process that is given the mail server's certificate to trust: the variable that names
    /// it is the process's.
    async fn mails_a_lockout_through_the_door(&mut self) {
        self.tells_everywhere();
        let file = self.dir.path().join("mail-server.pem");
        std::fs::write(&file, self.twin.mail_certificate_pem()).unwrap();
        self.set_env("SSL_CERT_FILE", file.to_str().unwrap());
        self.be_reachable();
        let mut program = self.spawn(Stdio::null());
        self.until_subscribed().await;
        let (anna, _) = self.at_risk("Anna Berg", "high");
        let sender = self.twin.sender(self.env["LOCKSTEP_PUBLIC_URL"].clone());
        assert_eq!(sender.signed_risk_alert(anna, "high").await.unwrap().status, 202);
        self.until_mailed("verified in").await;
        program.kill().await.unwrap();
        assert_eq!(self.letters().len(), 1, "{:?}", self.letters());
    }

    async fn until_mailed(&self, words: &str) {
        self.until(&format!("a mail says {words:?}"), async || {
            self.letters().iter().any(|line| line.contains(words)).then_some(())
        })
        .await;
    }

    async fn until_ticketed(&self, kind: &str) {
        self.until(&format!("a ticket's webhook says {kind}"), async || {
            self.hooks().iter().any(|one| one == kind).then_some(())
        })
        .await;
    }
}

crate::stories! {
    by_default_a_lockout_is_one_mail_and_a_ticket_that_is_opened_and_closed(stage, Setup::unlimited()) {
        stage.tells_everywhere();
        stage.start().await;
        stage.twin.faults().down(Vendor::Auth0);
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        stage.alert(anna, "high").await;
        stage.until_ticketed("case.requested").await;
        stage.twin.faults().up(Vendor::Auth0);
        stage.until_mailed("verified in").await;
        stage.until_ticketed("case.verified").await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_ticketed("case.released").await;
        stage.until_told("Released").await;
        assert_eq!(stage.letters().len(), 1, "{:?}", stage.letters());
        assert_eq!(stage.hooks(), ["case.requested", "case.verified", "case.released"]);
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    a_mail_server_with_starttls_and_sign_in_gets_the_mail(
        stage, Setup { mail_door: MailDoor::StartTls, ..Setup::unlimited() }
    ) {
        stage.mails_a_lockout_through_the_door().await;
        let said = stage.twin.journal();
        assert_eq!((said.count(Vendor::Mail, "STARTTLS"), said.count(Vendor::Mail, "AUTH")), (1, 1));
        stage.end().await;
    }

    a_mail_server_with_tls_from_the_first_byte_gets_the_mail(
        stage, Setup { mail_door: MailDoor::Implicit, ..Setup::unlimited() }
    ) {
        stage.mails_a_lockout_through_the_door().await;
        let said = stage.twin.journal();
        assert_eq!((said.count(Vendor::Mail, "STARTTLS"), said.count(Vendor::Mail, "AUTH")), (0, 1));
        stage.end().await;
    }

    the_policy_says_what_goes_where_and_is_read_again(stage, Setup::unlimited()) {
        stage.tells_everywhere();
        stage.policy("[notify]\nmail = [\"requested\", \"verified\", \"released\"]\nticket = []\n");
        stage.start().await;
        let (anna, _, _) = stage.contained("Anna Berg").await;
        stage.until_mailed("verified in").await;
        stage.twin.world().dismiss_risk(anna);
        stage.sender().risky_user(anna).await.unwrap();
        stage.until_mailed("Released").await;
        assert!(stage.hooks().is_empty(), "{:?}", stage.hooks());
        let letters = stage.twin.world().letters();
        let threads: Vec<&str> = letters.iter().map(|letter| letter.header("Subject")).collect();
        assert!((2..=3).contains(&letters.len()) && threads.windows(2).all(|two| two[0] == two[1]), "{threads:?}");
        stage.policy("[notify]\nmail = []\nticket = [\"page\", \"verified\"]\n[contain]\nverify_within_seconds = 60\n");
        stage.until("the new policy is followed", async || {
            let name = format!("Ben {}", fastrand::u32(..));
            stage.contained(&name).await;
            stage.until_idle().await;
            (!stage.hooks().is_empty()).then_some(())
        })
        .await;
        stage.end().await;
    }

    a_mail_server_that_is_away_delays_nothing_and_loses_nothing(stage, Setup::unlimited()) {
        stage.tells_everywhere();
        stage.twin.faults().down(Vendor::Mail);
        stage.start().await;
        let (_, account, _) = stage.contained("Anna Berg").await;
        assert!(stage.is_locked_out(&account));
        stage.until_told("verified in").await;
        stage.until_ticketed("case.verified").await;
        assert!(stage.letters().is_empty());
        stage.twin.faults().up(Vendor::Mail);
        stage.until_mailed("verified in").await;
        assert_eq!(stage.letters().len(), 1);
        stage.end().await;
    }

    what_needs_a_person_is_paged_on_every_channel(stage, Setup::unlimited()) {
        stage.tells_everywhere();
        stage.policy("[contain.brake]\ncontainments = 1\nwindow_seconds = 600\n");
        stage.start().await;
        stage.contained("Anna Berg").await;
        let (ben, _) = stage.at_risk("Ben Braked", "high");
        stage.alert(ben, "high").await;
        stage.until_told("The contain brake is on").await;
        stage.until_mailed("The contain brake is on").await;
        stage.until_ticketed("page").await;
        let mail = stage.twin.world().letters().into_iter().find(|mail| mail.headline().contains("brake is on"));
        assert_eq!(mail.unwrap().header("Importance"), "high");
        stage.until_case(ben, CaseState::Verified).await;
        stage.end().await;
    }

    nobody_is_mailed_or_ticketed_who_was_not_set_up(stage, Setup::unlimited()) {
        stage.policy("[notify]\nmail = [\"requested\", \"verified\", \"page\"]\n");
        stage.start().await;
        stage.contained("Anna Berg").await;
        stage.until_told("verified in").await;
        assert_eq!((stage.twin.journal().total(Vendor::Mail), stage.twin.journal().total(Vendor::Ticket)), (0, 0));
        for channel in ["mail", "ticket"] {
            let owed = stage.store().due_notices(channel, lockstep::clock::Timestamp::MAX, 10).await.unwrap();
            assert_eq!(owed, [], "nothing waits for a day when it is set up");
        }
        stage.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tell_each_news_once_on_each_channel() {
    let Some(mut stage) = Stage::set(Backend::RabbitMq, Setup::unlimited()).await else { return };
    stage.tells_everywhere();
    let second = stage.start_two().await;
    let people = ["Ada One", "Ben Two", "Cleo Three", "Dan Four"].map(|name| stage.at_risk(name, "high").0);
    for person in people {
        stage.alert(person, "high").await;
    }
    stage
        .until("all is told", async || {
            let verified = stage.hooks().iter().filter(|kind| *kind == "case.verified").count();
            (verified == people.len() && stage.letters().len() >= people.len()).then_some(())
        })
        .await;
    second.stop().await;
    stage.until_idle().await;
    assert_eq!(stage.letters().len(), people.len(), "{:?}", stage.letters());
    assert!(stage.twin.world().hooks().iter().all(|hook| hook.arrivals == 1));
    stage.end().await;
}
