//! `GET /users/delta` and `/groups/delta` (Graph, Delta query overview; user: delta; group: delta).
//!
//! The first round walks all objects in the order of their ids; its deltaLink points to where the change log stood when
//! the round began, so what changed meanwhile is told again. A later round walks the change log up to where it stood when
//! the round began. Rows show what the objects are *now*. So the same object may come several times and late, which is
//! what the page promises no more than.
//!
//! All options are sealed into the links: `$select` decides what is tracked, `$filter` takes up to fifty ids. `$top`,
//! `$orderby` and `$expand` are refused. Tokens live seven days.

pub(super) mod rows;
mod token;

use super::super::call::{Answer, Call, Reply};
use super::links;
use super::{collection_with, error, group, pages, select};
use crate::faults::{DeltaExpiry, PageFault};
use crate::world::World;
use rows::{Gathered, Page};
use serde_json::Value;
use token::{Options, Place, Token};

/// Which objects a delta query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Users,
    Groups,
}

impl Set {
    fn word(self) -> &'static str {
        match self {
            Set::Users => "users",
            Set::Groups => "groups",
        }
    }
}

/// Ids that a `$filter` may name (user: delta).
const FILTER_IDS_MAX: usize = 50;

pub(super) fn users(call: &Call<'_>) -> Answer {
    answer(call, Set::Users)
}

pub(super) fn groups(call: &Call<'_>) -> Answer {
    answer(call, Set::Groups)
}

fn answer(call: &Call<'_>, set: Set) -> Answer {
    let world = call.world();
    let sent = sent(call)?;
    let token = match sent {
        Sent::First => begin(call, &world, set, Place::first(world.last_change()))?,
        Sent::Latest => begin(call, &world, set, Place::Since(world.last_change()))?,
        Sent::Token { name, text } => follow(call, &world, name, text)?,
    };
    // Only the answer to the call that carries the options names them (published answers).
    let context = match (&token.options.select, &sent) {
        (Some(names), Sent::First | Sent::Latest) => format!("{}({})", set.word(), names.join(",")),
        _ => set.word().to_owned(),
    };
    let told = |rows, next: Token| {
        let kind = if next.ends_a_round() { "@odata.deltaLink" } else { "@odata.nextLink" };
        Ok(collection_with(&context, rows, Some((kind, next.seal(call)))))
    };
    if matches!(sent, Sent::Latest) {
        return told(Vec::new(), token);
    }
    let fault = call.bent.take_page();
    if fault == Some(PageFault::Empty) {
        return told(Vec::new(), token.again(&world));
    }
    let page = read(call, &world, set, &token, fault);
    let next = match fault {
        // Whoever believes it goes on from the end of the round and never sees the rest.
        Some(PageFault::CutShort) => Place::Since(page.round_ends),
        _ => page.next,
    };
    told(pages::bend(call, page.rows, fault), token.at(next))
}

/// What the query asks for.
enum Sent<'a> {
    First,
    Latest,
    Token { name: &'static str, text: &'a str },
}

/// An empty `$deltatoken` is a first call: the `Location` of a 410 has one.
fn sent<'a>(call: &'a Call<'_>) -> Result<Sent<'a>, Reply> {
    let (delta, skip) = (call.query("$deltatoken"), call.query("$skiptoken"));
    let sent = match (delta, skip) {
        (None | Some(""), None) => return Ok(Sent::First),
        (Some("latest"), None) => return Ok(Sent::Latest),
        (Some(text), None) => Sent::Token { name: "$deltatoken", text },
        (None, Some(text)) => Sent::Token { name: "$skiptoken", text },
        (Some(_), Some(_)) => {
            call.complain("both $deltatoken and $skiptoken");
            return Err(error(call, 400, "Request_BadRequest", "Only one token may be given."));
        }
    };
    if call.query.len() > 1 {
        call.complain("options beside a token: the link carries them already");
        return Err(error(call, 400, "Request_BadRequest", "Query options are not allowed with a token."));
    }
    Ok(sent)
}

/// A first call: the options are read here and never again.
fn begin(call: &Call<'_>, world: &World, set: Set, place: Place) -> Result<Token, Reply> {
    let select = call.query("$select").filter(|list| !list.is_empty());
    let select: Option<Vec<String>> =
        select.map(|list| list.split(',').map(|n| n.trim().to_owned()).collect());
    if let Some(names) = &select {
        let related = if set == Set::Users { "manager" } else { "members" };
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != related).collect();
        match set {
            Set::Users => select::check(call, world, &names)?,
            Set::Groups => group::check(call, &names)?,
        }
    }
    let filter = call.query("$filter").map(|text| filter(call, text)).transpose()?;
    Ok(Token::new(world, Options { select, filter }, place))
}

