//! By mail: one thread per case, the same mail again when nobody knows what became of it, and nothing in the clear.

use std::time::Duration;

use lockstep::clock::Clock;
use lockstep::notify::Certainty;
use lockstep::notify::mail::{Login, Tls};
use lockstep::retry::WhatNow;
use lockstep_twin::{Fault, Match, Times, Vendor};

use super::desk::{Desk, accepted, mail_of, released, requested, until, verified};

const REQUESTED: &str = "Lockout requested: 1 account of Person 1";
/// Seconds that a mail may be under way.
const MAIL_ANSWERS_WITHIN: u64 = 70;
const CONTAINED: &str = "Contained: 1 account of Person 1, verified in 4.2 s";

fn headlines(desk: &Desk) -> Vec<String> {
    desk.letters().iter().map(|letter| letter.headline().to_owned()).collect()
}

fn ids(desk: &Desk) -> Vec<String> {
    desk.letters().iter().map(|letter| letter.header("Message-ID").to_owned()).collect()
}

fn on(verb: &str) -> Match {
    Match::vendor(Vendor::Mail).route(verb)
}

#[tokio::test]
async fn a_case_is_one_thread_of_a_mail_for_each_stage() {
    let desk = Desk::mail().await;
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    let (second, third) = (accepted(&case), verified(&accepted(&case)));
    for next in [&case, &second, &third, &released(&third)] {
        desk.save(next).await;
        desk.advance(1);
        desk.until_all_told().await;
    }
    assert_eq!(headlines(&desk), [REQUESTED, CONTAINED, "Released: 1 account of Person 1"]);
    let letters = desk.letters();
    let first = format!("<{}@contoso.example>", case.id);
    assert_eq!(letters[0].header("Message-ID"), first);
    for letter in &letters[1..] {
        assert_eq!((letter.header("In-Reply-To"), letter.header("References")), (&*first, &*first));
    }
    let mut different = ids(&desk);
    different.dedup();
    assert_eq!(different.len(), 3);
    for letter in &letters {
        assert_eq!(letter.header("Subject"), format!("[Lockstep] Person 1 ({})", case.id));
        assert_eq!(letter.to, ["security@contoso.example", "oncall@contoso.example"]);
        assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
        assert!(letter.text.contains(&case.subject.object.to_string()), "{}", letter.text);
    }
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn what_may_have_been_taken_is_sent_again_under_the_same_name() {
    let desk = Desk::mail().await;
    desk.twin.faults().inject(on("DATA"), Fault::LoseReply, Times::N(1));
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    assert_eq!(desk.letters().len(), 1, "it has arrived");
    desk.advance(MAIL_ANSWERS_WITHIN + 1);
    desk.until_all_told().await;
    let ids = ids(&desk);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "mail programs show it once");
    running.stop().await;
}

#[tokio::test]
async fn killed_before_the_answer_it_is_sent_again_under_the_same_name() {
    let desk = Desk::mail().await;
    desk.twin.faults().inject(on("DATA"), Fault::Stall(Duration::from_secs(600)), Times::N(1));
    let first = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    until("the mail was taken", || async { desk.letters().len() == 1 }).await;
    first.kill().await;
    desk.advance(MAIL_ANSWERS_WITHIN + 1);
    let second = desk.start();
    desk.until_all_told().await;
    let ids = ids(&desk);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    second.stop().await;
}

#[tokio::test]
async fn of_two_processes_one_sends_the_mail() {
    let desk = Desk::mail().await;
    let (one, other) = (desk.start(), desk.start());
    for n in 1..=30 {
        desk.save(&requested(n, desk.clock.now())).await;
    }
    desk.until_all_told().await;
    one.stop().await;
    other.stop().await;
    let mut ids = ids(&desk);
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), desk.letters().len()), (30, 30));
}

