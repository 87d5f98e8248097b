//! Finds the tables that an expression names as `tables['NAME']`. minijinja tells of dotted paths only.

use super::TABLES;

/// What matters of an expression's parts.
#[derive(Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// A text as it is written, quotes and escapes included.
    Text(&'a str),
    Mark(char),
}

/// The texts of `tables['NAME']`, as they are written. A name that is computed is nobody's to know beforehand.
pub fn literals(source: &str) -> Vec<&str> {
    let tokens = tokens(source);
    let named = |(at, four): (usize, &[Token<'_>])| match four {
        [Token::Word(TABLES), Token::Mark('['), Token::Text(_), Token::Mark(']')] => {
            // After a dot it is a property of something else.
            (at == 0 || tokens[at - 1] != Token::Mark('.')).then_some(at + 2)
        }
        _ => None,
    };
    let texts = tokens.windows(4).enumerate().filter_map(named);
    texts.filter_map(|at| if let Token::Text(text) = tokens[at] { Some(text) } else { None }).collect()
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => text_length(rest, first),
            _ if is_of_word(first) => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(match first {
            '\'' | '"' => Token::Text(token),
            _ if is_of_word(first) => Token::Word(token),
            _ => Token::Mark(first),
        });
        rest = after.trim_start();
    }
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// How long the text is that `rest` begins with, both quotes included.
fn text_length(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.map_or(rest.len(), |(at, quote)| at + quote.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_brackets_behind_the_tables_are_found_wherever_they_stand() {
        assert_eq!(literals("tables['w'][c] ~ (x or tables [ \"v\" ] . k)"), ["'w'", "\"v\""]);
        assert_eq!(literals(r"tables['it\'s'].k"), [r"'it\'s'"]);
        assert_eq!(literals("[tables['a'], tables['é']]"), ["'a'", "'é'"]);
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for source in [
            "tables[department]",
            "tables['a' ~ b]",
            "manager.tables['a']",
            "my_tables['a']",
            "\"tables['a']\"",
            r"'\'tables[' ~ 'a]'",
            "tables.x['y']",
            "tables['a",
        ] {
            assert_eq!(literals(source), Vec::<&str>::new(), "{source}");
        }
    }
}
