//! Which words a part may hold outside of brackets: those that can't change what `SELECT (part)` means.

use std::ops::Range;

use crate::gate::error::GateError;
use crate::gate::tokens::Kind;

use super::ast::Part;
use super::cursor::Cursor;
use super::names::is_reserved;
use super::source::Source;

/// Reserved words of expressions. The others begin or end clauses, and are refused.
const OF_EXPRESSIONS: [&str; 19] = [
    "ALL", "AND", "ANY", "ARRAY", "CASE", "CAST", "COLLATE", "ELSE", "END", "FALSE", "IN", "NOT", "NULL", "OR", "SOME",
    "THEN", "TO", "TRUE", "WHEN",
];

/// Words of what may stand in a FROM, besides.
const OF_TABLES: [&str; 6] = ["AS", "LATERAL", "ON", "PIVOT", "UNPIVOT", "USING"];

const PARENTHESES: &str = "put the expression into parentheses";

/// Whether a word that otherwise begins a clause is a piece of an operator or a type here.
pub(super) fn is_operator(source: &Source<'_>, at: usize) -> bool {
    let is = |at: usize, words: &[&str]| source.is_keyword(at) && words.iter().any(|word| source.tokens[at].is(word));
    let before = |words: &[&str]| at > 0 && is(at - 1, words);
    let after = |words: &[&str]| source.tokens.get(at + 1).is_some_and(|next| words.iter().any(|word| next.is(word)));
    let token = source.tokens[at];
    token.is("FROM") && before(&["DISTINCT"]) && at > 1 && is(at - 2, &["IS", "NOT"])
        || token.is("DISTINCT") && before(&["IS", "NOT"]) && after(&["FROM"])
        || token.is("GROUP") && before(&["WITHIN"]) && source.tokens.get(at + 1).is_some_and(|next| next.text == "(")
        || token.is("WITH") && after(&["TIME", "ORDINALITY"])
}

/// Cuts an expression out.
pub(super) fn expression(cursor: &Cursor<'_, '_>, range: Range<usize>) -> Result<Part, GateError> {
    check(cursor, range.clone(), &[], false)?;
    let only = cursor.source.text(range.start, range.end);
    if only.eq_ignore_ascii_case("DEFAULT") {
        return Err(GateError::unsupported("DEFAULT as a value", "write the value, or leave the column out"));
    }
    Ok(cursor.source.part(range.start, range.end))
}

/// Cuts tables out, as they stand in a FROM.
pub(super) fn tables(cursor: &Cursor<'_, '_>, range: Range<usize>) -> Result<Part, GateError> {
    let mut end = range.end;
    // A comma at the end is allowed, but not where the part will stand.
    if end > range.start && cursor.source.tokens[end - 1].kind == Kind::Comma {
        end -= 1;
    }
    check(cursor, range.start..end, &OF_TABLES, true)?;
    Ok(cursor.source.part(range.start, end))
}

fn check(cursor: &Cursor<'_, '_>, range: Range<usize>, besides: &[&str], commas: bool) -> Result<(), GateError> {
    let source = cursor.source;
    let mut at = range.start;
    let mut cases = 0_usize;
    let refuse = |at: usize, hint: &str| Err(cursor.within(at..range.end).refuse(hint));
    while at < range.end {
        let token = source.tokens[at];
        if token.kind == Kind::Comma && !commas {
            return refuse(at, PARENTHESES);
        }
        if token.kind == Kind::Word && is_reserved(token.text) && source.is_keyword(at) && !is_operator(source, at) {
            let known = |words: &[&str]| words.iter().any(|word| token.is(word));
            let default = token.is("DEFAULT") && range.len() == 1;
            if !known(&OF_EXPRESSIONS) && !known(besides) && !default {
                return if token.is("RETURNING") { Err(cursor.returning()) } else { refuse(at, PARENTHESES) };
            }
            match () {
                () if token.is("CASE") => cases += 1,
                () if known(&["WHEN", "THEN", "ELSE", "END"]) && cases == 0 => return refuse(at, PARENTHESES),
                () if token.is("END") => cases -= 1,
                () => {}
            }
        }
        at = source.behind(at);
    }
    if range.is_empty() || cases > 0 {
        return refuse(range.end, "an expression is missing or isn't finished here");
    }
    Ok(())
}
