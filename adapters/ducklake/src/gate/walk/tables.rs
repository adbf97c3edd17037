//! What stands in FROM: tables, subqueries, joins, calls, PIVOT, DESCRIBE.

use super::super::columns::Qualifier;
use super::super::error::GateError;
use super::super::json::{Json, Members, get, set, text_of};
use super::super::names::{self, NameError, written};
use super::super::spec;
use super::views::Replaced;
use super::{Place, Walk, kind, malformed, members, only, unknown};

/// The columns a table is taken to have where its own don't matter: only the growth by nesting does.
const TABLE_COLUMNS: u64 = 10;

/// The schema under which a recursive query with keys reads all its rows so far.
const RECURRING: &str = "recurring";

/// What a name turned out to be.
pub(super) enum Found {
    /// Something that brings this many columns into scope.
    Columns(u64),
    /// A view whose name won't do: its query takes its place.
    Replaced(Replaced),
}

/// `AT (VERSION => n)`, as the engine writes it.
pub(super) fn at_version<'a>(version: u64) -> Json<'a> {
    let object = |members: Vec<(&'static str, Json<'a>)>| {
        Json::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    };
    let id = if i32::try_from(version).is_ok() { "INTEGER" } else { "BIGINT" };
    let value = object(vec![
        ("type", object(vec![("id", Json::text(id)), ("type_info", Json::Null)])),
        ("is_null", Json::Bool(false)),
        ("value", Json::Number(version.to_string().into())),
    ]);
    let constant = object(vec![
        ("class", Json::text("CONSTANT")),
        ("type", Json::text("VALUE_CONSTANT")),
        ("alias", Json::text("")),
        ("query_location", Json::Number("0".into())),
        ("value", value),
    ]);
    object(vec![("unit", Json::text("VERSION")), ("expr", constant)])
}

impl Walk<'_> {
    /// Walks a table reference; answers how many columns it brings into scope.
    pub(super) fn table(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        let members = members(value)?;
        let kind = kind(members, "type");
        let (common, own) = spec::table(&kind).ok_or_else(|| unknown(&kind.replace('_', " ")))?;
        only(members, &[common, own])?;
        if let Some(listing) = self.listing(members, &kind, place)? {
            *value = listing;
            // From here on it is a subquery like any other. No name of the statement's means anything in it.
            return self.table(value, Place::default());
        }
        if !self.ours
            && let Some(files) = self.file_call(members, &kind)?
        {
            *value = files;
            self.ours = true;
            let columns = self.table(value, Place::default());
            self.ours = false;
            return columns;
        }
        match &*kind {
            "SHOW_REF" => describable(members)?,
            "PIVOT" => return self.pivot(members, place),
            "JOIN" => explicit(members),
            _ => {}
        }
        let before = self.visited;
        self.members(members, common, place)?;
        if kind == "TABLE_FUNCTION" {
            return self.call_in_from(members, place);
        }
        let columns = self.members(members, own, place)?;
        match &*kind {
            "BASE_TABLE" => match self.base_table(members, place)? {
                Found::Columns(columns) => Ok(columns),
                Found::Replaced(view) => {
                    self.visited = before;
                    self.walk_replaced(value, view)
                }
            },
            "SHOW_REF" => {
                self.visited.shows += 1;
                Ok(TABLE_COLUMNS)
            }
            _ => Ok(columns),
        }
    }

    /// A name: of a WITH clause in scope, or of a table of the caller's.
    fn base_table(&mut self, members: &mut Members<'_>, place: Place) -> Result<Found, GateError> {
        self.visited.base_tables += 1;
        let catalog = text_of(members, "catalog_name").to_owned();
        let schema = text_of(members, "schema_name").to_owned();
        let table = text_of(members, "table_name").to_owned();
        let alias = text_of(members, "alias").to_owned();

        let recurring = schema.eq_ignore_ascii_case(RECURRING);
        if catalog.is_empty()
            && (schema.is_empty() || recurring)
            && let Some(entry) = self.scopes.find(place.scope, &table)
            && (!recurring || entry.keyed)
        {
            if !matches!(get(members, "at_clause"), None | Some(Json::Null)) {
                return Err(GateError::unsupported(
                    format!("AT behind {table}"),
                    "a name from WITH has no versions; write AT behind the table inside it",
                ));
            }
            let (unique, columns, cost) = (entry.unique.clone(), entry.columns, entry.cost);
            set(members, "table_name", Json::text(unique));
            if recurring {
                set(members, "schema_name", Json::text(RECURRING));
            }
            if alias.is_empty() {
                set(members, "alias", Json::text(table));
            }
            self.spend(cost)?;
            self.reuses = true;
            return Ok(Found::Columns(columns));
        }

        let resolved = match self.in_view(&catalog, &schema, &table) {
            Some(meant) => meant?,
            None => names::resolve(self.names, &catalog, &schema, &table)?,
        };
        if alias.is_empty() && !resolved.table.eq_ignore_ascii_case(&table) {
            // Otherwise no alias: with one, `bucket.table.column` would no longer mean this table.
            set(members, "alias", Json::text(table.clone()));
        } else if alias.is_empty() {
            self.qualifiers.extend(Qualifier::new(&catalog, &schema, &resolved));
        }
        set(members, "catalog_name", Json::text(resolved.catalog.clone()));
        set(members, "schema_name", Json::text(resolved.schema.clone()));
        set(members, "table_name", Json::text(resolved.table.clone()));
        let of_version = !matches!(get(members, "at_clause"), None | Some(Json::Null));
        if of_version && self.view.is_none() && resolved.linked.is_some_and(|linked| linked.pinned) {
            return Err(GateError::unsupported(
                format!("AT behind {}", written(&catalog, &schema, &table)),
                "the link shows one version of the bucket alone; read it without AT",
            ));
        }
        let view = self.names.view_cost(&resolved).map_err(|error| match error {
            NameError::Unavailable(cause) => GateError::Unavailable(cause),
            NameError::Unknown { .. } => malformed(),
        })?;
        if let Some(cost) = view {
            if let Some(replaced) = self.replaced(members, [&catalog, &schema, &table], &resolved, cost)? {
                return Ok(Found::Replaced(replaced));
            }
            // What it is made of isn't looked at here.
            self.deterministic = false;
            self.views += 1;
            self.tables.extend((!self.tables.contains(&resolved)).then_some(resolved));
            self.spend(cost)?;
            return Ok(Found::Columns(cost.max(TABLE_COLUMNS)));
        }
        if !of_version && let Some(mut version) = self.version(&resolved) {
            self.object(&mut version, spec::AT, Place::default())?;
            set(members, "at_clause", version);
        }
        if !self.tables.contains(&resolved) {
            self.tables.push(resolved);
        }
        self.spend(1)?;
        Ok(Found::Columns(TABLE_COLUMNS))
    }

    fn pivot(&mut self, members: &mut Members<'_>, place: Place) -> Result<u64, GateError> {
        let (common, own) = spec::table("PIVOT").ok_or_else(malformed)?;
        self.members(members, common, place)?;
        let mut columns = 0_u64;
        let mut place = place;
        for (name, is) in own {
            let Some((_, value)) = members.iter_mut().find(|(key, _)| key == name) else {
                continue;
            };
            let width = self.field(value, *is, place)?;
            if *name == "source" {
                place.star = width;
                columns = width;
            }
        }
        // Each combination of the values is a column, once for each aggregate.
        let count = |value: Option<&Json<'_>>| match value {
            Some(Json::Array(items)) => u64::try_from(items.len()).unwrap_or(u64::MAX).max(1),
            _ => 1,
        };
        let combinations = match get(members, "pivots") {
            Some(Json::Array(pivots)) => pivots
                .iter()
                .fold(count(get(members, "aggregates")), |sum, pivot| sum.saturating_mul(count(pivot.get("entries")))),
            _ => 1,
        };
        let columns = columns.saturating_add(combinations);
        self.spend(columns)?;
        Ok(columns)
    }

    /// One column of a PIVOT or UNPIVOT.
    pub(super) fn pivot_column(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        let enumeration = value.get("pivot_enum").and_then(Json::as_str).unwrap_or_default();
        if !enumeration.is_empty() {
            return Err(GateError::unsupported(
                format!("PIVOT over the type {enumeration}"),
                "name the values: PIVOT … ON column IN (value, …)",
            ));
        }
        self.object(value, spec::PIVOT_COLUMN, place)
    }
}

