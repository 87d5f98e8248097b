//! The limits of Block Kit that a message must keep (Slack, Reference: blocks, composition objects, block elements).
//! Lengths count characters.

use super::super::call::Reply;
use serde_json::{Value, json};

/// A broken limit and where.
#[derive(Debug)]
pub(super) struct Broken {
    rule: String,
    pointer: String,
}

/// Blocks per message.
const BLOCKS_MAX: usize = 50;
/// `block_id` and `action_id`.
const ID_MAX: usize = 255;
/// Header text.
const HEADER_MAX: usize = 150;
/// Section text, and any text object without a smaller limit.
const TEXT_MAX: usize = 3_000;
/// Fields per section, and characters per field.
const FIELDS_MAX: usize = 10;
const FIELD_MAX: usize = 2_000;
/// Elements per actions block and per context block.
const ACTIONS_MAX: usize = 25;
const CONTEXT_MAX: usize = 10;
/// Button text, value, url.
const BUTTON_TEXT_MAX: usize = 75;
const BUTTON_VALUE_MAX: usize = 2_000;
const BUTTON_URL_MAX: usize = 3_000;

/// The first broken limit.
pub(super) fn check(blocks: &[Value]) -> Result<(), Broken> {
    at_most(blocks.len(), BLOCKS_MAX, "items", "/blocks".to_owned())?;
    let mut ids = std::collections::BTreeSet::new();
    for (index, block) in blocks.iter().enumerate() {
        let pointer = format!("/blocks/{index}");
        if let Some(id) = block["block_id"].as_str() {
            at_most(id.chars().count(), ID_MAX, "characters", format!("{pointer}/block_id"))?;
            if !ids.insert(id) {
                return broken("`block_id` already exists in the message", format!("{pointer}/block_id"));
            }
        }
        check_block(block, &pointer)?;
    }
    Ok(())
}

/// The answer with its words (their exact wording is not documented).
pub(super) fn refused(broken: Broken) -> Reply {
    let text = format!("{} [json-pointer:{}]", broken.rule, broken.pointer);
    Reply::json(
        200,
        &json!({
            "ok": false,
            "error": "invalid_blocks",
            "errors": [text],
            "response_metadata": { "messages": [format!("[ERROR] {text}")] },
        }),
    )
}

fn check_block(block: &Value, pointer: &str) -> Result<(), Broken> {
    match block["type"].as_str() {
        Some("header") => check_text(&block["text"], HEADER_MAX, &["plain_text"], format!("{pointer}/text")),
        Some("section") => check_section(block, pointer),
        Some("actions") => check_elements(block, ACTIONS_MAX, pointer),
        Some("context") => check_elements(block, CONTEXT_MAX, pointer),
        Some("divider" | "image" | "markdown" | "rich_text") => Ok(()),
        _ => broken("unsupported type", format!("{pointer}/type")),
    }
}

fn check_section(block: &Value, pointer: &str) -> Result<(), Broken> {
    let any = &["plain_text", "mrkdwn"];
    if block["text"].is_null() && block["fields"].is_null() {
        return broken("missing required field", format!("{pointer}/text"));
    }
    if !block["text"].is_null() {
        check_text(&block["text"], TEXT_MAX, any, format!("{pointer}/text"))?;
    }
    let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
    at_most(fields.len(), FIELDS_MAX, "items", format!("{pointer}/fields"))?;
    for (index, field) in fields.iter().enumerate() {
        check_text(field, FIELD_MAX, any, format!("{pointer}/fields/{index}"))?;
    }
    Ok(())
}

fn check_elements(block: &Value, max: usize, pointer: &str) -> Result<(), Broken> {
    let Some(elements) = block["elements"].as_array().filter(|elements| !elements.is_empty()) else {
        return broken("must have at least 1 item", format!("{pointer}/elements"));
    };
    at_most(elements.len(), max, "items", format!("{pointer}/elements"))?;
    for (index, element) in elements.iter().enumerate() {
        check_element(element, format!("{pointer}/elements/{index}"))?;
    }
    Ok(())
}

fn check_element(element: &Value, pointer: String) -> Result<(), Broken> {
    match element["type"].as_str() {
        Some("mrkdwn" | "plain_text") => check_text(element, TEXT_MAX, &["mrkdwn", "plain_text"], pointer),
        Some("button") => {
            let text = format!("{pointer}/text");
            check_text(&element["text"], BUTTON_TEXT_MAX, &["plain_text"], text)?;
            for (name, max) in [("value", BUTTON_VALUE_MAX), ("url", BUTTON_URL_MAX), ("action_id", ID_MAX)] {
                let length = element[name].as_str().map_or(0, |value| value.chars().count());
                at_most(length, max, "characters", format!("{pointer}/{name}"))?;
            }
            Ok(())
        }
        Some("image") => Ok(()),
        _ => broken("unsupported type", format!("{pointer}/type")),
    }
}

fn check_text(text: &Value, max: usize, types: &[&str], pointer: String) -> Result<(), Broken> {
    if !text["type"].as_str().is_some_and(|kind| types.contains(&kind)) {
        return broken("unsupported type", format!("{pointer}/type"));
    }
    let length = text["text"].as_str().map_or(0, |text| text.chars().count());
    if length == 0 {
        return broken("must be more than 0 characters", format!("{pointer}/text"));
    }
    at_most(length, max, "characters", format!("{pointer}/text"))
}

fn at_most(count: usize, max: usize, what: &str, pointer: String) -> Result<(), Broken> {
    if count <= max {
        return Ok(());
    }
    let rule = match what {
        "items" => format!("no more than {max} items allowed"),
        _ => format!("must be less than {} {what}", max + 1),
    };
    Err(Broken { rule, pointer })
}

fn broken(rule: &str, pointer: String) -> Result<(), Broken> {
    Err(Broken { rule: rule.to_owned(), pointer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(length: usize) -> Value {
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(length) } })
    }

    #[test]
    fn limits_are_inclusive_and_named() {
        assert!(check(&[section(3_000)]).is_ok());
        let broken = check(&[section(1), section(3_001)]).expect_err("too long");
        assert_eq!(broken.rule, "must be less than 3001 characters");
        assert_eq!(broken.pointer, "/blocks/1/text/text");
        assert!(check(&vec![section(1); 50]).is_ok());
        assert!(check(&vec![section(1); 51]).is_err());
    }

    #[test]
    fn headers_are_plain_and_short() {
        let header = |kind: &str, length: usize| json!({ "type": "header", "text": { "type": kind, "text": "é".repeat(length) } });
        assert!(check(&[header("plain_text", 150)]).is_ok());
        assert!(check(&[header("plain_text", 151)]).is_err());
        assert!(check(&[header("mrkdwn", 10)]).is_err());
    }
}
