//! Other projects' lakes that a statement reads through links.

use std::sync::Arc;

use gadwall_domain::query::{LinkedSource, QueryError, ReadScope};

use crate::catalogs::{Catalogs, Lease};
use crate::error::Scrub;
use crate::query::lake_failed;
use crate::root::Lent;
use crate::{sql, structure};

/// What a scope's links show, where they show anything.
pub(crate) fn sources(scope: &ReadScope) -> impl Iterator<Item = &LinkedSource> {
    scope.links.iter().filter_map(|link| link.source.as_ref())
}

/// Attaches what a statement may read beside its own lake, and keeps it so while the leases live. Before the statement's
/// transaction: nothing can be attached within one.
pub(crate) fn lease(connection: &Lent, catalogs: &Arc<Catalogs>, scope: &ReadScope) -> Result<Vec<Lease>, QueryError> {
    let mut wanted: Vec<&LinkedSource> = sources(scope).collect();
    // Everybody takes them in the same order.
    wanted.sort_by_key(|source| source.lake.uuid());
    let mut leases = Vec::with_capacity(wanted.len());
    for source in wanted {
        // An instance of one lake has what it reads of others from the beginning, and they are none of its own.
        if catalogs.files().is_some() {
            leases.push(catalogs.lease(connection, source.lake).map_err(lake_failed)?);
        }
        if !structure::is_kept(connection, source.lake, source.at).map_err(lake_failed)? {
            // The newest was another one a moment ago: asked again, it is there.
            return Err(if source.pinned { QueryError::NoSnapshot(source.at) } else { QueryError::Busy });
        }
    }
    Ok(leases)
}

/// Whether what an instance read of another lake in PostgreSQL isn't there any more: asked again, another takes its place, or
/// it is told that the link has ended.
fn is_replaced(error: &QueryError) -> bool {
    let (QueryError::Sql(text)
    | QueryError::Engine(text)
    | QueryError::LakeAway(text)
    | QueryError::LakeUnavailable(text)) = error
    else {
        return false;
    };
    text.contains("share_") && (text.contains("does not exist") || text.contains("permission denied"))
}

/// The same error, with the names that linked tables have here.
pub(crate) fn told(error: QueryError, scope: &ReadScope, scrub: &Scrub) -> QueryError {
    if sources(scope).next().is_some() && is_replaced(&error) {
        return QueryError::Busy;
    }
    let QueryError::Sql(mut text) = error else { return error };
    for link in &scope.links {
        let Some(source) = &link.source else { continue };
        let catalog = sql::catalog(source.lake);
        for (catalog, bucket) in
            [(catalog.clone(), source.bucket.to_string()), (sql::ident(&catalog), sql::ident(source.bucket.as_str()))]
        {
            text = text.replace(&format!("{catalog}.{bucket}."), &format!("{}.", link.name));
        }
        text = scrub.apply(&text, &catalog);
    }
    QueryError::Sql(text)
}
