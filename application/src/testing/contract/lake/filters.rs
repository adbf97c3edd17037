//! Which rows a filter means.

use std::sync::Arc;

use gadwall_domain::filter::{Comparison, Filter, Literal};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ports::lake::{Lake, WriteError};
use gadwall_domain::query::QueryError;
use gadwall_domain::selection::Selection;

use super::{append, delete_write, fresh_lake, make_table, people, refused, rows_of, selected};
use crate::testing::builders::{column, column_name, compare, equals, names, rows, schema};

/// The `id`s of the rows of `t` that a filter means, sorted.
async fn meant(store: &Arc<dyn Lake>, filter: Filter) -> Vec<String> {
    let selection = Selection { columns: Some(names(&["id"])), filter: Some(filter), ..Selection::default() };
    let mut ids = selected(store, "t", selection, ReadAt::Head).await.unwrap();
    ids.sort();
    ids
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn like(column: &str, pattern: &str) -> Filter {
    Filter::Like { column: column_name(column), pattern: pattern.to_owned() }
}

fn is_one_of(column: &str, values: &[&str]) -> Filter {
    Filter::In { column: column_name(column), values: values.iter().map(|value| Literal::new(*value)).collect() }
}

fn is_null(column: &str) -> Filter {
    Filter::IsNull { column: column_name(column) }
}

/// NULL is neither equal nor unequal to anything, nor less, nor like it, nor not: only null.
pub async fn null_is_neither_equal_nor_unequal(store: Arc<dyn Lake>) {
    people(&store).await;
    assert_eq!(meant(&store, equals("n", "10")).await, ["1"]);
    assert_eq!(meant(&store, compare("n", Comparison::Ne, "10")).await, ["3"]);
    assert_eq!(meant(&store, not(equals("n", "10"))).await, ["3"]);
    assert_eq!(meant(&store, not(is_one_of("n", &["10", "11"]))).await, ["3"]);
    assert_eq!(meant(&store, compare("n", Comparison::Lt, "100")).await, ["1", "3"]);
    assert_eq!(meant(&store, not(like("name", "a%"))).await, ["2"]);
    assert_eq!(meant(&store, is_null("n")).await, ["2"]);
    assert_eq!(meant(&store, not(is_null("n"))).await, ["1", "3"]);
    // The text NULL is no NULL.
    assert!(meant(&store, equals("name", "NULL")).await.is_empty());
}

/// Values compare as their column's type has it: numbers by size, text by its bytes.
pub async fn values_compare_by_their_columns_type(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let columns = vec![
        column("id", "INTEGER"),
        column("number", "BIGINT"),
        column("ratio", "DOUBLE"),
        column("word", "VARCHAR(3)"),
        column("flag", "BOOLEAN"),
    ];
    let shape = make_table(&store, "t", schema(columns, &[])).await;
    let given = rows(
        ["id", "number", "ratio", "word", "flag"],
        &[
            [Some("1"), Some("9"), Some("9.5"), Some("9"), Some("true")],
            [Some("2"), Some("10"), Some("10"), Some("10"), Some("false")],
            [Some("3"), Some("-9223372036854775808"), Some("-0.25"), Some("Z"), Some("true")],
            [Some("4"), Some("9007199254740993"), Some("1e300"), Some("é"), None],
        ],
    );
    append(&store, "t", &shape, given).await;
    let cases: [(&str, Comparison, &str, &[&str]); 12] = [
        ("number", Comparison::Lt, "10", &["1", "3"]),
        ("number", Comparison::Le, "10", &["1", "2", "3"]),
        ("number", Comparison::Eq, "9007199254740993", &["4"]),
        ("number", Comparison::Eq, "9007199254740992", &[]),
        ("number", Comparison::Gt, "-9223372036854775808", &["1", "2", "4"]),
        ("ratio", Comparison::Ge, "9.5", &["1", "2", "4"]),
        ("ratio", Comparison::Eq, "10.0", &["2"]),
        ("word", Comparison::Lt, "9", &["2"]),
        ("word", Comparison::Gt, "Z", &["4"]),
        ("word", Comparison::Eq, "z", &[]),
        ("flag", Comparison::Eq, "true", &["1", "3"]),
        ("word", Comparison::Ne, "longer than it may be", &["1", "2", "3", "4"]),
    ];
    for (name, operator, value, expected) in cases {
        assert_eq!(meant(&store, compare(name, operator, value)).await, expected, "{name} {operator:?} {value}");
    }
    assert_eq!(meant(&store, is_one_of("number", &["10", "9", "9", "11"])).await, ["1", "2"]);
}

/// Conditions combine as they are nested, with unknown between true and false.
pub async fn conditions_combine(store: Arc<dyn Lake>) {
    people(&store).await;
    let (one, bob, ten) = (equals("id", "1"), equals("name", "bob"), equals("n", "10"));
    let any = Filter::Any(vec![one.clone(), bob.clone()]);
    assert_eq!(meant(&store, any.clone()).await, ["1", "2"]);
    assert_eq!(meant(&store, Filter::All(vec![any.clone(), ten.clone()])).await, ["1"]);
    // Of row 2 `n = 10` is unknown, of row 3 `name = bob`.
    assert_eq!(meant(&store, not(Filter::All(vec![bob.clone(), ten.clone()]))).await, ["1", "3"]);
    assert_eq!(meant(&store, not(Filter::Any(vec![bob, ten]))).await, Vec::<String>::new());
    assert_eq!(meant(&store, not(not(any))).await, ["1", "2"]);
    assert_eq!(meant(&store, Filter::All(vec![one.clone(), not(one)])).await, Vec::<String>::new());
}

/// A pattern matches a whole text; `%` and `_` are any characters, unless they are escaped.
pub async fn a_pattern_matches_whole_texts(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER"), column("v", "VARCHAR")], &[])).await;
    let texts = ["abc", "ABC", "a%c", "a_c", "a\\c", "", "🦆b", "a'c"];
    for (index, text) in texts.iter().enumerate() {
        append(&store, "t", &shape, rows(["id", "v"], &[[Some(index.to_string().as_str()), Some(text)]])).await;
    }
    let cases: [(&str, &[&str]); 9] = [
        ("a%", &["0", "2", "3", "4", "7"]),
        ("a_c", &["0", "2", "3", "4", "7"]),
        ("b", &[]),
        ("a\\%c", &["2"]),
        ("a\\_c", &["3"]),
        ("a\\\\c", &["4"]),
        ("_b", &["6"]),
        ("a'c", &["7"]),
        ("", &["5"]),
    ];
    for (pattern, expected) in cases {
        assert_eq!(meant(&store, like("v", pattern)).await, expected, "{pattern}");
    }
}

/// A value's text is a value: whatever is written in it, it is no more than that.
pub async fn a_filters_text_is_never_more_than_a_value(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    for text in ["x' OR '1'='1", "'; DROP TABLE t; --", "ann\\", "\"name\"", "name"] {
        assert!(meant(&store, equals("name", text)).await.is_empty(), "{text}");
        assert!(meant(&store, is_one_of("name", &[text])).await.is_empty(), "{text}");
    }
    assert!(meant(&store, like("name", "x' OR '1'='1")).await.is_empty());
    let error = refused(&store, delete_write(&shape, Some(equals("id", "1 OR 1=1")))).await;
    assert!(matches!(error, WriteError::BadFilter(_)), "{error:?}");
    assert_eq!(rows_of(&store, "t").await.len(), 3);
}

/// A filter on a column that isn't there, or with a value that isn't of the column's type without loss, is refused.
pub async fn a_filter_that_does_not_fit_is_refused(store: Arc<dyn Lake>) {
    let shape = people(&store).await;
    let bad = [
        equals("none", "1"),
        equals("id", "abc"),
        equals("id", "1.5"),
        equals("id", ""),
        equals("id", "3000000000"),
        is_one_of("id", &["1", "x"]),
        like("id", "1%"),
        is_null("none"),
        not(Filter::All(vec![equals("id", "1"), equals("none", "1")])),
    ];
    for filter in bad {
        let error = refused(&store, delete_write(&shape, Some(filter.clone()))).await;
        assert!(matches!(error, WriteError::BadFilter(_)), "{filter:?}: {error:?}");
        let selection = Selection { filter: Some(filter.clone()), ..Selection::default() };
        let error = selected(&store, "t", selection, ReadAt::Head).await.unwrap_err();
        assert!(matches!(error, QueryError::Sql(_)), "{filter:?}: {error:?}");
    }
    assert_eq!(rows_of(&store, "t").await.len(), 3);
}
