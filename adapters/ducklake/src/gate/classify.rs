//! What kind of statement a text is, for the error when the engine's parser gives us no tree.
//!
//! This decides the words and the status of a refusal, never an admission: only a tree that was walked is admitted.

use super::error::GateError;
use super::tokens::{Kind, Tokens};

/// Statements that change the engine, not data, with what to do instead.
const FORBIDDEN: [(&str, &str); 32] = [
    ("ABORT", "each request is a transaction of its own"),
    ("ANALYZE", "statistics are kept by the server"),
    ("ATTACH", "a project's catalogs are attached by the server; link a bucket to read another project's tables"),
    ("BEGIN", "each request is a transaction of its own"),
    ("CALL", "use the API's endpoints for what procedures do"),
    ("CHECKPOINT", "maintenance is done by the server"),
    ("COMMIT", "each request is a transaction of its own"),
    ("COPY", "export and import files through the API"),
    ("DEALLOCATE", "send the statement with its parameters"),
    ("DETACH", "a project's catalogs are attached by the server"),
    ("END", "each request is a transaction of its own"),
    ("EXECUTE", "send the statement with its parameters"),
    ("EXPORT", "export tables through the API"),
    ("FORCE", "extensions and maintenance are the server's"),
    ("GRANT", "share a bucket or grant it through the API"),
    ("IMPORT", "import files through the API"),
    ("INSTALL", "extensions are chosen by the operator"),
    ("LISTEN", "follow changes through the API's event stream"),
    ("LOAD", "extensions are chosen by the operator"),
    ("LOCK", "each request is a transaction of its own"),
    ("NOTIFY", "follow changes through the API's event stream"),
    ("PRAGMA", "settings are the operator's"),
    ("PREPARE", "send the statement with its parameters"),
    ("REINDEX", "maintenance is done by the server"),
    ("RESET", "settings are the operator's"),
    ("REVOKE", "share a bucket or grant it through the API"),
    ("ROLLBACK", "each request is a transaction of its own"),
    ("SAVEPOINT", "each request is a transaction of its own"),
    ("SET", "settings are the operator's; send values as parameters"),
    ("START", "each request is a transaction of its own"),
    ("USE", "write the bucket before a table's name"),
    ("VACUUM", "maintenance is done by the server"),
];

/// Honest statements that this door doesn't take, with the one that does.
const UNSUPPORTED: [(&str, &str); 12] = [
    ("ALTER", "change tables through the API"),
    ("COMMENT", "change tables through the API"),
    ("CREATE", "create tables and buckets through the API"),
    ("DELETE", "delete rows through DELETE …/rows of the table"),
    ("DROP", "drop tables and buckets through the API"),
    ("EXPLAIN", "EXPLAIN stands before a query, once"),
    ("INSERT", "append rows through POST …/rows of the table"),
    ("MERGE", "upsert rows through POST …/rows of the table"),
    ("REFRESH", "send a query"),
    ("REPLACE", "upsert rows through POST …/rows of the table"),
    ("TRUNCATE", "delete rows through DELETE …/rows of the table"),
    ("UPDATE", "upsert rows through POST …/rows of the table"),
];

/// Why a text that has no tree is refused, or `None` if it looks like a query.
///
/// Of several statements the worst decides.
pub(crate) fn classify(sql: &str) -> Option<GateError> {
    let statements = statements(sql);
    let mut found = None;
    for words in &statements {
        match refusal(words) {
            Some(error) if error.is_forbidden() => return Some(error),
            Some(error) => found = found.or(Some(error)),
            None => {}
        }
    }
    if statements.len() > 1 { Some(GateError::MultipleStatements) } else { found }
}

