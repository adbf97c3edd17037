//! Promises about datasets as a whole.

use gadwall_domain::dataset::{ContentType, DatasetName, Precondition};
use gadwall_domain::ports::objects::{ObjectError, PutOptions};

use super::{DATASET, LAKE, Store, all, content, delete, fresh_dataset, head, listed, put, text};
use crate::testing::builders::{dataset, lake, object};

/// A dataset is made once, whatever the case of its name.
pub async fn a_dataset_is_made_once(store: Store) {
    store.create_dataset(lake(LAKE), &dataset("Raw")).await.unwrap();
    for taken in ["Raw", "raw", "RAW"] {
        let again = store.create_dataset(lake(LAKE), &dataset(taken)).await;
        assert!(matches!(again, Err(ObjectError::DatasetExists)), "{taken}");
    }
    store.put(lake(LAKE), &dataset("raw"), &object("a"), content("x"), PutOptions::default()).await.unwrap();
    assert_eq!(store.head(lake(LAKE), &dataset("RAW"), &object("a")).await.unwrap().size, 1);
}

/// Datasets are listed by name; a project without any has none.
pub async fn datasets_are_listed_by_name(store: Store) {
    assert!(store.datasets(lake(LAKE)).await.unwrap().is_empty());
    for name in ["b", "a-1", "C", "a_1", "a"] {
        store.create_dataset(lake(LAKE), &dataset(name)).await.unwrap();
    }
    let expected: Vec<DatasetName> = ["a", "a-1", "a_1", "b", "c"].map(dataset).into();
    assert_eq!(store.datasets(lake(LAKE)).await.unwrap(), expected);
}

/// What needs a dataset says that there is none.
pub async fn a_missing_dataset_is_told_everywhere(store: Store) {
    store.create_dataset(lake(LAKE), &dataset("other")).await.unwrap();
    for lake in [lake(LAKE), lake(2)] {
        let (d, o) = (dataset(DATASET), object("a/b"));
        let file = std::env::temp_dir().join(format!("gadwall-nowhere-{}", std::process::id()));
        std::fs::write(&file, "x").unwrap();
        let adopted = store.adopt(lake, &d, &o, file.clone(), ContentType::guess(&o)).await;
        std::fs::remove_file(&file).unwrap();
        let answers = [
            store.delete_dataset(lake, &d).await.err(),
            store.list(lake, &d, &all()).await.err(),
            store.put(lake, &d, &o, content("x"), PutOptions::default()).await.err(),
            store.head(lake, &d, &o).await.err(),
            store.get(lake, &d, &o).await.err(),
            store.delete(lake, &d, &o, &Precondition::default()).await.err(),
            store.engine_location(lake, &d).await.err(),
            adopted.err(),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            assert!(matches!(answer, Some(ObjectError::NoDataset)), "{number}: {answer:?}");
        }
    }
}

/// A dataset is deleted only without objects, and can be made again.
pub async fn only_an_empty_dataset_is_deleted(store: Store) {
    fresh_dataset(&store).await;
    put(&store, "a/b/c", "x").await;
    let refused = store.delete_dataset(lake(LAKE), &dataset(DATASET)).await;
    assert!(matches!(refused, Err(ObjectError::DatasetNotEmpty)));
    assert_eq!(text(&store, "a/b/c").await, "x");
    delete(&store, "a/b/c").await;
    store.delete_dataset(lake(LAKE), &dataset(DATASET)).await.unwrap();
    assert!(store.datasets(lake(LAKE)).await.unwrap().is_empty());
    fresh_dataset(&store).await;
    assert!(listed(&store, all()).await.is_empty());
}

/// Two projects' datasets of one name have nothing to do with each other.
pub async fn projects_files_are_apart(store: Store) {
    fresh_dataset(&store).await;
    store.create_dataset(lake(2), &dataset(DATASET)).await.unwrap();
    put(&store, "a", "ours").await;
    assert!(store.list(lake(2), &dataset(DATASET), &all()).await.unwrap().is_empty());
    let theirs = store.head(lake(2), &dataset(DATASET), &object("a")).await;
    assert!(matches!(theirs, Err(ObjectError::NoObject)));
    let ours = store.engine_location(lake(LAKE), &dataset(DATASET)).await.unwrap();
    assert_ne!(ours, store.engine_location(lake(2), &dataset(DATASET)).await.unwrap());
}

/// Removing a project's files removes all of them and no others; doing it again is fine.
pub async fn removing_all_leaves_nothing_of_that_project(store: Store) {
    fresh_dataset(&store).await;
    store.create_dataset(lake(2), &dataset(DATASET)).await.unwrap();
    put(&store, "a/b", "x").await;
    for gone in [2, 2, 3] {
        store.remove_all(lake(gone)).await.unwrap();
    }
    assert!(store.datasets(lake(2)).await.unwrap().is_empty());
    assert_eq!(text(&store, "a/b").await, "x");
    store.remove_all(lake(LAKE)).await.unwrap();
    assert!(matches!(head(&store, "a/b").await, Err(ObjectError::NoDataset)));
    fresh_dataset(&store).await;
    assert!(listed(&store, all()).await.is_empty());
}
