//! The program `gatewright`: see `gatewright --help`.

use std::process::ExitCode;

/// Many short allocations on many threads: mimalloc keeps both time and memory low.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gatewright::tls::install_provider();
    gatewright::cli::run(std::env::args_os(), &mut gatewright::cli::Terminal::standard())
}