fn refusal(words: &[String]) -> Option<GateError> {
    let first = words.first()?.as_str();
    let has = |word: &str| words.iter().any(|other| other == word);
    let second = words.get(1).map(String::as_str);
    let object = words.iter().skip(1).find(|word| {
        !matches!(&***word, "OR" | "REPLACE" | "PERSISTENT" | "TEMP" | "TEMPORARY" | "IF" | "EXISTS" | "NOT")
    });
    if matches!(first, "CREATE" | "DROP" | "ALTER") && object.is_some_and(|word| word == "SECRET") {
        return Some(GateError::forbidden(format!("{first} SECRET"), "credentials are the operator's"));
    }
    if first == "ALTER" && second == Some("DATABASE") || first == "UPDATE" && second == Some("EXTENSIONS") {
        return Some(GateError::forbidden(words[..2].join(" "), "databases and extensions are the operator's"));
    }
    let entry = |list: &[(&str, &'static str)], word: &str| {
        list.iter().find(|(keyword, _)| *keyword == word).map(|(_, hint)| *hint)
    };
    if let Some(hint) = entry(&FORBIDDEN, first) {
        return Some(GateError::forbidden(first, hint));
    }
    if let Some(hint) = entry(&UNSUPPORTED, first) {
        return Some(GateError::unsupported(first, hint));
    }
    // `WITH … INSERT`: the verb stands behind the list of names.
    if first == "WITH"
        && let Some(verb) = ["INSERT", "UPDATE", "DELETE", "MERGE"].into_iter().find(|verb| has(verb))
    {
        return Some(GateError::unsupported(verb, entry(&UNSUPPORTED, verb).unwrap_or_default()));
    }
    has("PIVOT").then(|| {
        GateError::unsupported(
            "PIVOT without a list of values",
            "name the values: PIVOT … ON column IN (value, …) USING …",
        )
    })
}

/// The words of each statement in a text, in upper case, without what stands in strings and comments.
fn statements(sql: &str) -> Vec<Vec<String>> {
    let mut statements = vec![Vec::new()];
    let mut filled = false;
    for token in Tokens::new(sql) {
        match token.kind {
            Kind::End => {
                if filled {
                    statements.push(Vec::new());
                }
                filled = false;
            }
            Kind::Word => {
                filled = true;
                if let Some(words) = statements.last_mut() {
                    words.push(token.text.to_uppercase());
                }
            }
            _ => filled = true,
        }
    }
    if !filled {
        statements.pop();
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(sql: &str) -> &'static str {
        match classify(sql) {
            None => "query",
            Some(GateError::MultipleStatements) => "multiple",
            Some(error) if error.is_forbidden() => "forbidden",
            Some(_) => "unsupported",
        }
    }

    #[test]
    fn the_first_keyword_decides() {
        for (sql, expected) in [
            ("select 1", "query"),
            ("", "query"),
            (";;", "query"),
            ("select 1;", "query"),
            ("select 1; select 2", "multiple"),
            ("select ';'; -- select", "query"),
            ("select 1; attach 'x'", "forbidden"),
            ("insert into t values (1); attach 'x'", "forbidden"),
            ("/* a /* nested */ b */ -- c\n attach 'x'", "forbidden"),
            ("\u{feff}attach 'x'", "forbidden"),
            ("update t set a = 1", "unsupported"),
            ("update extensions", "forbidden"),
            ("create or replace temp secret s (type s3)", "forbidden"),
            ("create table secret (a int)", "unsupported"),
            ("drop persistent secret if exists s", "forbidden"),
            ("create table t as select secret from s", "unsupported"),
            ("with x as (select 1) insert into t from x", "unsupported"),
            ("select * from (pivot t on b using sum(a))", "unsupported"),
            ("select 'pivot', $$pivot$$, e'\\'pivot', \"pivot\", $a$ $b$ pivot $a$", "query"),
            ("select $1, $2, 'a''; attach'", "query"),
            ("explain select 1", "unsupported"),
            ("start transaction", "forbidden"),
        ] {
            assert_eq!(kind(sql), expected, "{sql}");
        }
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(FORBIDDEN.is_sorted());
        assert!(UNSUPPORTED.is_sorted());
    }
}
