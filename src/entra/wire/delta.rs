//! The shapes of change pages.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::entra::{Change, DeltaPage, DeltaRow, Link, Membership, Then};
use crate::event::ObjectId;

#[derive(Debug, Deserialize)]
pub(in crate::entra) struct Page {
    value: Vec<Row>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: Option<String>,
    #[serde(rename = "@removed")]
    removed: Option<Value>,
    /// Anything: a row that is odd here is still a row.
    #[serde(rename = "accountEnabled", default)]
    enabled: Value,
    #[serde(rename = "members@delta", default)]
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    id: Option<String>,
    #[serde(rename = "@removed")]
    removed: Option<Value>,
}

impl Page {
    /// The page, and how much of it has no readable id; `None` when it does not say how to go on. One bad row costs
    /// none of the good ones.
    pub(in crate::entra) fn understood(self) -> Option<(DeltaPage, usize)> {
        let then = match (self.next, self.delta) {
            (Some(next), _) => Then::More(Link::new(next)),
            (None, Some(delta)) => Then::Done(Link::new(delta)),
            (None, None) => return None,
        };
        let mut unreadable = 0;
        let rows = self.value.into_iter().filter_map(|row| row.understood(&mut unreadable)).collect();
        Some((DeltaPage { rows, then, untracked: BTreeSet::new() }, unreadable))
    }
}

impl Row {
    fn understood(self, unreadable: &mut usize) -> Option<DeltaRow> {
        let change = self.removed.as_ref().map_or(Change::Changed, deleted);
        let id = object(self.id.as_deref(), unreadable)?;
        let members = self.members.into_iter().filter_map(|member| {
            let way = if member.removed.is_some() { Membership::Removed } else { Membership::Added };
            Some((object(member.id.as_deref(), unreadable)?, way))
        });
        Some(DeltaRow { id, change, enabled: self.enabled.as_bool(), members: members.collect() })
    }
}

fn object(text: Option<&str>, unreadable: &mut usize) -> Option<ObjectId> {
    let id = text.and_then(|text| Uuid::try_parse(text).ok()).map(ObjectId);
    *unreadable += usize::from(id.is_none());
    id
}

/// `{"reason":"changed"}` is restorable, `"deleted"` is for good; notifications write the word alone. A reason that
/// nobody knows is the one that takes less for granted.
fn deleted(removed: &Value) -> Change {
    let reason = removed.get("reason").unwrap_or(removed).as_str();
    if reason == Some("deleted") { Change::Purged } else { Change::SoftDeleted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(last: u8) -> ObjectId {
        ObjectId(format!("87d349ed-44d7-43e1-9a83-5f2406dee5{last:02x}").parse().unwrap())
    }

    fn understood(page: Value) -> Option<(DeltaPage, usize)> {
        serde_json::from_value::<Page>(page).unwrap().understood()
    }

    #[test]
    fn people_change_vanish_and_are_purged_in_both_spellings() {
        let page = json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users", "@odata.deltaLink": "d",
            "value": [
                { "displayName": "Testuser7", "id": id(1) },
                { "id": id(2), "@removed": { "reason": "changed" } },
                { "id": id(3), "@removed": { "reason": "deleted" } },
                { "id": id(4), "@removed": "deleted" },
                { "id": id(5), "@removed": { "reason": "somethingNew" } },
                { "id": id(6), "@removed": {} },
            ]
        });
        let (page, unreadable) = understood(page).unwrap();
        let changes: Vec<_> = page.rows.iter().map(|row| (row.id, row.change)).collect();
        let expected = [
            (id(1), Change::Changed),
            (id(2), Change::SoftDeleted),
            (id(3), Change::Purged),
            (id(4), Change::Purged),
            (id(5), Change::SoftDeleted),
            (id(6), Change::SoftDeleted),
        ];
        assert_eq!((changes, unreadable, page.then), (expected.to_vec(), 0, Then::Done(Link::new("d"))));
    }

    #[test]
    fn the_switch_is_read_where_it_is_told() {
        let page = json!({ "@odata.deltaLink": "d", "value": [
            { "id": id(1), "accountEnabled": false },
            { "id": id(2), "accountEnabled": true },
            { "id": id(3), "accountEnabled": null },
            { "id": id(4), "accountEnabled": "false" },
            { "id": id(5) },
        ] });
        let (page, _) = understood(page).unwrap();
        let told: Vec<_> = page.rows.iter().map(|row| row.enabled).collect();
        assert_eq!(told, [Some(false), Some(true), None, None, None]);
    }

    #[test]
    fn members_come_and_go_in_both_spellings_and_a_bad_id_costs_no_other() {
        let page = json!({ "@odata.nextLink": "n", "value": [
            { "displayName": "TestGroup3", "id": id(1), "members@delta": [
                { "@odata.type": "#microsoft.graph.user", "id": id(2) },
                { "@odata.type": "#microsoft.graph.user", "id": id(3), "@removed": { "reason": "deleted" } },
                { "id": id(4), "@removed": "deleted" },
                { "id": "632f6bb2-3ec8-4c1f-9073-0027a8c6859", "@removed": { "reason": "deleted" } },
            ] },
            { "displayName": "without an id" },
            { "id": id(5) },
        ] });
        let (page, unreadable) = understood(page).unwrap();
        assert_eq!(page.rows.len(), 2);
        assert_eq!(
            page.rows[0].members,
            [(id(2), Membership::Added), (id(3), Membership::Removed), (id(4), Membership::Removed)]
        );
        assert_eq!((unreadable, page.then), (2, Then::More(Link::new("n"))));
    }

    #[test]
    fn an_empty_page_goes_on_and_one_without_a_link_is_no_answer() {
        let (page, _) = understood(json!({ "@odata.nextLink": "n", "value": [] })).unwrap();
        assert_eq!((page.rows, page.then), (vec![], Then::More(Link::new("n"))));
        assert_eq!(understood(json!({ "value": [] })), None);
    }
}
