//! What must hold of a catalog's tables, as statements that find what breaks it; and what mends that, where it can be mended without
//! inventing anything.

use gadwall_domain::ports::doctor::Severity;

/// A rule.
pub(super) struct Check {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    /// Texts that name what breaks it.
    pub(super) find: &'static str,
    pub(super) means: &'static str,
    /// Statements that mend it.
    pub(super) mend: &'static [&'static str],
}

/// The newest snapshot.
macro_rules! head {
    () => {
        "(SELECT max(snapshot_id) FROM {md}.ducklake_snapshot)"
    };
}

/// The highest number of a bucket, a table or a view.
macro_rules! highest_catalog_id {
    () => {
        "(SELECT max(id) AS highest FROM (
             SELECT max(schema_id) AS id FROM {md}.ducklake_schema
             UNION ALL SELECT max(table_id) FROM {md}.ducklake_table
             UNION ALL SELECT max(view_id) FROM {md}.ducklake_view))"
    };
}

/// The highest number of a file.
macro_rules! highest_file_id {
    () => {
        "(SELECT max(id) AS highest FROM (
             SELECT max(data_file_id) AS id FROM {md}.ducklake_data_file
             UNION ALL SELECT max(delete_file_id) FROM {md}.ducklake_delete_file))"
    };
}

