//! Short transactions: how many a second, and what each costs in the proxy.

use gatewright_testbed::Result;

use crate::{
    Plan,
    paths::Paths,
    pgbench::{self, Protocol},
    turns::{self, Turn},
};

/// Clients at one time. With few, each finds the proxy asleep, and the proxy its peers: waking them is most of what is measured.
const CLIENTS: [u32; 2] = [8, 64];

/// Every path in turn, several rounds, for both protocols.
pub(crate) fn measure(paths: &Paths, plan: Plan) -> Result<()> {
    for (clients, protocol) in
        CLIENTS.iter().flat_map(|clients| Protocol::ALL.map(|protocol| (*clients, protocol)))
    {
        let each = paths.each()?;
        let ways: Vec<_> = each.iter().map(|path| (path.name, path.proxy)).collect();
        let sums = turns::take(&ways, plan.rounds, |index, warming| {
            // The first round warms up and is short.
            let seconds = if warming { 1 } else { plan.seconds };
            let path = each.get(index).ok_or_else(|| gatewright_testbed::Error::new("no such path"))?;
            let run = pgbench::select_only(&path.connection, protocol, clients, seconds)?;
            Ok(Turn { done: run.transactions, rate: run.tps })
        })?;
        println!("pgbench select-only, {clients} clients, {}:\n", protocol.name());
        turns::print(&sums, "TPS", "transaction");
    }
    Ok(())
}
