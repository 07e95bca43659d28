//! Hours of everything at once: does the gateway need more and more?
//!
//! The one measurement that fails: memory, file descriptors and threads, never time.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use gatewright_e2e::wire::{self, Client};
use gatewright_testbed::{
    Clients, Error, Gateway, Mint, Postgres, Result, Setup, Stage, gateway_program, modules_directory,
};

use crate::{bulk, paths, process};

/// Connections at one time.
const CLIENTS: u64 = 12;

/// What may be more at the end than after the first part, in KiB. Other connections come and go, and what an allocator keeps of
/// them is not the same at each look.
const MAY_GROW: f64 = 16.0 * 1024.0;

/// How often it is looked at, and policies are changed.
const LOOKS: u32 = 10;

/// For so many minutes. A look each minute, and ten of them at least.
pub(crate) fn run(minutes: u32) -> Result<()> {
    let stage = Stage::new("soak")?;
    let postgres = Postgres::start_with(&stage, Clients::ScramPlain, &["max_connections=200"])?;
    bulk::fill(&postgres)?;
    postgres.sql("postgres", "alter table bulk add primary key (id)")?;
    let modules = modules_directory(&["statement_rules.wasm", "mask_columns.wasm"])?.display().to_string();
    let setup = Setup::new(&stage, "gateway", &gateway_program()?)?.in_front_of(&postgres)?;
    let setup = setup.policy("rules", &paths::ONE_POLICY.replace("MODULES", &modules))?;
    let gateway = setup.policy("masks", &masks(&modules, 4))?.start()?;
    let idle = Figures::of(&gateway);
    let (over, statements) = (AtomicBool::new(false), AtomicU64::new(0));
    let looks = LOOKS.max(minutes);
    let pause = Duration::from_secs(60) * minutes / looks;
    println!(
        "\n| minute | statements | RSS in MiB | file descriptors | threads |\n| ---: | ---: | ---: | ---: | ---: |"
    );
    let figures = thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (gateway, over, statements) = (&gateway, &over, &statements);
            scope.spawn(move || {
                let mut turn = number;
                while !over.load(Ordering::Relaxed) {
                    turn += CLIENTS;
                    // What a client gets is other tests' matter.
                    statements.fetch_add(connection(gateway, turn).unwrap_or_default(), Ordering::Relaxed);
                }
            });
        }
        let watched = watch(&gateway, &modules, looks, pause, &statements);
        over.store(true, Ordering::Relaxed);
        watched
    })?;
    let left = settle(&gateway, idle);
    println!("| the end | | {:.1} | {} | {} |", left.resident / 1024.0, left.descriptors, left.threads);
    // The first third warms up.
    let (warm, last) = (figures.get(figures.len() / 3), figures.last());
    let (Some(warm), Some(last)) = (warm, last) else { return Err(Error::new("it was not looked at")) };
    let grown = last.resident - warm.resident;
    println!(
        "\n{} statements; RSS grew by {:.1} MiB after the first third",
        statements.load(Ordering::Relaxed),
        grown / 1024.0
    );
    if statements.load(Ordering::Relaxed) == 0 {
        return Err(Error::new(format!("nothing was done: {}", gateway.log())));
    }
    if grown > MAY_GROW {
        return Err(Error::new(format!("memory grew by {grown:.0} KiB, where {MAY_GROW:.0} may be")));
    }
    // A connection of the kernel's to itself, a log's next file.
    if left.descriptors > idle.descriptors + 8 || left.threads > idle.threads + 8 {
        return Err(Error::new(format!("more is left than there was at first: {left:?}, and {idle:?}")));
    }
    gateway.end()
}

#[derive(Debug, Clone, Copy)]
struct Figures {
    resident: f64,
    descriptors: usize,
    threads: usize,
}

impl Figures {
    fn of(gateway: &Gateway) -> Self {
        let pid = gateway.pid();
        Self {
            resident: process::resident(pid),
            descriptors: process::count(pid, "fd"),
            threads: process::count(pid, "task"),
        }
    }
}

