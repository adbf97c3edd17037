//! Statements that write, taken apart: heads that were understood whole, and the queries and expressions in them, as
//! text that the gate for reads has yet to see.

/// A name as it was written, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// `catalog.schema.table` has one.
    pub(crate) catalog: Option<String>,
    /// The bucket, if it was written.
    pub(crate) schema: Option<String>,
    /// The table.
    pub(crate) table: String,
}

/// A query, or an expression: a part of the statement's text, unchecked; but `?` is `$1`, `$2` … by its place in the
/// whole statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part(pub(crate) String);

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Whatever the gate for reads decides on.
    Read,
    /// `EXPLAIN [ANALYZE] query`.
    Explain {
        analyze: bool,
        query: Part,
    },
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Merge(Merge),
    CreateTable(CreateTable),
    CreateView(CreateView),
    CreateBucket {
        name: String,
        or_ignore: bool,
    },
    /// `CASCADE` changes nothing: nothing hangs on a table here.
    DropTable {
        name: Name,
        if_exists: bool,
    },
    DropView {
        name: Name,
        if_exists: bool,
    },
    DropBucket {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    Truncate {
        name: Name,
    },
    Alter {
        name: Name,
        if_exists: bool,
        change: Change,
    },
    CommentOnTable {
        name: Name,
        comment: Option<String>,
    },
    CommentOnColumn {
        name: Name,
        column: String,
        comment: Option<String>,
    },
    /// `COPY table [(columns)] TO 'path' (options)` or `COPY (query) TO …`; of a table: `FROM table`, as a query.
    CopyTo {
        query: Part,
        path: String,
        options: Vec<CopyOption>,
    },
    /// `COPY table [(columns)] FROM 'path' (options)`.
    CopyFrom {
        name: Name,
        columns: Vec<String>,
        path: String,
        options: Vec<CopyOption>,
    },
}

/// `[WITH …] INSERT [OR REPLACE | OR IGNORE] INTO table [AS alias] [BY NAME | BY POSITION] [(columns)] rows
/// [ON CONFLICT …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Insert {
    pub(crate) name: Name,
    /// What the table is called in the conflict's expressions.
    pub(crate) alias: Option<String>,
    /// Empty: all, in their order.
    pub(crate) columns: Vec<String>,
    /// Columns are matched by the query's names.
    pub(crate) by_name: bool,
    /// The rows; `None` for `DEFAULT VALUES`. A leading `WITH` of the statement is part of it.
    pub(crate) rows: Option<Part>,
    pub(crate) conflict: Conflict,
}

/// What happens to a row whose key is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// It refuses the statement.
    Refuse,
    /// `OR IGNORE`, `ON CONFLICT [(key)] DO NOTHING`: it is left out. The key's columns, if they were written.
    Ignore { key: Vec<String> },
    /// `OR REPLACE`: it takes the other's place.
    Replace,
    /// `ON CONFLICT [(key)] DO UPDATE SET …`: expressions over the table's columns and `excluded`.
    Update { key: Vec<String>, set: Vec<(String, Part)>, filter: Option<Part> },
}

/// `[WITH …] UPDATE table [AS alias] SET column = expression, … [FROM …] [WHERE …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// `WITH …` up to the verb, without it; empty if there is none.
    pub(crate) with: Part,
    pub(crate) name: Name,
    pub(crate) alias: Option<String>,
    pub(crate) set: Vec<(String, Part)>,
    /// What stands between `FROM` and `WHERE`.
    pub(crate) from: Option<Part>,
    pub(crate) filter: Option<Part>,
}

/// `[WITH …] DELETE FROM table [AS alias] [USING …] [WHERE …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delete {
    pub(crate) with: Part,
    pub(crate) name: Name,
    pub(crate) alias: Option<String>,
    pub(crate) using: Option<Part>,
    pub(crate) filter: Option<Part>,
}

/// `[WITH …] MERGE INTO table [AS alias] USING source ON condition | USING (columns) WHEN …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) with: Part,
    pub(crate) name: Name,
    pub(crate) alias: Option<String>,
    /// A table or a subquery, with its alias: what may stand in a FROM.
    pub(crate) source: Part,
    pub(crate) on: MergeOn,
    pub(crate) branches: Vec<Branch>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MergeOn {
    Condition(Part),
    Columns(Vec<String>),
}

/// `WHEN [NOT] MATCHED [BY SOURCE | BY TARGET] [AND condition] THEN action`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) when: When,
    pub(crate) condition: Option<Part>,
    pub(crate) action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Matched,
    NotMatched,
    NotMatchedBySource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// `UPDATE SET …`; an empty list for `UPDATE BY NAME`.
    Update(Vec<(String, Part)>),
    Delete,
    /// `INSERT [(columns)] VALUES (…)`; no values for `INSERT *` (by position) or `INSERT BY NAME`.
    Insert {
        columns: Vec<String>,
        values: Vec<Part>,
        by_name: bool,
    },
    DoNothing,
    Error,
}

/// `CREATE [OR REPLACE] [TEMP] TABLE [IF NOT EXISTS] table (…)` or `… AS query`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the statement that is there or not")]
pub(crate) struct CreateTable {
    pub(crate) name: Name,
    pub(crate) temporary: bool,
    pub(crate) or_replace: bool,
    pub(crate) if_not_exists: bool,
    /// Its columns, or, with a query, at most their names.
    pub(crate) columns: Vec<ColumnDefinition>,
    /// `PRIMARY KEY (…)`, or that of a column.
    pub(crate) primary_key: Vec<String>,
    /// `PARTITIONED BY (…)` and `SORTED BY (…)`, as they were written between the parentheses.
    pub(crate) partitioned_by: Vec<String>,
    pub(crate) sorted_by: Vec<String>,
    pub(crate) query: Option<Part>,
    /// `WITH NO DATA`.
    pub(crate) no_data: bool,
}

/// `name type [NOT NULL] [PRIMARY KEY] [DEFAULT literal]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: String,
    /// The type's text; empty where a query gives the types.
    pub(crate) data_type: String,
    pub(crate) not_null: bool,
    /// The literal's text.
    pub(crate) default: Option<String>,
}

/// `CREATE [OR REPLACE] VIEW [IF NOT EXISTS] view [(columns)] AS query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateView {
    pub(crate) name: Name,
    pub(crate) or_replace: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<String>,
    pub(crate) query: Part,
}

/// What an `ALTER TABLE` does: one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    AddColumn {
        column: ColumnDefinition,
        if_not_exists: bool,
    },
    DropColumn {
        column: String,
        if_exists: bool,
    },
    RenameColumn {
        column: String,
        to: String,
    },
    RenameTable {
        to: String,
    },
    /// `ALTER COLUMN c [SET DATA] TYPE t`; `USING` is refused.
    SetType {
        column: String,
        data_type: String,
    },
    SetNotNull {
        column: String,
    },
    DropNotNull {
        column: String,
    },
    SetDefault {
        column: String,
        default: String,
    },
    DropDefault {
        column: String,
    },
    AddPrimaryKey {
        columns: Vec<String>,
    },
    DropPrimaryKey,
    /// `SET PARTITIONED BY (…)`; empty for `RESET PARTITIONED BY`.
    PartitionBy {
        parts: Vec<String>,
    },
    /// `SET SORTED BY (…)`; empty for `RESET SORTED BY`.
    SortBy {
        keys: Vec<String>,
    },
}

/// An option of COPY, by its name in capitals; its value's text without quotes, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyOption {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    /// The names in parentheses: `PARTITION_BY (a, b)`.
    pub(crate) list: Vec<String>,
}
