//! What each port promises, as tests that any adapter of it can be put to.
//!
//! A promise is a function that gets a fresh adapter. One macro for each port owns the list of them, so
//! that a new promise is kept by every adapter or breaks its tests:
//!
//! ```text
//! async fn fresh() -> (Arc<dyn MetadataStore>, TempDir) { … }
//! gadwall_application::metadata_contract!(fresh().await);
//! ```
//!
//! The expression is evaluated within each test; what it answers beside the adapter lives as long as the test. Where
//! adapters need servers that are slow to start, `…_contract!(contract_together, EXPRESSION)` makes one test of all
//! promises, which can share them.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "contract suites are tests")]

pub mod lake;
pub mod links;
pub mod maintenance;
pub mod metadata;
pub mod objects;
pub mod registry;
pub mod results;
pub mod turns;
pub mod views;

/// Makes a test of each promise. The crate that uses it needs `tokio` with `macros` and `rt-multi-thread`.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($suite:path, $fresh:expr, [$($promise:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                use $suite as promises;
                let (adapter, _guard) = $fresh;
                promises::$promise(adapter).await;
            }
        )+
    };
}

/// Makes one test of all promises, a few at a time; it tells all that are not kept. For adapters to servers, which take a
/// while to start.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_together {
    ($suite:path, $fresh:expr, [$($promise:ident),+ $(,)?]) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn every_promise_is_kept() {
            use $suite as promises;
            let places = std::sync::Arc::new(tokio::sync::Semaphore::new(4));
            let mut kept = Vec::new();
            $(
                let place = std::sync::Arc::clone(&places);
                let promise = tokio::spawn(async move {
                    let _place = place.acquire_owned().await;
                    let (adapter, _guard) = $fresh;
                    promises::$promise(adapter).await;
                });
                kept.push((stringify!($promise), promise));
            )+
            let mut broken = Vec::new();
            for (name, promise) in kept {
                if promise.await.is_err() {
                    broken.push(name);
                }
            }
            assert!(broken.is_empty(), "not kept: {broken:?}");
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The names of the functions in these files that are promises.
    fn promises(files: &[&'static str]) -> BTreeSet<&'static str> {
        let lines = files.iter().flat_map(|text| text.lines());
        lines.filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next()).collect()
    }

    /// The names in the list of a macro: one on each line.
    fn listed(file: &'static str) -> BTreeSet<&'static str> {
        let names = file.lines().filter(|line| line.starts_with("                "));
        names.filter_map(|line| line.trim().strip_suffix(',')).collect()
    }

    #[test]
    fn every_promise_is_on_its_list() {
        let metadata = include_str!("metadata/mod.rs");
        let files = [
            include_str!("metadata/api_keys.rs"),
            include_str!("metadata/contracts.rs"),
            include_str!("metadata/events.rs"),
            include_str!("metadata/forward.rs"),
            include_str!("metadata/idempotency.rs"),
            include_str!("metadata/instances.rs"),
            include_str!("metadata/keyed_writes.rs"),
            include_str!("metadata/lake_history.rs"),
            include_str!("metadata/lake_index.rs"),
            include_str!("metadata/lineage.rs"),
            include_str!("metadata/logs.rs"),
            include_str!("metadata/maintenance.rs"),
            include_str!("metadata/operations.rs"),
            include_str!("metadata/queries.rs"),
            include_str!("metadata/schemas.rs"),
            include_str!("metadata/sharing.rs"),
            include_str!("metadata/tags.rs"),
            include_str!("metadata/tenancy.rs"),
            include_str!("metadata/units.rs"),
            include_str!("metadata/usage.rs"),
            include_str!("metadata/webhooks.rs"),
        ];
        assert_eq!(promises(&files), listed(metadata));
        let lake = include_str!("lake/mod.rs");
        let files = [
            include_str!("lake/appends.rs"),
            include_str!("lake/checks.rs"),
            include_str!("lake/commits.rs"),
            include_str!("lake/crowds.rs"),
            include_str!("lake/edits.rs"),
            include_str!("lake/filters.rs"),
            include_str!("lake/loads.rs"),
            include_str!("lake/past.rs"),
            include_str!("lake/returns.rs"),
            include_str!("lake/shapes.rs"),
            include_str!("lake/structure.rs"),
            include_str!("lake/together.rs"),
        ];
        assert_eq!(promises(&files), listed(lake));
        let objects = include_str!("objects/mod.rs");
        let files = [
            include_str!("objects/contents.rs"),
            include_str!("objects/datasets.rs"),
            include_str!("objects/listing.rs"),
            include_str!("objects/names.rs"),
            include_str!("objects/versions.rs"),
        ];
        assert_eq!(promises(&files), listed(objects));
        let results = include_str!("results/mod.rs");
        let files = [include_str!("results/notes.rs"), include_str!("results/rows.rs")];
        assert_eq!(promises(&files), listed(results));
        let views = include_str!("views.rs");
        assert_eq!(promises(&[views]), listed(views));
        let links = include_str!("links.rs");
        assert_eq!(promises(&[links]), listed(links));
    }
}
