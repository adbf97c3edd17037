//! The rounds that look at memory and work throughput out.

use std::sync::Arc;

use gadwall_application::operating::{Measured, Operating, SAMPLED_EVERY, THROUGHPUT_EVERY};

use crate::config::Features;
use crate::rounds::Rounds;

/// Starts those that the configuration wants; they end with what is answered.
pub(crate) fn start(operating: Arc<Operating>, measured: Arc<Measured>, features: &Features) -> Vec<Rounds> {
    let memory = features.enable_memory_monitoring.then(|| {
        Rounds::start(SAMPLED_EVERY, move || {
            let operating = Arc::clone(&operating);
            async move { operating.sample().await }
        })
    });
    let throughput = features.enable_performance_tracking.then(|| {
        Rounds::start(THROUGHPUT_EVERY, move || {
            let measured = Arc::clone(&measured);
            async move { measured.work_out() }
        })
    });
    memory.into_iter().chain(throughput).collect()
}
