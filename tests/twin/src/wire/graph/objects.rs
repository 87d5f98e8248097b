//! Directory objects of several types in one collection, and what of them a token may see: without the permission for
//! its type an object comes with its type and id only, everything else null (Graph, List a user's transitive
//! memberships; the 200 says nothing else about it).

use super::super::call::{Call, Reply};
use super::links::Listed;
use super::{READ_GROUPS, READ_ROLES, READ_USERS, error, group, permits, select};
use crate::world::{ObjectId, World};
use serde_json::{Map, Value, json};

/// Names that `$select` may have in a mixed collection: those that any of its types knows.
pub(super) struct Wanted<'a>(Option<Vec<&'a str>>);

impl<'a> Wanted<'a> {
    pub fn of(call: &'a Call<'_>, world: &World) -> Result<Wanted<'a>, Reply> {
        let Some(list) = call.query("$select").filter(|list| !list.is_empty()) else {
            return Ok(Wanted(None));
        };
        let names: Vec<&str> = list.split(',').map(str::trim).collect();
        let known = |name: &str| select::knows(world, name) || group::DEFAULT.contains(&name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            call.complain(format!("unknown directory object property {unknown}"));
            return Err(select::no_such_property(call, unknown, "microsoft.graph.directoryObject"));
        }
        Ok(Wanted(Some(names)))
    }

    fn or<'b>(&'b self, default: &'b [&'b str]) -> &'b [&'b str] {
        self.0.as_deref().unwrap_or(default)
    }

    /// The OData context of a collection of `set` with these properties.
    pub fn context(&self, set: &str) -> String {
        match &self.0 {
            Some(names) => format!("{set}({})", names.join(",")),
            None => set.to_owned(),
        }
    }
}

/// An object of a mixed collection, with its type.
pub(super) fn typed(
    call: &Call<'_>,
    world: &World,
    item: &Listed,
    wanted: &Wanted<'_>,
) -> Map<String, Value> {
    let (kind, needs, properties) = match item {
        Listed::Object(ObjectId::Person(_)) => ("user", READ_USERS, wanted.or(&select::DEFAULT)),
        Listed::Object(ObjectId::Group(_)) => ("group", READ_GROUPS, wanted.or(&group::DEFAULT)),
        Listed::Role(_) => ("directoryRole", READ_ROLES, wanted.or(&ROLE_DEFAULT)),
    };
    let mut shown = Map::from_iter([("@odata.type".to_owned(), format!("#microsoft.graph.{kind}").into())]);
    let mut rest = bare(call, world, item, properties);
    if !permits(call, world, needs) {
        rest.iter_mut().filter(|(name, _)| *name != "id").for_each(|(_, value)| *value = Value::Null);
    }
    shown.extend(rest);
    shown
}

/// What a directory role shows (Graph, directoryRole resource type).
const ROLE_DEFAULT: [&str; 5] = ["id", "deletedDateTime", "description", "displayName", "roleTemplateId"];

/// An object with those of these properties that its type has.
pub(super) fn bare(call: &Call<'_>, world: &World, item: &Listed, wanted: &[&str]) -> Map<String, Value> {
    let shown = match item {
        Listed::Object(ObjectId::Person(id)) => {
            world.find_person(*id).map(|person| select::shown(call, world, person, wanted))
        }
        Listed::Object(ObjectId::Group(id)) => world.find_group(*id).map(|found| group::shown(found, wanted)),
        Listed::Role(id) => Some(role(world, id, wanted)),
    };
    shown.unwrap_or_default()
}

fn role(world: &World, id: &str, wanted: &[&str]) -> Map<String, Value> {
    let name = world.directory_role_name(id);
    let all = json!({
        "id": id,
        "deletedDateTime": null,
        "description": name.map(|name| format!("What a {name} may do.")),
        "displayName": name,
        "roleTemplateId": id,
    });
    let properties = all.as_object().into_iter().flatten();
    let chosen = properties.filter(|(name, _)| *name == "id" || wanted.contains(&name.as_str()));
    chosen.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Most ids in one `getByIds` (Graph, directoryObject: getByIds).
const IDS_MAX: usize = 1_000;

/// `POST /directoryObjects/getByIds`: those that exist, of the types asked for; the rest is left out without a word.
pub(super) fn by_ids(call: &Call<'_>) -> super::Answer {
    let body = super::known_fields(call, &["ids", "types"])?;
    let ids = super::strings(call, &body, "ids", IDS_MAX)?;
    let types = match body.get("types") {
        Some(_) => super::strings(call, &body, "types", IDS_MAX)?,
        None => vec!["directoryObject".to_owned()],
    };
    let known = ["user", "group", "directoryObject"];
    if let Some(unknown) = types.iter().find(|kind| !known.contains(&kind.as_str())) {
        call.complain(format!("the type {unknown} is not played"));
        return Err(error(call, 400, "Request_BadRequest", &format!("Invalid type '{unknown}'.")));
    }
    let asked = |kind: &str| types.iter().any(|asked| asked == kind || asked == "directoryObject");
    let world = call.world();
    let wanted = Wanted::of(call, &world)?;
    let found = ids.iter().filter_map(|id| find(&world, id)).filter(|id| match id {
        ObjectId::Person(_) => asked("user"),
        ObjectId::Group(_) => asked("group"),
    });
    let rows = found.map(|id| typed(call, &world, &Listed::Object(id), &wanted).into()).collect();
    let rows = super::pages::bend(call, rows, call.bent.take_page());
    Ok(super::collection(&wanted.context("directoryObjects"), rows, None, None))
}

/// The living person or group with this object id, as reads see them now.
fn find(world: &World, id: &str) -> Option<ObjectId> {
    let person = id.parse().ok().and_then(|id| world.seen_person(id)).filter(|p| p.deleted.is_none());
    let group = || id.parse().ok().and_then(|id| world.seen_group(id)).filter(|g| g.deleted.is_none());
    person.map(|person| person.id.into()).or_else(|| group().map(|group| group.id.into()))
}
