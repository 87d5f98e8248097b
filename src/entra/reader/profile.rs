//! A person with properties and memberships, in one request.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::groups::{MEMBERSHIPS_BYTES_MAX, ROWS};
use super::{Reader, USER_GET, misfit, read};
use crate::entra::call::{At, Operation, Part};
use crate::entra::{Error, Kind, wire};
use crate::event::ObjectId;
use crate::outbound::http::{Answer, Unreadable};
use crate::outbound::token::Token;
use crate::snapshot::sync::{Groups, Profile};
use crate::snapshot::{Directory, Enabled, Person};

const PROFILE_GET: Operation = Operation {
    word: "profile.get",
    needs: "User.Read.All",
    body_bytes_max: MEMBERSHIPS_BYTES_MAX,
    ..Operation::READ
};
/// Names of groups need the second permission; without it objects come without properties (Graph, List a user's
/// transitive memberships).
const MEMBERSHIPS_GET: Operation = Operation {
    word: "memberships.get",
    needs: "User.Read.All GroupMember.Read.All",
    body_bytes_max: MEMBERSHIPS_BYTES_MAX,
    ..Operation::READ
};
/// Told of everybody, whatever the policy maps.
const ALWAYS: [&str; 8] =
    ["id", "accountEnabled", "userType", "displayName", "userPrincipalName", "mail", "givenName", "surname"];
/// A relation, not a property: it is expanded instead of selected (Graph, Get a user).
const MANAGER: &str = "manager";

/// What Graph says of one person, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub directory: Directory,
    /// Empty unless the person is present. What Graph left out of its answer is left out here; an empty value is null.
    pub profile: Profile,
    pub groups: Groups,
}

/// Memberships as they were told.
enum Told {
    Whole(BTreeSet<ObjectId>),
    /// As much as a missing permission lets be seen.
    Hidden(String),
    /// Something else was answered.
    Unread(String),
}

impl Reader {
    /// The person with `properties` and every group that they are in, nested ones included: one request, and one more
    /// for a person who is not among the users or is in more than 999 groups. What shows that a permission is missing is
    /// asked for once more with a new token, unless the token is new.
    ///
    /// Memberships that cannot be believed, or may not be read, are [`Groups::Unread`]: nothing may be taken away on
    /// them.
    ///
    /// # Errors
    /// Whenever Graph has not said plainly where the person is, or is away half-way.
    pub async fn profile(&self, id: ObjectId, properties: &BTreeSet<String>) -> Result<Seen, Error> {
        let (seen, lacking) = self.profile_once(id, properties).await?;
        match lacking {
            // Consent may have been given since the token was made; Graph does not refuse it, it only tells less.
            Some(token) if self.caller.shared.tokens.doubt(&token) => {
                Ok(self.profile_once(id, properties).await?.0)
            }
            _ => Ok(seen),
        }
    }

    /// Also the token, if it lacks a permission.
    async fn profile_once(
        &self,
        id: ObjectId,
        properties: &BTreeSet<String>,
    ) -> Result<(Seen, Option<Token>), Error> {
        let parts = [
            Part { operation: user_get(properties), path: user_path(id, properties) },
            Part {
                operation: MEMBERSHIPS_GET,
                path: format!("/users/{id}/transitiveMemberOf?$select=id,displayName&{ROWS}"),
            },
        ];
        let both = self.caller.both(PROFILE_GET, &parts).await?;
        let [user, memberships] = both.answers;
        let (user, properties) = self.with_fewer(id, properties, user).await;
        let answer = match user {
            Err(error) if error.is_gone() => return Ok((self.seen_deleted(id).await?, None)),
            other => other?,
        };
        let (person, profile) = person(id, &properties, &answer)?;
        let told = match self.told_groups(memberships).await {
            // Whoever is disabled must be contained, and no group decides that.
            Err(error) if person.enabled == Enabled::No => Told::Unread(error.to_string()),
            told => told?,
        };
        let lacks = matches!(told, Told::Hidden(_)) || person.enabled == Enabled::NotTold;
        let groups = match told {
            Told::Whole(groups) => Groups::Known(groups),
            Told::Hidden(why) | Told::Unread(why) => Groups::Unread(why),
        };
        let seen = Seen { directory: Directory::Present(person), profile, groups };
        Ok((seen, lacks.then_some(both.token)))
    }

    /// The same without memberships, for policies that name no group.
    ///
    /// # Errors
    /// As [`Reader::profile`].
    pub async fn profile_without_groups(
        &self,
        id: ObjectId,
        properties: &BTreeSet<String>,
    ) -> Result<Seen, Error> {
        let path = user_path(id, properties);
        let user = self.caller.get(user_get(properties), At::Path(&path)).await;
        let (user, properties) = self.with_fewer(id, properties, user).await;
        let answer = match user {
            Err(error) if error.is_gone() => return self.seen_deleted(id).await,
            other => other?,
        };
        let (person, profile) = person(id, &properties, &answer)?;
        Ok(Seen {
            directory: Directory::Present(person),
            profile,
            groups: Groups::Unread("not asked for".into()),
        })
    }

