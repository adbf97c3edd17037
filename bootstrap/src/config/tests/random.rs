//! Whatever the sources hold, loading ends with a configuration or with an error.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::Given;
use crate::config::key::keys;

/// Pieces that grammars are made of, and pieces of what is really written.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'",
    "'''",
    "\"\"\"",
    "#",
    "\n",
    "\r\n",
    " ",
    "\\",
    "$",
    "_",
    "-",
    "\u{0}",
    "\u{feff}",
    "ä",
    "🦆",
    "export ",
    "true",
    "false",
    "0x",
    "1e999",
    "-1",
    "18446744073709551616",
    "1979-05-27",
    "inf",
    "nan",
    "server",
    "port",
    "auth",
    "admin_keys",
    "GADWALL__",
    "SERVER__PORT",
    "PORT",
    "4GB",
    "30s",
    "********",
    "99999999999999999999TiB",
];

fn text(random: &mut StdRng) -> String {
    (0..random.random_range(0..40)).filter_map(|_| PIECES.choose(random)).copied().collect()
}

/// An assignment to a real key, of something that it may or may not take.
fn assignment(random: &mut StdRng) -> String {
    let paths: Vec<&str> = keys().map(|key| key.path).collect();
    let value = match random.random_range(0..6) {
        0 => random.random::<i64>().to_string(),
        1 => random.random::<bool>().to_string(),
        2 => format!("{:?}", random.random::<f64>() * 1e12),
        3 => format!("[{:?}, 1, {{ a = 1 }}]", text(random)),
        4 => "1979-05-27T07:32:00Z".to_owned(),
        _ => toml::Value::from(text(random)).to_string(),
    };
    format!("{} = {value}\n", paths.choose(random).copied().unwrap_or_default())
}

#[test]
fn nothing_that_is_written_makes_loading_panic() {
    let mut read = 0;
    for seed in 0..400 {
        let random = &mut StdRng::seed_from_u64(seed);
        let toml = if random.random() {
            text(random)
        } else {
            (0..random.random_range(0..4)).map(|_| assignment(random)).collect()
        };
        let given = Given::nothing()
            .file(&toml)
            .dotenv(&if random.random() { text(random) } else { String::new() })
            .env(&if random.random() { format!("GADWALL__{}", text(random)) } else { text(random) }, &text(random))
            .env("PORT", &if random.random() { text(random) } else { String::new() });
        match given.load() {
            Ok(loaded) => {
                read += 1;
                assert!(loaded.render_effective().parse::<toml::Table>().is_ok(), "seed {seed}");
            }
            Err(error) => assert!(
                !error.problems().is_empty() && !error.to_string().contains("its own key"),
                "seed {seed}: {error}"
            ),
        }
    }
    assert!(read > 0, "not one was valid, so nothing was tried");
}
