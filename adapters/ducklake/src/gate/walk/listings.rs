//! References to the engine's own lists, replaced by queries over what the caller may see.

use super::super::columns::Qualifier;
use super::super::error::GateError;
use super::super::json::{Json, Members, get, set, text_of};
use super::super::listing::{self, CATALOG, Relation};
use super::super::names::{NameError, written};
use super::{Place, Walk, malformed};

/// The most bytes of lists that one statement carries: about 60,000 columns.
const MAX_LISTED: usize = 6 << 20;

/// The deepest tree of a list of ours.
pub(super) const DEPTH: usize = 64;

/// A list, and what the reference says of it.
struct Wanted {
    relation: Relation,
    alias: String,
    /// Only the tables of one bucket.
    bucket: Option<Bucket>,
}

enum Bucket {
    /// The one that needn't be written; it may be empty.
    Default,
    /// One by name; it must be there.
    Named(String),
}

impl Walk<'_> {
    /// The query that takes the place of a reference, if it means one of the engine's lists.
    pub(super) fn listing(
        &mut self,
        members: &Members<'_>,
        kind: &str,
        place: Place,
    ) -> Result<Option<Json<'static>>, GateError> {
        let wanted = match kind {
            "BASE_TABLE" => self.listed_table(members, place)?,
            "TABLE_FUNCTION" => listed_call(members)?,
            "SHOW_REF" => shown(members),
            _ => None,
        };
        let Some(wanted) = wanted else { return Ok(None) };
        let text = self.listing_text(&wanted)?;
        let tree = self.names.serialize(&format!("SELECT * FROM ({text}) AS r")).map_err(unavailable)?;
        let mut reference = reference(&tree, DEPTH).ok_or_else(malformed)?;
        take_place(&mut reference, members, wanted.alias)?;
        Ok(Some(reference))
    }

    /// A name that no WITH and no table of the caller's has.
    fn listed_table(&mut self, members: &Members<'_>, place: Place) -> Result<Option<Wanted>, GateError> {
        let (catalog, schema, name) =
            (text_of(members, "catalog_name"), text_of(members, "schema_name"), text_of(members, "table_name"));
        let Some(relation) = Relation::table(catalog, schema, name) else { return Ok(None) };
        if catalog.is_empty() && schema.is_empty() && self.scopes.find(place.scope, name).is_some() {
            return Ok(None);
        }
        let may_be_own = schema.is_empty() || schema.eq_ignore_ascii_case("main");
        if may_be_own && listing::is_own(self.names, schema, name) {
            return Ok(None);
        }
        if !matches!(get(members, "at_clause"), None | Some(Json::Null)) {
            return Err(GateError::unsupported(
                format!("AT behind {}", written(catalog, schema, name)),
                "a list shows the version that the request reads; ask for that version in the request",
            ));
        }
        let mut alias = text_of(members, "alias").to_owned();
        if alias.is_empty() {
            name.clone_into(&mut alias);
            self.qualifiers.extend(Qualifier::listing(catalog, schema, name));
        }
        Ok(Some(Wanted { relation, alias, bucket: None }))
    }

    fn listing_text(&mut self, wanted: &Wanted) -> Result<String, GateError> {
        if self.visible.is_none() {
            self.visible = Some(self.names.listing().map_err(unavailable)?);
        }
        let visible = self.visible.as_ref().ok_or_else(malformed)?;
        let text = match &wanted.bucket {
            None => wanted.relation.text(visible),
            Some(Bucket::Default) => wanted.relation.text(&visible.only(&visible.default_bucket).unwrap_or_default()),
            Some(Bucket::Named(name)) => {
                let bucket = visible.only(name);
                wanted.relation.text(&bucket.ok_or_else(|| GateError::UnknownBucket { name: name.clone() })?)
            }
        };
        self.listed = self.listed.saturating_add(text.len());
        if self.listed > MAX_LISTED {
            return Err(GateError::unsupported(
                format!("more than {} MiB of lists of tables and columns", MAX_LISTED >> 20),
                "name each list once, in a WITH clause, or list tables and columns through the API",
            ));
        }
        Ok(text)
    }
}

/// Gives a subquery what the reference says whose place it takes.
pub(super) fn take_place(
    subquery: &mut Json<'static>,
    reference: &Members<'_>,
    alias: String,
) -> Result<(), GateError> {
    let Json::Object(own) = subquery else { return Err(malformed()) };
    set(own, "alias", Json::text(alias));
    for key in ["sample", "column_name_alias"] {
        if let Some(value) = get(reference, key) {
            set(own, key, value.clone().into_owned());
        }
    }
    Ok(())
}

/// What stands in FROM of the query around a subquery.
pub(super) fn reference(tree: &str, max_depth: usize) -> Option<Json<'static>> {
    let tree = Json::parse(tree, max_depth).ok()?;
    let Json::Array(statements) = tree.get("statements")? else { return None };
    let reference = statements.first()?.get("node")?.get("from_table")?;
    Some(reference.clone().into_owned())
}

fn listed_call(members: &Members<'_>) -> Result<Option<Wanted>, GateError> {
    let Some(Json::Object(function)) = get(members, "function") else { return Ok(None) };
    let name = text_of(function, "function_name");
    let unqualified = text_of(function, "catalog").is_empty() && matches!(text_of(function, "schema"), "" | "main");
    let bare = matches!(get(function, "children"), Some(Json::Array(arguments)) if arguments.is_empty());
    let Some(relation) = Relation::function(name).filter(|_| unqualified && bare) else { return Ok(None) };
    if text_of(members, "with_ordinality") == "WITH_ORDINALITY" {
        return Err(GateError::unsupported(format!("WITH ORDINALITY behind {name}()"), "number the rows in the query"));
    }
    let alias = match text_of(members, "alias") {
        "" => name,
        alias => alias,
    };
    Ok(Some(Wanted { relation, alias: alias.to_owned(), bucket: None }))
}

/// `SHOW TABLES` and its like.
fn shown(members: &Members<'_>) -> Option<Wanted> {
    if !matches!(get(members, "query"), None | Some(Json::Null)) {
        return None;
    }
    let (catalog, schema) = (text_of(members, "catalog_name"), text_of(members, "schema_name"));
    let (word, bucket) = match text_of(members, "show_type") {
        "SHOW_FROM" if catalog.is_empty() || catalog.eq_ignore_ascii_case(CATALOG) => {
            ("tables", Some(Bucket::Named(schema.to_owned())))
        }
        "SHOW_FROM" => ("tables", Some(Bucket::Named(written(catalog, schema, "")))),
        "SHOW_UNQUALIFIED" => match text_of(members, "table_name").trim_matches('"') {
            "tables" => ("tables", Some(Bucket::Default)),
            word => (word, None),
        },
        _ => return None,
    };
    let relation = Relation::show(word)?;
    let alias = match text_of(members, "alias") {
        "" => "listed",
        alias => alias,
    };
    Some(Wanted { relation, alias: alias.to_owned(), bucket })
}

fn unavailable(error: NameError) -> GateError {
    match error {
        NameError::Unavailable(cause) => GateError::Unavailable(cause),
        NameError::Unknown { .. } => GateError::unsupported(
            "a list of tables and columns at this place",
            "ask for it before the first change, or in a request of its own",
        ),
    }
}
