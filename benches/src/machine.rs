//! What the numbers were measured on.

use std::{fs, process::Command};

/// The machine and the programs, as a list.
pub(crate) fn describe() -> String {
    let cpu = line("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = line("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let built = match std::env::var("GATEWRIGHT_PROGRAM") {
        Ok(program) => program,
        Err(_) if cfg!(debug_assertions) => "dev profile (not for comparing: use release)".to_owned(),
        Err(_) => "release profile".to_owned(),
    };
    [
        ("processor", format!("{cpu}, {cores} cores")),
        ("memory", memory),
        ("kernel", said("uname", &["-sr"])),
        ("load before", load.split(' ').next().unwrap_or_default().to_owned()),
        ("pgbench", said("pgbench", &["--version"])),
        ("PgBouncer", said("pgbouncer", &["--version"])),
        ("nginx", said("nginx", &["-v"])),
        ("HAProxy", said("haproxy", &["-v"])),
        ("gateway", format!("{}, {built}", env!("CARGO_PKG_VERSION"))),
    ]
    .map(|(what, value)| format!("- {what}: {value}"))
    .join("\n")
}

fn line(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("PATH", "/usr/sbin:/usr/bin:/bin").output();
    // nginx says its version on standard error.
    let text = output
        .map(|output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
