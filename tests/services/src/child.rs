//! A process that doesn't outlive the one that started it, however that one ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use anyhow::Context as _;

/// Watches over the server: it lives until a word comes in, or until nobody is there who could write one. A signal for
/// the death of a parent would be shorter, but it comes with the death of the *thread* that started the server. In `LEAVES`
/// are patterns of files that the server leaves elsewhere.
const WATCH: &str = r#"folder=$1; shift
"$@" </dev/null & server=$!
read -r word
case "$word" in stop) kill -TERM "$server" ;; *) kill -KILL "$server" ;; esac
wait "$server"
rm -f $LEAVES
[ -n "$word" ] || rm -rf "$folder""#;
/// How much of a log is shown.
const TAIL: i64 = 2_000;

/// A running server. Killed when dropped; its folder is removed when the test's process dies.
pub(crate) struct Child {
    watch: std::process::Child,
    words: Option<ChildStdin>,
}

impl Child {
    /// Starts a server that works in this folder and may write `log` in it.
    pub(crate) fn start(folder: &Path, program: &Path, args: &[String], env: &[(&str, &str)]) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("log"))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCH, "sh"]).arg(folder).arg(program).args(args).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).current_dir(folder);
        let mut watch = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        let words = watch.stdin.take();
        Ok(Self { watch, words })
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.end("stop\n");
    }

    fn end(&mut self, word: &str) {
        if let Some(mut words) = self.words.take() {
            // It may have ended by itself.
            let _ = words.write_all(word.as_bytes());
            drop(words);
            let _ = self.watch.wait();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end("kill\n");
    }
}

/// What the server said last.
pub(crate) fn said(folder: &Path) -> String {
    let tail = || -> std::io::Result<String> {
        let mut log = File::open(folder.join("log"))?;
        let _ = log.seek(SeekFrom::End(-TAIL));
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    tail().unwrap_or_default()
}
