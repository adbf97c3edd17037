//! What a metadata store promises.

mod lake_index;
mod logs;
mod tenancy;
mod units;

use std::sync::Arc;

use gadwall_domain::access::ApiKey;
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter};

use crate::testing::builders::project;

pub use lake_index::*;
pub use logs::*;
pub use tenancy::*;
pub use units::*;

/// Tests that an adapter keeps every promise of `MetadataStore`. The expression answers
/// `(Arc<dyn MetadataStore>, guard)`: a fresh store for each test.
#[macro_export]
macro_rules! metadata_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $crate::testing::contract::metadata, $fresh, [
                a_dropped_unit_of_work_leaves_nothing,
                a_committed_unit_of_work_lasts,
                a_reading_unit_of_work_refuses_writes,
                a_reading_unit_of_work_sees_one_state,
                writing_units_of_work_take_turns,
                nothing_is_kept_for_a_project_that_is_not_there,
                a_project_reads_back_as_stored,
                a_project_id_is_taken_once,
                a_lake_belongs_to_one_project,
                an_update_replaces_only_what_may_change,
                sizes_are_recorded,
                projects_are_listed_newest_first_in_pages,
                a_key_is_found_by_its_digest,
                a_key_is_stored_once,
                all_keys_of_a_project_are_revoked_at_once,
                events_are_read_on_from_a_position,
                an_event_reads_back_as_appended,
                positions_grow_from_one_unit_of_work_to_the_next,
                audit_entries_come_newest_first,
                an_index_starts_at_zero,
                a_tables_facts_are_what_its_commit_says,
                facts_come_by_name,
                a_commit_counts_once,
                snapshot_zero_is_no_commit,
                a_commit_without_facts_only_advances,
                a_dropped_table_is_forgotten,
                a_dropped_bucket_takes_its_tables,
                one_snapshot_may_make_and_drop,
                what_is_made_again_replaces_what_was,
                indexes_are_apart,
                an_index_can_be_rebuilt,
            ]
        }
    };
}

/// Adds a project.
async fn insert(store: &Arc<dyn MetadataStore>, id: &str) {
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project(id)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn insert_keys(store: &Arc<dyn MetadataStore>, keys: &[&ApiKey]) {
    let mut tx = store.write().await.unwrap();
    for key in keys {
        tx.keys().insert(key).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The ids of all projects.
async fn projects_in(store: &Arc<dyn MetadataStore>) -> Vec<String> {
    let all = ProjectFilter { status: None, limit: 100, offset: 0 };
    let (found, _) = store.read().await.unwrap().projects().list(all).await.unwrap();
    found.into_iter().map(|project| project.id.to_string()).collect()
}
