//! Documents in YAML 1.2, read as JSON has them. What aliases would make of a small document is bounded.

use serde_json::Value;

/// Nodes of a document at most: each counts as often as an alias repeats it.
const MAX_NODES: usize = 100_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Aliases of a document at most.
const MAX_ALIASES: usize = 1_000;

/// Reads one document.
pub fn from_yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 2,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        // `NO` is a country.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // Scalars may be long, and are quoted.
        error.to_string().chars().take(300).collect()
    })
}

/// Writes a document.
pub fn to_yaml(document: &Value) -> Result<String, String> {
    serde_saphyr::to_string(document).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_come_back_as_they_went() {
        let document = json!({
            "version": "1.0", "yes": true, "country": "NO", "none": null, "list": [1, 2.5, -3, "4", "", "- x", "a: b"],
            "nested": { "text": "two\nlines\n", "empty": {}, "quote": "it's \"so\"", "date": "2026-01-01", "tab": "\t" },
            "long": "word ".repeat(60), "hash": "# no comment", "null_text": "null", "tilde": "~", "on": "on", "hex": "0x10",
        });
        assert_eq!(from_yaml(&to_yaml(&document).unwrap()).unwrap(), document);
        let read = from_yaml("a: &x {b: NO, c: 1}\nd: *x\n").unwrap();
        assert_eq!(read, json!({ "a": { "b": "NO", "c": 1 }, "d": { "b": "NO", "c": 1 } }));
    }

    #[test]
    fn hostile_documents_are_refused_at_little_cost() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb = format!("{bomb}a{level}: &a{level} [{alias}]\n");
        }
        let deep = "[".repeat(100_000);
        let recursive = "a: &a [*a]".to_owned();
        let two = "a: 1\n---\nb: 2\n".to_owned();
        let twice = "a: 1\na: 2\n".to_owned();
        for text in [bomb, deep, recursive, two, twice, "\tx: 1: 2: [".to_owned(), "a: !!binary x".repeat(3)] {
            assert!(from_yaml(&text).is_err(), "{}", text.chars().take(60).collect::<String>());
        }
    }
}
