//! Types in casts and constants: the engine's own, by name; never one looked up in a catalog.

use super::super::error::GateError;
use super::super::json::{Json, get, text_of};
use super::super::spec;
use super::{Place, Walk, kind, malformed, members, only, unknown};

/// The types the parser knows by itself.
const IDS: [&str; 37] = [
    "ARRAY",
    "BIGINT",
    "BIGNUM",
    "BIT",
    "BLOB",
    "BOOLEAN",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "GEOMETRY",
    "HUGEINT",
    "INTEGER",
    "INTERVAL",
    "LIST",
    "MAP",
    "NULL",
    "SMALLINT",
    "STRUCT",
    "TIME",
    "TIME WITH TIME ZONE",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP_S",
    "TIME_NS",
    "TINYINT",
    "UBIGINT",
    "UHUGEINT",
    "UINTEGER",
    "UNION",
    "USMALLINT",
    "UTINYINT",
    "UUID",
    "VARCHAR",
];

/// The types it looks up by name, that are the engine's own.
const NAMES: [&str; 45] = [
    "array",
    "bigint",
    "bignum",
    "bit",
    "blob",
    "boolean",
    "date",
    "decimal",
    "double",
    "enum",
    "float",
    "geometry",
    "hugeint",
    "integer",
    "interval",
    "json",
    "list",
    "map",
    "numeric",
    "real",
    "row",
    "smallint",
    "struct",
    "text",
    "time",
    "time with time zone",
    "time_ns",
    "timestamp",
    "timestamp with time zone",
    "timestamp_ms",
    "timestamp_ns",
    "timestamp_s",
    "timestamptz",
    "timetz",
    "tinyint",
    "ubigint",
    "uhugeint",
    "uinteger",
    "union",
    "usmallint",
    "utinyint",
    "uuid",
    "varchar",
    "variant",
    "varint",
];

impl Walk<'_> {
    /// Walks a type.
    pub(super) fn logical_type(&mut self, value: &mut Json<'_>, place: Place) -> Result<(), GateError> {
        let members = members(value)?;
        only(members, &[spec::TYPE])?;
        let id = kind(members, "id");
        if id != "UNBOUND" && id != "VARIANT" && !IDS.contains(&&*id) {
            return Err(foreign(&id));
        }
        match members.iter_mut().find(|(key, _)| key == "type_info") {
            None | Some((_, Json::Null)) if id == "UNBOUND" => Err(malformed()),
            None | Some((_, Json::Null)) => Ok(()),
            Some((_, info)) => self.type_info(info, place),
        }
    }

    /// A type, or a field of a struct: a name with a type.
    pub(super) fn named_type(&mut self, value: &mut Json<'_>, place: Place) -> Result<(), GateError> {
        if value.get("first").is_none() {
            return self.logical_type(value, place);
        }
        for (key, part) in members(value)? {
            match &**key {
                "first" if part.as_str().is_some() => {}
                "second" => self.logical_type(part, place)?,
                _ => return Err(malformed()),
            }
        }
        Ok(())
    }

    fn type_info(&mut self, value: &mut Json<'_>, place: Place) -> Result<(), GateError> {
        let members = members(value)?;
        let kind = kind(members, "type");
        let (common, own) = spec::type_info(&kind).ok_or_else(|| unknown(&kind.replace('_', " ")))?;
        only(members, &[common, own])?;
        if !text_of(members, "alias").is_empty() {
            self.type_name("", "", text_of(members, "alias"))?;
        }
        if kind == "UNBOUND_TYPE_INFO" && get(members, "name").is_some() {
            self.type_name(text_of(members, "catalog"), text_of(members, "schema"), text_of(members, "name"))?;
        }
        self.members(members, common, place)?;
        self.members(members, own, place).map(|_| ())
    }

    /// The type of a constant.
    pub(super) fn constant_type(&mut self, value: &mut Json<'_>, place: Place) -> Result<(), GateError> {
        let members = members(value)?;
        for (key, part) in members {
            match (&**key, part) {
                ("type", part) => self.logical_type(part, place)?,
                ("value", Json::Object(held)) => {
                    for (_, inner) in held {
                        if let Json::Array(children) = inner {
                            children.iter_mut().try_for_each(|child| self.constant_type(child, place))?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks a type by name.
    #[expect(clippy::unused_self, reason = "it is called like the other checks of the walk")]
    pub(super) fn type_name(&self, catalog: &str, schema: &str, name: &str) -> Result<(), GateError> {
        if catalog.is_empty() && schema.is_empty() && NAMES.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        Err(foreign(name))
    }
}

fn foreign(name: &str) -> GateError {
    GateError::unsupported(format!("the type {name}"), "use one of SQL's own types")
}
