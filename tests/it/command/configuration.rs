//! Configuration: all mistakes at once with place and suggestion; the example file and the page name every setting.

use lockstep::config::{self, Environment, Roles};

use super::program::{Place, SECRET, of_repository};

#[test]
fn five_mistakes_in_the_file_and_more_around_it_are_reported_at_once() {
    let mut place = Place::complete();
    place
        .set("LOCKSTEP_LISTNE", SECRET)
        .set("LOCKSTEP_MODE", "enforced")
        .set("AUTH0_URL", "http://auth0.example");
    place.set("AUTH0_CLIENT_SECRET", "").set("AUTH0_CLIENT_SECERT", SECRET);
    place.set("LOCKSTEP__CONTAIN__BRAKE__CONTAINMENT", "5").set("RISK_WEBHOOK_SECRET", SECRET);
    place.write(".env", &format!("LOCKSTEP_LOG_FORMAT=jsn # why\nSLACK_BOT_TOKEN={SECRET}\noops {SECRET}\n"));
    place.write(
        "lockstep.toml",
        "[contain]\nrisk_levl = \"high\"\non_disabled = \"block\"\nverify_within_seconds = 2\n\n[protectd]\n\
         [protected]\npeople = [\"ann@example.com\"]\n",
    );
    let ran = place.run(&["serve"]);
    assert_eq!((ran.code, ran.out.as_str()), (78, ""), "{ran:#?}");
    insta::assert_snapshot!(ran.talk, @r#"
    error: this line is neither NAME=value nor a comment
     --> .env:3:1
      |
    3 |  …
      | ^
      |
      = help: write NAME=value, with quotes around a value that holds ` #`

    error: LOCKSTEP_LISTNE: no such setting
     |
     = help: did you mean LOCKSTEP_LISTEN?

    error: LOCKSTEP_LOG_FORMAT: expected json or text
     --> .env:1:21
      |
    1 | LOCKSTEP_LOG_FORMAT=jsn # why
      |                     ^^^
      |
      = help: did you mean json?

    error: RISK_WEBHOOK_SECRET: expected whsec_ followed by base64 of 24 to 64 bytes
     |
     = help: make one with: echo whsec_$(openssl rand -base64 32)

    error: LOCKSTEP_MODE: expected observe or enforce
     |
     = help: did you mean enforce?

    error: AUTH0_CLIENT_SECRET: not set, but needed to sign in to the Management API
     |
     = help: AUTH0_CLIENT_SECERT is set: did you mean AUTH0_CLIENT_SECRET?

    error: AUTH0_URL: only https:// or a loopback address (http://127.0.0.1:…) is accepted

    error: SLACK_BOT_TOKEN: this is no bot token
     --> .env:2:1
      |
    2 | SLACK_BOT_TOKEN= …
      | ^^^^^^^^^^^^^^^^
      |
      = help: it begins with xoxb-: Slack app, OAuth & Permissions

    error: SLACK_CHANNEL: not set, but needed beside a bot token

    error: this is no key of [contain]
     --> lockstep.toml:2:1
      |
    2 | risk_levl = "high"
      | ^^^^^^^^^
      |
      = help: did you mean risk_level?

    error: expected contain, end-sessions, notify or ignore
     --> lockstep.toml:3:15
      |
    3 | on_disabled = "block"
      |               ^^^^^^^

    error: expected a whole number from 5 to 3600
     --> lockstep.toml:4:25
      |
    4 | verify_within_seconds = 2
      |                         ^

    error: this is no key of the policy
     --> lockstep.toml:6:2
      |
    6 | [protectd]
      |  ^^^^^^^^
      |
      = help: did you mean protected?

    error: people are named by Entra object id, never by e-mail
     --> lockstep.toml:8:11
      |
    8 | people = ["ann@example.com"]
      |           ^^^^^^^^^^^^^^^^^
      |
      = help: Entra admin center, Users: the object id on the person's page

    error: LOCKSTEP__CONTAIN__BRAKE__CONTAINMENT: no such key of the policy
     |
     = help: did you mean LOCKSTEP__CONTAIN__BRAKE__CONTAINMENTS?

    15 mistakes in the configuration
    "#);
}

#[test]
fn mistakes_can_be_read_by_a_machine() {
    let mut place = Place::complete();
    place.set("LOCKSTEP_MODE", "on").write("lockstep.toml", "[contian]\n");
    let ran = place.run(&["check", "--json"]);
    assert_eq!(ran.code, 78, "{ran:#?}");
    insta::assert_json_snapshot!(ran.json(), @r#"
    {
      "mistakes": [
        {
          "variable": "LOCKSTEP_MODE",
          "what": "expected observe or enforce"
        },
        {
          "column": 2,
          "file": "lockstep.toml",
          "help": "did you mean contain?",
          "line": 1,
          "what": "this is no key of the policy"
        }
      ],
      "ok": false
    }
    "#);
}

#[test]
fn what_is_needed_depends_on_the_roles() {
    let ran = Place::new().run(&["check"]);
    assert_eq!(ran.code, 78);
    for name in ["ENTRA_TENANT_ID", "ENTRA_CLIENT_SECRET", "AUTH0_DOMAIN", "AUTH0_CLIENT_SECRET"] {
        assert!(ran.talk.contains(&format!("{name}: not set, but needed")), "{}", ran.talk);
    }
    let mut place = Place::new();
    place.set("ENTRA_TENANT_ID", "6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815").set("GRAPH_CLIENT_STATE", SECRET);
    let ran = place.run(&["check", "--only", "ingest"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(place.run(&["check", "--only", "worker"]).code, 78);
}

#[test]
fn a_good_configuration_is_summed_up_without_its_secrets() {
    let mut place = Place::complete();
    place.set("LOCKSTEP_QUEUE_URL", &format!("amqp://lockstep:{SECRET}@rabbit1,rabbit2:5673/prod"));
    place.write("lockstep.toml", "[contain.sources.azure_monitor]\nresponse = \"notify\"\n");
    let ran = place.run(&["check"]);
    assert_eq!((ran.code, ran.talk.as_str()), (0, ""), "{ran:#?}");
    insta::assert_snapshot!(ran.out.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @r#"
    lockstep VERSION (ingest, worker, scheduler)
      tenant     6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815
      policy     lockstep.toml
      protected  0 people, 0 accounts
      queue      RabbitMQ at rabbit1, rabbit2:5673
      store      SQLite in ./data/lockstep.db
      webhooks   /webhooks/graph on 127.0.0.1:0
      admin      127.0.0.1:0
      pace       Graph 120 ResourceUnits/s, Auth0 10 requests/s, at most 40 at once
      directory  not kept in step: the policy only contains
      notified   subscriptions none: LOCKSTEP_PUBLIC_URL is not set, changes are found by sweeps
      sweeps     who was disabled every 15 s, changes every 300 s
      mode       observe
    NOTE: OBSERVE MODE: nothing is written to Auth0; LOCKSTEP_MODE=enforce acts
    NOTE: nobody will be told: neither Slack nor mail nor a ticket address is set
    NOTE: [contain.sources.azure_monitor] has no effect: its webhook is off
    "#);
    let json = place.run(&["check", "--json"]).json();
    assert_eq!((&json["ok"], &json["mode"]), (&true.into(), &"observe".into()), "{json:#}");
    assert_eq!(json["queue"], "RabbitMQ at rabbit1, rabbit2:5673");
    place.set("GRAPH_RESOURCE_UNITS_PER_SECOND", "250").set("AUTH0_REQUESTS_PER_SECOND", "2.5");
    let json = place.run(&["check", "--json"]).json();
    assert_eq!(json["pace"]["graph_resource_units_per_second"], 250, "{json:#}");
    assert_eq!(json["pace"]["auth0_requests_per_second"], 2.5, "{json:#}");
}

#[test]
fn who_is_told_what_is_summed_up_and_halves_are_refused() {
    let mut place = Place::complete();
    place
        .set("SMTP_URL", &format!("smtps://lockstep:{SECRET}@mail.example.com"))
        .set("MAIL_FROM", "l@example.com");
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 78);
    assert!(ran.talk.contains("MAIL_TO: not set, but needed beside SMTP_URL"), "{}", ran.talk);
    place.set("MAIL_TO", "a@example.com, b@example.com").set("TICKET_URL", "http://tickets.example.com/hook");
    place.set("TICKET_WEBHOOK_SECRET", "short");
    let ran = place.run(&["check"]);
    assert!(ran.talk.contains("TICKET_URL: only https:// or a loopback"), "{}", ran.talk);
    assert!(ran.talk.contains("TICKET_WEBHOOK_SECRET: expected whsec_"), "{}", ran.talk);
    let secret = "whsec_dHdpbi10aWNrZXQtd2ViaG9vay1zZWNyZXQtMDA=";
    place
        .set("TICKET_URL", "https://tickets.example.com/hook?sig=topsecret")
        .set("TICKET_WEBHOOK_SECRET", secret);
    place.write("lockstep.toml", "[notify]\nmail = [\"page\", \"verfied\"]\nticket = [\"not_acted\"]\n");
    let ran = place.run(&["check"]);
    assert!(
        ran.talk.contains("did you mean verified?") && ran.talk.contains("did you mean not-acted?"),
        "{}",
        ran.talk
    );
    place.write("lockstep.toml", "[notify]\nmail = [\"page\", \"verified\"]\nticket = []\n");
    let ran = place.run(&["check"]);
    assert_eq!((ran.code, ran.talk.as_str()), (0, ""), "{ran:#?}");
    assert!(ran.out.contains("tells      mail to 2 addresses: verified, page"), "{}", ran.out);
    assert!(ran.out.contains("tells      ticket by webhook: none"), "{}", ran.out);
    assert!(!ran.out.contains("nobody will be told"), "{}", ran.out);
    for hidden in [SECRET, "topsecret", "whsec", "example.com"] {
        assert!(!format!("{ran:?}").contains(hidden), "{hidden}");
    }
}

#[test]
fn event_grid_is_summed_up_like_the_other_webhooks() {
    let example =
        include_str!("../../../.env.example").lines().find_map(|l| l.strip_prefix("EVENT_GRID_SECRET="));
    let mut place = Place::complete();
    place.set("EVENT_GRID_SECRET", example.unwrap()).set("AUTH0_URL", "https://contoso.eu.auth0.com");
    let ran = place.run(&["check"]);
    assert!(ran.out.contains("webhooks   /webhooks/graph, /webhooks/eventgrid on"), "{}", ran.out);
    assert!(ran.out.contains("EVENT_GRID_SECRET is the one of .env.example"), "{}", ran.out);
    // Set by half: the route is not there, and nobody finds out by a 404.
    place.set("GRAPH_CLIENT_STATE", "");
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("webhooks   none on"), "{}", ran.out);
    assert!(ran.out.contains("/webhooks/eventgrid is off: GRAPH_CLIENT_STATE"), "{}", ran.out);
}

#[test]
fn a_secret_may_come_from_a_file() {
    let mut place = Place::complete();
    place.write("secret", &format!("{SECRET}\n")).write("empty", "\n");
    place.set("AUTH0_CLIENT_SECRET", "").set("AUTH0_CLIENT_SECRET_FILE", "secret");
    assert_eq!(place.run(&["check"]).code, 0);

    place.set("ENTRA_CLIENT_SECRET_FILE", "secret");
    place.set("GRAPH_CLIENT_STATE", "").set("GRAPH_CLIENT_STATE_FILE", "nowhere");
    place.set("RISK_WEBHOOK_SECRET_FILE", "secret").set("AZURE_MONITOR_SECRET_FILE", "empty");
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 78);
    for told in [
        "ENTRA_CLIENT_SECRET_FILE: ENTRA_CLIENT_SECRET is set too",
        "GRAPH_CLIENT_STATE_FILE: the file does not exist",
        "RISK_WEBHOOK_SECRET_FILE: expected whsec_",
        "AZURE_MONITOR_SECRET_FILE: the file is empty",
    ] {
        assert!(ran.talk.contains(told), "{told}: {}", ran.talk);
    }
}

#[test]
fn one_trailing_line_break_of_a_secret_file_is_cut_and_no_more() {
    use secrecy::ExposeSecret;
    let place = Place::new();
    place.write("secret", "a b \n\n");
    let path = place.path("secret").display().to_string();
    let mut all: Vec<(String, String)> = example();
    all.retain(|(name, _)| name != "AUTH0_CLIENT_SECRET");
    all.push(("AUTH0_CLIENT_SECRET_FILE".to_owned(), path));
    let config = config::load(&all.into_iter().collect(), &Roles::all()).unwrap();
    assert_eq!(config.work.unwrap().auth0.client_secret.expose_secret(), "a b \n");
}

#[test]
fn two_values_are_taken_while_rotating_and_three_are_not() {
    let with = |value: &str| {
        let mut all = example();
        all.push(("GRAPH_CLIENT_STATE".to_owned(), value.to_owned()));
        config::load(&all.into_iter().collect(), &Roles::all())
    };
    let config = with("0123456789abcdef, fedcba9876543210").unwrap();
    assert_eq!(config.ingest.unwrap().graph_client_states.len(), 2);
    assert!(with("0123456789abcdef,").is_err());
    assert!(with("0123456789abcdef,0123456789abcdef,0123456789abcdef").is_err());
    assert!(with("short").is_err());
}

#[test]
fn variables_of_the_process_win_over_dotenv() {
    let mut place = Place::complete();
    place.write(".env", "LOCKSTEP_MODE=enforce\nLOCKSTEP_CONCURRENCY=5\n");
    assert_eq!(place.run(&["check", "--json"]).json()["mode"], "enforce");
    place.set("LOCKSTEP_MODE", "observe");
    assert_eq!(place.run(&["check", "--json"]).json()["mode"], "observe");
}

#[test]
fn the_admin_listener_is_never_the_public_one() {
    let mut place = Place::complete();
    place.set("LOCKSTEP_LISTEN", "127.0.0.1:8081").set("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:8081");
    assert!(
        place.run(&["check"]).talk.contains("LOCKSTEP_ADMIN_LISTEN: the same address as LOCKSTEP_LISTEN")
    );
}

#[test]
fn the_example_is_a_good_configuration_that_cannot_touch_a_real_tenant() {
    let config = config::load(&example().into_iter().collect(), &Roles::all())
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let work = config.work.unwrap();
    let Some(lockstep::notify::slack::Settings::Bot { api_url, .. }) = &work.notify.slack else {
        panic!("{:?}", work.notify)
    };
    for url in [&work.entra.login_url, &work.entra.graph_url, &work.auth0.url, api_url] {
        assert_eq!(url.host_str(), Some("127.0.0.1"), "{url}");
    }
    assert_eq!(work.worker.mode, lockstep::policy::Mode::Observe);
}

#[tokio::test]
async fn the_example_is_what_the_twin_prints() {
    let example: std::collections::BTreeMap<String, String> = example().into_iter().collect();
    let twin = lockstep_twin::Twin::start(lockstep_twin::Setup::default()).await;
    for (name, value) in twin.env().into_iter().chain(twin.env_to_tell()) {
        let written = example.get(&name).unwrap_or_else(|| panic!("{name} is not in .env.example"));
        assert_eq!(without_port(written), without_port(&value), "{name}");
    }
}

/// The twin of a test gets free ports, the program has fixed ones.
fn without_port(value: &str) -> String {
    match value.split_once("127.0.0.1:") {
        Some((before, after)) => {
            format!("{before}127.0.0.1{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => value.to_owned(),
    }
}

#[test]
fn every_setting_is_in_the_example_and_on_the_page() {
    let (example, page) = (of_repository(".env.example"), of_repository("docs/configuration.md"));
    for name in config::variable_names() {
        let lines = example.lines().map(|line| line.trim_start_matches("# "));
        assert_eq!(lines.filter(|l| l.starts_with(&format!("{name}="))).count(), 1, "{name} in .env.example");
        assert!(page.contains(&format!("\n| `{name}` |")), "{name} in docs/configuration.md");
    }
    for key in config::policy_keys() {
        let source = lockstep::event::Source::ALL.iter().find(|s| key.contains(&format!(".{}.", s.word())));
        let key = source.map_or(key.clone(), |s| key.replace(&format!(".{}.", s.word()), ".NAME."));
        assert!(page.contains(&format!("\n| `{key}` |")), "{key} in docs/configuration.md");
    }
}

#[test]
fn what_the_example_shows_in_comments_is_understood_too() {
    let shown: Vec<(String, String)> = of_repository(".env.example")
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once('='))
        .filter(|(name, _)| config::variable_names().contains(name))
        // The policy file is not there, a bot token excludes an incoming webhook, and a client secret any other proof.
        .filter(|(name, _)| {
            let instead =
                ["ENTRA_CLIENT_CERTIFICATE_FILE", "AZURE_FEDERATED_TOKEN_FILE", "ENTRA_MANAGED_IDENTITY"];
            !["LOCKSTEP_CONFIG", "SLACK_WEBHOOK_URL"].contains(name) && !instead.contains(name)
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(shown.len() > 10, "{shown:?}");
    let all: Environment = example().into_iter().chain(shown).collect();
    config::load(&all, &Roles::all()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
}

fn example() -> Vec<(String, String)> {
    let text = of_repository(".env.example");
    let set = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_token_of_a_connection_that_nobody_names_is_a_mistake() {
    let mut place = Place::complete();
    place.set("AUTH0_SCIM_TOKEN", SECRET).set("AUTH0_CONNECTION", "");
    let ran = place.run(&["serve"]);
    assert_eq!(ran.code, 78, "{ran:#?}");
    let told = "AUTH0_CONNECTION: not set, but needed beside the token of its SCIM endpoint";
    assert!(ran.talk.contains(told) && !ran.talk.contains(SECRET), "{ran:#?}");
}

/// The expressions of docs/mapping.md come to what the page says, with the person and the tables of the page.
#[test]
fn every_example_of_the_mapping_page_is_true() {
    use lockstep::policy::mapping::{Expression, Mapped};
    let page = of_repository("docs/mapping.md");
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("{language}"));
        rest.split("```").next().unwrap().to_owned()
    };
    let place = Place::new();
    place.write("lockstep.toml", &block("toml"));
    let policy = config::read_policy(&place.path("lockstep.toml"), &Environment::default()).unwrap();
    let person: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&block("json")).unwrap();
    let mut tried = 0;
    for line in block("text").lines() {
        let (source, said) = line.split_once(" → ").unwrap_or_else(|| panic!("{line}"));
        let expected = match said {
            "cleared" => Mapped::Clear,
            value => Mapped::Value(serde_json::from_str(value).unwrap()),
        };
        let expression = Expression::compile(source).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(expression.evaluate(&person, &policy.tables), expected, "{line}");
        tried += 1;
    }
    assert!(tried > 15, "only {tried} examples were found");
}

#[test]
fn what_the_policy_will_do_with_the_directory_is_summed_up() {
    let mut place = Place::complete();
    place.set("LOCKSTEP_MODE", "enforce").set("LOCKSTEP_PUBLIC_URL", "https://lockstep.example.com");
    place.set("AUTH0_CONNECTION", "entra").set("AUTH0_SCIM_TOKEN", SECRET);
    place.write(
        "lockstep.toml",
        "[provision]\nmethod = \"scim\"\n[[attributes]]\nto = \"email\"\nfrom = \"mail\"\n\
         [[roles]]\nrole = \"Reader\"\n[[roles]]\nrole = \"Editor\"\n\
         any_of = [\"3f2c1b0a-9d8e-4f7a-8b6c-5d4e3f2a1b0c\"]\n[leavers]\ndelete = \"after-grace\"\n",
    );
    let ran = place.run(&["check"]);
    assert_eq!((ran.code, ran.talk.as_str()), (0, ""), "{ran:#?}");
    for said in [
        "1 attribute, 2 roles, 0 organizations, by 1 group",
        "made by the SCIM endpoint of the enterprise connection",
        "accounts are deleted after 30 days",
        "subscriptions kept: Graph tells of changes as they happen",
        "who was disabled every 15 s, changes every 300 s, everybody every 24 h",
        "NOTE: the role Reader is given to everybody",
        "NOTE: email is written to database accounts only",
        "override single keys, never lists of tables",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    assert_eq!(place.run(&["check", "--json"]).json()["directory"]["roles"], 2);

    place.set("AUTH0_SCIM_TOKEN", "");
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 78);
    assert!(ran.talk.contains("accounts cannot be made by SCIM without AUTH0_SCIM_TOKEN"), "{}", ran.talk);
    assert_eq!(place.run(&["check", "--only", "ingest"]).code, 0, "it makes no accounts");
}
