//! The soak in short. `make soak` is the long one, which tells slow leaks, too.

use std::time::Duration;

use anyhow::{Result, ensure};
use gadwall_tests::load::soak::{self, Rule, Soak};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_minutes_of_all_sorts_leave_nothing_behind() -> Result<()> {
    let length = Duration::from_mins(2);
    let soak = Soak { length, rule: Rule::short(length), metadata: None };
    let report = soak::run(soak, &|line| eprintln!("{line}")).await?;
    eprintln!("{report}");
    ensure!(report.held(), "{report}\n{}", report.log());
    Ok(())
}
