//! Several channels on one store: none waits for another, and none loses what another has.

use lockstep::clock::Clock;
use lockstep_twin::{Fault, Match, Times, Vendor};

use super::desk::{Desk, requested, until, verified};

#[tokio::test]
async fn each_channel_is_told_and_one_poke_wakes_them_all() {
    let desk = Desk::of_every_kind().await;
    let running = desk.start();
    desk.save(&requested(1, desk.clock.now())).await;
    desk.until_all_told().await;
    assert_eq!((desk.messages().len(), desk.letters().len(), desk.hooks().len()), (1, 1, 1));
    running.stop().await;
    desk.assert_no_complaints();
}

#[tokio::test]
async fn one_that_is_down_neither_delays_nor_loses_anothers() {
    for down in [Vendor::Slack, Vendor::Mail, Vendor::Ticket] {
        let desk = Desk::of_every_kind().await;
        desk.twin.faults().down(down);
        let running = desk.start();
        // More than one channel has in hand at a time, and than the store hands out for it.
        for n in 1..=300 {
            desk.save(&requested(n, desk.clock.now())).await;
        }
        let told = || (desk.messages().len(), desk.letters().len(), desk.hooks().len());
        let wanted = match down {
            Vendor::Slack => (0, 300, 300),
            Vendor::Mail => (300, 0, 300),
            _ => (300, 300, 0),
        };
        until("the others have told all of it", || async { told() == wanted }).await;
        desk.twin.faults().up(down);
        for _ in 0..10 {
            desk.advance(20);
            tokio::task::yield_now().await;
        }
        until("what was owed meanwhile is told", || async {
            desk.advance(1);
            desk.owed().await.is_empty()
        })
        .await;
        assert_eq!(told(), (300, 300, 300), "{down:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn what_one_channel_was_told_is_no_word_about_another() {
    let desk = Desk::of_every_kind().await;
    desk.twin.faults().down(Vendor::Mail);
    let running = desk.start();
    let case = requested(1, desk.clock.now());
    desk.save(&case).await;
    until("Slack and the ticket system know", || async { desk.owed().await.len() == 1 }).await;
    desk.save(&verified(&case)).await;
    desk.advance(1);
    until("and what came of it", || async { desk.owed().await.len() == 1 && desk.hooks().len() == 2 }).await;
    desk.twin.faults().up(Vendor::Mail);
    desk.advance(120);
    desk.until_all_told().await;
    let letters = desk.letters();
    assert_eq!(letters.len(), 1, "only the newest");
    assert!(letters[0].headline().starts_with("Contained"), "{}", letters[0].headline());
    running.stop().await;
}

#[tokio::test]
async fn a_channel_that_refuses_is_told_of_on_the_others_once() {
    let desk = Desk::of_every_kind().await;
    desk.twin.faults().inject(Match::vendor(Vendor::Ticket), Fault::Status(410), Times::Forever);
    let running = desk.start();
    for n in 1..=3 {
        desk.save(&requested(n, desk.clock.now())).await;
    }
    let about = |line: &str| line.starts_with("People cannot be told by ticket: refused with `status_410`");
    until("Slack and mail say so", || async {
        let mails = desk.letters().iter().filter(|mail| about(mail.headline())).count();
        mails == 1 && desk.headlines().iter().filter(|line| about(line)).count() == 1
    })
    .await;
    desk.advance(60);
    until("it was tried again", || async { desk.owed().await.iter().any(|notice| notice.attempts > 1) })
        .await;
    assert_eq!((desk.letters().len(), desk.messages().len()), (4, 4), "three cases and this, once a day");
    assert!(desk.owed().await.iter().all(|notice| notice.channel == "ticket"), "nothing is lost");
    running.stop().await;
}