/// `id eq '…' or id eq '…'`, up to fifty.
fn filter(call: &Call<'_>, text: &str) -> Result<Vec<String>, Reply> {
    let id = |part: &str| {
        let quoted = part.trim().strip_prefix("id eq ")?.trim();
        Some(quoted.strip_prefix('\'')?.strip_suffix('\'')?.to_lowercase())
    };
    let ids: Option<Vec<String>> = text.split(" or ").map(id).collect();
    ids.filter(|ids| ids.len() <= FILTER_IDS_MAX).ok_or_else(|| {
        call.complain(format!("a filter that delta queries do not take: {text}"));
        error(call, 400, "Request_UnsupportedQuery", "Only up to 50 comparisons of id are supported.")
    })
}

/// A link of ours, unless it is too old, or a fault says that it is.
fn follow(call: &Call<'_>, world: &World, name: &str, text: &str) -> Result<Token, Reply> {
    let Some(token) = Token::open(text).filter(|token| token.name() == name) else {
        call.complain(format!("a {name} that the twin did not make"));
        return Err(error(call, 400, "Request_BadRequest", "Badly formed token."));
    };
    if let Some(expiry) = call.bent.take_delta_expiry() {
        return Err(expired(call, &token, expiry));
    }
    if token.is_current(world) {
        return Ok(token);
    }
    match token.name() {
        "$skiptoken" => Err(links::expired_page(call)),
        _ => Err(expired(call, &token, DeltaExpiry::SyncStateNotFound)),
    }
}

/// The three ways in which Graph says "begin again" (Delta query overview: synchronization reset; Error responses), and the
/// one in which it says nothing.
fn expired(call: &Call<'_>, token: &Token, expiry: DeltaExpiry) -> Reply {
    match expiry {
        DeltaExpiry::Gone => {
            let location = token.first_link(call);
            error(call, 410, "resyncRequired", "Resync required.").with("location", location)
        }
        DeltaExpiry::SyncStateNotFound => {
            error(call, 400, "syncStateNotFound", "The sync state generation is not found.")
        }
        DeltaExpiry::ResyncRequired => error(call, 400, "resyncRequired", "Resync required."),
        DeltaExpiry::Refused => error(call, 400, "Request_BadRequest", "Badly formed token."),
    }
}

fn read(call: &Call<'_>, world: &World, set: Set, token: &Token, fault: Option<PageFault>) -> Page {
    let options = &token.options;
    let (from, to) = match &token.place {
        Place::First { start, after, inside } => {
            if matches!(fault, Some(PageFault::Replayed(_) | PageFault::Late(_))) {
                call.complain("a fault of later rounds struck the first one and did nothing");
            }
            return match set {
                Set::Users => rows::all_users(call, world, options, *start, after.as_deref()),
                Set::Groups => rows::all_groups(call, world, options, *start, after.as_deref(), *inside),
            };
        }
        Place::Since(from) => (*from, world.last_change()),
        Place::Changes { from, to } => (*from, *to),
    };
    let (from, to) = match fault {
        Some(PageFault::Replayed(changes)) => (from.saturating_sub(changes), to),
        Some(PageFault::Late(changes)) => (from, to.saturating_sub(changes).max(from)),
        _ => (from, to),
    };
    let gathered = Gathered::read(call, world, set, options, from, to);
    rows::changes(call, world, set, options, gathered, minimal(call))
}

/// `Prefer: return=minimal` asks for changed properties only (user: delta).
fn minimal(call: &Call<'_>) -> bool {
    match call.header("prefer") {
        None => false,
        Some(prefer) if prefer.replace(' ', "") == "return=minimal" => true,
        Some(other) => {
            call.complain(format!("delta queries know no Prefer: {other}"));
            false
        }
    }
}

/// The only object types that rows name.
fn member_type(id: crate::world::ObjectId) -> Value {
    match id {
        crate::world::ObjectId::Person(_) => "#microsoft.graph.user".into(),
        crate::world::ObjectId::Group(_) => "#microsoft.graph.group".into(),
    }
}
