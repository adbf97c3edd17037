//! The grammar of a serialised statement: which fields each kind of node has, and what stands in each.
//!
//! It mirrors the engine's own serialisers (DuckDB 1.5.5, with the fields that a newer storage version adds). A kind or
//! a field that isn't here is refused by the walk, so an engine that learns a new construct fails closed.

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// A string, number, boolean or null, or arrays of them: nothing in it is read as a name of a table or function.
    Plain,
    /// An expression or null.
    Expression,
    /// Expressions.
    Expressions,
    /// Rows of expressions.
    Rows,
    /// A query node or null.
    Query,
    /// Query nodes.
    Queries,
    /// A whole SELECT: a query node with its parameters.
    Select,
    /// A table reference or null.
    Table,
    /// The WITH clause.
    With,
    /// DISTINCT, ORDER BY and LIMIT.
    Modifiers,
    /// ORDER BY inside an aggregate, or null.
    Modifier,
    /// The terms of an ORDER BY.
    Orders,
    /// WHEN … THEN …
    Cases,
    /// A type.
    Type,
    /// Types.
    Types,
    /// A constant.
    Value,
    /// Constants.
    Values,
    /// AT (VERSION => …), or null.
    At,
    /// A sample clause or null.
    Sample,
    /// The columns a PIVOT turns.
    Pivots,
    /// The values of such a column.
    PivotEntries,
    /// REPLACE (… AS column).
    Replacements,
    /// Qualified column names, alone or as keys of a map.
    Columns,
    /// An empty field: something that only exists with an extension or after binding.
    Nothing,
}

use Is::{
    At, Cases, Columns, Expression, Expressions, Modifier, Modifiers, Nothing, Orders, PivotEntries, Pivots, Plain,
    Queries, Query, Replacements, Rows, Sample, Select, Table, Type, Types, Value, Values, With,
};

/// The fields of a node.
pub(super) type Fields = &'static [(&'static str, Is)];

const NODE: Fields = &[("type", Plain), ("modifiers", Modifiers), ("cte_map", With)];
const EXPRESSION: Fields = &[("class", Plain), ("type", Plain), ("alias", Plain), ("query_location", Plain)];
const TABLE: Fields = &[("type", Plain), ("alias", Plain), ("sample", Sample), ("query_location", Plain)];

/// The SELECT statement.
pub(super) const SELECT: Fields = &[("node", Query), ("named_param_map", Plain)];
/// One term of an ORDER BY.
pub(super) const ORDER: Fields = &[("type", Plain), ("null_order", Plain), ("expression", Expression)];
/// One WHEN.
pub(super) const CASE: Fields = &[("when_expr", Expression), ("then_expr", Expression)];
/// The AT clause.
pub(super) const AT: Fields = &[("unit", Plain), ("expr", Expression)];
/// The sample clause.
pub(super) const SAMPLE: Fields =
    &[("sample_size", Value), ("is_percentage", Plain), ("method", Plain), ("seed", Plain)];
/// One column of a PIVOT.
pub(super) const PIVOT_COLUMN: Fields =
    &[("pivot_expressions", Expressions), ("unpivot_names", Plain), ("entries", PivotEntries), ("pivot_enum", Plain)];
/// One value of such a column.
pub(super) const PIVOT_ENTRY: Fields = &[("values", Values), ("star_expr", Expression), ("alias", Plain)];
/// A qualified column name.
pub(super) const COLUMN: Fields = &[("catalog", Plain), ("schema", Plain), ("table", Plain), ("column", Plain)];
/// A type.
pub(super) const TYPE: Fields = &[("id", Plain), ("type_info", Plain)];

/// The fields every query node has, and those of its kind.
pub(super) fn query(kind: &str) -> Option<(Fields, Fields)> {
    let own: Fields = match kind {
        "SELECT_NODE" => &[
            // FROM comes first: the width of a star depends on it.
            ("from_table", Table),
            ("select_list", Expressions),
            ("where_clause", Expression),
            ("group_expressions", Expressions),
            ("group_sets", Plain),
            ("aggregate_handling", Plain),
            ("having", Expression),
            ("sample", Sample),
            ("qualify", Expression),
        ],
        "SET_OPERATION_NODE" => {
            &[("setop_type", Plain), ("left", Query), ("right", Query), ("setop_all", Plain), ("children", Queries)]
        }
        "RECURSIVE_CTE_NODE" => &[
            ("cte_name", Plain),
            ("union_all", Plain),
            ("left", Query),
            ("right", Query),
            ("aliases", Plain),
            ("key_targets", Expressions),
        ],
        _ => return None,
    };
    Some((NODE, own))
}

