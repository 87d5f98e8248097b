//! The properties of a Graph user that an expression may read.

use crate::config::mistakes::nearest;
use crate::config::reader::Wrong;

/// Properties of a Graph user that may be mapped (Microsoft Graph, user resource type, v1.0).
const PROPERTIES: &[&str] = &[
    "accountEnabled",
    "businessPhones",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "department",
    "displayName",
    "employeeId",
    "employeeType",
    "externalUserState",
    "faxNumber",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mailNickname",
    "manager",
    "mobilePhone",
    "officeLocation",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "postalCode",
    "preferredLanguage",
    "proxyAddresses",
    "state",
    "streetAddress",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];

/// What is read of a manager.
const OF_MANAGER: &[&str] = &["id", "displayName", "mail"];

/// Whether Graph has such a property; directory extensions are known to the tenant alone (`lockstep doctor`).
pub(super) fn check(path: &str) -> Result<(), Wrong> {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    if root == "signInActivity" {
        return Err(Wrong::new("signInActivity may be read ten times a minute: too rarely to map it"));
    }
    let is_extension = root.strip_prefix("extension_").is_some_and(|rest| rest.contains('_'));
    let known = match root {
        "manager" => OF_MANAGER.contains(&rest),
        "onPremisesExtensionAttributes" => {
            let number = rest.strip_prefix("extensionAttribute").and_then(|n| n.parse::<u8>().ok());
            number.is_some_and(|n| (1..=15).contains(&n))
        }
        _ => PROPERTIES.contains(&root) || is_extension,
    };
    if known {
        return Ok(());
    }
    let wrong = Wrong::new(format!("Graph users have no property {path}"));
    Err(match (root, nearest(root, PROPERTIES.iter().copied())) {
        ("manager", _) => wrong.help(format!("of a manager there are {}", OF_MANAGER.join(", "))),
        (_, Some(meant)) if meant != root => wrong.help(format!("did you mean {meant}?")),
        _ => wrong.help("docs/mapping.md lists them"),
    })
}
