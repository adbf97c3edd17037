//! Older services' paths and second names of routes, rewritten before routing. No logic of their own.

use poem::http::uri::PathAndQuery;
use poem::http::{Method, Uri};

use super::object_path;

/// Routes of the DuckLake backend that its SDK asks for under `/api/v1`.
const UNDER_API_V1: [&str; 4] = ["jobs", "tables", "datasets", "events"];

/// The path that a request is served under, if it isn't its own.
pub(crate) fn rewrite(method: &Method, uri: &Uri) -> Option<Uri> {
    let canonical = canonical(uri.path());
    let path = object_path::fold(method, canonical.as_deref().unwrap_or_else(|| uri.path())).or(canonical)?;
    at(uri, path)
}

fn at(uri: &Uri, path: String) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// Changes in part that are served under another method.
pub(crate) fn rewrite_patch(method: &Method, uri: &Uri) -> Option<(Method, Uri)> {
    if *method != Method::PATCH {
        return None;
    }
    let path = uri.path();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["projects", _, "buckets", _, "tables", _, "rows"] => Some((Method::POST, at(uri, format!("{path}/update"))?)),
        ["projects", _, "buckets", _, "tables", _, "columns", _] => Some((Method::PUT, uri.clone())),
        _ => None,
    }
}

fn canonical(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["projects", _, "branches", "default", "buckets", ..] => {
            segments.drain(2..4);
        }
        // Marquez has runs beside the jobs that they are of.
        ["api", "v1", "jobs", "runs", _] => {
            segments.remove(2);
        }
        ["api", "v1", area, ..] if UNDER_API_V1.contains(&area) => {
            segments.drain(..2);
        }
        // The framework knows routes without the last slash only.
        ["api", "v1", "duckdb", ""] => segments.truncate(3),
        _ => return None,
    }
    Some(format!("/{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_to_the_canonical_path_and_keep_the_query() {
        let rewritten = |given: &str| rewrite(&Method::GET, &given.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(
            rewritten("/projects/p/branches/default/buckets/b/tables?limit=1").as_deref(),
            Some("/projects/p/buckets/b/tables?limit=1")
        );
        assert_eq!(rewritten("/api/v1/jobs/runs/x").as_deref(), Some("/api/v1/runs/x"));
        assert_eq!(rewritten("/api/v1/jobs/j/runs/x").as_deref(), Some("/jobs/j/runs/x"));
        assert_eq!(rewritten("/api/v1/tables/t").as_deref(), Some("/tables/t"));
        assert_eq!(rewritten("/api/v1/duckdb/").as_deref(), Some("/api/v1/duckdb"));
        for own in
            ["/projects/p/branches/dev/buckets", "/projects/p/branches/default", "/api/v1/duckdb/query", "/tables", "/"]
        {
            assert_eq!(rewritten(own), None, "{own}");
        }
    }

    #[test]
    fn changes_in_part_have_a_second_name() {
        let rewritten = |given: &str| {
            let (method, uri) = rewrite_patch(&Method::PATCH, &given.parse().unwrap())?;
            Some(format!("{method} {uri}"))
        };
        let table = "/projects/p/buckets/b/tables/t";
        let update = format!("POST {table}/rows/update?dry_run=true");
        assert_eq!(rewritten(&format!("{table}/rows?dry_run=true")), Some(update));
        assert_eq!(rewritten(&format!("{table}/columns/a%20b")), Some(format!("PUT {table}/columns/a%20b")));
        assert_eq!(rewritten(table), None, "has its own");
        assert!(rewrite_patch(&Method::POST, &format!("{table}/rows").parse().unwrap()).is_none());
    }
}
