//! Names, lists of names and strings.

use crate::gate::error::GateError;
use crate::gate::tokens::{Kind, Token};

use super::ast::Name;
use super::cursor::Cursor;

/// DuckDB's reserved words: none is a name without quotes, unless behind a dot or AS.
#[rustfmt::skip]
const RESERVED: [&str; 75] = [
    "ALL", "ANALYSE", "ANALYZE", "AND", "ANY", "ARRAY", "AS", "ASC", "ASYMMETRIC", "BOTH", "CASE", "CAST", "CHECK",
    "COLLATE", "COLUMN", "CONSTRAINT", "CREATE", "DEFAULT", "DEFERRABLE", "DESC", "DESCRIBE", "DISTINCT", "DO",
    "ELSE", "END", "EXCEPT", "FALSE", "FETCH", "FOR", "FOREIGN", "FROM", "GROUP", "HAVING", "IN", "INITIALLY",
    "INTERSECT", "INTO", "LAMBDA", "LATERAL", "LEADING", "LIMIT", "NOT", "NULL", "OFFSET", "ON", "ONLY", "OR",
    "ORDER", "PIVOT", "PIVOT_LONGER", "PIVOT_WIDER", "PLACING", "PRIMARY", "QUALIFY", "REFERENCES", "RETURNING",
    "SELECT", "SHOW", "SOME", "SUMMARIZE", "SYMMETRIC", "TABLE", "THEN", "TO", "TRAILING", "TRUE", "UNION",
    "UNIQUE", "UNPIVOT", "USING", "VARIADIC", "WHEN", "WHERE", "WINDOW", "WITH",
];

/// Words that are operators, joins or functions, and so no names of tables and columns.
#[rustfmt::skip]
const OF_JOINS: [&str; 30] = [
    "ANTI", "ASOF", "AT", "AUTHORIZATION", "BINARY", "BY", "COLLATION", "CONCURRENTLY", "CROSS", "FREEZE", "FULL",
    "GLOB", "ILIKE", "INNER", "IS", "ISNULL", "JOIN", "LEFT", "LIKE", "NATURAL", "NOTNULL", "OUTER", "OVERLAPS",
    "POSITIONAL", "RIGHT", "SEMI", "SIMILAR", "TABLESAMPLE", "UNPACK", "VERBOSE",
];

fn among(words: &[&str], word: &str) -> bool {
    let word = word.bytes().map(|byte| byte.to_ascii_uppercase());
    words.binary_search_by(|other| other.bytes().cmp(word.clone())).is_ok()
}

pub(super) fn is_reserved(word: &str) -> bool {
    among(&RESERVED, word)
}

impl Cursor<'_, '_> {
    /// Whether a name stands here.
    pub(super) fn is_name(&self) -> bool {
        self.peek().is_some_and(|token| match token.kind {
            Kind::Quoted => true,
            Kind::Word => !is_reserved(token.text) && !among(&OF_JOINS, token.text),
            _ => false,
        })
    }

    /// Takes a name.
    pub(super) fn identifier(&mut self) -> Result<String, GateError> {
        if self.is_name() { self.any_word() } else { Err(self.stuck()) }
    }

    /// Takes a name that may be any word, as behind a dot.
    fn any_word(&mut self) -> Result<String, GateError> {
        match self.peek().filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted)) {
            Some(token) => {
                self.at += 1;
                Ok(unquoted(token))
            }
            None => Err(self.stuck()),
        }
    }

    /// Takes `[[catalog.]schema.]table`.
    pub(super) fn name(&mut self) -> Result<Name, GateError> {
        let mut parts = self.dotted(3)?;
        let table = parts.pop().ok_or_else(|| self.stuck())?;
        let schema = parts.pop();
        Ok(Name { catalog: parts.pop(), schema, table })
    }

    /// Takes a type's name; those of operators may be one.
    pub(super) fn type_name(&mut self) -> Result<(), GateError> {
        if self.peek().is_none_or(|token| token.kind == Kind::Word && is_reserved(token.text) && !token.is("UNION")) {
            return Err(self.refuse("write the column's type behind its name"));
        }
        self.any_word()?;
        while self.sign(".") {
            self.any_word()?;
        }
        Ok(())
    }

    /// Takes at most so many names with dots between them.
    pub(super) fn dotted(&mut self, most: usize) -> Result<Vec<String>, GateError> {
        let mut parts = vec![self.identifier()?];
        while self.sign(".") {
            if parts.len() == most {
                return Err(self.stuck());
            }
            parts.push(self.any_word()?);
        }
        Ok(parts)
    }

    /// Takes `AS alias` or `alias`, but no word of those that may follow.
    pub(super) fn alias(&mut self, followers: &[&str]) -> Result<Option<String>, GateError> {
        if self.eat("AS") {
            return self.identifier().map(Some);
        }
        let follows = followers.iter().any(|word| self.is_at(word));
        if follows || !self.is_name() { Ok(None) } else { self.identifier().map(Some) }
    }

    /// Takes `(name, …)`: at least one.
    pub(super) fn name_list(&mut self) -> Result<Vec<String>, GateError> {
        let mut list = self.group()?;
        let mut names = vec![list.identifier()?];
        while list.sign(",") {
            names.push(list.identifier()?);
        }
        list.finish()?;
        Ok(names)
    }

    /// Takes `(name, …)` if that is what stands here.
    pub(super) fn try_name_list(&mut self) -> Option<Vec<String>> {
        let before = self.at;
        let names = self.name_list().ok();
        if names.is_none() {
            self.at = before;
        }
        names
    }

    /// Takes a string.
    pub(super) fn string(&mut self) -> Result<String, GateError> {
        let token = self.peek().filter(|token| token.kind == Kind::Text).ok_or_else(|| self.stuck())?;
        let value = decoded(token.text).ok_or_else(|| self.refuse("write the string as '…'"))?;
        self.at += 1;
        Ok(value)
    }
}

pub(super) fn unquoted(token: &Token<'_>) -> String {
    match token.kind {
        Kind::Quoted => token.text[1..token.text.len() - 1].replace("\"\"", "\""),
        _ => token.text.to_owned(),
    }
}

/// What a string says, if that is certain: of escapes only the plainest are read.
pub(in crate::gate) fn decoded(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('\'') {
        return Some(inner.strip_suffix('\'')?.replace("''", "'"));
    }
    if let Some(tagged) = text.strip_prefix('$') {
        let mark = tagged.find('$')? + 2;
        return text.get(mark..text.len() - mark).map(str::to_owned);
    }
    let mut value = String::new();
    let mut letters = text.get(2..text.len() - 1)?.chars();
    while let Some(letter) = letters.next() {
        value.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                escaped @ ('\\' | '\'' | '"') => escaped,
                _ => return None,
            },
            '\'' => letters.next()?,
            other => other,
        });
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(RESERVED.is_sorted() && OF_JOINS.is_sorted());
    }
}
