//! What is known about each setting: its path, what it accepts, what it means.
//!
//! The sections declare their keys beside their fields (`sections/`), so neither can exist without the other. The
//! loader, `gadwall config` and docs/configuration.md all go by this list.

use super::kind::Kind;
use super::sections::SECTIONS;

/// A setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Its path in `gadwall.toml`, e.g. `server.port`.
    pub(super) path: &'static str,
    /// What it accepts.
    pub(super) kind: Kind,
    /// The lines of its documentation.
    pub(super) doc: &'static [&'static str],
    /// What holds when nothing sets it, where that is not one fixed value.
    pub(super) otherwise: Option<&'static str>,
    /// The capability that will use it; until then it only is accepted.
    pub(super) planned: Option<&'static str>,
}

impl Key {
    /// What it means, on one line.
    pub(super) fn meaning(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The path without its section.
    pub(super) fn leaf(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The environment variable that every key has.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "__").to_uppercase())
    }
}

/// What the general environment variables begin with.
pub(super) const PREFIX: &str = "GADWALL__";

/// A table of `gadwall.toml`; the first one has no name and holds what stands above all tables.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) keys: &'static [Key],
}

/// Every key, in the order of the documentation.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    keys().find(|key| key.path == path)
}

/// Whether a table has this name.
pub(super) fn is_section(name: &str) -> bool {
    let within = |section: &Section| {
        section.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    !name.is_empty() && SECTIONS.iter().any(within)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn paths_are_unique_and_documented() {
        let paths: BTreeSet<_> = keys().map(|key| key.path).collect();
        assert_eq!(paths.len(), keys().count());
        for key in keys() {
            assert!(key.meaning().ends_with('.'), "{} needs a sentence", key.path);
            assert!(!key.path.contains("__"), "{} can't be told from its variable", key.path);
        }
    }

    #[test]
    fn a_variable_is_the_path_in_capitals() {
        let key = find("server.port").unwrap();
        assert_eq!(key.variable(), "GADWALL__SERVER__PORT");
        assert_eq!(key.leaf(), "port");
        assert!(is_section("server") && !is_section("") && !is_section("port"));
    }
}
