//! What a lake promises. Rows are given as text of the plain types, which every lake reads.

mod appends;
mod checks;
mod commits;
mod crowds;
mod edits;
mod filters;
mod loads;
mod past;
mod returns;
mod shapes;
mod structure;
mod together;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Array, Int32Array, RecordBatch, StringArray};
use futures_util::TryStreamExt as _;
use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::Change;
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Committed, Lake, LakeWrite, LoadMode, StoredTable, WriteError};
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::{RowSource, RowStream};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::selection::Selection;

use crate::testing::builders::{bucket, column, lake, origin, rows, schema, table};
use crate::testing::lines::lines;

pub use appends::*;
pub use checks::*;
pub use commits::*;
pub use crowds::*;
pub use edits::*;
pub use filters::*;
pub use loads::*;
pub use past::*;
pub use returns::*;
pub use shapes::*;
pub use structure::*;
pub use together::*;

/// Tests that an adapter keeps every promise of `LakeStore`. The expression answers
/// `(Arc<dyn Lake>, guard)`: a fresh store, without lakes, for each test.
#[macro_export]
macro_rules! lake_contract {
    ($fresh:expr) => {
        $crate::lake_contract!(contract_tests, $fresh);
    };
    ($way:ident, $fresh:expr) => {
        $crate::$way! {
            $crate::testing::contract::lake, $fresh, [
                making_a_lake_again_leaves_it_as_it_is,
                a_missing_lake_is_told,
                a_removed_lake_is_gone,
                lakes_are_apart,
                main_is_always_there,
                dropping_main_empties_it,
                buckets_are_listed_by_name,
                a_bucket_is_made_and_dropped_once,
                a_bucket_with_tables_is_dropped_only_with_them,
                a_tables_columns_read_back,
                a_table_is_made_and_dropped_once,
                a_table_made_again_starts_empty,
                tables_are_listed_by_name,
                the_head_grows_by_one_with_each_write,
                a_refused_write_makes_no_snapshot,
                a_commit_says_where_it_came_from,
                a_commit_says_what_changed,
                commits_come_oldest_first,
                appended_rows_read_back,
                plain_types_are_read_from_text,
                appends_add_up,
                batches_make_one_append,
                an_append_without_rows_adds_none,
                columns_not_mentioned_get_their_defaults,
                values_of_another_type_are_named,
                empty_text_is_no_number,
                null_is_refused_where_it_is_not_allowed,
                a_required_column_must_be_given,
                text_longer_than_declared_is_refused,
                all_violations_are_counted,
                what_the_decoder_found_is_refused,
                an_unknown_column_is_refused,
                rows_that_break_off_leave_nothing,
                a_key_in_the_table_is_refused,
                a_key_twice_in_a_request_is_refused,
                a_key_of_several_columns_is_one_value,
                without_a_key_rows_may_be_alike,
                a_missing_table_takes_no_rows,
                a_changed_table_takes_no_old_rows,
                an_upsert_replaces_known_keys_and_adds_the_rest,
                the_last_row_of_a_key_wins_in_an_upsert,
                an_upserted_row_is_a_whole_row,
                an_upsert_needs_a_key,
                an_upsert_is_held_to_the_tables_rules,
                a_replace_leaves_only_the_new_rows,
                a_replace_with_a_key_twice_is_refused,
                a_replace_without_rows_empties_the_table,
                what_touches_no_row_makes_no_snapshot,
                a_dry_run_changes_nothing_and_counts,
                a_dry_run_is_refused_like_the_write,
                a_stale_expectation_is_refused,
                a_write_for_another_shape_is_refused,
                a_delete_takes_what_the_filter_means,
                a_truncated_table_stays,
                an_update_changes_what_the_filter_means,
                an_update_that_breaks_a_rule_is_refused,
                an_update_that_breaks_the_key_is_refused,
                a_key_may_change_to_a_free_one,
                an_edit_of_a_missing_table_is_refused,
                null_is_neither_equal_nor_unequal,
                values_compare_by_their_columns_type,
                conditions_combine,
                a_pattern_matches_whole_texts,
                a_filters_text_is_never_more_than_a_value,
                a_filter_that_does_not_fit_is_refused,
                values_within_the_checks_are_taken,
                values_that_break_a_check_are_refused,
                an_update_that_breaks_a_check_is_refused,
                checks_that_do_not_fit_are_refused,
                new_checks_are_held_against_the_rows,
                an_old_version_reads_as_it_was,
                an_old_version_shows_the_structure_of_then,
                a_version_that_never_was_is_refused,
                snapshots_are_found_by_number_and_time,
                snapshots_are_listed_newest_first,
                a_tables_snapshots_are_those_that_changed_it,
                a_tables_version_tells_what_changed,
                selections_have_columns_order_and_pages,
                a_selection_that_does_not_fit_is_refused,
                changes_tell_what_happened_to_rows,
                changes_of_upserts_and_replaces_add_up,
                a_profile_says_what_columns_hold,
                an_added_columns_default_fills_rows_that_are_there,
                rules_change_together_with_the_table,
                a_required_column_is_added_with_a_default,
                a_dropped_columns_values_are_gone_and_there_in_old_versions,
                a_renamed_column_keeps_its_values,
                a_widened_column_keeps_its_values,
                a_retyped_column_keeps_its_values_or_is_refused,
                not_null_is_checked_against_the_rows,
                a_default_is_for_rows_to_come,
                a_default_that_is_gone_fills_nothing,
                a_key_is_checked_against_the_rows,
                comments_are_kept_and_removed,
                a_layout_is_kept_and_changes_no_rows,
                a_layout_that_does_not_fit_is_refused,
                an_alteration_that_does_not_fit_is_refused,
                a_renamed_table_keeps_its_rows_and_history,
                a_rename_to_a_taken_name_is_refused,
                a_restored_table_is_what_it_was,
                a_renamed_table_is_restored_to_before_its_renaming,
                a_restore_that_does_not_fit_is_refused,
                a_dropped_table_comes_back,
                a_table_comes_back_only_where_there_is_a_place,
                purged_rows_are_in_no_version,
                rows_deleted_before_are_purged_as_well,
                a_held_snapshot_refuses_a_purge,
                a_purge_that_does_not_fit_is_refused,
                a_time_whose_snapshot_is_gone_has_none,
                files_that_are_not_there_are_refused,
                the_last_of_many_upserts_stays,
                writes_of_different_kinds_lose_nothing,
                rows_are_of_the_snapshot_that_is_told,
                one_of_many_with_the_same_expectation_gets_through,
                no_write_is_lost_among_many,
                many_writes_stand_in_the_snapshots_they_name,
                a_key_is_written_once_by_many,
                a_table_is_made_once_by_many,
            ]
        }
    };
}

