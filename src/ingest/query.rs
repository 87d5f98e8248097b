//! One parameter of a query string, decoded exactly once.
//!
//! Decoding is that of HTML forms, because Graph encodes so: its endpoint validation arrives as
//! `validationToken=Validation%3a+Testing+client+application+reachability…` (seen in access logs of receivers; the
//! documentation only says "URL-decode") and is answered with blanks. A plus sign of the token itself comes as `%2B`.

/// Why a parameter has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Absent,
    /// It is there twice, or is not valid percent-encoded UTF-8.
    Unclear,
}

/// The decoded value of `name`.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Result<String, Missing> {
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name && found.replace(value).is_some() {
            return Err(Missing::Unclear);
        }
    }
    decode(found.ok_or(Missing::Absent)?).ok_or(Missing::Unclear)
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_decoded_once_and_only_once() {
        let token = |query| parameter(Some(query), "validationToken");
        assert_eq!(token("validationToken=Validation%3a+Testing"), Ok("Validation: Testing".into()));
        assert_eq!(token("a=1&validationToken=x%2By%20z&b"), Ok("x+y z".into()));
        assert_eq!(token("validationToken=%2541"), Ok("%41".into()));
        assert_eq!(token("a=validationToken"), Err(Missing::Absent));
        assert_eq!(token("validationToken=a&validationToken=b"), Err(Missing::Unclear));
        assert_eq!(token("validationToken=%4"), Err(Missing::Unclear));
        assert_eq!(token("validationToken=%zz"), Err(Missing::Unclear));
        assert_eq!(token("validationToken=%ff"), Err(Missing::Unclear));
        assert_eq!(parameter(None, "secret"), Err(Missing::Absent));
    }
}
