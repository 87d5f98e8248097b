//! Help that a stranger understands, and usage errors with their own exit code.

use super::program::Place;

const COMMANDS: &[&[&str]] = &[
    &["serve"],
    &["check"],
    &["doctor"],
    &["plan"],
    &["explain"],
    &["contain"],
    &["release"],
    &["cases"],
    &["findings"],
    &["sweep"],
    &["dead"],
    &["audit"],
    &["subscriptions"],
    &["healthcheck"],
];

#[test]
fn the_first_help_lists_every_command_and_every_exit_code() {
    let ran = Place::new().run(&["--help"]);
    assert_eq!((ran.code, ran.talk.as_str()), (0, ""));
    for command in COMMANDS {
        assert!(ran.out.contains(&format!("\n  {}", command[0])), "{}", ran.out);
    }
    for code in [
        "0  done",
        "1  error",
        "2  something",
        "4  containment",
        "64  usage",
        "75  try later",
        "78  configuration",
    ] {
        assert!(ran.out.contains(code), "{code}: {}", ran.out);
    }
}

#[test]
fn every_command_says_its_purpose_what_it_needs_and_an_example() {
    for command in COMMANDS {
        let ran = Place::new().run(&[command, &["--help"][..]].concat());
        assert_eq!(ran.code, 0, "{ran:#?}");
        let first = ran.out.lines().next().unwrap();
        assert!(first.len() > 20 && !first.ends_with('.'), "{first}");
        assert!(ran.out.to_lowercase().contains("need"), "{}", ran.out);
        assert!(ran.out.contains("Example"), "{}", ran.out);
    }
}

#[test]
fn the_version_is_told() {
    let ran = Place::new().run(&["--version"]);
    assert_eq!((ran.code, ran.out.trim()), (0, concat!("lockstep ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_is_64_on_stderr() {
    let case = "case_0192f3c4a5b67c8d9e0f112233445566";
    let wrong: &[&[&str]] = &[
        &[],
        &["contian"],
        &["serve", "--only", "schedular"],
        &["plan"],
        &["plan", "--user", "ann@example.com"],
        &["explain"],
        &["subscriptions"],
        &["contain"],
        &["contain", "not-a-guid", "--reason", "x"],
        &["contain", "00000000-0000-0000-0000-000000000001"],
        &["contain", "00000000-0000-0000-0000-000000000001", "--reason", " "],
        &["contain", "00000000-0000-0000-0000-000000000001", "--reason", "x", "--timeout", "5"],
        &["release", "case_12", "--reason", "x"],
        &["release", case],
        &["cases", case, "--open"],
        &["cases", "--limit", "0"],
        &["findings", "--limit", "0"],
        &["sweep", "--timeout", "5"],
        &["dead"],
        &["dead", "show", "1"],
        &["dead", "replay"],
        &["audit"],
    ];
    for arguments in wrong {
        let ran = Place::new().run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{arguments:?}: {ran:#?}");
        assert!(!ran.talk.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_person_is_never_named_by_e_mail_and_is_told_why() {
    let ran = Place::new().run(&["contain", "ann@example.com", "--reason", "x"]);
    assert_eq!(ran.code, 64);
    assert!(ran.talk.contains("never by e-mail: an address can move to somebody else"), "{}", ran.talk);
}
