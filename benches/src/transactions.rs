//! Short transactions: how many a second, and what each costs in the proxy.

use gatewright_testbed::Result;

use crate::{
    Plan,
    paths::Paths,
    pgbench::{self, Protocol},
    turns::{self, Turn},
};

/// Every path in turn, several rounds, for both protocols.
pub(crate) fn measure(paths: &Paths, plan: Plan) -> Result<()> {
    for protocol in [Protocol::Simple, Protocol::Prepared] {
        let each = paths.each()?;
        let ways: Vec<_> = each.iter().map(|path| (path.name, path.proxy)).collect();
        let sums = turns::take(&ways, plan.rounds, |index, warming| {
            // The first round warms up and is short.
            let seconds = if warming { 1 } else { plan.seconds };
            let path = each.get(index).ok_or_else(|| gatewright_testbed::Error::new("no such path"))?;
            let run = pgbench::select_only(&path.connection, protocol, seconds)?;
            Ok(Turn { done: run.transactions, rate: run.tps })
        })?;
        println!("pgbench select-only, {}:\n", protocol.name());
        turns::print(&sums, "TPS", "transaction");
    }
    Ok(())
}