/// How long a read may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of the lake that promises are about.
const LAKE: u128 = 1;

async fn fresh_lake(store: &Arc<dyn Lake>) {
    store.create(lake(LAKE)).await.unwrap();
}

async fn write(store: &Arc<dyn Lake>, write: LakeWrite) -> Committed {
    store.write(lake(LAKE), write, origin("r1")).await.unwrap()
}

/// What a write is refused with.
async fn refused(store: &Arc<dyn Lake>, write: LakeWrite) -> WriteError {
    store.write(lake(LAKE), write, origin("r1")).await.unwrap_err()
}

async fn make_bucket(store: &Arc<dyn Lake>, name: &str) {
    write(store, LakeWrite::CreateBucket { bucket: bucket(name), description: None }).await;
}

async fn make_table(store: &Arc<dyn Lake>, name: &str, schema: TableSchema) -> TableSchema {
    write(store, LakeWrite::create_table(table(name), schema.clone())).await;
    schema
}

async fn append(store: &Arc<dyn Lake>, name: &str, schema: &TableSchema, rows: RowSource) -> Committed {
    write(store, LakeWrite::append(table(name), schema.clone(), rows)).await
}

async fn stored(store: &Arc<dyn Lake>, name: &str) -> StoredTable {
    let name = table(name);
    store.table(lake(LAKE), &name.bucket, &name.table, ReadAt::Head).await.unwrap().unwrap()
}

/// The first rows of a table, in order of their coming.
async fn read(store: &Arc<dyn Lake>, name: &str, limit: u32) -> Result<RowStream, QueryError> {
    let selection = Selection { limit: Some(limit.into()), ..Selection::default() };
    let read = store.rows(lake(LAKE), &table(name), selection, ReadAt::Head, PATIENCE).await;
    read.map(|(rows, _)| rows)
}

/// The rows of a table in a version, as lines, sorted.
async fn rows_at(store: &Arc<dyn Lake>, name: &str, at: ReadAt) -> Vec<String> {
    let mut lines = selected(store, name, Selection::default(), at).await.unwrap();
    lines.sort();
    lines
}

/// The rows of a table now, as lines, sorted.
async fn rows_of(store: &Arc<dyn Lake>, name: &str) -> Vec<String> {
    rows_at(store, name, ReadAt::Head).await
}

