//! Promises about names.

use gadwall_domain::ports::objects::{ObjectError, PutOptions};

use super::{DATASET, LAKE, Store, all, delete, fresh_dataset, head, listed, put, put_with, text};
use crate::testing::builders::{dataset, lake, object};

/// Every legal name is an object of its own, and is listed as it was given.
pub async fn names_of_any_kind_read_back(store: Store) {
    fresh_dataset(&store).await;
    let (long, deep) = ("x".repeat(255), vec!["y"; 300].join("/"));
    let longest = format!("{}/{}", vec!["é".repeat(127); 3].join("/"), "12");
    let mut names = vec![
        "a",
        "A",
        "a b",
        " ",
        "a%2Fb",
        "%2e%2e",
        "%",
        "a#1",
        "x.parquet#12",
        "…",
        "...",
        ".types",
        ".incoming/a",
        "~",
        "é",
        "e\u{301}",
        "🦆/🦆",
        "\u{202e}",
        "'",
        "\"",
        "`",
        "*",
        "?",
        "[a]",
        "{a}",
        "$x",
        "a:b",
        "a;b",
        "a&b=c",
        "-rf",
        "<b>",
        "|",
        "year=2024/month=01/x.parquet",
        "null",
        "CON",
        "a.",
        &long,
        &deep,
        &longest,
    ];
    for name in &names {
        put(&store, name, &format!("bytes of {name}")).await;
    }
    for name in &names {
        assert_eq!(text(&store, name).await, format!("bytes of {name}"));
    }
    names.sort_unstable();
    assert_eq!(listed(&store, all()).await, names);
    for name in &names {
        delete(&store, name).await;
    }
    assert!(listed(&store, all()).await.is_empty());
}

/// The longest legal names are objects of their own, too, or are refused for their length; looking for one is no fault.
pub async fn the_longest_names_read_back_or_are_refused(store: Store) {
    fresh_dataset(&store).await;
    let (deep, longest) = (vec!["y"; 512].join("/"), format!("{}/{}", vec!["é".repeat(127); 4].join("/"), "12"));
    for name in [deep, longest] {
        match put_with(&store, &name, "x", PutOptions::default()).await {
            Ok(_) => assert_eq!(text(&store, &name).await, "x"),
            Err(refused) => {
                assert!(matches!(refused, ObjectError::NameTooLong { limit } if limit < name.len()), "{refused:?}");
                assert!(matches!(head(&store, &name).await, Err(ObjectError::NoObject)));
                let got = store.get(lake(LAKE), &dataset(DATASET), &object(&name)).await;
                assert!(matches!(got, Err(ObjectError::NoObject)));
            }
        }
        delete(&store, &name).await;
    }
    assert!(listed(&store, all()).await.is_empty());
}

/// Objects are files: none can be the folder of another. Whichever was first stays.
pub async fn a_name_is_not_both_object_and_folder(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a", "file").await;
    put(&store, "b/c/d", "in a folder").await;
    for clash in ["a/b", "a/b/c", "b", "b/c", "b/c/d/e"] {
        let refused = put_with(&store, clash, "x", PutOptions::default()).await;
        assert!(matches!(refused, Err(ObjectError::NameClash)), "{clash}: {refused:?}");
    }
    assert_eq!(listed(&store, all()).await, ["a", "b/c/d"]);
    put(&store, "a-b", "a name that only begins so").await;
    put(&store, "b/c/e", "another in the folder").await;
}

/// With the last object of a folder its name is free.
pub async fn folders_go_with_their_last_object(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a/b/c", "1").await;
    put(&store, "a/d", "2").await;
    delete(&store, "a/b/c").await;
    put(&store, "a/b", "3").await;
    delete(&store, "a/b").await;
    delete(&store, "a/d").await;
    put(&store, "a", "4").await;
    delete(&store, "a").await;
    put(&store, "a/b/c", "5").await;
    assert_eq!(listed(&store, all()).await, ["a/b/c"]);
}
