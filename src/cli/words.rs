//! Arguments that several commands take, read strictly.

use crate::event::{EVENT_TEXT_CHARS_MAX, ObjectId};

/// A person on the command line: the Entra object id.
pub fn person(text: &str) -> Result<ObjectId, String> {
    if text.contains('@') {
        let why =
            "a person is named by Entra object id, never by e-mail: an address can move to somebody else";
        return Err(format!("{why} (Entra admin center, Users: the object id on the person's page)"));
    }
    uuid::Uuid::try_parse(text).map(ObjectId).map_err(|_| "an Entra object id is a GUID".to_owned())
}

/// The id of an event, as `dead list` shows it.
pub fn event(text: &str) -> Result<crate::event::EventId, String> {
    uuid::Uuid::try_parse(text)
        .map(crate::event::EventId)
        .map_err(|_| "an event is named by the id that `lockstep dead list` shows".to_owned())
}

/// A reason, which the audit keeps.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("a reason must not be empty: it is what others will read in the audit".to_owned()),
        n if n > EVENT_TEXT_CHARS_MAX => {
            Err(format!("a reason has at most {EVENT_TEXT_CHARS_MAX} characters"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Who is typing, for the audit: the user of the operating system and the machine. Not proof, but a trace.
pub fn who() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(uid);
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| variable("HOSTNAME"))
        .unwrap_or_else(|| "unknown".to_owned());
    crate::event::clip(&format!("{user}@{}", machine.trim()))
}

fn uid() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or_else(|_| "unknown".to_owned(), |me| format!("uid-{}", me.uid()))
}
