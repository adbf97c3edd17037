//! Which functions may be called: allow-lists, so that a function of a new engine version doesn't run until someone
//! judged it.
//!
//! The lists are text files, sorted, one name a line. The engine compares names without regard to case; so do we.

use super::error::GateError;

const EXPRESSIONS: &str = include_str!("functions/expressions.txt");
const TABLES: &str = include_str!("functions/tables.txt");
const REFUSED: &str = include_str!("functions/refused.txt");
const VOLATILE: &str = include_str!("functions/volatile.txt");
const AGGREGATES: &str = include_str!("functions/aggregates.txt");

/// Words that call the clock without being written as a call, where no column has that name.
const CLOCK_WORDS: [&str; 5] = ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];

/// Where a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In an expression.
    Expression,
    /// In FROM.
    From,
}

/// Checks a call by name and answers whether its result may change while the tables don't.
pub(super) fn check(name: &str, place: Place, arguments: usize) -> Result<bool, GateError> {
    let lower = name.to_lowercase();
    let list = match place {
        Place::Expression => EXPRESSIONS,
        Place::From => TABLES,
    };
    if contains(list, &lower) {
        // With one argument `age` counts from today.
        return Ok(contains(VOLATILE, &lower) || lower == "age" && arguments == 1);
    }
    Err(refusal(name, &lower, place))
}

/// Whether a function makes one value of many rows' values.
pub(super) fn is_aggregate(lower: &str) -> bool {
    contains(AGGREGATES, lower)
}

/// Whether a bare word may be a call of the clock.
pub(super) fn is_clock_word(word: &str) -> bool {
    CLOCK_WORDS.iter().any(|clock| clock.eq_ignore_ascii_case(word))
}

/// Whether a name may be written between its arguments, unquoted: symbols only.
pub(super) fn is_operator(name: &str) -> bool {
    name == "!__postfix" || (!name.is_empty() && name.bytes().all(|byte| b"!%&*+-/<=>@^|~".contains(&byte)))
}

fn refusal(name: &str, lower: &str, place: Place) -> GateError {
    let called = format!("{name}()");
    if !refused(lower) {
        if place == Place::From && contains(EXPRESSIONS, lower) {
            return GateError::unsupported(format!("{called} in FROM"), "call it in the SELECT list");
        }
        if place == Place::Expression && contains(TABLES, lower) {
            return GateError::unsupported(format!("{called} in an expression"), "call it in FROM");
        }
        return GateError::UnknownFunction { name: name.to_owned(), candidates: similar(lower, place) };
    }
    let hint = if reads_files(lower) {
        "files of datasets are read with read_parquet, read_csv and read_json in FROM"
    } else {
        "queries read tables and compute; what describes or changes the server is in the API"
    };
    GateError::forbidden(called, hint)
}

fn reads_files(lower: &str) -> bool {
    ["read_", "parquet_", "glob", "sniff_csv", "st_read"].iter().any(|start| lower.starts_with(start))
}

fn refused(lower: &str) -> bool {
    names(REFUSED).any(|entry| match entry.strip_suffix('*') {
        Some(prefix) => lower.starts_with(prefix),
        None => entry == lower,
    })
}

fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with("# "))
}

/// Looks a name up in a sorted list of lines, without building an index: the lists are small and compiled in.
fn contains(list: &'static str, name: &str) -> bool {
    names(list).any(|entry| entry == name)
}

/// Up to three names one or two slips away.
fn similar(lower: &str, place: Place) -> Vec<String> {
    let list = if place == Place::From { TABLES } else { EXPRESSIONS };
    let mut found: Vec<(usize, &str)> = names(list)
        .filter(|name| name.len().abs_diff(lower.len()) <= 2 && name.len() > 2)
        .map(|name| (distance(name, lower), name))
        .filter(|(slips, name)| *slips <= 2 && *slips * 2 < name.len())
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// The number of single-letter edits between two short names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (at, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod lists {
    //! The lists for the test that compares them with a live engine.

    pub(in crate::gate) fn expressions() -> Vec<&'static str> {
        super::names(super::EXPRESSIONS).collect()
    }

    pub(in crate::gate) fn aggregates() -> Vec<&'static str> {
        super::names(super::AGGREGATES).collect()
    }

    pub(in crate::gate) fn tables() -> Vec<&'static str> {
        super::names(super::TABLES).collect()
    }

    pub(in crate::gate) fn is_volatile(name: &str) -> bool {
        super::contains(super::VOLATILE, name)
    }

    pub(in crate::gate) fn is_refused(name: &str) -> bool {
        super::refused(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_lower_case() {
        for list in [EXPRESSIONS, TABLES, REFUSED, VOLATILE, AGGREGATES] {
            let entries: Vec<&str> = names(list).collect();
            assert!(entries.is_sorted(), "{entries:?}");
            assert!(entries.iter().all(|name| name.to_lowercase() == **name && !name.is_empty()));
        }
        for name in names(VOLATILE) {
            assert!(contains(EXPRESSIONS, name) || contains(TABLES, name), "{name} is in no list");
        }
    }

    #[test]
    fn a_slip_is_answered_with_the_name() {
        let error = check("summ", Place::Expression, 1).unwrap_err();
        assert_eq!(error.to_string(), "unknown function summ (did you mean sum?)");
    }

    #[test]
    fn names_compare_without_case() {
        assert_eq!(check("SUM", Place::Expression, 1), Ok(false));
        assert_eq!(check("Now", Place::Expression, 0), Ok(true));
        assert_eq!(check("age", Place::Expression, 1), Ok(true));
        assert_eq!(check("age", Place::Expression, 2), Ok(false));
        assert!(check("READ_text", Place::From, 1).unwrap_err().is_forbidden());
        assert!(check("Query", Place::From, 1).unwrap_err().is_forbidden());
    }
}
