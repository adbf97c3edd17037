//! How the pools of connections fare.

use gadwall_domain::ports::operating::PoolFigures;

/// The figures of a pool.
pub(crate) fn of(name: &'static str, system: &'static str, size: u32, idle: usize, max: u32) -> PoolFigures {
    let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
    PoolFigures { name, system, used: size - idle, idle, max }
}
