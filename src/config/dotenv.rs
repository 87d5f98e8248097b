//! Reads a `.env` file: `NAME=value` lines, comments, quotes; nothing is expanded or executed.
//!
//! Written here because the usual crate neither tells line numbers nor leaves a `$` in a secret alone. The form is what
//! Docker's `--env-file` and systemd's `EnvironmentFile` also read: values in double quotes know `\n`, `\"` and `\\`,
//! values in single quotes are taken as they are, and an unquoted value ends at ` #`.

use super::mistakes::{Line, Mistake, Mistakes, Place};

/// One line that was understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    pub value: String,
    /// From 1.
    pub line: usize,
    /// The whole line, secret or not.
    pub text: String,
}

/// Every setting of `source`, and every line that is none. No line is shown in a mistake: it may be part of a secret.
pub fn parse(file: &str, source: &str) -> (Vec<Setting>, Mistakes) {
    let (mut settings, mut mistakes) = (Vec::new(), Mistakes::default());
    let mut begin = 0;
    for (index, text) in source.split('\n').enumerate() {
        match setting(text.trim()) {
            Ok(None) => {}
            Ok(Some((name, value))) => {
                settings.push(Setting { name, value, line: index + 1, text: text.trim_end().to_owned() });
            }
            Err(what) => {
                let place = Place::Line(Line::of(file, source, begin..begin).hiding_after(0));
                let help = Some("write NAME=value, with quotes around a value that holds ` #`".to_owned());
                mistakes.push(Mistake { what: what.to_owned(), place, help });
            }
        }
        begin += text.len() + 1;
    }
    (settings, mistakes)
}

fn setting(line: &str) -> Result<Option<(String, String)>, &'static str> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, rest) = line.split_once('=').ok_or("this line is neither NAME=value nor a comment")?;
    let name = name.trim_end();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("what stands before = is no name of a variable");
    }
    Ok(Some((name.to_owned(), value(rest.trim_start())?)))
}

fn value(rest: &str) -> Result<String, &'static str> {
    let (value, after) = match rest.as_bytes().first() {
        Some(b'\'') => rest[1..].split_once('\'').map(|(v, after)| (v.to_owned(), after)).ok_or(UNCLOSED)?,
        Some(b'"') => double_quoted(&rest[1..])?,
        Some(b'#') | None => (String::new(), ""),
        Some(_) => (rest.split(" #").next().unwrap_or_default().trim_end().to_owned(), ""),
    };
    let after = after.trim_start();
    if after.is_empty() || after.starts_with('#') {
        Ok(value)
    } else {
        Err("something follows the closing quote")
    }
}

const UNCLOSED: &str = "the quote is not closed on this line";

fn double_quoted(rest: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &rest[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, quoted @ ('"' | '\\' | '$'))) => value.push(quoted),
                Some((_, other)) => value.extend(['\\', other]),
                None => return Err(UNCLOSED),
            },
            other => value.push(other),
        }
    }
    Err(UNCLOSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Vec<(String, String)> {
        let (settings, mistakes) = parse(".env", source);
        assert!(mistakes.is_empty(), "{mistakes}");
        settings.into_iter().map(|s| (s.name, s.value)).collect()
    }

    fn one(line: &str) -> String {
        let mut all = read(line);
        assert_eq!(all.len(), 1, "{line}");
        all.remove(0).1
    }

    #[test]
    fn comments_blank_lines_export_and_carriage_returns_are_understood() {
        let all = read("# a comment\r\n\r\nexport A=1\r\nB = 2 # why\nC=\n");
        let expected = [("A", "1"), ("B", "2"), ("C", "")];
        assert_eq!(all, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_value_is_taken_as_it_stands() {
        assert_eq!(one("A=pa$$word#not-a-comment"), "pa$$word#not-a-comment");
        assert_eq!(one("A='a \"b\" # c'"), "a \"b\" # c");
        assert_eq!(one("A=\"line\\nnext \\\"q\\\" \\\\ \\d\" # c"), "line\nnext \"q\" \\ \\d");
        assert_eq!(one("A=x=y"), "x=y");
        assert_eq!(one("A= # nothing"), "");
    }

    #[test]
    fn every_bad_line_is_named_by_its_number_and_none_is_shown() {
        let source = "GOOD=1\nhunter2\nA=\"hunter2\n1X=hunter2\nB='x' hunter2\n";
        let (settings, mistakes) = parse(".env", source);
        assert_eq!(settings.len(), 1);
        let lines: Vec<usize> = mistakes
            .iter()
            .map(|m| match &m.place {
                Place::Line(line) => line.line,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
    }
}
