//! Older services' paths, rewritten before routing. No logic of their own.

use poem::http::Uri;
use poem::http::uri::PathAndQuery;

use super::object_path;

/// Routes of the DuckLake backend that its SDK asks for under `/api/v1`.
const UNDER_API_V1: [&str; 4] = ["jobs", "tables", "datasets", "events"];

/// The path that a request is served under, if it isn't its own.
pub(crate) fn rewrite(uri: &Uri) -> Option<Uri> {
    let canonical = canonical(uri.path());
    let path = object_path::fold(canonical.as_deref().unwrap_or_else(|| uri.path())).or(canonical)?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

fn canonical(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["projects", _, "branches", "default", "buckets", ..] => {
            segments.drain(2..4);
        }
        ["api", "v1", area, ..] if UNDER_API_V1.contains(&area) => {
            segments.drain(..2);
        }
        _ => return None,
    }
    Some(format!("/{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_to_the_canonical_path_and_keep_the_query() {
        let rewritten = |given: &str| rewrite(&given.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(
            rewritten("/projects/p/branches/default/buckets/b/tables?limit=1").as_deref(),
            Some("/projects/p/buckets/b/tables?limit=1")
        );
        assert_eq!(rewritten("/api/v1/tables/t").as_deref(), Some("/tables/t"));
        for own in
            ["/projects/p/branches/dev/buckets", "/projects/p/branches/default", "/api/v1/duckdb/query", "/tables", "/"]
        {
            assert_eq!(rewritten(own), None, "{own}");
        }
    }
}