/// The fields every expression has, and those of its class.
pub(super) fn expression(class: &str) -> Option<(Fields, Fields)> {
    let own: Fields = match class {
        "BETWEEN" => &[("input", Expression), ("lower", Expression), ("upper", Expression)],
        "CASE" => &[("case_checks", Cases), ("else_expr", Expression)],
        "CAST" => &[("child", Expression), ("cast_type", Type), ("try_cast", Plain)],
        "COLLATE" => &[("child", Expression), ("collation", Plain)],
        "COLUMN_REF" => &[("column_names", Plain)],
        "COMPARISON" => &[("left", Expression), ("right", Expression)],
        "CONJUNCTION" | "OPERATOR" => &[("children", Expressions)],
        "CONSTANT" => &[("value", Value)],
        "FUNCTION" => &[
            ("function_name", Plain),
            ("schema", Plain),
            ("catalog", Plain),
            ("children", Expressions),
            ("filter", Expression),
            ("order_bys", Modifier),
            ("distinct", Plain),
            ("is_operator", Plain),
            ("export_state", Plain),
        ],
        "LAMBDA" => &[("lhs", Expression), ("expr", Expression), ("syntax_type", Plain)],
        "PARAMETER" => &[("identifier", Plain)],
        "POSITIONAL_REFERENCE" => &[("index", Plain)],
        "STAR" => &[
            ("relation_name", Plain),
            ("exclude_list", Plain),
            ("replace_list", Replacements),
            ("columns", Plain),
            ("expr", Expression),
            ("qualified_exclude_list", Columns),
            ("rename_list", Columns),
        ],
        "SUBQUERY" => {
            &[("subquery_type", Plain), ("subquery", Select), ("child", Expression), ("comparison_type", Plain)]
        }
        "TYPE" => &[("catalog", Plain), ("schema", Plain), ("type_name", Plain), ("children", Expressions)],
        "WINDOW" => &[
            ("function_name", Plain),
            ("schema", Plain),
            ("catalog", Plain),
            ("children", Expressions),
            ("partitions", Expressions),
            ("orders", Orders),
            ("start", Plain),
            ("end", Plain),
            ("start_expr", Expression),
            ("end_expr", Expression),
            ("offset_expr", Expression),
            ("default_expr", Expression),
            ("ignore_nulls", Plain),
            ("filter_expr", Expression),
            ("exclude_clause", Plain),
            ("distinct", Plain),
            ("arg_orders", Orders),
        ],
        _ => return None,
    };
    Some((EXPRESSION, own))
}

/// The types of expression that belong to a class. A class and a type that don't fit make the engine build one thing
/// and treat it as another.
pub(super) fn expression_types(class: &str) -> &'static [&'static str] {
    match class {
        "BETWEEN" => &["COMPARE_BETWEEN"],
        "CASE" => &["CASE_EXPR"],
        "CAST" => &["OPERATOR_CAST"],
        "COLLATE" => &["COLLATE"],
        "COLUMN_REF" => &["COLUMN_REF"],
        "COMPARISON" => &[
            "COMPARE_EQUAL",
            "COMPARE_NOTEQUAL",
            "COMPARE_LESSTHAN",
            "COMPARE_GREATERTHAN",
            "COMPARE_LESSTHANOREQUALTO",
            "COMPARE_GREATERTHANOREQUALTO",
            "COMPARE_DISTINCT_FROM",
            "COMPARE_NOT_DISTINCT_FROM",
        ],
        "CONJUNCTION" => &["CONJUNCTION_AND", "CONJUNCTION_OR"],
        "CONSTANT" => &["VALUE_CONSTANT"],
        "FUNCTION" => &["FUNCTION"],
        "LAMBDA" => &["LAMBDA"],
        "OPERATOR" => &[
            "OPERATOR_NOT",
            "OPERATOR_IS_NULL",
            "OPERATOR_IS_NOT_NULL",
            "OPERATOR_UNPACK",
            "OPERATOR_NULLIF",
            "OPERATOR_COALESCE",
            "OPERATOR_TRY",
            "COMPARE_IN",
            "COMPARE_NOT_IN",
            "GROUPING_FUNCTION",
            "ARRAY_EXTRACT",
            "ARRAY_SLICE",
            "ARRAY_CONSTRUCTOR",
            "STRUCT_EXTRACT",
        ],
        "PARAMETER" => &["VALUE_PARAMETER"],
        "POSITIONAL_REFERENCE" => &["POSITIONAL_REFERENCE"],
        "STAR" => &["STAR"],
        "SUBQUERY" => &["SUBQUERY"],
        "TYPE" => &["TYPE"],
        "WINDOW" => &[
            "WINDOW_AGGREGATE",
            "WINDOW_RANK",
            "WINDOW_RANK_DENSE",
            "WINDOW_NTILE",
            "WINDOW_PERCENT_RANK",
            "WINDOW_CUME_DIST",
            "WINDOW_ROW_NUMBER",
            "WINDOW_FIRST_VALUE",
            "WINDOW_LAST_VALUE",
            "WINDOW_LEAD",
            "WINDOW_LAG",
            "WINDOW_NTH_VALUE",
            "WINDOW_FILL",
        ],
        _ => &[],
    }
}

