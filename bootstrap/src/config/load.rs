//! Puts the layers together: reads each source, checks each value by its key, and merges what is left.
//!
//! All problems of all sources come out together. The merged tree can't fail to fit the structs, because every value
//! was checked before.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::environment::{self, Variable, is_ours};
use super::error::{ConfigError, Origin, Problem};
use super::key::Key;
use super::raw::Raw;
use super::{Config, Environment, Sources, dotenv, file, notices};

/// A setting of one source.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: &'static Key,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

/// The settings of one source, at most one for each key.
pub(super) type Layer = Vec<Entry>;

/// A configuration, and where each of its settings came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    pub(super) origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the key at this path came from. What nobody set is [`Origin::Default`].
    pub fn origin(&self, path: &str) -> &Origin {
        self.origins.get(path).unwrap_or(&Origin::Default)
    }
}

impl Config {
    /// Reads all sources. Fails with everything that is wrong in any of them.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut problems = Vec::new();
        let mut notices = Vec::new();
        let file = read_file(sources, &mut problems);
        let mut dotenv = environment::read(read_dotenv(sources, &mut problems), true);
        let mut process = environment::read(read_process(sources, &mut problems), false);
        for said in [&mut dotenv, &mut process] {
            problems.append(&mut said.problems);
            notices.append(&mut said.notices);
        }

        let mut merged = Merged::default();
        for layer in [dotenv.fill_in, process.fill_in, file, dotenv.layer, process.layer] {
            merged.add(layer, &mut problems);
        }
        ConfigError::check(problems)?;

        let mut loaded = merged.finish()?;
        notices.extend(notices::of(&loaded));
        notices.dedup();
        loaded.config.notices = notices;
        let located = |mut problem: Problem| {
            let origin = problem.key.as_deref().map(|key| loaded.origin(key).clone());
            problem.origin = origin.filter(|origin| *origin != Origin::Default);
            problem
        };
        ConfigError::check(loaded.config.contradictions().into_iter().map(located).collect())?;
        Ok(loaded)
    }
}

fn read_file(sources: &Sources, problems: &mut Vec<Problem>) -> Layer {
    let (path, required) = sources.configuration_file();
    match fs::read_to_string(&path) {
        Ok(text) => {
            let (layer, mut found) = file::read(&text, sources.shown(&path));
            problems.append(&mut found);
            layer
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !required => Layer::new(),
        Err(error) => {
            problems.push(Problem::in_source(format!("can't read {}: {error}", path.display())));
            Layer::new()
        }
    }
}

fn read_dotenv(sources: &Sources, problems: &mut Vec<Problem>) -> Vec<Variable> {
    let text = match fs::read_to_string(sources.working_dir.join(".env")) {
        Ok(text) => text,
        // A folder of that name is a Python environment.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => return Vec::new(),
        Err(error) => {
            problems.push(Problem::in_source(format!("can't read .env: {error}")));
            return Vec::new();
        }
    };
    let (assignments, bad) = dotenv::parse(&text);
    problems.extend(bad.iter().map(|bad| Problem::in_source(format!(".env:{}: {}", bad.line, bad.why))));
    let variable = |found: dotenv::Assignment| {
        let origin = Origin::DotEnv { name: found.name.clone(), line: found.line };
        Variable { name: found.name, value: found.value, origin }
    };
    assignments.into_iter().map(variable).collect()
}

fn read_process(sources: &Sources, problems: &mut Vec<Problem>) -> Vec<Variable> {
    for name in sources.unreadable.iter().filter(|name| is_ours(name)) {
        let origin = Origin::Environment { name: name.clone() };
        problems.push(Problem::at(name.clone(), origin, "the value is not valid UTF-8"));
    }
    let variable = |(name, value): &(String, String)| Variable {
        name: name.clone(),
        value: value.clone(),
        origin: Origin::Environment { name: name.clone() },
    };
    let mut variables: Vec<Variable> = sources.environment.iter().map(variable).collect();
    // An environment has no order; messages should have one.
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    variables
}

/// The layers so far.
#[derive(Default)]
struct Merged {
    figment: Figment,
    environment: Environment,
    origins: BTreeMap<&'static str, Origin>,
}

impl Merged {
    fn add(&mut self, layer: Layer, problems: &mut Vec<Problem>) {
        let mut values = Dict::new();
        for Entry { key, raw, origin } in layer {
            let Some(value) = key.kind.read(&raw) else {
                problems.push(wrong_value(key, &raw, origin));
                continue;
            };
            if let Some(environment) = (key.path == "environment").then(|| value.deserialize().ok()).flatten() {
                self.environment = environment;
            }
            insert(&mut values, key.path, value);
            self.origins.insert(key.path, origin);
        }
        self.figment = std::mem::take(&mut self.figment).merge(Serialized::defaults(values));
    }

    fn finish(self) -> Result<Loaded, ConfigError> {
        // The environment chooses some defaults, so they can only go below the rest at the end.
        let figment = self.figment.join(Serialized::defaults(Config::defaults(self.environment)));
        match figment.extract() {
            Ok(config) => Ok(Loaded { config, origins: self.origins }),
            // Only a key whose kind and type disagree. The error's own text might show a secret.
            Err(error) => {
                let path = error.path.join(".");
                Err(ConfigError::one(Problem::of(path.clone(), format!("the server can't read its own key {path:?}"))))
            }
        }
    }
}

fn insert(values: &mut Dict, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            values.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = values.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn wrong_value(key: &Key, raw: &Raw, origin: Origin) -> Problem {
    let allowed = key.kind.allowed();
    let message = if let Some(fault) = key.kind.fault(raw) {
        format!("{} has a wrong value: {fault}", key.path)
    } else if key.kind.hides(raw) {
        format!("{} has a wrong value (not shown); it takes {allowed}", key.path)
    } else {
        format!("{} can't be {raw}; it takes {allowed}", key.path)
    };
    Problem::at(key.path, origin, message)
}
