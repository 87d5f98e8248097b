//! Tolerant readers of what vendors send: a field of another type than expected is absent, not an error.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::ITEMS_MAX;
use super::refusal::Refusal;
use crate::clock::Timestamp;

/// A JSON string, borrowed where it has no escapes; anything else reads as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.get().is_some_and(|text| text.eq_ignore_ascii_case(word))
    }

    pub(super) fn guid(&self) -> Option<Uuid> {
        self.get().and_then(guid)
    }

    pub(super) fn time(&self) -> Option<Timestamp> {
        self.get().and_then(time)
    }
}

/// A GUID as Microsoft writes it; braces, URNs and bare hex are something else.
pub(super) fn guid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// An ISO 8601 instant with an offset. The US-style local `time` of diagnostic records is none.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyText)
    }
}

struct AnyText;

impl<'de> Visitor<'de> for AnyText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

/// The elements of a JSON array, unparsed; `None` when it is no array.
pub(super) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get().starts_with('[') { serde_json::from_str(raw.get()).ok() } else { None }
}

/// Reads a JSON object; `None` when it is something else or has a field twice. (serde alone would take an array for
/// the fields in order.)
pub(super) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    if raw.get().starts_with('{') { serde_json::from_str(raw.get()).ok() } else { None }
}

/// A whole body as one unparsed value. [`Refusal::Unreadable`] when it is not JSON.
pub(super) fn value(body: &[u8]) -> Result<&RawValue, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Unreadable)
}

/// Refuses a batch with more items than a request may have.
pub(super) fn expect_few(items: usize) -> Result<(), Refusal> {
    if items > ITEMS_MAX { Err(Refusal::TooMany) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow, default)]
        word: Text<'a>,
    }

    #[test]
    fn a_field_of_another_type_is_absent_not_an_error() {
        for (json, expected) in [
            (r#"{"word":"a"}"#, Some("a")),
            (r#"{"word":"a\n\u00e9"}"#, Some("a\né")),
            (r#"{"word":null}"#, None),
            (r#"{"word":7}"#, None),
            (r#"{"word":-7.5}"#, None),
            (r#"{"word":true}"#, None),
            (r#"{"word":["x",{"y":1}]}"#, None),
            (r#"{"word":{"x":[1]}}"#, None),
            ("{}", None),
        ] {
            let row: Row = serde_json::from_str(json).unwrap();
            assert_eq!(row.word.get(), expected, "{json}");
        }
    }

    #[test]
    fn only_microsofts_spelling_is_a_guid_and_only_iso_is_a_time() {
        assert!(guid("87D349ED-44d7-43e1-9a83-5f2406dee5bd").is_some());
        assert!(guid("87d349ed44d743e19a835f2406dee5bd").is_none());
        assert!(guid("{87d349ed-44d7-43e1-9a83-5f2406dee5bd}").is_none());
        assert!(guid("6a5874ca-abcd-9d82-5ad39bd71600").is_none());
        assert!(time("2022-05-24T22:24:31.3062901Z").is_some());
        assert!(time("2025-02-02T11:00:00+00:00").is_some());
        assert!(time("7/18/2026 2:03:03 PM").is_none());
        assert!(time("2025-02-02T11:00:00").is_none());
    }
}
