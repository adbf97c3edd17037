//! Reads `gadwall.toml`: finds the keys it sets and the lines they stand on.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{Origin, Problem};
use super::key::{find, is_section};
use super::load::{Entry, Layer};
use super::raw::Raw;
use super::suggest::{unknown_key, unknown_table};

/// The settings of a file's text. `shown` is how messages call the file.
pub(super) fn read(text: &str, shown: &Path) -> (Layer, Vec<Problem>) {
    let (mut layer, mut problems) = (Layer::new(), Vec::new());
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let origin = Some(Origin::file(shown, line));
        // Only the parser's own words: what it prints beside them is the line, which may hold a secret.
        problems.push(Problem { key: None, origin, message: format!("not valid TOML: {}", error.message()) });
    }
    if problems.is_empty() {
        let reader = Reader { text, shown };
        reader.table(document.get_ref(), "", &mut layer, &mut problems);
    }
    (layer, problems)
}

struct Reader<'t> {
    text: &'t str,
    shown: &'t Path,
}

impl Reader<'_> {
    fn table(&self, table: &DeTable<'_>, prefix: &str, layer: &mut Layer, problems: &mut Vec<Problem>) {
        for (name, value) in table {
            let path = format!("{prefix}{}", name.get_ref());
            let origin = Origin::file(self.shown, line_of(self.text, name.span().start));
            match (find(&path), value.get_ref()) {
                (Some(key), value) => layer.push(Entry { key, raw: Raw::from(value), origin }),
                (None, DeValue::Table(inner)) if is_section(&path) => {
                    self.table(inner, &format!("{path}."), layer, problems);
                }
                (None, DeValue::Table(_)) if prefix.is_empty() => {
                    let message = unknown_table(&path);
                    problems.push(Problem::at(path, origin, message));
                }
                (None, _) => {
                    let message = unknown_key(&path);
                    problems.push(Problem::at(path, origin, message));
                }
            }
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> (Vec<(String, Raw, String)>, Vec<String>) {
        let (layer, problems) = read(text, Path::new("gadwall.toml"));
        let entry = |entry: Entry| (entry.key.path.to_owned(), entry.raw, entry.origin.to_string());
        (layer.into_iter().map(entry).collect(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn keys_are_found_with_their_lines() {
        let (mut found, problems) =
            read_all("debug = true\n\n[server]\nport = 0x50\n[auth]\nadmin_keys = [\n \"a\"]\nenabled = false");
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            found,
            [
                ("auth.admin_keys".into(), Raw::List(vec![Raw::Text("a".into())]), "gadwall.toml:6".into()),
                ("auth.enabled".into(), Raw::Switch(false), "gadwall.toml:8".into()),
                ("debug".into(), Raw::Switch(true), "gadwall.toml:1".into()),
                ("server.port".into(), Raw::Integer(80), "gadwall.toml:4".into()),
            ]
        );
    }

    #[test]
    fn dotted_keys_and_inline_tables_are_tables() {
        for text in ["server.port = 1", "server = { port = 1 }", "[server]\n\"port\" = 1"] {
            assert_eq!(read_all(text).0.len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_told_with_its_line() {
        let (_, problems) = read_all("prot = 1\n[sever]\nport = 1\n[server.tls]\ncert = 1\n[xyzzy]\nserver = 1");
        assert_eq!(
            problems,
            [
                r#"gadwall.toml:1: unknown key "prot"; did you mean "server.port"?"#,
                r#"gadwall.toml:4: unknown key "server.tls""#,
                "gadwall.toml:2: unknown table [sever]; did you mean [server]?",
                r#"gadwall.toml:6: unknown key "xyzzy""#,
            ]
        );
        assert_eq!(read_all("server = 1").1, [r#"gadwall.toml:1: "server" is a table of settings, not a setting"#]);
    }

    #[test]
    fn broken_toml_is_told_without_its_text() {
        let (found, problems) = read_all("[auth]\nadmin_keys = [\"swordfish\n");
        assert!(found.is_empty());
        assert!(problems.iter().all(|problem| problem.starts_with("gadwall.toml:") && !problem.contains("swordfish")));
        assert!(!problems.is_empty());
    }
}
