//! Cuts a text into tokens where the engine's scanner does: DuckDB 1.5's `scan.l`.
//!
//! What it would read in another way, or not at all, is a token of the kind [`Kind::Bad`]: those who only look for words
//! pass over it, those who understand statements refuse it.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// `'…'`, `e'…'`, `$tag$…$tag$`.
    Text,
    Number,
    /// `?`.
    Placeholder,
    /// `$1`, `?1`, `$name`.
    Parameter,
    /// `(`, `[`, `{`.
    Open,
    /// `)`, `]`, `}`.
    Close,
    Comma,
    Dot,
    /// A semicolon.
    End,
    /// All else, from `+` to `->>`.
    Operator,
    /// What isn't read here, and why.
    Bad(&'static str),
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it was written.
    pub(super) text: &'a str,
    /// Where it begins, in bytes from 0.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Whether this is that keyword, which is written in capitals here.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// The position behind it.
    pub(super) fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

const UNTERMINATED_TEXT: &str = "a string has no end";

/// The tokens of a text, without spaces and comments.
pub(super) struct Tokens<'a> {
    sql: &'a str,
    at: usize,
    /// Behind a string in quotes, where a further piece of it may follow on a line of its own.
    after_text: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { sql, at: 0, after_text: false }
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// Skips spaces and comments; an open comment is left.
    fn skip_gap(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(is_space);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") {
                self.at += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
            } else if let Some(length) = block_comment(trimmed) {
                self.at += length;
            } else {
                return;
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_gap();
        let (rest, at) = (self.rest(), self.at);
        let first = rest.chars().next()?;
        let (mut kind, length) = token(rest, first);
        // The pieces of a string follow the rules of the first one, whatever they look like by themselves.
        if self.after_text && first == '\'' {
            kind = Kind::Bad("a string is written in several pieces; write it as one");
        }
        let length = length.max(first.len_utf8());
        self.after_text = kind == Kind::Text && !rest.starts_with('$');
        self.at += length;
        Some(Token { kind, text: rest.get(..length).unwrap_or(rest), at })
    }
}

/// The spaces of the engine, and those that it takes for one.
fn is_space(character: char) -> bool {
    matches!(
        character,
        ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{a0}' | '\u{2000}'
            ..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}'
    )
}

/// The length of a comment; comments hold comments. None if there is none, or if it has no end.
fn block_comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth > 0 => (depth, at) = (depth - 1, at + 2),
            _ if depth == 0 => return None,
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The token at the begin of a text that begins with no space, and its length.
fn token(text: &str, first: char) -> (Kind, usize) {
    let second = text.as_bytes().get(1).copied();
    match first {
        '\'' => quoted(text, 0, false),
        'e' | 'E' if second == Some(b'\'') => quoted(text, 1, true),
        'b' | 'B' | 'x' | 'X' | 'n' | 'N' if second == Some(b'\'') => {
            (Kind::Bad("strings like b'…', x'…' and n'…' are not read here"), quoted(text, 1, false).1)
        }
        'u' | 'U' if text.get(1..3).is_some_and(|next| next == "&'" || next == "&\"") => {
            (Kind::Bad("U&'…' is not read here; write the characters themselves"), quoted(text, 2, false).1)
        }
        '"' => name(text),
        '$' => dollar(text),
        '?' => match digits(&text[1..]) {
            0 => (Kind::Placeholder, 1),
            length => (Kind::Parameter, 1 + length),
        },
        '(' | '[' | '{' => (Kind::Open, 1),
        ')' | ']' | '}' => (Kind::Close, 1),
        ',' => (Kind::Comma, 1),
        ';' => (Kind::End, 1),
        '.' if !second.is_some_and(|next| next.is_ascii_digit()) => (Kind::Dot, 1),
        '0'..='9' | '.' => (Kind::Number, number(text)),
        ':' | '#' => (Kind::Operator, if matches!(second, Some(b':' | b'=')) && first == ':' { 2 } else { 1 }),
        letter if begins_word(letter) => (Kind::Word, word(text)),
        sign if OPERATORS.contains(sign) => operator(text),
        _ => (Kind::Bad("a character that means nothing in SQL stands outside of quotes"), first.len_utf8()),
    }
}

fn begins_word(letter: char) -> bool {
    letter.is_ascii_alphabetic()
        || letter == '_'
        || !letter.is_ascii() && !letter.is_whitespace() && !letter.is_control()
}

fn word(text: &str) -> usize {
    let ends = |letter: char| !begins_word(letter) && !letter.is_ascii_digit() && letter != '$' || is_space(letter);
    text.find(ends).unwrap_or(text.len())
}

/// A string whose quote stands at that place.
fn quoted(text: &str, opening: usize, backslash: bool) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let quote = bytes.get(opening).copied().unwrap_or(b'\'');
    let mut at = opening + 1;
    while let Some(&byte) = bytes.get(at) {
        if backslash && byte == b'\\' {
            at += 1;
        } else if byte == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return (Kind::Text, at + 1);
            }
            at += 1;
        }
        at += 1;
    }
    (Kind::Bad(UNTERMINATED_TEXT), text.len())
}