fn watch(
    gateway: &Gateway,
    modules: &str,
    looks: u32,
    pause: Duration,
    statements: &AtomicU64,
) -> Result<Vec<Figures>> {
    let start = Instant::now();
    let mut figures = Vec::new();
    for look in 1..=looks {
        thread::sleep(pause);
        let now = Figures::of(gateway);
        println!(
            "| {:.1} | {} | {:.1} | {} | {} |",
            start.elapsed().as_secs_f64() / 60.0,
            statements.load(Ordering::Relaxed),
            now.resident / 1024.0,
            now.descriptors,
            now.threads
        );
        figures.push(now);
        // Other masks, for sessions that are open too.
        gateway.write_policy("masks", &masks(modules, 2 + look % 4))?;
    }
    Ok(figures)
}

/// Waits until nobody is there any more, for a while.
fn settle(gateway: &Gateway, idle: Figures) -> Figures {
    let start = Instant::now();
    loop {
        let now = Figures::of(gateway);
        let settled = now.descriptors <= idle.descriptors && now.threads <= idle.threads;
        if settled || start.elapsed() > Duration::from_secs(30) {
            return now;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn masks(modules: &str, keep: u32) -> String {
    let document = paths::MASKS.replace("MODULES", modules).replace("\"bench\"", "\"masks\"");
    document.replace("partial = 4", &format!("partial = {keep}")) + "[match]\ngroups = [\"masked\"]\n"
}

/// A connection from its beginning to one of its ends. How many statements it had.
fn connection(gateway: &Gateway, turn: u64) -> Result<u64> {
    // Every third is of somebody for whom columns are masked.
    let groups: &[&str] = if turn.is_multiple_of(3) { &["masked"] } else { &["analysts"] };
    let subject = format!("user{}", turn % 7);
    let token = gateway.token(&Mint { groups, subject: &subject, ..Mint::default() })?;
    let mut client = Client::connect_tls(gateway.port(), &gateway.authority())?;
    client.send(&wire::startup(&[("user", "app"), ("database", "postgres")]))?;
    client.expect('R')?;
    client.send(&wire::password(&token))?;
    let key = client.until_ready()?.into_iter().find(|message| message.tag == 'K');
    let parse = wire::parse("wide", "select id, email, card from bulk where id = $1");
    client.send(&[parse, wire::sync()].concat())?;
    client.until_ready()?;
    let mut statements = 1;
    for number in 0..40 + turn % 60 {
        statements += 1;
        match (turn + number) % 8 {
            0 => drop(client.query("select 1 / 0")?),
            1 => {
                drop(client.query(&format!(
                    "select email, card, note from bulk where id <= {}",
                    10 + turn % 500
                ))?)
            }
            2 => drop(client.query("begin; select id from bulk where id = 7; rollback")?),
            3 => drop(client.query("delete from bulk")?),
            _ => {
                let id = (turn * 31 + number).to_string();
                let batch = [wire::bind("", "wide", &[&id]), wire::execute("", 0), wire::sync()];
                client.send(&batch.concat())?;
                client.until_ready()?;
            }
        }
    }
    match turn % 4 {
        // In the middle of an answer.
        0 => {
            client.send(&wire::query("select id, email, card, note from bulk"))?;
            client.bytes(50_000)?;
        }
        // Something runs, and is cancelled.
        1 => {
            client.send(&wire::query("select pg_sleep(60)"))?;
            thread::sleep(Duration::from_millis(20));
            let numbers = key.and_then(|key| {
                let (process, rest) = key.body.split_first_chunk::<4>()?;
                Some((u32::from_be_bytes(*process), u32::from_be_bytes(*rest.first_chunk()?)))
            });
            if let Some((process, secret)) = numbers {
                let mut canceller = Client::connect(gateway.port())?;
                canceller.send(&wire::cancel(process, secret))?;
                canceller.until_closed()?;
            }
            client.until_ready()?;
            client.send(&wire::terminate())?;
        }
        // It breaks the protocol.
        2 => {
            client.send(&wire::message('!', b""))?;
            client.until_closed()?;
        }
        _ => client.send(&wire::terminate())?,
    }
    Ok(statements + 1)
}
