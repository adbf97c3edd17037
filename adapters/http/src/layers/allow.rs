//! Which methods a path takes: told with every 405, as RFC 9110 wants it. And which route it is, for figures.

use std::sync::Arc;

use serde_json::Value;

/// The API's paths with their methods, read out of its own document.
pub(crate) struct Allowed(Vec<Known>);

struct Known {
    segments: Vec<Segment>,
    methods: Vec<String>,
    route: Arc<str>,
}

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
            let methods = operations.map(|(method, _)| method.to_ascii_uppercase()).collect();
            let segments = segments(path).map(Segment::parse).collect();
            Known { segments, methods, route: path.as_str().into() }
        };
        Self(paths.map(entry).collect())
    }

    /// The methods that a path takes, if it is one of the API's. A `POST` may be served under another path than the rest.
    pub(crate) fn methods(&self, path: &str, posted: &str) -> Option<String> {
        let methods = &self.find(path)?.methods;
        let mut told = methods.join(", ");
        if !takes_post(methods) && self.find(posted).is_some_and(|known| takes_post(&known.methods)) {
            told.push_str(", POST");
        }
        Some(told)
    }

    /// The route that a path belongs to, as in the document, if it is one of the API's.
    pub(crate) fn route(&self, path: &str) -> Option<Arc<str>> {
        self.find(path).map(|known| Arc::clone(&known.route))
    }

    /// Of several that fit, the one with the most words.
    fn find(&self, path: &str) -> Option<&Known> {
        let given: Vec<&str> = segments(path).collect();
        let fit = self.0.iter().filter(|known| {
            known.segments.len() == given.len()
                && known.segments.iter().zip(&given).all(|(known, text)| known.fits(text))
        });
        fit.max_by_key(|known| known.segments.iter().filter(|segment| matches!(segment, Segment::Word(_))).count())
    }
}

fn takes_post(methods: &[String]) -> bool {
    methods.iter().any(|method| method == "POST")
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
        let document = r#"{"paths": {"/projects": {"get": {}, "post": {}}, "/projects/{id}/{part}/x": {}, "/projects/{id}/stats": {"get": {}}, "/": {"get": {}}}}"#;
        let allowed = Allowed::of_document(document);
        let methods = |path| allowed.methods(path, path);
        assert_eq!(methods("/projects").as_deref(), Some("GET, POST"));
        assert_eq!(methods("/projects/x/stats").as_deref(), Some("GET"));
        assert_eq!(methods("/").as_deref(), Some("GET"));
        assert_eq!(methods("/projects/x/other"), None);
        assert_eq!(allowed.methods("/projects/x/stats", "/projects").as_deref(), Some("GET, POST"));
        assert_eq!(allowed.route("/projects/x/stats").as_deref(), Some("/projects/{id}/stats"));
        assert_eq!(allowed.route("/projects/x/other"), None);
    }
}