/// The selected rows of a table, as lines in the order they come.
async fn selected(
    store: &Arc<dyn Lake>,
    name: &str,
    selection: Selection,
    at: ReadAt,
) -> Result<Vec<String>, QueryError> {
    let (rows, _) = store.rows(lake(LAKE), &table(name), selection, at, PATIENCE).await?;
    let batches: Vec<RecordBatch> = rows.batches.try_collect().await?;
    Ok(lines(&batches))
}

async fn head(store: &Arc<dyn Lake>) -> SnapshotId {
    store.head(lake(LAKE)).await.unwrap()
}

fn snapshot(number: u64) -> SnapshotId {
    SnapshotId::new(number.cast_signed()).unwrap()
}

/// What the newest snapshot says that changed.
async fn last_change(store: &Arc<dyn Lake>) -> Change {
    let head = head(store).await;
    let mut commit = store.snapshot(lake(LAKE), head).await.unwrap().unwrap();
    assert_eq!(commit.writes.len(), 1);
    commit.writes.remove(0).change
}

async fn load(store: &Arc<dyn Lake>, schema: &TableSchema, mode: LoadMode, rows: RowSource) -> Committed {
    write(store, load_write(schema, mode, rows)).await
}

/// A load of the table `t`.
fn load_write(schema: &TableSchema, mode: LoadMode, rows: RowSource) -> LakeWrite {
    LakeWrite::Load { table: table("t"), schema: schema.clone(), mode, rows, expected: Expected::ANY }
}

/// A deletion from the table `t`.
fn delete_write(schema: &TableSchema, filter: Option<Filter>) -> LakeWrite {
    LakeWrite::Delete { table: table("t"), schema: schema.clone(), filter, expected: Expected::ANY }
}

/// An update of the table `t`.
fn update_write(schema: &TableSchema, filter: Option<Filter>, set: Vec<Assignment>) -> LakeWrite {
    LakeWrite::Update { table: table("t"), schema: schema.clone(), filter, set, expected: Expected::ANY }
}

/// A change of the shape of the table `t`.
fn alter_write(schema: &TableSchema, alteration: Alteration) -> LakeWrite {
    LakeWrite::Alter { table: table("t"), schema: schema.clone(), alteration, expected: Expected::ANY }
}

/// The table `t` of a fresh lake: `1|ann|10`, `2|bob|NULL`, `3|NULL|30`, with the key `id`.
async fn people(store: &Arc<dyn Lake>) -> TableSchema {
    fresh_lake(store).await;
    let columns = vec![column("id", "INTEGER"), column("name", "VARCHAR(10)"), column("n", "INTEGER")];
    let shape = make_table(store, "t", schema(columns, &["id"])).await;
    let given = [[Some("1"), Some("ann"), Some("10")], [Some("2"), Some("bob"), None], [Some("3"), None, Some("30")]];
    append(store, "t", &shape, rows(["id", "name", "n"], &given)).await;
    shape
}

/// The buckets' names as they are listed.
async fn bucket_names(store: &Arc<dyn Lake>) -> Vec<String> {
    let listed = store.buckets(lake(LAKE), ReadAt::Head).await.unwrap();
    listed.into_iter().map(|bucket| bucket.name.to_string()).collect()
}

/// The names of a bucket's tables as they are listed.
async fn table_names(store: &Arc<dyn Lake>, name: &str) -> Vec<String> {
    let listed = store.tables(lake(LAKE), &bucket(name), ReadAt::Head).await.unwrap().unwrap();
    listed.into_iter().map(|table| table.name.to_string()).collect()
}

/// A table's first rows.
struct Preview {
    columns: Vec<String>,
    batches: Vec<RecordBatch>,
}

impl Preview {
    async fn of(store: &Arc<dyn Lake>, name: &str, limit: u32) -> Self {
        let stream = read(store, name, limit).await.unwrap();
        let columns = stream.schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { columns, batches: stream.batches.try_collect().await.unwrap() }
    }

    fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The values of an `INTEGER` column.
    fn integers(&self, column: &str) -> Vec<Option<i32>> {
        self.values::<Int32Array>(column).flat_map(Int32Array::iter).collect()
    }

    /// The values of a `VARCHAR` column.
    fn texts(&self, column: &str) -> Vec<Option<String>> {
        let values = self.values::<StringArray>(column).flat_map(|values| values.iter());
        values.map(|value| value.map(ToOwned::to_owned)).collect()
    }

    fn values<A: Array + 'static>(&self, column: &str) -> impl Iterator<Item = &A> {
        self.batches.iter().map(move |rows| rows.column_by_name(column).unwrap().as_any().downcast_ref().unwrap())
    }
}