fn name(text: &str) -> (Kind, usize) {
    match quoted(text, 0, false) {
        (Kind::Text, 2) => (Kind::Bad("a name in quotes is empty"), 2),
        (Kind::Text, length) => (Kind::Quoted, length),
        (_, length) => (Kind::Bad("a name in quotes has no end"), length),
    }
}

/// `$tag$…$tag$`, `$1` or `$name`.
fn dollar(text: &str) -> (Kind, usize) {
    let body = &text[1..];
    let tag = match body.chars().next() {
        Some(letter) if begins_word(letter) || !letter.is_ascii() => {
            let ends = |letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric() && letter != '_';
            body.find(ends).unwrap_or(body.len())
        }
        _ => 0,
    };
    if body.as_bytes().get(tag) == Some(&b'$') {
        let mark = &text[..tag + 2];
        return match text[mark.len()..].find(mark) {
            Some(length) => (Kind::Text, length + 2 * mark.len()),
            None => (Kind::Bad(UNTERMINATED_TEXT), text.len()),
        };
    }
    match digits(body) {
        0 if tag > 0 => (Kind::Parameter, 1 + word(body)),
        0 => (Kind::Bad("a dollar sign stands alone"), 1),
        length => (Kind::Parameter, 1 + length),
    }
}

/// Digits, with single underscores between them.
fn digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while is_digit(at) || at > 0 && bytes[at - 1] != b'_' && bytes.get(at) == Some(&b'_') && is_digit(at + 1) {
        at += 1;
    }
    at
}

fn number(text: &str) -> usize {
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let mut at = digits(text);
    if byte(at) == Some(b'.') && byte(at + 1) != Some(b'.') {
        at += 1 + digits(&text[at + 1..]);
    }
    if matches!(byte(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(at + 1), Some(b'+' | b'-')));
        let exponent = digits(text.get(at + 1 + sign..).unwrap_or_default());
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

const OPERATORS: &str = "~!@^&|`+-*/%<>=";

/// The longest run of signs that is looked at: no operator is half as long.
const LONGEST_RUN: usize = 128;

/// The longest operator that holds no comment; a sign behind it may belong to what follows.
fn operator(text: &str) -> (Kind, usize) {
    let signs = text.bytes().take(LONGEST_RUN).take_while(|byte| OPERATORS.as_bytes().contains(byte)).count();
    let run = &text[..signs];
    if run.starts_with("/*") {
        return (Kind::Bad("a comment has no end"), text.len());
    }
    let run = &run[..run.find("/*").into_iter().chain(run.find("--")).min().unwrap_or(run.len())];
    if run.len() == LONGEST_RUN {
        return (Kind::Bad("a run of operators is too long"), run.len());
    }
    if matches!(run, "->" | "->>") || run.contains(['~', '!', '@', '^', '&', '|', '`', '%']) {
        return (Kind::Operator, run.len());
    }
    (Kind::Operator, run.trim_end_matches(['+', '-']).len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sql: &str) -> String {
        Tokens::new(sql)
            .map(|token| match token.kind {
                Kind::Bad(_) => format!("!{}", token.text),
                _ => token.text.to_owned(),
            })
            .collect::<Vec<_>>()
            .join("·")
    }

    #[test]
    fn tokens_end_where_the_engine_ends_them() {
        for (sql, expected) in [
            ("a$b1.ü /* x /* y */ */ c--d\re", "a$b1·.·ü·c·e"),
            ("'it''s'e'a\\'b'E'' \"a\"\"b\"", "'it''s'·e'a\\'b'·E''·\"a\"\"b\""),
            ("$$a'b$$$t$ $$ $t1$ $t$", "$$a'b$$·$t$ $$ $t1$ $t$"),
            ("$1 $_a $from ?, ?2 1$1", "$1·$_a·$from·?·,·?2·1·$1"),
            ("1.5 .5 1. 1..2 1e5 1e 1_000 1__0 1.e-3", "1.5·.5·1.·1·.·.2·1e5·1·e·1_000·1·__0·1.e-3"),
            (
                "a=-1 a<=>-2 a@-1 a->>'b' +-+1 a--\n b*/**/c ::x :=",
                "a·=·-·1·a·<=>·-·2·a·@-·1·a·->>·'b'·+·-·+·1·a·b·*·c·::·x·:=",
            ),
            ("a\u{a0}b\u{3000}\u{feff}c", "a·b·c"),
            ("u & u&1 u&'a' b'1' nb'1' x'", "u·&·u·&·1·!u&'a'·!b'1'·nb·'1'·!x'"),
            ("'a'\n'b\\' /* c", "'a'·!'b\\'·!/* c"),
            ("'a' \"\" \u{b} a\u{2028}", "'a'·!\"\"·!\u{b}·a·!\u{2028}"),
            ("{'a': [1, (2)]}", "{·'a'·:·[·1·,·(·2·)·]·}"),
            ("$ 'x", "!$·!'x"),
        ] {
            assert_eq!(cut(sql), expected, "{sql}");
        }
    }
}
