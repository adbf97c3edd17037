//! How much memory there is: what the container may use, or what the machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// What a control group writes where it has no limit, in version 1: the largest number that is a multiple of a page.
const NO_LIMIT_V1: u64 = 1 << 60;

/// Memory this process could use, in bytes; 0 where the system doesn't say.
pub fn total_memory() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup")).map(|text| limit_files(&text)).unwrap_or_default();
    let limits = groups.iter().filter_map(|path| read(path)).collect();
    total(limits, read(Path::new("/proc/meminfo")))
}

/// The smallest of the control groups' limits and the machine's memory.
fn total(groups: Vec<String>, meminfo: Option<String>) -> u64 {
    let limits = groups.into_iter().filter_map(|text| group_limit(&text));
    let machine = meminfo.and_then(|text| machine_memory(&text));
    limits.chain(machine).min().unwrap_or(0)
}

/// Where limits of this process stand. Version 2 names its group in the line `0::/path`, version 1 in one like
/// `4:memory:/path`; a limit of any group above holds too.
fn limit_files(cgroup: &str) -> Vec<PathBuf> {
    let version_2 = cgroup.lines().find_map(|line| line.strip_prefix("0::/"));
    let version_1 = cgroup.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(":/")?;
        controllers.split(',').any(|name| name == "memory").then_some(path)
    });
    let files = |root: &str, own: Option<&str>, file: &str| -> Vec<PathBuf> {
        let own = own.filter(|path| !path.contains("..")).unwrap_or("");
        // A path's ancestors end with the empty one, which is the root.
        Path::new(own).ancestors().map(|group| Path::new(root).join(group).join(file)).collect()
    };
    let mut all = files("/sys/fs/cgroup", version_2, "memory.max");
    all.extend(files("/sys/fs/cgroup/memory", version_1, "memory.limit_in_bytes"));
    all
}

/// `max` in version 2 and a huge number in version 1 mean no limit.
fn group_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| (1..NO_LIMIT_V1).contains(limit))
}

/// The line `MemTotal:   16384 kB`, in bytes.
fn machine_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16384 kB\nMemFree:          12 kB\n";

    fn total_of(groups: &[&str], meminfo: &str) -> u64 {
        let groups = groups.iter().map(ToString::to_string).collect();
        total(groups, (!meminfo.is_empty()).then(|| meminfo.to_owned()))
    }

    #[test]
    fn the_smallest_limit_holds() {
        assert_eq!(total_of(&[], MEMINFO), 16_777_216, "no groups: the machine");
        assert_eq!(total_of(&["1048576\n"], MEMINFO), 1_048_576);
        assert_eq!(total_of(&["max\n"], MEMINFO), 16_777_216, "version 2 without a limit");
        assert_eq!(total_of(&["9223372036854771712\n"], MEMINFO), 16_777_216, "version 1 without a limit");
        assert_eq!(total_of(&["max\n", "524288\n", "1048576\n"], MEMINFO), 524_288, "a group above");
        assert_eq!(total_of(&["99999999999\n"], MEMINFO), 16_777_216, "more than there is");
    }

    #[test]
    fn what_nobody_tells_is_zero() {
        assert_eq!(total_of(&[], ""), 0);
        assert_eq!(total_of(&["0", "x", "-1", ""], "MemTotal: many kB"), 0);
        assert_eq!(total_of(&[], "MemTotal: 18446744073709551615 kB"), 0);
    }

    #[test]
    fn limits_are_looked_for_up_to_the_root() {
        let files = |text: &str| -> Vec<String> {
            limit_files(text).iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        let version_1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(
            files("12:memory:/z\n0::/a.slice/b\n"),
            [
                "/sys/fs/cgroup/a.slice/b/memory.max",
                "/sys/fs/cgroup/a.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
                "/sys/fs/cgroup/memory/z/memory.limit_in_bytes",
                version_1
            ]
        );
        for root in ["0::/\n", "0::/../elsewhere\n", "4:cpu,memory:/\n", "12:memory:/../a\n", ""] {
            assert_eq!(files(root), ["/sys/fs/cgroup/memory.max", version_1], "{root}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        assert!(total_memory() > 64 << 20);
    }
}
