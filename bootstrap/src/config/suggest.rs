//! The closest known name to one that isn't known.

use strsim::normalized_damerau_levenshtein as alike;

use super::key::{Key, PREFIX, is_section, keys};
use super::legacy::{LEGACY, Legacy};

/// Below this, two names have nothing to do with each other.
const ALIKE: f64 = 0.6;

/// The name says more than the section: `server.threads` is `engine.threads` in the wrong place, while `server.tls` is
/// nothing like `server.host`.
const NAME_WEIGHT: f64 = 0.65;

/// A name without its section is a guess at best.
const BARE: f64 = 0.9;

/// How close a key is to a path that was written, from 0 to 1.
fn likeness(written: &str, key: &Key) -> f64 {
    let (section, name) = written.split_once('.').unwrap_or(("", written));
    let (known_section, known_name) = key.path.split_once('.').unwrap_or(("", key.path));
    let names = alike(name, known_name);
    if section.is_empty() != known_section.is_empty() {
        return BARE * names;
    }
    NAME_WEIGHT * names + (1.0 - NAME_WEIGHT) * alike(section, known_section)
}

/// The key that was probably meant by a path.
pub(super) fn key(written: &str) -> Option<&'static Key> {
    let written = written.to_lowercase().replace('-', "_");
    let named = LEGACY.iter().find(|legacy| legacy.name.eq_ignore_ascii_case(&written)).and_then(Legacy::key);
    named.or_else(|| {
        let scored = keys().map(|key| (likeness(&written, key), key));
        let best =
            scored.max_by(|(a, first), (b, second)| a.total_cmp(b).then(second.path.len().cmp(&first.path.len())));
        best.filter(|(score, _)| *score >= ALIKE).map(|(_, key)| key)
    })
}

/// `unknown key "…"`, with the closest key if there is one.
pub(super) fn unknown_key(written: &str) -> String {
    if is_section(written) {
        return format!("{written:?} is a table of settings, not a setting");
    }
    let hint = key(written).map_or_else(String::new, |key| format!("; did you mean {:?}?", key.path));
    format!("unknown key {written:?}{hint}")
}

/// `unknown table […]`, with the closest table if there is one, else the closest key.
pub(super) fn unknown_table(written: &str) -> String {
    let names = keys().filter_map(|key| key.path.split_once('.')).map(|(section, _)| section);
    let scored = names.map(|name| (alike(written, name), name));
    match scored.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((score, name)) if score >= ALIKE => format!("unknown table [{written}]; did you mean [{name}]?"),
        _ => unknown_key(written),
    }
}

/// `unknown name …` for an environment variable, with the closest one if there is one.
pub(super) fn unknown_variable(name: &str) -> String {
    // `GADWALL_PORT` and `GADWALL__PORT` are meant alike.
    let bare = name.get("GADWALL".len()..).unwrap_or_default().trim_start_matches('_');
    let path = bare.to_lowercase().replace("__", ".");
    let underscored = key(&path).or_else(|| key(&path.replacen('_', ".", 1)));
    let hint = underscored.map_or_else(
        || format!("; names begin with {PREFIX} and go on like {PREFIX}SERVER__PORT"),
        |key| format!("; did you mean {}?", key.variable()),
    );
    format!("unknown name{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_key_is_found() {
        for (written, meant) in [
            ("server.prot", "server.port"),
            ("port", "server.port"),
            ("server.threads", "engine.threads"),
            ("engine.memory-limit", "engine.memory_limit"),
            ("memory_limt", "engine.memory_limit"),
            ("sever.host", "server.host"),
            ("Debug", "debug"),
            ("DUCKDB_MEMORY_LIMIT", "engine.memory_limit"),
            ("auth.admin_key", "auth.admin_keys"),
            ("storage.port", "server.port"),
            ("prot", "server.port"),
            ("datadir", "data_dir"),
        ] {
            assert_eq!(key(written).map(|key| key.path), Some(meant), "{written}");
        }
        for nothing in ["", "xyzzy", "a.b.c", "日本", "server.tls"] {
            assert!(key(nothing).is_none(), "{nothing}: {:?}", key(nothing));
        }
    }

    #[test]
    fn hints_speak_the_language_of_their_source() {
        assert_eq!(unknown_key("server.prot"), r#"unknown key "server.prot"; did you mean "server.port"?"#);
        assert_eq!(unknown_table("sever"), "unknown table [sever]; did you mean [server]?");
        assert_eq!(unknown_variable("GADWALL__SERVER__PROT"), "unknown name; did you mean GADWALL__SERVER__PORT?");
        assert_eq!(unknown_variable("GADWALL_SERVER_PORT"), "unknown name; did you mean GADWALL__SERVER__PORT?");
        assert_eq!(unknown_variable("gadwall_port"), "unknown name; did you mean GADWALL__SERVER__PORT?");
        assert!(unknown_variable("GADWALL__XYZZY").contains("names begin with GADWALL__"));
        assert!(unknown_key("server").contains("is a table"));
    }
}
