//! Values held to the checks of their columns, whichever way they come in.

use std::sync::Arc;

use gadwall_domain::alteration::{Alteration, AlterationError};
use gadwall_domain::check::{Bound, Checks};
use gadwall_domain::filter::Literal;
use gadwall_domain::ports::lake::{Lake, LakeWrite, LoadMode, WriteError};
use gadwall_domain::schema::{Column, SchemaError, TableSchema};

use super::{alter_write, delete_write, fresh_lake, load_write, make_table, refused, rows_of, update_write, write};
use crate::testing::builders::{assign, column, column_name, defaulted, rows, schema, table};

fn bound(value: &str, exclusive: bool) -> Bound {
    Bound { value: Literal::new(value), exclusive }
}

fn one_of(values: &[&str]) -> Checks {
    Checks { one_of: values.iter().copied().map(Literal::new).collect(), ..Checks::default() }
}

/// A table `t` with a check of each kind.
async fn checked(store: &Arc<dyn Lake>) -> TableSchema {
    fresh_lake(store).await;
    let code = Checks { pattern: Some("^[A-Z]+$".to_owned()), min_length: Some(2), ..Checks::default() };
    let rate = Checks { minimum: Some(bound("0", false)), maximum: Some(bound("1.5", true)), ..Checks::default() };
    let columns = vec![
        column("id", "INTEGER"),
        Column { checks: one_of(&["open", "it's"]), ..defaulted("state", "VARCHAR", "'open'") },
        Column { checks: code, ..column("code", "VARCHAR(4)") },
        Column { checks: rate, ..column("rate", "DOUBLE") },
    ];
    make_table(store, "t", schema(columns, &["id"])).await
}

type Given<'a> = [Option<&'a str>; 4];

fn given(values: &[Given<'_>]) -> gadwall_domain::rows::RowSource {
    rows(["id", "state", "code", "rate"], values)
}

const GOOD: [Given<'static>; 3] = [
    [Some("1"), Some("open"), Some("AB"), Some("0")],
    [Some("2"), Some("it's"), Some("ABCD"), Some("1.4")],
    [Some("3"), None, None, None],
];

/// Values within the checks are taken, and NULL breaks none.
pub async fn values_within_the_checks_are_taken(store: Arc<dyn Lake>) {
    let shape = checked(&store).await;
    write(&store, load_write(&shape, LoadMode::Append, given(&GOOD))).await;
    write(&store, load_write(&shape, LoadMode::Upsert, rows(["id"], &[[Some("1")]]))).await;
    write(&store, update_write(&shape, None, vec![assign("rate", Some("0.5")), assign("code", None)])).await;
    assert_eq!(rows_of(&store, "t").await, ["1|open|NULL|0.5", "2|it's|NULL|0.5", "3|NULL|NULL|0.5"]);
}

/// Values that break a check are refused with row and column, in each way of loading.
pub async fn values_that_break_a_check_are_refused(store: Arc<dyn Lake>) {
    let shape = checked(&store).await;
    let bad = [
        [Some("1"), Some("shut"), Some("AB"), Some("1")],
        [Some("2"), Some("open"), Some("Ab"), Some("1.5")],
        [Some("3"), Some("open"), Some("A"), Some("-0.1")],
    ];
    for mode in [LoadMode::Append, LoadMode::Upsert, LoadMode::Replace] {
        let error = refused(&store, load_write(&shape, mode, given(&bad))).await;
        let WriteError::Violations(found) = error else { panic!("{error:?}") };
        let mut places: Vec<_> =
            found.first().iter().map(|found| (found.row, found.column.clone().unwrap_or_default())).collect();
        places.sort();
        let expected = [(1, "state"), (2, "code"), (2, "rate"), (3, "code"), (3, "rate")];
        assert_eq!(places, expected.map(|(row, column)| (row, column.to_owned())), "{mode:?}");
        assert_eq!(found.count(), 5);
        assert!(found.first().iter().any(|found| found.reason.contains("is not one of open, it's")), "{found:?}");
    }
    assert!(rows_of(&store, "t").await.is_empty());
}

/// An update to a value that breaks a check is refused, whatever rows are meant.
pub async fn an_update_that_breaks_a_check_is_refused(store: Arc<dyn Lake>) {
    let shape = checked(&store).await;
    for (column, value) in [("state", "shut"), ("code", "ab"), ("code", "A"), ("rate", "1.5"), ("rate", "-1")] {
        let error = refused(&store, update_write(&shape, None, vec![assign(column, Some(value))])).await;
        assert!(matches!(error, WriteError::BadFilter(_)), "{column} {value}: {error:?}");
    }
}

/// Checks that can't be made of their column's values are refused, and so is a default that breaks them.
pub async fn checks_that_do_not_fit_are_refused(store: Arc<dyn Lake>) {
    let shape = checked(&store).await;
    let rate = |checks| Column { checks, ..column("more", "DOUBLE") };
    let bad = [
        rate(one_of(&["1", "many"])),
        rate(Checks { maximum: Some(bound("high", false)), ..Checks::default() }),
        Column { checks: Checks { pattern: Some("(".to_owned()), ..Checks::default() }, ..column("more", "VARCHAR") },
        Column { checks: one_of(&["a"]), ..defaulted("more", "VARCHAR", "'b'") },
    ];
    for column in bad {
        let what = format!("{column:?}");
        let make = LakeWrite::create_table(table("other"), schema(vec![column.clone()], &[]));
        for write in [make, alter_write(&shape, Alteration::AddColumn { column })] {
            let error = refused(&store, write).await;
            let fits = matches!(error, WriteError::Alteration(AlterationError::Schema(SchemaError::Checks { .. })));
            assert!(fits, "{what}: {error:?}");
        }
    }
}

/// New checks are held against the rows that are there; without any, all values are taken.
pub async fn new_checks_are_held_against_the_rows(store: Arc<dyn Lake>) {
    let shape = checked(&store).await;
    write(&store, load_write(&shape, LoadMode::Append, given(&GOOD))).await;
    let set = |checks| Alteration::SetChecks { column: column_name("state"), checks };
    let error = refused(&store, alter_write(&shape, set(one_of(&["open"])))).await;
    let expected = AlterationError::BreaksChecks { column: column_name("state"), rows: 1 };
    assert!(matches!(&error, WriteError::Alteration(found) if *found == expected), "{error:?}");
    write(&store, delete_write(&shape, Some(crate::testing::builders::equals("id", "2")))).await;
    let narrow = set(one_of(&["open"]));
    write(&store, alter_write(&shape, narrow.clone())).await;
    let shape = narrow.apply(&shape).unwrap();
    let shut = || given(&[[Some("4"), Some("it's"), None, None]]);
    let error = refused(&store, load_write(&shape, LoadMode::Append, shut())).await;
    assert!(matches!(error, WriteError::Violations(_)), "{error:?}");
    let none = set(Checks::default());
    write(&store, alter_write(&shape, none.clone())).await;
    let shape = none.apply(&shape).unwrap();
    write(&store, load_write(&shape, LoadMode::Append, shut())).await;
    assert_eq!(rows_of(&store, "t").await.len(), 3);
}
