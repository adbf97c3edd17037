//! Names of objects in paths. A name may have slashes, but routes match one segment at a time, and the API's
//! document has no way to say otherwise: so the name's slashes are encoded before routing, and decoded with the
//! rest of the name by the route.

use poem::http::Method;

/// What may come after an object's name, in a `POST`.
const PRESIGN: &str = "/presign";

/// The path with an object's name as one segment, if it names one and isn't that yet.
pub(crate) fn fold(method: &Method, path: &str) -> Option<String> {
    match path.strip_suffix(PRESIGN) {
        Some(object) if *method == Method::POST && names_an_object(object) => {
            fold_name(object).map(|folded| folded + PRESIGN)
        }
        _ => fold_name(path),
    }
}

fn fold_name(path: &str) -> Option<String> {
    let (area, object) = split(path)?;
    object.contains('/').then(|| format!("{area}/{}", object.replace('/', "%2F")))
}

/// Whether the path is that of an object.
pub(crate) fn names_an_object(path: &str) -> bool {
    split(path).is_some()
}

/// The path of a dataset, and the name of an object in it.
fn split(path: &str) -> Option<(&str, &str)> {
    let slashes = match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        ["datasets", _, _, ..] => 3,
        ["projects", _, "datasets", _, _, ..] => 5,
        _ => return None,
    };
    let (end, _) = path.match_indices('/').nth(slashes - 1)?;
    Some((&path[..end], &path[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slashes_of_a_name_are_encoded_and_nothing_else() {
        let folded = |path: &str| fold(&Method::GET, path).unwrap_or_else(|| path.to_owned());
        assert_eq!(folded("/datasets/d/a/b%2Fc/../x"), "/datasets/d/a%2Fb%2Fc%2F..%2Fx");
        assert_eq!(folded("/datasets/d/a/presign"), "/datasets/d/a%2Fpresign");
        let posted = |path: &str| fold(&Method::POST, path);
        assert_eq!(posted("/datasets/d/a/b/presign").as_deref(), Some("/datasets/d/a%2Fb/presign"));
        assert_eq!(posted("/datasets/d/a/presign"), None);
        assert_eq!(folded("/projects/p/datasets/d/a//b/"), "/projects/p/datasets/d/a%2F%2Fb%2F");
        for same in ["/datasets/d/a", "/datasets/d", "/datasets", "/projects/p/datasets/d", "/projects/p/buckets/b/c/d"]
        {
            assert_eq!(fold(&Method::POST, same), None, "{same}");
        }
        for (path, names) in [("/datasets/d/a", true), ("/projects/p/datasets/d/a", true), ("/datasets/d", false)] {
            assert_eq!(names_an_object(path), names, "{path}");
        }
    }
}