/// Writes a cross join out: the engine prints it as a comma, which binds looser than the other joins, and it prints no
/// parentheses. `a INNER JOIN (b … c) ON true` needs none.
fn explicit(members: &mut Members<'_>) {
    if text_of(members, "ref_type") != "CROSS" {
        return;
    }
    set(members, "is_implicit", Json::Bool(false));
    if get(members, "right").and_then(|right| right.get("type")).and_then(Json::as_str) == Some("JOIN") {
        let boolean = || Json::Object(vec![("id".into(), Json::text("BOOLEAN")), ("type_info".into(), Json::Null)]);
        let value = Json::Object(vec![
            ("type".into(), boolean()),
            ("is_null".into(), Json::Bool(false)),
            ("value".into(), Json::Bool(true)),
        ]);
        let condition = Json::Object(vec![
            ("class".into(), Json::text("CONSTANT")),
            ("type".into(), Json::text("VALUE_CONSTANT")),
            ("alias".into(), Json::text("")),
            ("value".into(), value),
        ]);
        set(members, "ref_type", Json::text("REGULAR"));
        set(members, "join_type", Json::text("INNER"));
        set(members, "condition", condition);
    }
}

/// DESCRIBE and SUMMARIZE of a table or query are queries; lists of the engine's things are not.
fn describable(members: &Members<'_>) -> Result<(), GateError> {
    let empty = |key| text_of(members, key).is_empty();
    let query = matches!(get(members, "query"), Some(Json::Object(_)));
    let shown = matches!(text_of(members, "show_type"), "DESCRIBE" | "SUMMARY");
    if query && shown && empty("table_name") && empty("catalog_name") && empty("schema_name") {
        return Ok(());
    }
    let schema = text_of(members, "schema_name");
    let what = match text_of(members, "table_name") {
        "" if schema.is_empty() => "SHOW".to_owned(),
        "" => format!("SHOW TABLES FROM {}", written(text_of(members, "catalog_name"), "", schema)),
        "__show_tables_expanded" => "SHOW ALL TABLES".to_owned(),
        name => format!("SHOW {}", name.trim_matches('"').to_uppercase()),
    };
    Err(GateError::unsupported(
        what,
        "what there is to see: SHOW TABLES [FROM bucket], SHOW ALL TABLES, SHOW SCHEMAS, SHOW DATABASES, DESCRIBE",
    ))
}
