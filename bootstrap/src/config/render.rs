//! Shows the effective configuration as TOML, with the origin of each setting and without secrets.

use std::fmt::Write as _;

use figment::value::Value;

use super::key::Key;
use super::load::Loaded;
use super::sections::SECTIONS;

impl Loaded {
    /// A `gadwall.toml` that says what holds now. Each line tells where its value came from; secrets are masks, and a
    /// file with a mask in it is refused when it is read.
    pub fn render_effective(&self) -> String {
        // Secrets mask themselves when they are serialised.
        let values = Value::serialize(&self.config).ok();
        let mut text = String::new();
        for section in SECTIONS {
            if !section.name.is_empty() {
                // Writing to a string doesn't fail.
                let _ = writeln!(text, "\n[{}]", section.name);
            }
            for key in section.keys {
                let value = values.as_ref().and_then(|values| values.find_ref(key.path));
                let _ = writeln!(text, "{}", self.line(key, value));
            }
        }
        text
    }

    fn line(&self, key: &Key, value: Option<&Value>) -> String {
        let name = key.leaf();
        let planned = key.planned.map_or_else(String::new, |capability| format!("; not used yet: {capability}"));
        match value.and_then(|value| key.kind.show(value)) {
            Some(value) => format!("{name} = {value} # {}{planned}", self.origin(key.path)),
            None => format!("# {name} is not set: {}{planned}", key.otherwise.unwrap_or("none")),
        }
    }
}
