//! Accounts that share only the e-mail address: shown to a person, never touched.

use lockstep::case::look_alikes::LookAlikes;
use lockstep::case::{Case, CaseState};
use lockstep_twin::{AccountSeed, Fault, Hire, Match, PersonId, Setup, Times, Vendor};

use super::verbs::{BLOCK, REVOKE};
use crate::harness::Stage;

const BY_EMAIL: &str = "GET /api/v2/users-by-email";

impl Stage {
    /// An account of nobody's with this address.
    fn with_address(&self, user_id: &str, email: &str) {
        let (user_id, email) = (user_id.to_owned(), Some(email.to_owned()));
        self.twin.world().add_account_raw(AccountSeed { user_id, email, ..AccountSeed::default() });
    }

    async fn until_looked_for(&self, person: PersonId) -> (Case, LookAlikes) {
        self.until("look-alikes were looked for", async || {
            let case = self.cases_of(person).await.into_iter().next()?;
            let found = case.look_alikes.clone()?;
            Some((case, found))
        })
        .await
    }
}

crate::stories! {
    an_account_with_the_same_address_is_shown_and_left_as_it_is(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, account) = stage.at_risk("Anna Berg", "high");
        stage.with_address("auth0|lookalike", "anna.berg@contoso.example");
        stage.with_address("auth0|stranger", "ben.two@contoso.example");
        stage.alert(anna, "high").await;
        let (case, found) = stage.until_looked_for(anna).await;
        assert_eq!((case.state, case.accounts.len()), (CaseState::Verified, 1));
        assert_eq!(found.accounts.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["auth0|lookalike"]);
        let told = stage.until_told("Also has the same address, and was left as it is: auth0|lookalike").await;
        assert!(!told.everything().contains("anna.berg@"), "{}", told.everything());
        let audited = stage.audited("case.look_alike").await;
        assert_eq!(audited.len(), 1);
        assert!(audited[0].sentence.contains("auth0|lookalike"), "{audited:?}");
        assert!(stage.is_locked_out(&account));
        assert!(!stage.is_blocked(&"auth0|lookalike".into()));
        assert_eq!(stage.writes(), 2);
        let all = stage.twin.journal().requests();
        let first = |route: &str| all.iter().position(|entry| entry.route == route).unwrap();
        assert!(first(BY_EMAIL) > first(BLOCK) && first(BY_EMAIL) > first(REVOKE), "nothing waits for it");
        let asked = stage.requests(Vendor::Auth0, BY_EMAIL).len();
        stage.ask_to_contain(anna).await;
        stage.until_idle().await;
        assert_eq!(stage.requests(Vendor::Auth0, BY_EMAIL).len(), asked, "once per case");
        assert_eq!(stage.messages().len(), 1);
        stage.end().await;
    }

    whoever_has_no_account_of_their_own_is_told_of_with_those_who_look_alike(stage, Setup::unlimited()) {
        stage.start().await;
        let hire = Hire { auth0_enterprise: false, ..Hire::named("Anna Berg") };
        let anna = stage.twin.world().hire(hire);
        stage.twin.world().raise_risk(anna, "high", "leakedCredentials");
        stage.with_address("auth0|lookalike", "anna.berg@contoso.example");
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::NotActed).await;
        assert!(case.accounts.is_empty() && case.restraint.is_none());
        stage.until_told("Also has the same address, and was left as it is: auth0|lookalike").await;
        stage.until_told("Nothing to contain").await;
        assert_eq!(stage.audited("case.look_alike").await.len(), 1);
        assert!(!stage.is_blocked(&"auth0|lookalike".into()));
        stage.until_idle().await;
        assert_eq!((stage.writes(), stage.messages().len()), (0, 1));
        stage.end().await;
    }

    with_graph_away_the_address_is_an_accounts(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        stage.with_address("auth0|lookalike", "anna.berg@contoso.example");
        stage.twin.faults().down(Vendor::Graph);
        stage.alert(anna, "high").await;
        let (_, found) = stage.until_looked_for(anna).await;
        assert_eq!(found.accounts.len(), 1);
        stage.twin.faults().up(Vendor::Graph);
        stage.end().await;
    }

    of_very_many_ten_are_shown_and_the_others_counted(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        (0..14).for_each(|n| stage.with_address(&format!("auth0|alike{n:02}"), "anna.berg@contoso.example"));
        stage.alert(anna, "high").await;
        let (_, found) = stage.until_looked_for(anna).await;
        assert_eq!((found.accounts.len(), found.more), (10, 4));
        stage.until_told("11 more accounts have the same address").await;
        assert_eq!(stage.audited("case.look_alike").await.len(), 11);
        stage.end().await;
    }

    a_search_for_them_that_fails_delays_nothing_and_is_left_for_the_next_look(stage, Setup::unlimited()) {
        stage.start().await;
        let (anna, _) = stage.at_risk("Anna Berg", "high");
        stage.with_address("auth0|lookalike", "anna.berg@contoso.example");
        let asking = Match::vendor(Vendor::Auth0).route("users-by-email");
        let failing = stage.twin.faults().inject(asking, Fault::Status(503), Times::Forever);
        stage.alert(anna, "high").await;
        let case = stage.until_case(anna, CaseState::Verified).await;
        assert_eq!(case.look_alikes, None);
        stage.until_idle().await;
        stage.twin.faults().lift(failing);
        stage.ask_to_contain(anna).await;
        let (_, found) = stage.until_looked_for(anna).await;
        assert_eq!(found.accounts.len(), 1);
        stage.end().await;
    }
}
