//! How much memory there is: what the container may use, or what the machine has.

use std::fs;

/// What a control group writes where it has no limit, in version 1: the largest number that is a multiple of a page.
const NO_LIMIT_V1: u64 = 1 << 60;

/// Memory this process could use, in bytes; 0 where the system doesn't say.
pub fn total_memory() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let own = read("/proc/self/cgroup").and_then(|text| own_group(&text));
    let own_limit = own.and_then(|group| read(&format!("/sys/fs/cgroup{group}/memory.max")));
    total(
        [own_limit, read("/sys/fs/cgroup/memory.max"), read("/sys/fs/cgroup/memory/memory.limit_in_bytes")],
        read("/proc/meminfo"),
    )
}

/// The smallest of the control groups' limits and the machine's memory.
fn total(groups: [Option<String>; 3], meminfo: Option<String>) -> u64 {
    let limits = groups.into_iter().flatten().filter_map(|text| group_limit(&text));
    let machine = meminfo.and_then(|text| machine_memory(&text));
    limits.chain(machine).min().unwrap_or(0)
}

/// The group this process is in, of version 2: the line `0::/path`. A parent's limit may be lower; containers show
/// their own group as the root, so that is not looked for.
fn own_group(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    (path.starts_with('/') && path.len() > 1 && !path.contains("..")).then(|| path.to_owned())
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

    fn total_of(groups: [&str; 3], meminfo: &str) -> u64 {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        total(groups.map(text), text(meminfo))
    }

    #[test]
    fn the_smallest_limit_holds() {
        assert_eq!(total_of(["", "", ""], MEMINFO), 16_777_216, "no groups: the machine");
        assert_eq!(total_of(["", "1048576\n", ""], MEMINFO), 1_048_576, "version 2");
        assert_eq!(total_of(["", "max\n", ""], MEMINFO), 16_777_216, "version 2 without a limit");
        assert_eq!(total_of(["", "", "2097152\n"], MEMINFO), 2_097_152, "version 1");
        assert_eq!(total_of(["", "", "9223372036854771712\n"], MEMINFO), 16_777_216, "version 1 without a limit");
        assert_eq!(total_of(["524288\n", "1048576\n", ""], MEMINFO), 524_288, "the own group");
        assert_eq!(total_of(["", "99999999999\n", ""], MEMINFO), 16_777_216, "more than there is");
    }

    #[test]
    fn what_nobody_tells_is_zero() {
        assert_eq!(total_of(["", "", ""], ""), 0);
        assert_eq!(total_of(["0", "x", "-1"], "MemTotal: many kB"), 0);
        assert_eq!(total_of(["", "", ""], "MemTotal: 18446744073709551615 kB"), 0);
    }

    #[test]
    fn the_own_group_is_the_one_of_version_2() {
        assert_eq!(own_group("12:memory:/a\n0::/user.slice/x\n").as_deref(), Some("/user.slice/x"));
        assert_eq!(own_group("0::/\n"), None);
        assert_eq!(own_group("0::/../escaped\n"), None);
        assert_eq!(own_group("12:memory:/a\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_memory() {
        assert!(total_memory() > 64 << 20);
    }
}
