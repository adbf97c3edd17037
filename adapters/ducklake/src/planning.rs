//! Has the engine plan a query once.
//!
//! What is prepared with all that it needs is planned at once, which asks the catalog for files and statistics; and as what reads a
//! lake is planned anew each time that it runs, a query that is prepared to run once would be planned twice. With a value missing,
//! the engine waits for it, and where it is the query itself, even to look at the tables: see "Plans" in docs/engine-facts.md.

/// The value that is missing until the query runs.
pub(crate) const MISSING: &str = "gadwall_missing";

/// Runs the query that is the missing value. Its columns must have different names, or they get others.
pub(crate) const LATER: &str = "FROM query($gadwall_missing)";

/// A query that the engine has printed, with a value missing, in a part of it that nothing reads. None where it can't have one.
pub(crate) fn waiting(query: &str) -> Option<String> {
    if query.to_ascii_lowercase().contains(MISSING) {
        return None;
    }
    let part = format!("{MISSING} AS (SELECT ${MISSING})");
    for with in ["WITH RECURSIVE ", "WITH "] {
        if let Some(rest) = query.strip_prefix(with) {
            return Some(format!("{with}{part}, {rest}"));
        }
    }
    query.starts_with("SELECT ").then(|| format!("WITH {part} {query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_put_before_the_others() {
        let part = "gadwall_missing AS (SELECT $gadwall_missing)";
        assert_eq!(waiting("SELECT 1").unwrap(), format!("WITH {part} SELECT 1"));
        assert_eq!(waiting("WITH a AS (SELECT 1) FROM a").unwrap(), format!("WITH {part}, a AS (SELECT 1) FROM a"));
        let recursive = "WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a";
        assert_eq!(waiting(recursive).unwrap(), format!("WITH RECURSIVE {part}, a AS (SELECT 1) SELECT * FROM a"));
    }

    #[test]
    fn what_cannot_have_one_stays() {
        for query in ["(SELECT 1) UNION (SELECT 2)", "DESCRIBE t", "SELECT 1 AS GADWALL_MISSING"] {
            assert_eq!(waiting(query), None);
        }
    }

    #[test]
    fn what_runs_later_is_not_looked_at_before() {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        let mut later = connection.prepare(LATER).unwrap();
        assert_eq!(later.parameter_name(1).unwrap(), MISSING);
        let error = later.query(["SELECT * FROM not_there"]).map(drop).unwrap_err();
        assert!(error.to_string().contains("not_there"), "{error}");
        let rows = "SELECT 3 - range AS \"a b\" FROM range(3) ORDER BY range DESC LIMIT 2";
        let read: Vec<i64> = later.query_map([rows], |row| row.get("a b")).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, [1, 2]);
    }

    /// Also of text that isn't a lake's: the engine runs it, and answers the same.
    #[test]
    fn the_engine_answers_the_same() {
        let connection = duckdb::Connection::open_in_memory().unwrap();
        for query in [
            "SELECT 42",
            "WITH a AS (SELECT 42) SELECT * FROM a",
            "WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a WHERE n < 42) SELECT max(n) FROM a",
        ] {
            let mut prepared = connection.prepare(&waiting(query).unwrap()).unwrap();
            assert_eq!(prepared.parameter_name(1).unwrap(), MISSING);
            let answer: i64 = prepared.query_row([None::<i64>], |row| row.get(0)).unwrap();
            assert_eq!(answer, 42, "{query}");
        }
    }
}