    /// Asked again with fewer properties while Graph refuses those: a mistyped one must not hide who is disabled. What was
    /// given up is not told.
    async fn with_fewer(
        &self,
        id: ObjectId,
        properties: &BTreeSet<String>,
        first: Result<Answer, Error>,
    ) -> (Result<Answer, Error>, BTreeSet<String>) {
        let (mut answer, mut properties) = (first, properties.clone());
        while let Err(error) = &answer
            && let Some(fewer) = fewer(&properties, error)
        {
            answer = self.caller.get(user_get(&fewer), At::Path(&user_path(id, &fewer))).await;
            properties = fewer;
        }
        (answer, properties)
    }

    async fn seen_deleted(&self, id: ObjectId) -> Result<Seen, Error> {
        Ok(Seen {
            directory: self.deleted(id).await?,
            profile: Profile::default(),
            groups: Groups::Unread("the person is not among the users".into()),
        })
    }

    async fn told_groups(&self, first: Result<Answer, Error>) -> Result<Told, Error> {
        let rows = match first {
            Ok(answer) => self.rows(MEMBERSHIPS_GET, answer).await,
            Err(error) => Err(error),
        };
        match rows {
            Ok(rows) => Ok(believed(&rows)),
            Err(error @ Error::Forbidden { .. }) => Ok(Told::Hidden(error.to_string())),
            Err(error) if error.is_answer() => Ok(Told::Unread(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// What to ask for after Graph has refused to tell these properties: one that a user does not have refuses the whole
/// request (400). Directory extensions are given up first; they exist only where an application has registered them.
pub(super) fn fewer(properties: &BTreeSet<String>, error: &Error) -> Option<BTreeSet<String>> {
    if !matches!(error, Error::Refused { status: 400, .. }) || properties.is_empty() {
        return None;
    }
    let known: BTreeSet<String> = properties.iter().filter(|name| !is_extension(name)).cloned().collect();
    Some(if known.len() < properties.len() { known } else { BTreeSet::new() })
}

/// A directory extension, `extension_<application>_<name>`.
fn is_extension(name: &str) -> bool {
    name.starts_with("extension_")
}

/// A group without a name is one that we may not read: with the permission gone, groups may be missing as well (Graph,
/// List a user's transitive memberships).
fn believed(rows: &[wire::Object]) -> Told {
    let mut groups = BTreeSet::new();
    for row in rows {
        match row.kind() {
            None => return Told::Unread("graph memberships.get: an object without a type".into()),
            Some(Kind::Group) if row.name().is_none() => {
                let why =
                    "graph memberships.get: groups come without their names (needs GroupMember.Read.All)";
                return Told::Hidden(why.into());
            }
            Some(Kind::Group) => {
                groups.insert(row.id());
            }
            Some(Kind::User | Kind::Other) => {}
        }
    }
    Told::Whole(groups)
}

/// Expanding costs one more.
fn user_get(properties: &BTreeSet<String>) -> Operation {
    Operation { cost: USER_GET.cost + u32::from(properties.contains(MANAGER)), ..USER_GET }
}

fn user_path(id: ObjectId, properties: &BTreeSet<String>) -> String {
    let more = properties.iter().map(String::as_str).filter(|name| *name != MANAGER);
    let more = more.filter(|name| !ALWAYS.contains(name)).filter_map(crate::outbound::segment);
    let select = ALWAYS.into_iter().map(str::to_owned).chain(more).collect::<Vec<_>>().join(",");
    let expand = match properties.contains(MANAGER) {
        true => "&$expand=manager($select=id,displayName,mail)",
        false => "",
    };
    format!("/users/{id}?$select={select}{expand}")
}

fn person(id: ObjectId, properties: &BTreeSet<String>, answer: &Answer) -> Result<(Person, Profile), Error> {
    let shape = || misfit(USER_GET, answer, Unreadable::Shape);
    let user: wire::User = read(USER_GET, answer)?;
    let person = user.into_person(id).ok_or_else(shape)?;
    let asked = |name: &str| ALWAYS.contains(&name) || properties.contains(name);
    let mut told = wire::told(read::<Map<String, Value>>(USER_GET, answer)?, asked);
    // Nobody's manager is left out of an answer that has everything else (assumed; OData would say null).
    if properties.contains(MANAGER) {
        told.entry(MANAGER).or_insert(Value::Null);
    }
    // Directory extensions without a value are left out as well; of one that does not exist, nothing is answered at all.
    for extension in properties.iter().filter(|name| is_extension(name)) {
        told.entry(extension.as_str()).or_insert(Value::Null);
    }
    Ok((person, Profile(told)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::Body;
    use crate::snapshot::Guest;
    use serde_json::json;

    const ID: &str = "87d349ed-44d7-43e1-9a83-5f2406dee5bd";

    fn id() -> ObjectId {
        ObjectId(ID.parse().unwrap())
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn answer(body: Value) -> Answer {
        Answer {
            status: reqwest::StatusCode::OK,
            headers: Default::default(),
            body: Body::Whole(body.to_string().into()),
        }
    }

    #[test]
    fn properties_are_selected_once_and_the_manager_is_expanded() {
        let all = "id,accountEnabled,userType,displayName,userPrincipalName,mail,givenName,surname";
        assert_eq!(user_path(id(), &names(&["mail"])), format!("/users/{ID}?$select={all}"));
        let wanted =
            names(&["department", "manager", "extension_24d3b14421ae4080943f7067b395b913_costCentre"]);
        assert_eq!(
            user_path(id(), &wanted),
            format!(
                "/users/{ID}?$select={all},department,extension_24d3b14421ae4080943f7067b395b913_costCentre\
                 &$expand=manager($select=id,displayName,mail)"
            )
        );
        assert_eq!((user_get(&names(&["mail"])).cost, user_get(&wanted).cost), (1, 2));
    }

    #[test]
    fn what_is_left_out_is_left_out_and_what_is_empty_is_null() {
        let body = json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity", "id": ID,
            "accountEnabled": true, "userType": "Member", "mail": null, "department": null, "unasked": 1,
            "manager": { "@odata.type": "#microsoft.graph.user", "id": "m", "displayName": "M" }
        });
        let wanted = names(&["department", "jobTitle", "manager"]);
        let (person, profile) = person(id(), &wanted, &answer(body)).unwrap();
        assert_eq!(person.guest, Guest::No);
        let expected = json!({
            "id": ID, "accountEnabled": true, "userType": "Member", "mail": null, "department": null,
            "manager": { "id": "m", "displayName": "M" }
        });
        assert_eq!(Value::Object(profile.0), expected);
    }

    #[test]
    fn an_extension_that_was_asked_for_and_is_left_out_is_empty() {
        let (unset, set) =
            ("extension_24d3b14421ae4080943f7067b395b913_a", "extension_24d3b14421ae4080943f7067b395b913_b");
        let told = answer(json!({ "id": ID, set: 1 }));
        let (_, profile) = person(id(), &names(&[unset, set, "department"]), &told).unwrap();
        assert_eq!(Value::Object(profile.0), json!({ "id": ID, unset: null, set: 1 }));
    }

    #[test]
    fn refused_properties_are_given_up_in_two_steps() {
        let refused = |status| Error::Refused { operation: "user.get", status, code: "BadRequest".into() };
        let extension = "extension_24d3b14421ae4080943f7067b395b913_typo";
        let first = fewer(&names(&["department", "manager", extension]), &refused(400));
        assert_eq!(first, Some(names(&["department", "manager"])));
        assert_eq!(fewer(&first.unwrap(), &refused(400)), Some(names(&[])));
        assert_eq!(fewer(&names(&[]), &refused(400)), None);
        assert_eq!(fewer(&names(&[extension]), &refused(409)), None);
    }

    #[test]
    fn nobody_above_is_an_empty_manager_and_somebody_else_is_no_answer() {
        let wanted = names(&["manager"]);
        let (_, profile) = person(id(), &wanted, &answer(json!({ "id": ID }))).unwrap();
        assert_eq!(profile.0.get("manager"), Some(&Value::Null));
        let other = json!({ "id": "00000000-0000-0000-0000-000000000001" });
        assert!(person(id(), &wanted, &answer(other)).is_err());
    }

    fn rows(rows: Value) -> Vec<wire::Object> {
        serde_json::from_value(rows).unwrap()
    }

    #[test]
    fn roles_and_units_are_no_groups() {
        let believed = believed(&rows(json!([
            { "@odata.type": "#microsoft.graph.group", "id": ID, "displayName": "Sales" },
            { "@odata.type": "#microsoft.graph.directoryRole", "id": "21004afc-7bb2-4fe6-a1e1-074ebd3e52c1",
              "displayName": "User Administrator" },
            { "@odata.type": "#microsoft.graph.administrativeUnit",
              "id": "31004afc-7bb2-4fe6-a1e1-074ebd3e52c1", "displayName": null }
        ])));
        assert!(matches!(believed, Told::Whole(groups) if groups == [id()].into()));
    }

    #[test]
    fn a_group_without_a_name_takes_the_belief_from_the_whole_list() {
        for row in [
            json!({ "@odata.type": "#microsoft.graph.group", "id": ID, "displayName": null }),
            json!({ "@odata.type": "#microsoft.graph.group", "id": ID }),
            json!({ "id": ID, "displayName": "Sales" }),
        ] {
            assert!(!matches!(believed(&rows(json!([row]))), Told::Whole(_)), "{row}");
        }
    }
}
