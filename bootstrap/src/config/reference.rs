//! Writes the reference of all settings: docs/configuration.md is exactly this text, which a test compares.

use std::fmt::Write as _;

use figment::value::Value;

use super::Config;
use super::key::{Key, Section};
use super::legacy::{Effect, LEGACY, Legacy};
use super::sections::SECTIONS;

const INTRODUCTION: &str = include_str!("reference.md");

/// All settings as a Markdown document.
pub fn reference() -> String {
    let defaults = Value::serialize(Config::default()).ok();
    let mut text = INTRODUCTION.to_owned();
    for section in SECTIONS {
        section_table(&mut text, section, defaults.as_ref());
    }
    text.push_str("\n## Older names without effect\n\n| name | why |\n|---|---|\n");
    for legacy in LEGACY {
        let why = match legacy.effect {
            Effect::None(why) => why,
            Effect::Ignored => "it was for deployment; ignored without a word",
            Effect::Sets(..) | Effect::FillsIn(..) => continue,
        };
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "| `{}` | {why} |", legacy.name);
    }
    text
}

fn section_table(text: &mut String, section: &Section, defaults: Option<&Value>) {
    let heading = if section.name.is_empty() { "Above all tables".to_owned() } else { format!("`[{}]`", section.name) };
    let about: Vec<&str> = section.doc.iter().map(|line| line.trim()).collect();
    let _ = write!(text, "\n## {heading}\n\n{}\n\n", about.join(" "));
    text.push_str("| key | older environment names | default | takes | meaning |\n|---|---|---|---|---|\n");
    for key in section.keys {
        let default = default_of(key, defaults);
        let planned = key.planned.map_or_else(String::new, |capability| format!(" **Not used yet: {capability}.**"));
        let names = older_names(key);
        let _ = writeln!(
            text,
            "| `{}` | {names} | {default} | {} | {}{planned} |",
            key.path,
            key.kind.allowed(),
            key.meaning()
        );
    }
}

fn default_of(key: &Key, defaults: Option<&Value>) -> String {
    if let Some(words) = key.otherwise {
        return words.to_owned();
    }
    let value = defaults.and_then(|values| values.find_ref(key.path));
    value.and_then(|value| key.kind.show(value)).map_or_else(String::new, |shown| format!("`{shown}`"))
}

fn older_names(key: &Key) -> String {
    let sets = |legacy: &&Legacy| legacy.key().is_some_and(|set| set.path == key.path);
    let shown = |legacy: &Legacy| match legacy.effect {
        Effect::FillsIn(..) => format!("`{}` (if nothing else does)", legacy.name),
        _ => format!("`{}`", legacy.name),
    };
    LEGACY.iter().filter(sets).map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file is the text of `reference`. When it isn't, the right text is left next to it to be moved over it.
    #[test]
    fn the_document_says_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let right = reference();
        let written = std::fs::read_to_string(path).unwrap_or_default();
        if written != right {
            let new = std::env::temp_dir().join("gadwall-configuration.md");
            std::fs::write(&new, &right).unwrap();
            panic!("docs/configuration.md is out of date; the right text is in {}", new.display());
        }
    }

    #[test]
    fn every_key_has_a_default_to_show() {
        let defaults = Value::serialize(Config::default()).unwrap();
        for key in crate::config::key::keys() {
            assert_ne!(default_of(key, Some(&defaults)), "", "{}", key.path);
        }
    }
}
