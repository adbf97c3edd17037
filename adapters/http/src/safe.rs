//! `QUERY` (RFC 10008): a query in a body, asked safely. It shares the routes of POST, which OpenAPI can describe, and
//! is told apart by a mark on the request.

use poem::http::{Method, header};
use poem::{FromRequest, Request, RequestBody};

/// The routes' paths begin and end so.
const ROUTE: (&str, &str) = ("/projects/", "/query");

/// Marks a request that was sent by QUERY.
#[derive(Clone, Copy)]
struct Marked;

/// Makes a QUERY on a query's resource a POST that is marked; others are left to be refused.
pub(crate) fn accept(request: &mut Request) {
    let is_query = request.method().as_str() == "QUERY";
    if is_query && has_queries(request.uri().path()) {
        request.set_method(Method::POST);
        request.extensions_mut().insert(Marked);
    }
}

/// Whether a path's resource takes QUERY.
pub(crate) fn has_queries(path: &str) -> bool {
    let rest = path.strip_prefix(ROUTE.0).and_then(|rest| rest.strip_suffix(ROUTE.1));
    rest.is_some_and(|project| !project.is_empty() && !project.contains('/'))
}

/// Whether a request asks safely, and what its client has already. A POST has nothing: it may change things.
#[derive(Debug, Clone, Default)]
pub(crate) struct Safe {
    /// Whether it may only read.
    pub(crate) is: bool,
    /// Its `If-None-Match`.
    pub(crate) known: Option<String>,
}

impl<'a> FromRequest<'a> for Safe {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let is = request.method() == Method::GET || request.extensions().get::<Marked>().is_some();
        let known = request.header(header::IF_NONE_MATCH).filter(|_| is).map(str::to_owned);
        Ok(Self { is, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_query_resources_take_the_method() {
        let made = |path: &'static str| {
            let method = Method::from_bytes(b"QUERY").unwrap();
            let mut request = Request::builder().method(method).uri_str(path).finish();
            accept(&mut request);
            request.method().clone()
        };
        assert_eq!(made("/projects/p/query"), Method::POST);
        for other in ["/projects/p/buckets", "/projects//query", "/projects/a/b/query", "/tables/t/query", "/"] {
            assert_eq!(made(other).as_str(), "QUERY", "{other}");
        }
    }
}
