//! Where a write's columns come from, as its text tells.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Influence, MAX_FIELD};
use crate::table::TableRef;

/// Most edges that a write tells of itself. They lie in the commit, which every server reads.
pub const MAX_ORIGINS: usize = 1_000;

/// What is done with a column on its way into another: the subtypes of OpenLineage's column lineage 1-2-0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Means {
    /// Its values are taken as they are.
    Identity,
    /// They are computed of its values, row by row.
    Transformation,
    /// They are computed of many rows' values.
    Aggregation,
    /// It says which rows meet.
    Join,
    /// It says which rows are one.
    GroupBy,
    /// It says which rows there are.
    Filter,
    /// It says in which order they are.
    Sort,
    /// It says which rows a window has.
    Window,
    /// It says which value is taken.
    Conditional,
}

impl Means {
    /// The word of the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "IDENTITY",
            Self::Transformation => "TRANSFORMATION",
            Self::Aggregation => "AGGREGATION",
            Self::Join => "JOIN",
            Self::GroupBy => "GROUP_BY",
            Self::Filter => "FILTER",
            Self::Sort => "SORT",
            Self::Window => "WINDOW",
            Self::Conditional => "CONDITIONAL",
        }
    }

    /// Whether values come that way, or only what becomes of them.
    pub fn influence(self) -> Influence {
        match self {
            Self::Identity | Self::Transformation | Self::Aggregation => Influence::Direct,
            _ => Influence::Indirect,
        }
    }
}

/// A column that another comes from, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// Its table, as the write's author names it.
    pub table: TableRef,
    /// Its name.
    pub column: String,
    /// What is done with it.
    pub means: Means,
    /// Whether its values can't be told from the result: a count, a digest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masking: bool,
}

/// Where the columns of what a write made come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origins {
    /// Of each column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, BTreeSet<Origin>>,
    /// What influences all of them: which rows there are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub rows: BTreeSet<Origin>,
    /// Whether there is more that the text doesn't tell, or more than has room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl Origins {
    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.rows.is_empty() && !self.partial
    }

    /// How many edges there are.
    pub fn edges(&self) -> usize {
        self.columns.values().map(BTreeSet::len).sum::<usize>() + self.rows.len()
    }

    /// Adds what else is known of the same table.
    pub fn absorb(&mut self, other: Self) {
        for (column, origins) in other.columns {
            self.columns.entry(column).or_default().extend(origins);
        }
        self.rows.extend(other.rows);
        self.partial |= other.partial;
    }

    /// At most so many edges, with names that the graph takes: what is left out makes the rest a part.
    #[must_use]
    pub fn bounded(self, limit: usize) -> Self {
        let mut kept = Self { partial: self.partial, ..Self::default() };
        let mut left = limit;
        let mut take = |origins: BTreeSet<Origin>, partial: &mut bool| {
            let all = origins.len();
            let fits = origins.into_iter().filter(|origin| origin.column.len() <= MAX_FIELD);
            let fits: BTreeSet<Origin> = fits.take(left).collect();
            *partial |= fits.len() < all;
            left -= fits.len();
            fits
        };
        for (column, origins) in self.columns {
            if column.len() > MAX_FIELD {
                kept.partial = true;
                continue;
            }
            let origins = take(origins, &mut kept.partial);
            if !origins.is_empty() {
                kept.columns.insert(column, origins);
            }
        }
        kept.rows = take(self.rows, &mut kept.partial);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(column: &str, means: Means) -> Origin {
        Origin { table: TableRef::parse("main.t").unwrap(), column: column.to_owned(), means, masking: false }
    }

    fn origins() -> Origins {
        Origins {
            columns: [("a".to_owned(), [origin("x", Means::Identity), origin("y", Means::Aggregation)].into())].into(),
            rows: [origin("z", Means::Filter)].into(),
            partial: false,
        }
    }

    #[test]
    fn what_has_no_room_makes_the_rest_a_part() {
        assert_eq!(origins().bounded(3), origins());
        let cut = origins().bounded(2);
        assert_eq!((cut.edges(), cut.partial), (2, true));
        let mut long = origins();
        long.columns.insert("b".repeat(MAX_FIELD + 1), [origin("x", Means::Identity)].into());
        let cut = long.bounded(100);
        assert_eq!((cut.columns.clone(), cut.partial), (origins().columns, true));
    }

    #[test]
    fn the_stored_form_is_short_and_stable() {
        let text = serde_json::to_string(&origins()).unwrap();
        assert_eq!(
            text,
            r#"{"columns":{"a":[{"table":{"bucket":"main","table":"t"},"column":"x","means":"IDENTITY"},{"table":{"bucket":"main","table":"t"},"column":"y","means":"AGGREGATION"}]},"rows":[{"table":{"bucket":"main","table":"t"},"column":"z","means":"FILTER"}]}"#
        );
        assert_eq!(serde_json::from_str::<Origins>(&text).unwrap(), origins());
        assert_eq!(serde_json::to_string(&Origins::default()).unwrap(), "{}");
    }
}
