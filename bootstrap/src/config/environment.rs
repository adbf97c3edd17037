//! Settings out of environment variables, whether they come from the process or from `.env`.

use std::collections::BTreeMap;

use super::error::{Origin, Problem};
use super::key::{Key, PREFIX, find};
use super::legacy::{Effect, LEGACY, Legacy};
use super::load::{Entry, Layer};
use super::raw::Raw;
use super::suggest::unknown_variable;

/// A variable, and where it stands.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// What variables say.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Settings.
    pub(super) layer: Layer,
    /// Settings that count only if no layer has them.
    pub(super) fill_in: Layer,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<String>,
}

/// Whether a name is meant for this server, wherever it stands.
pub(super) fn is_ours(name: &str) -> bool {
    starts_with(name, PREFIX) || Legacy::find(name).is_some()
}

/// Reads variables. With `strict`, everything that begins with GADWALL must be known. The process's environment can't
/// be that strict: Kubernetes puts `GADWALL_PORT` and the like there for a service of that name.
pub(super) fn read(variables: Vec<Variable>, strict: bool) -> Said {
    let mut said = Said::default();
    let mut older: BTreeMap<&'static str, Variable> = BTreeMap::new();
    for variable in variables {
        if let Some(legacy) = Legacy::find(&variable.name) {
            older.insert(legacy.name, variable);
        } else if starts_with(&variable.name, PREFIX) || (strict && starts_with(&variable.name, "GADWALL")) {
            said.general(variable);
        }
    }
    for legacy in LEGACY {
        // Compose files pass on `${NAME:-}`: an empty value says that nobody set it.
        if let Some(variable) = older.remove(legacy.name).filter(|variable| !variable.value.is_empty()) {
            said.older(legacy, variable);
        }
    }
    said
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The key of a `GADWALL__…` name.
fn general_key(name: &str) -> Option<&'static Key> {
    let path = name.get(PREFIX.len()..)?.to_lowercase().replace("__", ".");
    starts_with(name, PREFIX).then(|| find(&path)).flatten()
}

impl Said {
    fn general(&mut self, variable: Variable) {
        let Variable { name, value, origin } = variable;
        match general_key(&name) {
            // A later line of `.env`, or the same name in other letters, takes the place of the one before.
            Some(key) => {
                self.layer.retain(|entry| entry.key.path != key.path);
                if !value.is_empty() {
                    self.layer.push(Entry { key, raw: Raw::Word(value), origin });
                }
            }
            None => self.problems.push(Problem::at(name.clone(), origin, unknown_variable(&name))),
        }
    }

    fn older(&mut self, legacy: &'static Legacy, variable: Variable) {
        let origin = variable.origin;
        match (&legacy.effect, legacy.key()) {
            (Effect::Sets(_, read), Some(key)) => {
                let winner = self.layer.iter().find(|entry| entry.key.path == key.path);
                match winner.and_then(|entry| entry.origin.variable()) {
                    // Not even read: this is the way out where the older name means something else to someone.
                    Some(winner) => self.notices.push(format!("{} has no effect: {winner} is set too", legacy.name)),
                    None => self.layer.push(Entry { key, raw: read(variable.value), origin }),
                }
            }
            (Effect::FillsIn(_, read), Some(key)) => {
                self.fill_in.push(Entry { key, raw: read(variable.value), origin });
            }
            (Effect::None(why), _) => self.notices.push(format!("{} has no effect: {why}", legacy.name)),
            (Effect::Sets(..) | Effect::FillsIn(..), None) | (Effect::Ignored, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)], strict: bool) -> Said {
        let variable = |(name, value): &(&str, &str)| Variable {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            origin: Origin::Environment { name: (*name).to_owned() },
        };
        read(variables.iter().map(variable).collect(), strict)
    }

    fn set(said: &Said) -> Vec<(&'static str, String)> {
        said.layer.iter().map(|entry| (entry.key.path, entry.raw.to_string())).collect()
    }

    #[test]
    fn the_general_name_goes_before_the_older_one_and_that_before_its_alias() {
        let both = said(&[("PORT", "not a port"), ("GADWALL__SERVER__PORT", "9")], false);
        assert_eq!(set(&both), [("server.port", "\"9\"".to_owned())]);
        assert_eq!(both.notices, ["PORT has no effect: GADWALL__SERVER__PORT is set too"]);
        let threads = said(&[("DUCKDB_WORKER_THREADS", "2"), ("DUCKDB_THREADS", "3")], false);
        assert_eq!(set(&threads), [("engine.threads", "\"3\"".to_owned())]);
        assert_eq!(threads.notices.len(), 1);
    }

    #[test]
    fn an_empty_value_is_none() {
        let empty = said(&[("PORT", ""), ("ADMIN_API_KEY", ""), ("GADWALL__DEBUG", ""), ("DUCKDB_PATH", "")], false);
        assert!(empty.layer.is_empty() && empty.problems.is_empty() && empty.notices.is_empty());
    }

    #[test]
    fn names_that_are_not_known_are_errors_only_where_they_must_be_ours() {
        let names = [("GADWALL__NOPE", ""), ("GADWALL_PORT_8000_TCP", "tcp://10.0.0.1:8000"), ("PATH", "/bin")];
        assert_eq!(said(&names, false).problems.len(), 1);
        assert_eq!(said(&names, true).problems.len(), 2);
    }

    #[test]
    fn a_later_assignment_takes_the_place_of_an_earlier_one() {
        let twice = said(&[("PORT", "1"), ("PORT", "2"), ("GADWALL__DEBUG", "1"), ("gadwall__debug", "0")], true);
        assert_eq!(set(&twice), [("debug", "\"0\"".to_owned()), ("server.port", "\"2\"".to_owned())]);
    }
}
