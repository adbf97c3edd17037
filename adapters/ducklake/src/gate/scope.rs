//! Which names a WITH clause has given meaning to, at a place in the statement.
//!
//! Every name a WITH introduces is replaced by one of our own. So after the walk an unqualified table is one of these
//! or it doesn't exist; had we misjudged a scope, the engine would find no such table, instead of a file or another
//! table of the old name.

/// A place's names: the latest visible one, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scope(Option<usize>);

/// A name a WITH clause introduced.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    name: String,
    outer: Scope,
    /// The name it has in the rewritten statement.
    pub(super) unique: String,
    /// Whether it is recursive with keys, so that it can be read as `recurring.name` too.
    pub(super) keyed: bool,
    /// How many columns it gives.
    pub(super) columns: u64,
    /// How much binding one reference costs: what is not materialised is bound anew each time.
    pub(super) cost: u64,
    /// Not visible now, though in scope.
    hidden: bool,
}

/// All names introduced so far; a [`Scope`] is a chain through them.
#[derive(Debug, Default)]
pub(super) struct Scopes(Vec<Entry>);

/// What the names of the rewritten statement start with.
pub(super) const UNIQUE: &str = "gw_cte_";

impl Scopes {
    /// A new scope with one more name; it hides an outer one of the same name.
    pub(super) fn add(&mut self, outer: Scope, name: &str) -> Scope {
        let unique = format!("{UNIQUE}{}", self.0.len() + 1);
        self.0.push(Entry { name: name.to_owned(), outer, unique, keyed: false, columns: 1, cost: 1, hidden: false });
        Scope(Some(self.0.len() - 1))
    }

    /// The entry a scope begins with.
    pub(super) fn entry_mut(&mut self, scope: Scope) -> Option<&mut Entry> {
        self.0.get_mut(scope.0?)
    }

    /// Hides the entry a scope begins with, or shows it again.
    pub(super) fn hide(&mut self, scope: Option<Scope>, hidden: bool) {
        if let Some(entry) = scope.and_then(|scope| self.entry_mut(scope)) {
            entry.hidden = hidden;
        }
    }

    /// The entry a name means here.
    pub(super) fn find(&self, scope: Scope, name: &str) -> Option<&Entry> {
        let mut at = scope;
        while let Some(entry) = at.0.and_then(|index| self.0.get(index)) {
            if !entry.hidden && entry.name.eq_ignore_ascii_case(name) {
                return Some(entry);
            }
            at = entry.outer;
        }
        None
    }

    /// Whether a name is one of ours.
    pub(super) fn is_unique(&self, name: &str) -> bool {
        self.0.iter().any(|entry| entry.unique == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_name_hides_the_outer_one() {
        let mut scopes = Scopes::default();
        let outer = scopes.add(Scope::default(), "T");
        let inner = scopes.add(outer, "t");
        assert_eq!(scopes.find(outer, "t").unwrap().unique, "gw_cte_1");
        assert_eq!(scopes.find(inner, "T").unwrap().unique, "gw_cte_2");
        assert!(scopes.find(Scope::default(), "t").is_none());
        assert!(scopes.is_unique("gw_cte_2") && !scopes.is_unique("t"));
    }
}
