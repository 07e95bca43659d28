//! A result of many gigabytes: what the gateway holds of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::wire::{self, Client};
use gatewright_testbed::{Error, Gateway, Mint, Result};

use crate::{paths::Paths, process};

/// Rows of the table: about 100 MB. So often they are repeated for each gigabyte.
const TIMES_A_GIGABYTE: u32 = 10;

/// The same result without masks and with two columns masked, over TLS.
pub(crate) fn measure(gigabytes: u32) -> Result<()> {
    let paths = Paths::open(true)?;
    println!("\nA result of {gigabytes} GB over TLS, memory of the gateway in MiB:\n");
    println!(
        "| | before | at its highest | after | seconds | CPU of it in s |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    );
    for (name, gateway) in [("no masks", &paths.gateway), ("two columns masked", &paths.masking)] {
        let token = gateway.token(&Mint { ttl: "10h", ..Mint::default() })?;
        let mut client = Client::session(gateway.port(), &gateway.authority(), &token)?;
        // What everybody costs only once: the first 3 MB.
        read(&mut client, "select * from bulk where id <= 3000")?;
        process::forget_peak(gateway.pid());
        let before = process::resident(gateway.pid());
        let cpu = process::Cpu::of(gateway.pid());
        let (sampling, start) = (Sampling::start(gateway), Instant::now());
        let text = format!(
            "select b.* from bulk b cross join generate_series(1, {})",
            gigabytes * TIMES_A_GIGABYTE
        );
        let bytes = read(&mut client, &text)?;
        let (seconds, sampled) = (start.elapsed().as_secs_f64(), sampling.end());
        let cpu = (process::Cpu::of(gateway.pid()) - cpu).total() / 1e6;
        let after = process::resident(gateway.pid());
        let highest = sampled.max(process::peak(gateway.pid()));
        let [before, highest, after] = [before, highest, after].map(|kib| kib / 1024.0);
        println!(
            "| {name}, {:.2} GB | {before:.1} | {highest:.1} | {after:.1} | {seconds:.0} | {cpu:.1} |",
            bytes as f64 / 1e9
        );
    }
    paths.end()
}

/// Bytes of the answer, of which nothing is kept.
fn read(client: &mut Client, text: &str) -> Result<u64> {
    client.send(&wire::query(text))?;
    let mut bytes = 0;
    while let Some(message) = client.message()? {
        bytes += message.body.len() as u64 + 5;
        match message.tag {
            'Z' => return Ok(bytes),
            'E' => return Err(Error::new(message.error().unwrap_or_default())),
            _ => {}
        }
    }
    Err(Error::new("the connection was closed inside of an answer"))
}

/// Looks at the memory of a process now and then: the kernel's own peak can not always be set back.
struct Sampling {
    is_over: Arc<AtomicBool>,
    looking: thread::JoinHandle<f64>,
}

impl Sampling {
    fn start(gateway: &Gateway) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, pid) = (Arc::clone(&is_over), gateway.pid());
        let looking = thread::spawn(move || {
            let mut highest: f64 = 0.0;
            while !over.load(Ordering::Relaxed) {
                highest = highest.max(process::resident(pid));
                thread::sleep(Duration::from_millis(50));
            }
            highest
        });
        Self { is_over, looking }
    }

    fn end(self) -> f64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.looking.join().unwrap_or_default()
    }
}
