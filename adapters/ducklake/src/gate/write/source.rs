//! The tokens of one statement, with each bracket's partner and each placeholder's number.

use std::fmt::Write as _;

use crate::gate::error::GateError;
use crate::gate::tokens::{Kind, Token};

use super::ast::Part;

/// A statement that was cut into tokens.
pub(super) struct Source<'a> {
    pub(super) sql: &'a str,
    pub(super) tokens: Vec<Token<'a>>,
    /// For an opening bracket its partner's place; for all others their own.
    partners: Vec<usize>,
    /// The number of the next `?`, at each token.
    numbers: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(sql: &'a str, tokens: &[Token<'a>]) -> Result<Self, GateError> {
        if let Some(error) = tokens.iter().find_map(bad) {
            return Err(error);
        }
        let partners = partners(tokens)?;
        let numbers = numbers(tokens)?;
        Ok(Self { sql, tokens: tokens.to_vec(), partners, numbers })
    }

    /// The place behind a token, or behind the brackets that it opens.
    pub(super) fn behind(&self, at: usize) -> usize {
        self.partners.get(at).map_or(at + 1, |partner| partner + 1)
    }

    /// Whether a word means what it says: behind a dot and behind AS any word is a name.
    pub(super) fn is_keyword(&self, at: usize) -> bool {
        let dot = |at: usize| at > 0 && self.tokens[at - 1].kind == Kind::Dot;
        let label = at > 0 && self.tokens[at - 1].is("AS") && !dot(at - 1);
        let named = dot(at) || label;
        !named && self.tokens[at].kind == Kind::Word
    }

    /// The text from one token up to another, as it was written.
    pub(super) fn text(&self, from: usize, to: usize) -> &'a str {
        match (self.tokens.get(from), to.checked_sub(1).and_then(|last| self.tokens.get(last))) {
            (Some(first), Some(last)) if from < to => &self.sql[first.at..last.end()],
            _ => "",
        }
    }

    /// That text with numbers for its placeholders.
    pub(super) fn part(&self, from: usize, to: usize) -> Part {
        let mut text = String::new();
        let mut written = self.tokens.get(from).map_or(0, |token| token.at);
        for at in (from..to).filter(|at| self.tokens[*at].kind == Kind::Placeholder) {
            let token = self.tokens[at];
            text.push_str(&self.sql[written..token.at]);
            let glued = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
            // `AND?` is two tokens, `AND$1` is one; so are `?_0` and `$1_0`.
            let before = if text.ends_with(glued) { " " } else { "" };
            let after = if self.sql[token.end()..].starts_with(glued) { " " } else { "" };
            let _ = write!(text, "{before}${}{after}", self.numbers[at]);
            written = token.end();
        }
        if let Some(last) = to.checked_sub(1).and_then(|last| self.tokens.get(last)).filter(|_| from < to) {
            text.push_str(&self.sql[written..last.end()]);
        }
        Part(text)
    }

    /// That text in one line without comments.
    pub(super) fn plain(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        for at in from..to {
            let token = self.tokens[at];
            if at > from && self.tokens[at - 1].end() < token.at {
                text.push(' ');
            }
            text.push_str(token.text);
        }
        text
    }
}

/// The error for a token that isn't read.
pub(super) fn bad(token: &Token<'_>) -> Option<GateError> {
    let Kind::Bad(message) = token.kind else { return None };
    Some(GateError::Syntax { message: message.to_owned(), position: Some(token.at) })
}

fn partners(tokens: &[Token<'_>]) -> Result<Vec<usize>, GateError> {
    let unbalanced = |token: &Token<'_>| GateError::Syntax {
        message: format!("the bracket {} has no partner", token.text),
        position: Some(token.at),
    };
    let mut partners: Vec<usize> = (0..tokens.len()).collect();
    let mut open: Vec<usize> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => open.push(at),
            Kind::Close => {
                let partner = open.pop().ok_or_else(|| unbalanced(token))?;
                if !matches!((tokens[partner].text, token.text), ("(", ")") | ("[", "]") | ("{", "}")) {
                    return Err(unbalanced(token));
                }
                partners[partner] = at;
            }
            _ => {}
        }
    }
    open.last().map_or(Ok(partners), |at| Err(unbalanced(&tokens[*at])))
}

fn numbers(tokens: &[Token<'_>]) -> Result<Vec<usize>, GateError> {
    let has = |kind: Kind| tokens.iter().any(|token| token.kind == kind);
    if has(Kind::Placeholder) && has(Kind::Parameter) {
        return Err(GateError::unsupported("? beside other parameters", "write all of them as ? or as $1, $2 …"));
    }
    let mut next = 1;
    let number = |token: &Token<'_>| {
        let number = next;
        next += usize::from(token.kind == Kind::Placeholder);
        number
    };
    Ok(tokens.iter().map(number).collect())
}
