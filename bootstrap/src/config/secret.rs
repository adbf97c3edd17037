//! Text that must not be shown. It never prints itself: only `expose` gives it away.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What stands for a secret wherever one would be shown.
pub const MASK: &str = "********";

/// A password or key. Masked by `Debug`, `Display` and `Serialize`; without `==`, since comparing secrets is a job
/// for a function that takes the same time for every outcome.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_only_when_exposed() {
        let secret = Secret::new("swordfish");
        let shown = format!("{secret} {secret:?} {:#?} {}", Some(&secret), serde_json::to_string(&secret).unwrap());
        assert!(!shown.contains("swordfish"), "{shown}");
        assert_eq!(secret.expose(), "swordfish");
        let read: Secret = serde_json::from_str("\"swordfish\"").unwrap();
        assert_eq!(read.expose(), "swordfish");
    }
}
