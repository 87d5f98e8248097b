//! What a delta link carries: its options, when it was made, and the place to go on from.

use super::super::super::call::Call;
use super::super::links::{self, object_from_text, object_to_text};
use crate::world::{ObjectId, World};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Life of directory tokens (Graph, Delta query overview).
const LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the first call asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Options {
    /// Names of tracked properties; the type's default ones without it.
    pub select: Option<Vec<String>>,
    /// Only these objects.
    pub filter: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Place {
    /// In the first round, which began when the change log stood at `start`: after the object `after`, or inside it after
    /// the member `inside`.
    First { start: u64, after: Option<String>, inside: Option<ObjectId> },
    /// Between two rounds.
    Since(u64),
    /// In a later round, which ends at `to`.
    Changes { from: u64, to: u64 },
}

impl Place {
    pub fn first(start: u64) -> Place {
        Place::First { start, after: None, inside: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Token {
    pub options: Options,
    pub place: Place,
    epoch: u64,
    made: Timestamp,
}

impl Token {
    pub fn new(world: &World, options: Options, place: Place) -> Token {
        Token { options, place, epoch: world.link_epoch(), made: Timestamp::now() }
    }

    /// The same round, elsewhere; as old as what follows it lets it be.
    pub fn at(&self, place: Place) -> Token {
        Token { place, made: Timestamp::now(), ..self.clone() }
    }

    /// A nextLink to where this token is already.
    pub fn again(&self, world: &World) -> Token {
        match self.place {
            Place::Since(from) => self.at(Place::Changes { from, to: world.last_change() }),
            _ => self.clone(),
        }
    }

    pub fn ends_a_round(&self) -> bool {
        matches!(self.place, Place::Since(_))
    }

    /// The query parameter that it travels in.
    pub fn name(&self) -> &'static str {
        if self.ends_a_round() { "$deltatoken" } else { "$skiptoken" }
    }

    /// Whether it is young enough, and what it points to is still remembered.
    pub fn is_current(&self, world: &World) -> bool {
        let needed = match self.place {
            Place::First { start, .. } => start,
            Place::Since(from) | Place::Changes { from, .. } => from,
        };
        let age = Timestamp::now().duration_since(self.made);
        self.epoch == world.link_epoch() && age < LIFETIME && world.remembers(needed)
    }

    /// The link that carries it.
    pub fn seal(&self, call: &Call<'_>) -> String {
        let place = match &self.place {
            Place::First { start, after, inside } => {
                json!({ "start": start, "after": after, "inside": inside.map(object_to_text) })
            }
            Place::Since(from) => json!({ "since": from }),
            Place::Changes { from, to } => json!({ "from": from, "to": to }),
        };
        let token = json!({
            "e": self.epoch,
            "made": self.made.as_second(),
            "select": self.options.select,
            "filter": self.options.filter,
            "place": place,
        });
        links::link(call, &[(self.name(), links::seal(&token))])
    }

    /// A link that begins anew with the same options.
    pub fn first_link(&self, call: &Call<'_>) -> String {
        let mut query = vec![("$deltatoken", String::new())];
        if let Some(names) = &self.options.select {
            query.push(("$select", names.join(",")));
        }
        if let Some(ids) = &self.options.filter {
            let comparisons: Vec<String> = ids.iter().map(|id| format!("id eq '{id}'")).collect();
            query.push(("$filter", comparisons.join(" or ")));
        }
        links::link(call, &query)
    }

    pub fn open(text: &str) -> Option<Token> {
        let token = links::open(text)?;
        let place = &token["place"];
        let number = |name: &str| place[name].as_u64();
        let place = if let Some(from) = number("since") {
            Place::Since(from)
        } else if let (Some(from), Some(to)) = (number("from"), number("to")) {
            Place::Changes { from, to }
        } else {
            Place::First {
                start: number("start")?,
                after: place["after"].as_str().map(str::to_owned),
                inside: place["inside"].as_str().and_then(object_from_text),
            }
        };
        let options = Options { select: strings(&token["select"]), filter: strings(&token["filter"]) };
        let made = Timestamp::from_second(token["made"].as_i64()?).ok()?;
        Some(Token { options, place, epoch: token["e"].as_u64()?, made })
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    Some(value.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
