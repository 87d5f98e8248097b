//! What a store promises to tasks: notes for their next run, and leases between processes.

use lockstep::clock::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::{Bench, morning};

fn later(minutes: i64) -> Timestamp {
    morning() + SignedDuration::from_mins(minutes)
}

pub(super) async fn a_note_holds_until_it_is_taken_away_also_after_a_restart(bench: &Bench) {
    let store = bench.open().await;
    assert_eq!(store.note("delta/users").await.unwrap(), None);
    store.set_note("delta/users", Some("https://graph \u{2713} '1'".into())).await.unwrap();
    store.set_note("empty", Some(String::new())).await.unwrap();
    drop(store);
    let store = bench.open().await;
    assert_eq!(store.note("delta/users").await.unwrap().as_deref(), Some("https://graph \u{2713} '1'"));
    assert_eq!(store.note("empty").await.unwrap().as_deref(), Some(""));
    store.set_note("delta/users", Some("2".into())).await.unwrap();
    assert_eq!(store.note("delta/users").await.unwrap().as_deref(), Some("2"));
    store.set_note("delta/users", None).await.unwrap();
    store.set_note("delta/users", None).await.unwrap();
    assert_eq!(store.note("delta/users").await.unwrap(), None);
}

pub(super) async fn notes_are_set_together(bench: &Bench) {
    let store = bench.open().await;
    store.set_note("old", Some("1".into())).await.unwrap();
    let notes = [("a", Some("1")), ("b", Some("2")), ("old", None), ("a", Some("3"))];
    let notes = notes.map(|(name, text)| (name.to_owned(), text.map(str::to_owned)));
    store.set_notes(notes.into()).await.unwrap();
    store.set_notes(vec![]).await.unwrap();
    let note = async |name| store.note(name).await.unwrap();
    assert_eq!(note("a").await.as_deref(), Some("3"), "the later one holds");
    assert_eq!(note("b").await.as_deref(), Some("2"));
    assert_eq!(note("old").await, None);
}

pub(super) async fn a_lease_is_its_holders_until_it_ends_or_is_let_go(bench: &Bench) {
    let store = bench.open().await;
    let take =
        async |holder, now, until| store.take_lease("sweep", holder, later(now), later(until)).await.unwrap();
    assert!(take("one", 0, 10).await, "free");
    assert!(!take("two", 5, 15).await, "held");
    assert!(take("one", 5, 12).await, "renewed");
    assert!(!take("two", 11, 21).await, "held for longer now");
    assert!(take("two", 12, 22).await, "expired");
    assert!(!take("one", 13, 23).await, "the former holder comes too late");
    assert!(store.take_lease("renewals", "one", later(13), later(23)).await.unwrap(), "another lease");

    store.drop_lease("sweep", "one").await.unwrap();
    assert!(!take("one", 14, 24).await, "only the holder lets go");
    store.drop_lease("sweep", "two").await.unwrap();
    store.drop_lease("sweep", "two").await.unwrap();
    assert!(take("one", 14, 24).await);
    let again = bench.open().await;
    assert!(!again.take_lease("sweep", "two", later(20), later(30)).await.unwrap(), "held on disk");
}

/// Two openings of one store stand for two processes: they share nothing but what is stored.
pub(super) async fn of_many_who_try_for_a_lease_one_gets_it(bench: &Bench) {
    let stores = [bench.open().await, bench.open().await];
    for round in 0..20 {
        let (now, until) = (later(10 * round), later(10 * (round + 1)));
        let mut racing = JoinSet::new();
        for n in 0..8 {
            let store = stores[n % 2].clone();
            racing.spawn(async move {
                let holder = format!("process {n}");
                let taken = store.take_lease("sweep", &holder, now, until).await.unwrap();
                taken.then_some(holder)
            });
        }
        let winners: Vec<String> = racing.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        for store in &stores {
            assert!(!store.take_lease("sweep", "a latecomer", now, until).await.unwrap());
            assert!(store.take_lease("sweep", &winners[0], now, until).await.unwrap());
        }
    }
}
