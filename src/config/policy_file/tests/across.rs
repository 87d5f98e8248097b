//! What is wrong across lines.

use super::{mistakes, read, source};

#[test]
fn what_is_wrong_across_lines_is_found_with_the_rest() {
    let told = mistakes(
        r#"
[[attributes]]
to = "app_metadata.country"
from = "tables.countries[usageLocation]"
[[attributes]]
to = "app_metadata.country"
from = "country or tables['cuontry'][usageLocation]"
[tables.country]
DE = "Germany"
[mfa]
metadata_key = "country"
[[roles]]
role = "Admin"
any_of = ["00000000-0000-0000-0000-00000000000A"]
none_of = ["00000000-0000-0000-0000-00000000000a"]
privileged = true
[[roles]]
role = "Admin"
privileged = false
[[organizations]]
organization = "acme"
[[organizations.roles]]
role = "Admin"
privileged = false
all_of = ["00000000-0000-0000-0000-00000000000b"]
none_of = ["00000000-0000-0000-0000-00000000000b"]
[provision]
connection = "staff"
method = "frist-login"
"#,
        &[],
    );
    for (place, what) in [
        ("lockstep.toml:4:8", "there is no [tables.countries]"),
        ("lockstep.toml:6:6", "app_metadata.country is mapped twice"),
        ("lockstep.toml:7:8", "there is no [tables.cuontry]"),
        ("lockstep.toml:11:16", "app_metadata.country is mapped by [[attributes]] already"),
        ("lockstep.toml:14:11", "the same group is in none_of of this rule"),
        ("lockstep.toml:19:14", "another line says the opposite of the role Admin"),
        ("lockstep.toml:25:11", "nobody in it falls under the rule"),
        ("lockstep.toml:29:10", "did you mean first-login?"),
    ] {
        assert!(told.contains(place) && told.contains(what), "{place} {what}: {told}");
    }
    assert!(told.contains("8 mistakes"), "{told}");
}

#[test]
fn what_needs_something_else_says_what() {
    let told = |text: &str| mistakes(text, &[]);
    for (text, needs) in [
        ("[provision]\nmethod = \"database\"\n", "provision.connection"),
        ("[provision]\nconnection = \"staff\"\n", "provision.method = \"database\""),
        ("[provision]\nmethod = \"scim\"\npassword_mail = true\n", "provision.method = \"database\""),
        ("[mfa]\nenrolment_mail = true\n", "mfa.metadata_key"),
        ("[mfa]\nany_of = [\"00000000-0000-0000-0000-000000000001\"]\n", "mfa.metadata_key"),
    ] {
        assert!(told(text).contains(&format!("this has no effect without {needs}")), "{}", told(text));
    }
    // A value that is wrong by itself is the only mistake.
    assert!(told("[provision]\nmethod = \"database\"\nconnection = 3\n").contains("1 mistake"));
    let variable = [("LOCKSTEP__PROVISION__METHOD", "database")];
    assert!(read("[provision]\nconnection = \"staff\"\n", &variable).is_ok());
    assert!(mistakes("", &variable).contains("LOCKSTEP__PROVISION__METHOD: this has no effect without"));
}

#[test]
fn accounts_by_scim_need_the_connection_and_its_token_where_they_are_made() {
    let (_dir, source) = source("[provision]\nmethod = \"scim\"\n", &[]);
    assert!(source.read().is_ok(), "whoever only takes webhooks in makes none");
    let with = |variables: &[(&str, &str)]| {
        source.clone().carried_out_with(&variables.iter().copied().collect()).read()
    };
    let told = with(&[("AUTH0_CONNECTION", "c")]).unwrap_err().to_string();
    assert!(told.contains("lockstep.toml:2:10") && told.contains("without AUTH0_SCIM_TOKEN"), "{told}");
    assert!(with(&[("AUTH0_CONNECTION", "c"), ("AUTH0_SCIM_TOKEN_FILE", "/f")]).is_ok());
}

#[test]
fn more_groups_than_a_policy_may_name_are_refused() {
    let ids =
        |count: usize| (0..count).map(|n| format!("\"00000000-0000-0000-0000-{n:012}\"")).collect::<Vec<_>>();
    let text = |count| format!("[[roles]]\nrole = \"a\"\nany_of = [{}]\n", ids(count).join(",\n"));
    assert!(read(&text(crate::policy::GROUPS_MAX), &[]).is_ok());
    let told = mistakes(&text(crate::policy::GROUPS_MAX + 2), &[]);
    assert!(told.contains("more than 2000 groups") && told.contains("lockstep.toml:2003:1"), "{told}");
}