pub(super) const CHECKS: [Check; 13] = [
    Check {
        code: "next_catalog_id_too_low",
        severity: Severity::Error,
        find: concat!(
            "SELECT 'next_catalog_id ' || s.next_catalog_id || ', highest ' || h.highest
               FROM {md}.ducklake_snapshot s, ",
            highest_catalog_id!(),
            " h WHERE s.snapshot_id = ",
            head!(),
            " AND s.next_catalog_id <= h.highest"
        ),
        means: "the next bucket, table or view would get a number that is taken; a repair sets the next number above the highest",
        mend: &[concat!(
            "UPDATE {md}.ducklake_snapshot SET next_catalog_id = (SELECT highest + 1 FROM ",
            highest_catalog_id!(),
            ") WHERE snapshot_id = ",
            head!()
        )],
    },
    Check {
        code: "next_file_id_too_low",
        severity: Severity::Error,
        find: concat!(
            "SELECT 'next_file_id ' || s.next_file_id || ', highest ' || h.highest
               FROM {md}.ducklake_snapshot s, ",
            highest_file_id!(),
            " h WHERE s.snapshot_id = ",
            head!(),
            " AND s.next_file_id <= h.highest"
        ),
        means: "the next file would get a number that is taken, and writes fail or mix rows up; a repair sets the next number above the highest",
        mend: &[concat!(
            "UPDATE {md}.ducklake_snapshot SET next_file_id = (SELECT highest + 1 FROM ",
            highest_file_id!(),
            ") WHERE snapshot_id = ",
            head!()
        )],
    },
    Check {
        code: "next_row_id_too_low",
        severity: Severity::Error,
        find: "SELECT 'table ' || s.table_id || ': next_row_id ' || s.next_row_id || ', files up to ' || f.highest
                 FROM {md}.ducklake_table_stats s JOIN (
                     SELECT table_id, max(row_id_start + record_count) AS highest FROM {md}.ducklake_data_file
                      WHERE row_id_start IS NOT NULL GROUP BY table_id) f ON f.table_id = s.table_id
                WHERE s.next_row_id < f.highest",
        means: "new rows would get the row ids of others, and the feed of changes would take them for the same; a repair counts on from the highest",
        mend: &["UPDATE {md}.ducklake_table_stats SET next_row_id = (
                     SELECT max(f.row_id_start + f.record_count) FROM {md}.ducklake_data_file f
                      WHERE f.table_id = ducklake_table_stats.table_id AND f.row_id_start IS NOT NULL)
                  WHERE next_row_id < (SELECT coalesce(max(f.row_id_start + f.record_count), 0) FROM {md}.ducklake_data_file f
                      WHERE f.table_id = ducklake_table_stats.table_id AND f.row_id_start IS NOT NULL)"],
    },
    Check {
        code: "delete_file_without_data_file",
        severity: Severity::Warning,
        find: "SELECT path FROM {md}.ducklake_delete_file d
                WHERE NOT EXISTS (SELECT 1 FROM {md}.ducklake_data_file f WHERE f.data_file_id = d.data_file_id) ORDER BY 1",
        means: "rows are noted as deleted from a file that no snapshot has: nothing reads the note; a repair removes it",
        mend: &["DELETE FROM {md}.ducklake_delete_file WHERE data_file_id NOT IN
                   (SELECT data_file_id FROM {md}.ducklake_data_file)"],
    },
    Check {
        code: "files_of_ended_table",
        severity: Severity::Warning,
        find: "SELECT f.path FROM {md}.ducklake_data_file f WHERE f.end_snapshot IS NULL
                  AND NOT EXISTS (SELECT 1 FROM {md}.ducklake_table t WHERE t.table_id = f.table_id AND t.end_snapshot IS NULL)
                ORDER BY 1",
        means: "files count as part of the newest version though their table is gone: they are never removed; a repair ends them with their table, where that is known",
        mend: &["UPDATE {md}.ducklake_data_file SET end_snapshot = (
                     SELECT max(t.end_snapshot) FROM {md}.ducklake_table t WHERE t.table_id = ducklake_data_file.table_id)
                  WHERE end_snapshot IS NULL AND table_id NOT IN
                     (SELECT table_id FROM {md}.ducklake_table WHERE end_snapshot IS NULL)"],
    },
    Check {
        code: "columns_of_ended_table",
        severity: Severity::Warning,
        find: "SELECT 'table ' || c.table_id || ', column ' || c.column_name FROM {md}.ducklake_column c WHERE c.end_snapshot IS NULL
                  AND NOT EXISTS (SELECT 1 FROM {md}.ducklake_table t WHERE t.table_id = c.table_id AND t.end_snapshot IS NULL)
                ORDER BY 1",
        means: "columns count as part of the newest version though their table is gone; a repair ends them with their table, where that is known",
        mend: &["UPDATE {md}.ducklake_column SET end_snapshot = (
                     SELECT max(t.end_snapshot) FROM {md}.ducklake_table t WHERE t.table_id = ducklake_column.table_id)
                  WHERE end_snapshot IS NULL AND table_id NOT IN
                     (SELECT table_id FROM {md}.ducklake_table WHERE end_snapshot IS NULL)"],
    },
    Check {
        code: "table_without_bucket",
        severity: Severity::Error,
        find: "SELECT t.table_name FROM {md}.ducklake_table t WHERE t.end_snapshot IS NULL
                  AND NOT EXISTS (SELECT 1 FROM {md}.ducklake_schema s WHERE s.schema_id = t.schema_id AND s.end_snapshot IS NULL)
                ORDER BY 1",
        means: "a table is in a bucket that is gone: nobody can name it. Restore the project from a backup under another name to reach its rows",
        mend: &[],
    },
    Check {
        code: "statistics_without_file",
        severity: Severity::Warning,
        find: "SELECT DISTINCT 'file ' || s.data_file_id FROM {md}.ducklake_file_column_stats s
                WHERE NOT EXISTS (SELECT 1 FROM {md}.ducklake_data_file f WHERE f.data_file_id = s.data_file_id) ORDER BY 1",
        means: "statistics of files that no snapshot has make each commit slower; a repair removes them",
        mend: &["DELETE FROM {md}.ducklake_file_column_stats WHERE data_file_id NOT IN
                   (SELECT data_file_id FROM {md}.ducklake_data_file)"],
    },
    Check {
        code: "ended_before_it_began",
        severity: Severity::Error,
        find: "SELECT what || ' ' || id || ' from ' || begin_snapshot || ' to ' || end_snapshot FROM (
                   SELECT 'schema' AS what, schema_id AS id, begin_snapshot, end_snapshot FROM {md}.ducklake_schema
                   UNION ALL SELECT 'table', table_id, begin_snapshot, end_snapshot FROM {md}.ducklake_table
                   UNION ALL SELECT 'column', column_id, begin_snapshot, end_snapshot FROM {md}.ducklake_column
                   UNION ALL SELECT 'view', view_id, begin_snapshot, end_snapshot FROM {md}.ducklake_view
                   UNION ALL SELECT 'data file', data_file_id, begin_snapshot, end_snapshot FROM {md}.ducklake_data_file
                   UNION ALL SELECT 'delete file', delete_file_id, begin_snapshot, end_snapshot FROM {md}.ducklake_delete_file)
                WHERE end_snapshot < begin_snapshot ORDER BY 1",
        means: "something is part of no version at all, though it once was of some: restore the project from a backup",
        mend: &[],
    },
    Check {
        code: "later_than_the_newest",
        severity: Severity::Error,
        find: concat!(
            "SELECT what || ' ' || id || ' of snapshot ' || newest FROM (
                   SELECT 'schema' AS what, schema_id AS id, greatest(begin_snapshot, end_snapshot) AS newest FROM {md}.ducklake_schema
                   UNION ALL SELECT 'table', table_id, greatest(begin_snapshot, end_snapshot) FROM {md}.ducklake_table
                   UNION ALL SELECT 'column', column_id, greatest(begin_snapshot, end_snapshot) FROM {md}.ducklake_column
                   UNION ALL SELECT 'data file', data_file_id, greatest(begin_snapshot, end_snapshot) FROM {md}.ducklake_data_file
                   UNION ALL SELECT 'delete file', delete_file_id, greatest(begin_snapshot, end_snapshot) FROM {md}.ducklake_delete_file)
                WHERE newest > ",
            head!(),
            " ORDER BY 1"
        ),
        means: "the catalog speaks of snapshots that it lost: part of it is older than the rest. Restore the project from a backup",
        mend: &[],
    },
    Check {
        code: "twice_in_the_newest_version",
        severity: Severity::Error,
        find: "SELECT what || ' ' || id FROM (
                   SELECT 'schema' AS what, schema_id::VARCHAR AS id FROM {md}.ducklake_schema WHERE end_snapshot IS NULL
                   UNION ALL SELECT 'schema named', lower(schema_name) FROM {md}.ducklake_schema WHERE end_snapshot IS NULL
                   UNION ALL SELECT 'table', table_id::VARCHAR FROM {md}.ducklake_table WHERE end_snapshot IS NULL
                   UNION ALL SELECT 'table named', schema_id || '.' || lower(table_name) FROM {md}.ducklake_table WHERE end_snapshot IS NULL
                   UNION ALL SELECT 'column', table_id || '.' || column_id FROM {md}.ducklake_column WHERE end_snapshot IS NULL
                   UNION ALL SELECT 'delete file of data file', data_file_id::VARCHAR FROM {md}.ducklake_delete_file WHERE end_snapshot IS NULL
                   UNION ALL SELECT 'data file', data_file_id::VARCHAR FROM {md}.ducklake_data_file
                   UNION ALL SELECT 'snapshot', snapshot_id::VARCHAR FROM {md}.ducklake_snapshot)
                GROUP BY what, id HAVING count(*) > 1 ORDER BY 1",
        means: "there are two of what there can be one of, and which one is read is chance. Restore the project from a backup",
        mend: &[],
    },
    Check {
        code: "file_without_table",
        severity: Severity::Warning,
        find: "SELECT f.path FROM {md}.ducklake_data_file f
                WHERE NOT EXISTS (SELECT 1 FROM {md}.ducklake_table t WHERE t.table_id = f.table_id) ORDER BY 1",
        means: "files are of a table that no version has: nothing reads them, and nothing removes them",
        mend: &[],
    },
    Check {
        code: "snapshot_without_changes",
        severity: Severity::Warning,
        find: "SELECT 'snapshot ' || s.snapshot_id FROM {md}.ducklake_snapshot s WHERE s.snapshot_id > 0
                  AND NOT EXISTS (SELECT 1 FROM {md}.ducklake_snapshot_changes c WHERE c.snapshot_id = s.snapshot_id) ORDER BY 1",
        means: "it isn't told what these snapshots changed, nor by whom; their versions can be read as others can",
        mend: &[],
    },
];
