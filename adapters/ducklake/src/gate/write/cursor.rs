//! A place in a statement, and the steps a reader of heads takes from there.

use std::ops::Range;

use crate::gate::classify::classify;
use crate::gate::error::GateError;
use crate::gate::tokens::{Kind, Token};

use super::ast::Part;
use super::source::Source;
use super::{begins_query, parts};

/// What stands between two places of a statement, read from its begin.
pub(super) struct Cursor<'s, 'a> {
    pub(super) source: &'s Source<'a>,
    pub(super) at: usize,
    end: usize,
    /// For refusals: the statement's verb, and how it is written.
    verb: String,
    form: &'static str,
}

impl<'s, 'a> Cursor<'s, 'a> {
    pub(super) fn new(source: &'s Source<'a>) -> Self {
        let end = source.tokens.len();
        Self { source, at: 0, end, verb: "this statement".to_owned(), form: "check how it is written" }
    }

    /// The same statement between two places.
    pub(super) fn within(&self, range: Range<usize>) -> Self {
        Self { source: self.source, at: range.start, end: range.end, verb: self.verb.clone(), form: self.form }
    }

    /// Says how what follows is written, for refusals.
    pub(super) fn form(&mut self, form: &'static str) {
        self.form = form;
    }

    /// Takes the verb, in capitals.
    pub(super) fn verb(&mut self) -> String {
        let Some(token) = self.peek().filter(|token| token.kind == Kind::Word) else { return String::new() };
        self.at += 1;
        self.verb = token.text.to_ascii_uppercase();
        self.verb.clone()
    }

    pub(super) fn peek(&self) -> Option<&'s Token<'a>> {
        self.source.tokens[..self.end].get(self.at)
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    pub(super) fn end(&self) -> usize {
        self.end
    }

    pub(super) fn next(&mut self) -> Option<&'s Token<'a>> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    pub(super) fn is_at(&self, keyword: &str) -> bool {
        self.peek().is_some_and(|token| token.is(keyword))
    }

    /// Takes a keyword if it stands here.
    pub(super) fn eat(&mut self, keyword: &str) -> bool {
        let found = self.is_at(keyword);
        self.at += usize::from(found);
        found
    }

    /// Takes words and signs, with spaces between them here, if all of them follow.
    pub(super) fn eat_all(&mut self, phrase: &str) -> bool {
        let before = self.at;
        let all = phrase.split(' ').all(|word| {
            let is_word = word.starts_with(|letter: char| letter.is_ascii_alphabetic());
            if is_word { self.eat(word) } else { self.sign(word) }
        });
        if !all {
            self.at = before;
        }
        all
    }

    /// Takes words and signs that must follow.
    pub(super) fn expect(&mut self, phrase: &str) -> Result<(), GateError> {
        if self.eat_all(phrase) { Ok(()) } else { Err(self.stuck()) }
    }

    /// Takes a bracket, comma, dot or operator if it stands here.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|token| {
            let kinds = matches!(token.kind, Kind::Open | Kind::Close | Kind::Comma | Kind::Dot | Kind::Operator);
            kinds && token.text == sign
        });
        self.at += usize::from(found);
        found
    }

    pub(super) fn is_group(&self) -> bool {
        self.peek().is_some_and(|token| token.text == "(" && token.kind == Kind::Open)
    }

    /// Takes what stands in parentheses, which must follow.
    pub(super) fn group(&mut self) -> Result<Self, GateError> {
        if !self.is_group() {
            return Err(self.stuck());
        }
        let behind = self.source.behind(self.at);
        let inner = self.within(self.at + 1..behind - 1);
        self.at = behind;
        Ok(inner)
    }

    /// Takes what stands before the next comma outside of brackets, and the comma.
    pub(super) fn item(&mut self) -> Option<Self> {
        if self.is_done() {
            return None;
        }
        let start = self.at;
        while let Some(token) = self.peek().filter(|token| token.kind != Kind::Comma) {
            debug_assert!(token.kind != Kind::Close, "brackets were matched");
            self.at = self.source.behind(self.at);
        }
        let item = self.within(start..self.at);
        self.at += usize::from(!self.is_done());
        Some(item)
    }

    /// Takes all up to the first of some keywords, outside of brackets and of CASE … END, or to the end.
    pub(super) fn until(&mut self, stops: &[&str]) -> Range<usize> {
        let start = self.at;
        let mut cases = 0_usize;
        while let Some(token) = self.peek() {
            if self.source.is_keyword(self.at) {
                if cases == 0 && stops.iter().any(|stop| token.is(stop)) && !parts::is_operator(self.source, self.at) {
                    break;
                }
                cases += usize::from(token.is("CASE"));
                cases = cases.saturating_sub(usize::from(token.is("END")));
            }
            self.at = self.source.behind(self.at);
        }
        start..self.at
    }

    /// Takes the rest as an expression.
    pub(super) fn expression(&mut self) -> Result<Part, GateError> {
        let range = self.at..self.end;
        self.at = self.end;
        parts::expression(self, range)
    }

    /// Takes the rest as a query.
    pub(super) fn query_to_end(&mut self) -> Result<Part, GateError> {
        let open = |at: &usize| self.source.tokens[*at].text == "(";
        let first = (self.at..self.end).find(|at| !open(at));
        let first = first.map(|at| self.within(at..self.end));
        if first.is_none_or(|first| !begins_query(first.peek())) {
            return Err(self.stuck());
        }
        let part = self.source.part(self.at, self.end);
        self.at = self.end;
        Ok(part)
    }

    /// Fails unless nothing follows.
    pub(super) fn finish(&self) -> Result<(), GateError> {
        if self.is_done() { Ok(()) } else { Err(self.stuck()) }
    }

    pub(super) fn rest_of_text(&self) -> &'a str {
        self.source.text(self.at, self.end)
    }

    /// The refusal of what stands here.
    pub(super) fn stuck(&self) -> GateError {
        match self.peek() {
            Some(token) if token.is("RETURNING") => self.returning(),
            _ => self.refuse(self.form),
        }
    }

    pub(super) fn returning(&self) -> GateError {
        GateError::unsupported(format!("RETURNING of {}", self.verb), "read the rows with a query of their own")
    }

    /// The refusal of what stands here, with a hint of its own.
    pub(super) fn refuse(&self, hint: impl Into<String>) -> GateError {
        let what = match self.source.tokens.get(self.at) {
            Some(token) => format!("{} at {}", self.verb, shortened(token.text)),
            None => format!("the end of {}", self.verb),
        };
        GateError::unsupported(what, hint)
    }

    /// A statement that begins with no known verb.
    pub(super) fn unknown(&self) -> GateError {
        let sql = self.source.text(0, self.source.tokens.len());
        classify(sql).unwrap_or_else(|| {
            let first = self.source.tokens.first();
            let word = first.map_or_else(String::new, |token| shortened(token.text));
            GateError::Syntax {
                message: format!("no statement begins with {word}"),
                position: first.map(|token| token.at),
            }
        })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
