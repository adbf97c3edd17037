//! What differs between two configurations.

use figment::value::Value;

use super::key::keys;
use super::{Config, Secret};

/// The keys of settings that differ. Of secrets, only the admin keys are compared.
pub(crate) fn changed(before: &Config, after: &Config) -> Vec<&'static str> {
    let values = |config: &Config| Value::serialize(config).ok();
    let (old, new) = (values(before), values(after));
    let find = |values: &Option<Value>, path| values.as_ref().and_then(|values| values.find_ref(path)).cloned();
    let admins =
        |config: &Config| config.auth.admin_keys.iter().map(|key| Secret::expose(key).to_owned()).collect::<Vec<_>>();
    keys()
        .map(|key| key.path)
        .filter(|path| match *path {
            "auth.admin_keys" => admins(before) != admins(after),
            path => find(&old, path) != find(&new, path),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_that_differs_is_named() {
        let before = Config::default();
        assert!(changed(&before, &before.clone()).is_empty());
        let mut after = before.clone();
        after.server.port = 9;
        after.cors.allow_origins = vec!["https://app.example.org".to_owned()];
        after.auth.admin_keys = vec![Secret::new("one")];
        let mut expected = vec!["server.port", "auth.admin_keys", "cors.allow_origins"];
        let mut found = changed(&before, &after);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        // Masks are alike.
        let mut other = after.clone();
        other.auth.admin_keys = vec![Secret::new("two")];
        assert_eq!(changed(&after, &other), ["auth.admin_keys"]);
    }
}
