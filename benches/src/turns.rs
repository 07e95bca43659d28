//! Every way to the server in turn, round after round: what each did, and what it cost in the process between.

use gatewright_testbed::Result;

use crate::process::{Cpu, Watch};

/// What one turn did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// How many things.
    pub(crate) done: f64,
    /// How many a second.
    pub(crate) rate: f64,
}

/// What all turns of one way did.
#[derive(Debug)]
pub(crate) struct Sum {
    name: &'static str,
    proxied: bool,
    rates: Vec<f64>,
    done: f64,
    cpu: Cpu,
}

/// Lets each way have its turns. `ways` are names with the process between client and server, if there is one; `run` is
/// told which one, and whether it is to warm up only, which does not count.
pub(crate) fn take(
    ways: &[(&'static str, Option<u32>)],
    rounds: u32,
    mut run: impl FnMut(usize, bool) -> Result<Turn>,
) -> Result<Vec<Sum>> {
    let mut sums: Vec<Sum> = ways
        .iter()
        .map(|(name, proxy)| Sum {
            name,
            proxied: proxy.is_some(),
            rates: Vec::new(),
            done: 0.0,
            cpu: Cpu::default(),
        })
        .collect();
    for round in 0..=rounds {
        for (index, ((_, proxy), sum)) in ways.iter().zip(&mut sums).enumerate() {
            let watch = proxy.map(Watch::start);
            let turn = run(index, round == 0)?;
            let spent = watch.map(Watch::end).unwrap_or_default();
            if round > 0 {
                sum.rates.push(turn.rate);
                sum.done += turn.done;
                sum.cpu = Cpu { user: sum.cpu.user + spent.user, system: sum.cpu.system + spent.system };
            }
        }
    }
    Ok(sums)
}

/// A table of what came out, the first way being the measure of the others.
pub(crate) fn print(sums: &[Sum], rate: &str, thing: &str) {
    println!("| path | {rate} (median) | of direct | CPU a {thing} | user | system |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let direct = sums.first().map_or(f64::NAN, |sum| median(&sum.rates));
    for sum in sums {
        let rate = median(&sum.rates);
        let share = 100.0 * rate / direct;
        let digits = if rate < 100.0 { 1 } else { 0 };
        if sum.proxied {
            let of = |value: f64| value / sum.done;
            println!(
                "| {} | {rate:.digits$} | {share:.0} % | {:.1} us | {:.1} us | {:.1} us |",
                sum.name,
                of(sum.cpu.total()),
                of(sum.cpu.user),
                of(sum.cpu.system)
            );
        } else {
            println!("| {} | {rate:.digits$} | {share:.0} % | | | |", sum.name);
        }
    }
    println!();
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
