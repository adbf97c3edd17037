//! Processes that don't outlive the test, however it ends.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Watches over a server: ends it with the signal that a line on its input names. When the input ends instead, the
/// test is over or dead: then the server goes at once, and its folder with it.
const WATCH: &str = r#"
folder=$1; shift
"$@" </dev/null &
server=$!
if read -r signal; then
    kill -s "$signal" "$server" 2>/dev/null; wait "$server"
else
    kill -s QUIT "$server" 2>/dev/null
    { sleep 5; kill -s KILL "$server" 2>/dev/null; } &
    wait "$server"; kill "$!" 2>/dev/null
    rm -rf "$folder"
fi
"#;

/// A server process and its watchman. Dropped, it takes the folder with it.
#[derive(Debug)]
pub struct Supervised {
    watchman: Child,
}

impl Supervised {
    /// Starts a program that keeps its data in a folder, perhaps as another user. What it says goes into a file there.
    pub fn start(folder: &Path, user: Option<u32>, program: &Path, arguments: &[&str]) -> Result<Self> {
        let log = std::fs::File::create(folder.join("log"))?;
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "watchman"]).arg(folder).arg(program).args(arguments);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        // A key pressed in the terminal ends the test, and the end of the test the server.
        command.process_group(0);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        Ok(Self { watchman: command.spawn().context("no `sh`")? })
    }

    /// Ends the server with a signal (`INT`, `KILL`, …); its folder stays.
    pub fn end(mut self, signal: &str) -> Result<()> {
        if let Some(mut input) = self.watchman.stdin.take() {
            writeln!(input, "{signal}")?;
        }
        self.watchman.wait()?;
        Ok(())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.watchman.stdin.take());
        let _ = self.watchman.wait();
    }
}

/// A port that nobody listened on a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