/// The fields every table reference has, and those of its kind.
pub(super) fn table(kind: &str) -> Option<(Fields, Fields)> {
    let own: Fields = match kind {
        "BASE_TABLE" => &[
            ("schema_name", Plain),
            ("table_name", Plain),
            ("column_name_alias", Plain),
            ("catalog_name", Plain),
            ("at_clause", At),
        ],
        "EMPTY" => &[],
        "EXPRESSION_LIST" => &[("expected_names", Plain), ("expected_types", Types), ("values", Rows)],
        "JOIN" => &[
            ("left", Table),
            ("right", Table),
            ("condition", Expression),
            ("join_type", Plain),
            ("ref_type", Plain),
            ("using_columns", Plain),
            ("delim_flipped", Plain),
            ("duplicate_eliminated_columns", Expressions),
            ("is_implicit", Plain),
        ],
        "PIVOT" => &[
            ("source", Table),
            ("aggregates", Expressions),
            ("unpivot_names", Plain),
            ("pivots", Pivots),
            ("groups", Plain),
            ("column_name_alias", Plain),
            ("include_nulls", Plain),
        ],
        "SHOW_REF" => &[
            ("table_name", Plain),
            ("query", Query),
            ("show_type", Plain),
            ("catalog_name", Plain),
            ("schema_name", Plain),
        ],
        "SUBQUERY" => &[("subquery", Select), ("column_name_alias", Plain)],
        "TABLE_FUNCTION" => &[("function", Expression), ("column_name_alias", Plain), ("with_ordinality", Plain)],
        _ => return None,
    };
    Some((TABLE, own))
}

/// The fields of a result modifier.
pub(super) fn modifier(kind: &str) -> Option<Fields> {
    Some(match kind {
        "DISTINCT_MODIFIER" => &[("type", Plain), ("distinct_on_targets", Expressions)],
        "LIMIT_MODIFIER" | "LIMIT_PERCENT_MODIFIER" => {
            &[("type", Plain), ("limit", Expression), ("offset", Expression)]
        }
        "ORDER_MODIFIER" => &[("type", Plain), ("orders", Orders)],
        _ => return None,
    })
}

/// The fields of what a type needs beside its name.
pub(super) fn type_info(kind: &str) -> Option<(Fields, Fields)> {
    const INFO: Fields = &[("type", Plain), ("alias", Plain), ("extension_info", Nothing)];
    let own: Fields = match kind {
        "ARRAY_TYPE_INFO" => &[("child_type", Type), ("size", Plain)],
        "DECIMAL_TYPE_INFO" => &[("width", Plain), ("scale", Plain)],
        "GENERIC_TYPE_INFO" => &[],
        "LIST_TYPE_INFO" => &[("child_type", Type)],
        "STRING_TYPE_INFO" => &[("collation", Plain)],
        // Its children are pairs of a name and a type.
        "STRUCT_TYPE_INFO" => &[("child_types", Types)],
        "UNBOUND_TYPE_INFO" => &[
            ("name", Plain),
            ("catalog", Plain),
            ("schema", Plain),
            ("user_type_modifiers", Values),
            ("expr", Expression),
        ],
        _ => return None,
    };
    Some((INFO, own))
}
