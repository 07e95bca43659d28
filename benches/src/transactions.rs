//! Short transactions: how many a second, and what each costs in the proxy.

use gatewright_testbed::Result;

use crate::{
    Plan,
    paths::Paths,
    pgbench::{self, Protocol},
    process::Cpu,
};

#[derive(Debug, Default)]
struct Sum {
    name: &'static str,
    tps: Vec<f64>,
    transactions: f64,
    cpu: Cpu,
    proxied: bool,
}

/// Every path in turn, several rounds, for both protocols.
pub(crate) fn measure(paths: &Paths, plan: Plan) -> Result<()> {
    for protocol in [Protocol::Simple, Protocol::Prepared] {
        let each = paths.each()?;
        let mut sums: Vec<Sum> = each
            .iter()
            .map(|path| Sum { name: path.name, proxied: path.proxy.is_some(), ..Sum::default() })
            .collect();
        for round in 0..=plan.rounds {
            for (path, sum) in each.iter().zip(&mut sums) {
                let cpu = || path.proxy.map(Cpu::of).unwrap_or_default();
                let before = cpu();
                // The first round warms up and is short.
                let seconds = if round == 0 { 1 } else { plan.seconds };
                let run = pgbench::select_only(&path.connection, protocol, seconds)?;
                let spent = cpu() - before;
                if round > 0 {
                    sum.tps.push(run.tps);
                    sum.transactions += run.transactions;
                    sum.cpu =
                        Cpu { user: sum.cpu.user + spent.user, system: sum.cpu.system + spent.system };
                }
            }
        }
        print(protocol, &sums);
    }
    Ok(())
}

fn print(protocol: Protocol, sums: &[Sum]) {
    println!("pgbench select-only, {}:\n", protocol.name());
    println!("| path | TPS (median) | of direct | CPU a transaction | user | system |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let direct = sums.first().map_or(f64::NAN, |sum| median(&sum.tps));
    for sum in sums {
        let tps = median(&sum.tps);
        let share = 100.0 * tps / direct;
        if sum.proxied {
            let of = |value: f64| value / sum.transactions;
            println!(
                "| {} | {tps:.0} | {share:.0} % | {:.1} us | {:.1} us | {:.1} us |",
                sum.name,
                of(sum.cpu.total()),
                of(sum.cpu.user),
                of(sum.cpu.system)
            );
        } else {
            println!("| {} | {tps:.0} | {share:.0} % | | | |", sum.name);
        }
    }
    println!();
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