#[tokio::test]
async fn a_server_that_puts_off_or_is_away_gets_it_later_and_once() {
    let desk = Desk::mail().await;
    desk.twin.faults().inject(on("RCPT"), Fault::Status(451), Times::N(2));
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_failed().await;
    assert!(desk.is_due_in(2).await, "soon");
    desk.twin.faults().down(Vendor::Mail);
    desk.advance(20);
    until("it was tried again", || async { desk.owed().await[0].attempts > 1 }).await;
    desk.twin.faults().up(Vendor::Mail);
    // Still before the deadline of the case.
    desk.advance(80);
    desk.until_all_told().await;
    assert_eq!(headlines(&desk), [REQUESTED]);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn whoever_is_refused_does_not_keep_the_others_from_being_told() {
    let mut desk = Desk::mail().await;
    let mut settings = mail_of(&desk.twin);
    settings.to.insert(0, "nobody@contoso.example".parse().unwrap());
    desk.set_up_mail(settings);
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_all_told().await;
    assert_eq!(desk.letters()[0].to, ["security@contoso.example", "oncall@contoso.example"]);
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn each_answer_of_the_server_has_its_meaning_and_its_words_stay_there() {
    let mut desk = Desk::mail().await;
    for (verb, status, advice) in [
        ("EHLO", 554, "ask whoever runs it"),
        ("MAIL", 550, "check MAIL_FROM"),
        ("RCPT", 550, "check the addresses in MAIL_TO"),
        ("DATA", 554, "ask whoever runs it what it filters"),
    ] {
        let fault = desk.twin.faults().inject(on(verb), Fault::Status(status), Times::Forever);
        let error = desk.refusal().await;
        desk.twin.faults().lift(fault);
        assert_eq!(
            (error.what_now(), error.certainty()),
            (WhatNow::AskHuman, Certainty::NotPosted),
            "{verb}"
        );
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(advice) && shown.contains(&format!("smtp_{status}")), "{shown}");
        assert!(!shown.contains('@') && !shown.contains("the twin says"), "{shown}");
    }
    for verb in ["EHLO", "MAIL", "RCPT", "DATA"] {
        let fault = desk.twin.faults().inject(on(verb), Fault::Status(421), Times::Forever);
        let error = desk.refusal().await;
        desk.twin.faults().lift(fault);
        assert_eq!((error.what_now(), error.certainty()), (WhatNow::BackOff, Certainty::NotPosted), "{verb}");
    }
    for (verb, certainty) in [("RCPT", Certainty::NotPosted), ("DATA", Certainty::Unknown)] {
        desk.twin.faults().inject(on(verb), Fault::LoseReply, Times::N(1));
        let error = desk.refusal().await;
        assert_eq!((error.what_now(), error.certainty()), (WhatNow::BackOff, certainty), "{verb}: {error:?}");
    }
    desk.twin.faults().down(Vendor::Mail);
    let error = desk.refusal().await;
    assert_eq!((error.what_now(), error.certainty()), (WhatNow::BackOff, Certainty::NotPosted));
    let mut settings = mail_of(&desk.twin);
    settings.server.host = "mail.invalid".into();
    desk.set_up_mail(settings);
    assert_eq!(desk.refusal().await.certainty(), Certainty::NotPosted);
}

#[tokio::test]
async fn without_the_tls_that_was_asked_for_nothing_is_said() {
    let mut desk = Desk::mail().await;
    let login = Some(Login { user: "lockstep".into(), password: "hunter2".into() });
    let wired = [
        (Tls::StartTls, None),
        (Tls::Implicit, None),
        (Tls::StartTls, login.clone()),
        (Tls::Implicit, login.clone()),
        // What the server does not offer is not tried: the password would be in the clear.
        (Tls::Loopback, login),
    ];
    for (tls, login) in wired {
        let mut settings = mail_of(&desk.twin);
        (settings.server.tls, settings.server.login) = (tls, login);
        settings.server.host = "localhost".into();
        desk.set_up_mail(settings);
        let error = desk.refusal().await;
        assert_eq!(error.certainty(), Certainty::NotPosted, "{tls:?}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let said: Vec<_> = desk.twin.journal().requests().iter().map(|entry| entry.route).collect();
    assert!(said.iter().all(|verb| ["EHLO", "unmatched"].contains(verb)), "{said:?}");
    assert!(desk.letters().is_empty());
}
