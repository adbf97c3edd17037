//! Reads `.env`: `NAME=value` lines, with quotes, comments and `export`.
//!
//! It sets no environment variable and expands none: a `$` is a `$`. Errors name the line, never its text, which may
//! hold a secret.

/// An assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// The line it begins on, from 1.
    pub(super) line: usize,
}

/// A line that is no assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// The assignments and the lines that are none, in order. Of two assignments to one name the later counts.
pub(super) fn parse(text: &str) -> (Vec<Assignment>, Vec<BadLine>) {
    let (mut assignments, mut bad) = (Vec::new(), Vec::new());
    // Editors on Windows put a mark in front of UTF-8.
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (entry, after) = entry(rest);
        match entry {
            Ok(Some((name, value))) => assignments.push(Assignment { name, value, line }),
            Ok(None) => {}
            Err(why) => bad.push(BadLine { line, why }),
        }
        line += rest.len().checked_sub(after.len()).and_then(|end| rest.get(..end)).map_or(1, newlines);
        rest = after;
    }
    (assignments, bad)
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

type Entry = Result<Option<(String, String)>, &'static str>;

/// The assignment at the beginning, and the text after the line it ends on.
fn entry(text: &str) -> (Entry, &str) {
    let (line, after_line) = text.split_once('\n').unwrap_or((text, ""));
    let start = line.trim_start();
    if start.trim_end().is_empty() || start.starts_with('#') {
        return (Ok(None), after_line);
    }
    let start = start.strip_prefix("export ").map_or(start, str::trim_start);
    let Some((name, value)) = start.split_once('=') else {
        return (Err("expected NAME=value"), after_line);
    };
    let name = name.trim_end();
    if !is_name(name) {
        return (Err("names have letters, digits and _ only"), after_line);
    }
    let value = value.trim_start_matches([' ', '\t']);
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return (Ok(Some((name.to_owned(), unquoted(value).to_owned()))), after_line);
    };
    // A quoted value may go on over several lines, so it is looked for in all that is left.
    let opened = text.len() - after_line.len() - usize::from(line.len() < text.len()) - value.len();
    let quoted_text = text.get(opened + 1..).unwrap_or_default();
    match quoted(quoted_text, quote) {
        None => (Err("the quote is never closed"), after_line),
        Some((value, after)) => {
            let (tail, after) = after.split_once('\n').unwrap_or((after, ""));
            let tail = tail.trim();
            if tail.is_empty() || tail.starts_with('#') {
                (Ok(Some((name.to_owned(), value))), after)
            } else {
                (Err("there is text after the closing quote"), after)
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Up to a comment, which needs a space before its `#`: passwords have that character too.
fn unquoted(value: &str) -> &str {
    let comment = value.char_indices().find(|(at, c)| {
        *c == '#' && value.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    });
    comment.and_then(|(at, _)| value.get(..at)).unwrap_or(value).trim()
}

/// The text up to the closing quote, and what follows. Double quotes know `\n`, `\t`, `\r`, `\\`, `\"` and `\$`.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return text.get(at + c.len_utf8()..).map(|after| (value, after));
        }
        if c == '\\' && quote == '"' {
            match characters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                escaped @ ('\\' | '"' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            }
        } else {
            value.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        let (mut assignments, bad) = parse(text);
        assert_eq!((assignments.len(), bad.len()), (1, 0), "{text}");
        assignments.remove(0).value
    }

    #[test]
    fn values_are_plain_or_quoted() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b c ", "b c"),
            ("export A=b\r\n", "b"),
            ("  A=b # a comment", "b"),
            ("A=b#c", "b#c"),
            ("A=# a comment", ""),
            ("A=", ""),
            ("A=x=y", "x=y"),
            ("A=$B ${C}", "$B ${C}"),
            ("A='b # c\\n' # d", "b # c\\n"),
            (r#"A="b\n\"c\" \$ \x""#, "b\n\"c\" $ \\x"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("\u{feff}A=b", "b"),
            ("A='ä'", "ä"),
        ] {
            assert_eq!(one(text), value, "{text}");
        }
    }

    #[test]
    fn lines_are_counted_over_comments_and_quotes() {
        let (assignments, bad) = parse("# head\n\nA=1\nB=\"x\ny\"\nnonsense\nC=3\r\n1D=4\nE='never\nF=6");
        let lines: Vec<_> = assignments.iter().map(|found| (found.name.as_str(), found.line)).collect();
        assert_eq!(lines, [("A", 3), ("B", 4), ("C", 7), ("F", 10)]);
        assert_eq!(bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [6, 8, 9]);
        let (_, bad) = parse("A='b' c");
        assert_eq!(bad.first().map(|bad| bad.why), Some("there is text after the closing quote"));
    }
}
