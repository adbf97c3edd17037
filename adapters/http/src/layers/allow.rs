//! Which methods a path takes: told with every 405, as RFC 9110 wants it.

use serde_json::Value;

/// The API's paths with their methods, read out of its own document.
pub(crate) struct Allowed(Vec<(Vec<Segment>, String)>);

enum Segment {
    Word(String),
    Parameter,
}

impl Allowed {
    /// Reads an OpenAPI document.
    pub(crate) fn of_document(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let entry = |(path, operations): (&String, &Value)| {
            let operations = operations.as_object().into_iter().flatten();
            let methods: Vec<String> = operations.map(|(method, _)| method.to_ascii_uppercase()).collect();
            (segments(path).map(Segment::parse).collect(), methods.join(", "))
        };
        Self(paths.map(entry).collect())
    }

    /// The methods that a path takes, if it is one of the API's.
    pub(crate) fn methods(&self, path: &str) -> Option<&str> {
        let given: Vec<&str> = segments(path).collect();
        let found = self.0.iter().find(|(known, _)| {
            known.len() == given.len() && known.iter().zip(&given).all(|(segment, text)| segment.fits(text))
        });
        found.map(|(_, methods)| methods.as_str())
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

impl Segment {
    fn parse(text: &str) -> Self {
        if text.starts_with('{') { Self::Parameter } else { Self::Word(text.to_owned()) }
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Parameter => true,
            Self::Word(word) => word == text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_form() {
        let document = r#"{"paths": {"/projects": {"get": {}, "post": {}}, "/projects/{id}/stats": {"get": {}}, "/": {"get": {}}}}"#;
        let allowed = Allowed::of_document(document);
        assert_eq!(allowed.methods("/projects"), Some("GET, POST"));
        assert_eq!(allowed.methods("/projects/x/stats"), Some("GET"));
        assert_eq!(allowed.methods("/"), Some("GET"));
        assert_eq!(allowed.methods("/projects/x/other"), None);
    }
}
