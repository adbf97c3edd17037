//! Promises about listings.

use gadwall_domain::ports::objects::ObjectQuery;

use super::{Store, all, fresh_dataset, head, listed, page, put, put_with, typed};
use crate::testing::builders::object;

/// Names that a walk through folders would bring in another order.
const TRICKY: [&str; 9] = ["a!", "a-b/c", "a.b", "a/b", "a/b!", "a/c/d", "a0", "aB", "ab"];

async fn put_all(store: &Store, names: &[&str]) {
    fresh_dataset(store).await;
    for name in names.iter().rev() {
        put(store, name, "x").await;
    }
}

/// Objects come by the bytes of their whole names, wherever the slashes are.
pub async fn objects_are_listed_by_the_bytes_of_their_names(store: Store) {
    put_all(&store, &TRICKY).await;
    assert_eq!(listed(&store, all()).await, TRICKY);
}

/// A listing tells of an object what a look at it tells.
pub async fn a_listing_tells_what_head_tells(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a/b.csv", "1").await;
    put_with(&store, "c.csv", "22", typed("x/y")).await.unwrap();
    let listed = page(&store, all()).await;
    assert_eq!(listed, [head(&store, "a/b.csv").await.unwrap(), head(&store, "c.csv").await.unwrap()]);
}

/// A prefix is of the text, not of folders; a cursor need not name an object.
pub async fn prefix_and_cursor_bound_a_listing(store: Store) {
    put_all(&store, &TRICKY).await;
    let query = |prefix: &str, after: Option<&str>| ObjectQuery {
        prefix: prefix.to_owned(),
        after: after.map(object),
        limit: 100,
    };
    let expect = |keep: &dyn Fn(&str) -> bool| TRICKY.into_iter().filter(|name| keep(name)).collect::<Vec<_>>();
    for prefix in ["", "a", "a/", "a/b", "a-b/c", "a/c/d", "a/c/d/", "b", "/", "../", "a//", "a\\", "\0", "a/c/"] {
        let expected = expect(&|name| name.starts_with(prefix));
        assert_eq!(listed(&store, query(prefix, None)).await, expected, "prefix {prefix:?}");
        for after in ["a", "a!", "a/b", "a/bb", "a/c", "a/c/d", "a/z", "ab", "zz", " "] {
            let expected = expect(&|name| name.starts_with(prefix) && name > after);
            assert_eq!(listed(&store, query(prefix, Some(after))).await, expected, "{prefix:?} after {after:?}");
        }
    }
    assert!(listed(&store, ObjectQuery { limit: 0, ..ObjectQuery::default() }).await.is_empty());
}

/// Page after page, every object is shown once.
pub async fn pages_show_every_object_once(store: Store) {
    let mut names: Vec<String> = (0..120).map(|number| format!("{}/{number:03}", number % 5)).collect();
    names.extend((0..60).map(|number| format!("n{number:02}")));
    names.sort();
    put_all(&store, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for limit in [1, 7, 60, 180, 200] {
        let mut seen: Vec<String> = Vec::new();
        loop {
            let after = seen.last().map(|name| object(name));
            let query = ObjectQuery { prefix: String::new(), after, limit };
            let found = listed(&store, query).await;
            assert!(found.len() <= limit as usize);
            let last = found.len() < limit as usize;
            seen.extend(found);
            if last {
                break;
            }
        }
        assert_eq!(seen, names, "in pages of {limit}");
    }
}
