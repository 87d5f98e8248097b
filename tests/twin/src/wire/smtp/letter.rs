//! Reads a mail as a mail program does (RFC 5322, 2045, 2047), and finds what should not be in one.

use crate::world::Letter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Once each, RFC 5322, 3.6; the others that we know may be there.
const NEEDED: [&str; 5] = ["From", "To", "Date", "Subject", "Message-ID"];
const KNOWN: [&str; 7] = [
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Importance",
];

/// The mail, and what is wrong with it, one sentence each.
pub(super) fn read(from: String, to: Vec<String>, raw: &str) -> (Letter, Vec<String>) {
    let mut odd = Vec::new();
    if !raw.is_ascii() {
        odd.push("bytes beyond ASCII, and 8BITMIME was not offered".to_owned());
    }
    let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
    let headers = headers(head, &mut odd);
    for name in NEEDED {
        let times = headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).count();
        if times != 1 {
            odd.push(format!("{name} is there {times} times"));
        }
    }
    for (name, _) in &headers {
        if !NEEDED.iter().chain(&KNOWN).any(|known| name.eq_ignore_ascii_case(known)) {
            odd.push(format!("unknown header {name}"));
        }
    }
    let encoding = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Transfer-Encoding"));
    let encoding = encoding.map_or("7bit", |(_, value)| value.as_str());
    let text = match encoding {
        "7bit" => body.to_owned(),
        "quoted-printable" => quoted_printable(body, |c| c),
        "base64" => base64(&body.replace("\r\n", "")),
        other => {
            odd.push(format!("unknown encoding {other}"));
            String::new()
        }
    };
    let letter = Letter { from, to, headers, text: text.replace("\r\n", "\n") };
    (letter, odd)
}

fn headers(head: &str, odd: &mut Vec<String>) -> Vec<(String, String)> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut headers = Vec::new();
    for line in unfolded.split("\r\n") {
        match line.split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), decoded(value))),
            None => odd.push(format!("no header: {line}")),
        }
    }
    headers
}

/// Encoded words (RFC 2047); the blanks between two of them are not there.
fn decoded(value: &str) -> String {
    let joined = value.replace("?= =?", "?==?");
    let (mut out, mut rest) = (String::new(), joined.as_str());
    while let Some((before, after)) = rest.split_once("=?") {
        out.push_str(before);
        let Some((text, then)) = encoded_word(after) else {
            out.push_str("=?");
            rest = after;
            continue;
        };
        out.push_str(&text);
        rest = then;
    }
    out.push_str(rest);
    out
}

/// `charset?encoding?text?=`, and what comes after it. The text may end with a `=` of its own.
fn encoded_word(word: &str) -> Option<(String, &str)> {
    let (charset, rest) = word.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (text, then) = rest.split_once("?=")?;
    let text = match (charset.to_ascii_lowercase().as_str(), encoding) {
        ("utf-8", "b" | "B") => base64(text),
        ("utf-8", "q" | "Q") => quoted_printable(text, |c| if c == '_' { ' ' } else { c }),
        _ => "(unreadable)".to_owned(),
    };
    Some((text, then))
}

fn base64(text: &str) -> String {
    String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned()
}

fn quoted_printable(text: &str, plain: impl Fn(char) -> char) -> String {
    let text = text.replace("=\r\n", "");
    let mut out = Vec::new();
    let mut parts = text.split('=');
    let push = |out: &mut Vec<u8>, text: &str| {
        out.extend(text.chars().map(&plain).collect::<String>().into_bytes());
    };
    push(&mut out, parts.next().unwrap_or_default());
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out.push(u8::from_str_radix(code, 16).unwrap_or(b'?'));
        push(&mut out, rest);
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_as_people_read_it() {
        let raw = "From: a@b\r\nTo: c@d,\r\n e@f\r\nDate: x\r\nMessage-ID: <1@b>\r\n\
                   Subject: a =?utf-8?b?xYF1?= =?utf-8?b?a2Fzeg==?= here\r\n\
                   Content-Transfer-Encoding: quoted-printable\r\n\r\nZo=C3=AB =\r\nhere\r\n";
        let (letter, odd) = read("a@b".into(), vec!["c@d".into()], raw);
        assert_eq!(odd, [""; 0]);
        assert_eq!((letter.header("subject"), letter.text.as_str()), ("a Łukasz here", "Zoë here\n"));
        assert_eq!(letter.header("To"), "c@d, e@f");
    }

    #[test]
    fn what_should_not_be_in_a_mail_is_found() {
        let raw = "From: a@b\r\nFrom: x@y\r\nTo: c@d\r\nDate: x\r\nMessage-ID: <1@b>\r\nBcc: eve@e\r\n\r\nö";
        let (_, odd) = read("a@b".into(), vec!["c@d".into()], raw);
        assert_eq!(odd.len(), 4, "two From, no Subject, Bcc, bytes: {odd:?}");
    }
}
