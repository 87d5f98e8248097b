//! What Slack's error words mean for us (docs.slack.dev/reference/methods/chat.postMessage, chat.update; the
//! incoming webhooks' words: docs/vendors.md).

use super::super::{Error, Word};

/// The failure that `word` names.
///
/// A word nobody has told us about is a refusal for a person to look at: Slack said no, so nothing was posted.
pub(super) fn error(word: &str, pointer: Option<String>) -> Error {
    let read = Word::read(word);
    match word {
        "message_not_found" | "cant_update_message" | "edit_window_closed" => Error::Gone(read),
        "fatal_error" | "internal_error" | "request_timeout" | "service_unavailable" | "rollup_error" => {
            Error::Failed(read)
        }
        _ if is_about_the_message(word) => Error::Unfit { word: read, pointer },
        _ => refused(read),
    }
}

/// Slack said no to us, not to the message.
pub(super) fn refused(word: Word) -> Error {
    Error::Refused { word, advice: "check the token, its scopes and that the app is in the channel" }
}

fn is_about_the_message(word: &str) -> bool {
    const OURS: &[&str] = &[
        "no_text",
        "msg_too_long",
        "msg_blocks_too_long",
        "too_many_attachments",
        "missing_text_or_fallback_or_attachments",
        "json_not_object",
        "missing_post_type",
    ];
    const NOT_OURS: &[&str] = &["invalid_auth", "invalid_token"];
    OURS.contains(&word) || (word.starts_with("invalid_") && !NOT_OURS.contains(&word))
}

/// Where in the message the fault is: the JSON pointer of `must be less than 3001 characters
/// [json-pointer:/blocks/2/text/text]`. The sentence around it is left out, it could quote the message.
pub(super) fn pointer(sentence: &str) -> Option<String> {
    const POINTER_CHARS_MAX: usize = 100;
    let (_, rest) = sentence.split_once("[json-pointer:")?;
    let (pointer, _) = rest.split_once(']')?;
    let looks = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    (pointer.len() <= POINTER_CHARS_MAX && pointer.chars().all(looks)).then(|| pointer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::Certainty;
    use super::*;
    use crate::retry::WhatNow;

    #[test]
    fn each_group_of_words_has_its_own_answer() {
        let answer = |word| (error(word, None).what_now(), error(word, None).certainty());
        for word in ["invalid_auth", "token_revoked", "missing_scope", "not_in_channel", "something_new"] {
            assert_eq!(answer(word), (WhatNow::AskHuman, Certainty::NotPosted), "{word}");
        }
        for word in ["invalid_blocks", "msg_too_long", "no_text", "message_not_found"] {
            assert_eq!(answer(word), (WhatNow::GiveUp, Certainty::NotPosted), "{word}");
        }
        for word in ["fatal_error", "internal_error", "service_unavailable", "rollup_error"] {
            assert_eq!(answer(word), (WhatNow::BackOff, Certainty::Unknown), "{word}");
        }
    }

    #[test]
    fn of_slacks_sentence_only_the_pointer_is_kept() {
        let sentence = "[ERROR] must be less than 3001 characters [json-pointer:/blocks/2/text/text]";
        assert_eq!(pointer(sentence).as_deref(), Some("/blocks/2/text/text"));
        assert_eq!(pointer("Adele Vance is too long"), None);
        assert_eq!(pointer("[json-pointer:Adele Vance]"), None);
    }

    #[test]
    fn a_page_of_a_proxy_is_no_word() {
        assert_eq!(error("<html>Adele</html>", None).to_string(), error("", None).to_string());
    }
}
