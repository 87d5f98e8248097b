//! Text from outside, made safe for Slack and short enough for it.
//!
//! Slack reads `&`, `<` and `>` in `mrkdwn` (docs.slack.dev/messaging/formatting-message-text): unescaped, a display name
//! `<!channel>` wakes everybody up. One string over its limit fails the whole message, so everything is cut before
//! sending. Lengths are counted in UTF-16 units after escaping: whatever Slack counts, it is not more.

/// What stands where text was cut off.
const CUT: char = '…';

/// `text` without markup of its own, at most `limit` long. For `mrkdwn` objects that are `verbatim`.
pub(super) fn escape(text: &str, limit: usize) -> String {
    fit(text, limit, escaped)
}

/// For `plain_text` objects, which read no markup.
pub(super) fn plain(text: &str, limit: usize) -> String {
    fit(text, limit, Piece::One)
}

/// `text` as inline code. A backtick would end the code, so it becomes an apostrophe.
pub(super) fn code(text: &str, limit: usize) -> String {
    let inside = fit(text, limit.saturating_sub(2), |c| if c == '`' { Piece::One('\'') } else { escaped(c) });
    format!("`{inside}`")
}

/// The length that counts against Slack's limits.
pub(super) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[derive(Clone, Copy)]
enum Piece {
    One(char),
    Entity(&'static str),
}

impl Piece {
    fn length(self) -> usize {
        match self {
            Piece::One(c) => c.len_utf16(),
            Piece::Entity(entity) => entity.len(),
        }
    }

    fn push_to(self, out: &mut String) {
        match self {
            Piece::One(c) => out.push(c),
            Piece::Entity(entity) => out.push_str(entity),
        }
    }
}

fn escaped(c: char) -> Piece {
    match c {
        '&' => Piece::Entity("&amp;"),
        '<' => Piece::Entity("&lt;"),
        '>' => Piece::Entity("&gt;"),
        other => Piece::One(other),
    }
}

/// Never cuts inside an entity or a surrogate pair.
fn fit(text: &str, limit: usize, piece: impl Fn(char) -> Piece) -> String {
    let pieces: Vec<Piece> = text.chars().filter_map(readable).take(limit + 1).map(piece).collect();
    let mut out = String::new();
    if pieces.iter().map(|p| p.length()).sum::<usize>() <= limit {
        pieces.iter().for_each(|p| p.push_to(&mut out));
        return out;
    }
    let mut left = limit.saturating_sub(CUT.len_utf16());
    for piece in pieces {
        if piece.length() > left {
            break;
        }
        left -= piece.length();
        piece.push_to(&mut out);
    }
    out.push(CUT);
    out
}

/// Drops what could rearrange the line for the reader: control characters and bidirectional overrides
/// (Unicode UAX #9 §2). Right-to-left text itself stays.
fn readable(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' => Some(' '),
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_from_outside_is_only_text() {
        assert_eq!(
            escape("<!channel> & <https://evil|x>", 100),
            "&lt;!channel&gt; &amp; &lt;https://evil|x&gt;"
        );
        assert_eq!(plain("<!channel> & co", 100), "<!channel> & co");
        assert_eq!(code("a`b<c", 100), "`a'b&lt;c`");
    }

    #[test]
    fn a_cut_never_tears_an_entity_or_an_emoji() {
        assert_eq!(escape("ab&cd", 6), "ab…");
        assert_eq!(escape("ab&c", 8), "ab&amp;c");
        assert_eq!(escape("ab&cd", 8), "ab&amp;…");
        assert_eq!(plain("🦀🦀🦀", 6), "🦀🦀🦀");
        assert_eq!(plain("🦀🦀🦀", 5), "🦀🦀…");
        assert_eq!(length(&code(&"&".repeat(10_000), 300)), 298);
    }

    #[test]
    fn the_readers_line_cannot_be_rearranged() {
        assert_eq!(escape("a\u{202E}txt.exe\u{2066}\nb\u{7}", 100), "atxt.exe b");
        assert_eq!(escape("עדל ואנס", 100), "עדל ואנס");
    }
}
