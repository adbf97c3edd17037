//! What a metadata store promises.

mod api_keys;
mod contracts;
mod events;
mod forward;
mod idempotency;
mod instances;
mod keyed_writes;
mod lake_history;
mod lake_index;
mod lineage;
mod logs;
mod maintenance;
mod operations;
mod queries;
mod schemas;
mod sharing;
mod tags;
mod tenancy;
mod units;
mod usage;
mod webhooks;

use std::sync::Arc;

use gadwall_domain::access::ApiKey;
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter};

use crate::testing::builders::project;

pub use api_keys::*;
pub use contracts::*;
pub use events::*;
pub use forward::*;
pub use idempotency::*;
pub use instances::*;
pub use keyed_writes::*;
pub use lake_history::*;
pub use lake_index::*;
pub use lineage::*;
pub use logs::*;
pub use maintenance::*;
pub use operations::*;
pub use queries::*;
pub use schemas::*;
pub use sharing::*;
pub use tags::*;
pub use tenancy::*;
pub use units::*;
pub use usage::*;
pub use webhooks::*;

/// Tests that an adapter keeps every promise of `MetadataStore`. The expression answers
/// `(Arc<dyn MetadataStore>, guard)`: a fresh store for each test.
#[macro_export]
macro_rules! metadata_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $crate::testing::contract::metadata, $fresh, [
                a_dropped_unit_of_work_leaves_nothing,
                a_contract_is_in_force_until_another_is,
                contracts_go_with_their_table,
                results_are_read_in_pages,
                only_the_newest_results_and_versions_are_kept,
                warnings_of_a_commit_are_results,
                contracts_are_part_of_the_index,
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
                a_managed_key_reads_back_as_stored,
                a_key_is_found_in_its_project_only,
                keys_come_newest_first_in_pages,
                an_update_of_a_key_replaces_only_what_may_change,
                the_latest_use_of_a_key_counts,
                events_are_read_on_from_a_position,
                an_event_reads_back_as_appended,
                positions_grow_from_one_unit_of_work_to_the_next,
                the_log_is_read_as_one_and_from_its_end,
                old_events_are_forgotten_and_their_positions_remembered,
                a_token_of_events_ends_by_itself,
                a_consumer_of_changes_reads_back_as_stored,
                maintenance_reads_back_as_stored,
                maintenance_is_due_by_its_time,
                a_webhook_reads_back_as_stored,
                a_webhook_is_due_when_there_is_something_to_tell,
                dead_letters_are_kept_newest_first,
                audit_entries_come_newest_first,
                audit_entries_come_in_pages,
                audit_entries_are_filtered,
                old_audit_entries_are_forgotten,
                a_deleted_project_reads_back_as_stored,
                deleted_projects_wait_for_their_purge,
                keys_of_a_deleted_project_open_nothing,
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
                the_past_reads_as_it_was,
                buckets_of_the_past_read_as_they_were,
                an_altered_table_stays_as_old_as_it_is,
                a_renamed_table_keeps_its_facts,
                a_name_given_up_is_free,
                an_undeleted_table_is_as_old_as_it_was,
                one_snapshot_shows_only_its_outcome,
                a_commit_that_does_not_fit_is_no_failure,
                a_write_is_found_by_its_key,
                the_first_write_of_a_key_counts,
                old_keys_are_forgotten,
                keys_are_rebuilt_from_the_commits,
                a_tag_reads_back_as_stored,
                a_tag_stands_for_one_snapshot,
                tags_are_listed_by_name,
                tags_of_projects_are_apart,
                tags_outlive_the_index,
                a_request_begins_once,
                requests_are_told_apart_by_caller_and_key,
                of_many_at_once_one_begins,
                a_dead_request_is_taken_over,
                a_request_of_one_that_lives_is_not_taken_over,
                an_answer_is_given_again,
                an_answer_needs_a_running_request,
                a_forgotten_request_may_be_tried_again,
                old_requests_are_forgotten,
                a_request_begins_with_its_unit_of_work,
                an_instance_is_known_once_it_was_seen,
                an_instance_that_was_seen_stays,
                an_operation_reads_back_as_stored,
                an_operation_belongs_to_one_project,
                an_operation_moves_on_until_it_has_ended,
                an_operation_ends_at_a_time,
                operations_come_newest_first_in_pages,
                unfinished_operations_are_found,
                old_operations_are_forgotten,
                a_query_reads_back_as_stored,
                a_query_belongs_to_one_project,
                only_queries_that_ended_are_kept,
                queries_come_newest_first_in_pages,
                queries_are_found_by_state_age_and_principal,
                the_newest_queries_are_kept,
                old_queries_are_forgotten,
                a_share_is_there_once,
                a_grant_is_there_once,
                a_link_reads_back_as_stored,
                a_link_is_open_by_a_share_a_grant_or_an_admin,
                what_is_gone_ends_its_shares_and_links,
                reads_through_links_add_up,
                a_quota_reads_back_as_stored,
                counts_of_a_day_add_up,
                old_counts_are_forgotten,
                many_counts_are_added_at_once,
                lineage_reads_back_as_put,
                lineage_put_again_replaces,
                nodes_come_by_name_in_pages,
                runs_come_newest_first_in_pages,
                uses_make_edges,
                columns_stay_until_they_are_outdated,
                events_wait_in_order,
                lineage_is_cleared_by_project,
                events_are_handed_on_in_order,
                handing_on_is_claimed,
                a_schema_reads_back_as_stored,
                a_version_that_comes_back_is_the_last_again,
                only_the_last_versions_stay,
                tables_are_governed_one_by_one,
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
