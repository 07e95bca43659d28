//! `cargo xtask demo`: everything once, with real servers and real clients.

mod api;
mod cluster;
mod host;
mod stage;
mod stay;
mod tour;

use gatewright_testbed::{Error, Result};

use crate::{
    modules,
    paint::{Style, paint},
    run, setup,
};

/// Sets up, builds, shows, and takes everything down again, unless told to stay.
///
/// # Errors
/// Where something can not be installed, built or started, or the tour meets something that it did not expect.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let stay = match arguments {
        [] => false,
        [flag] if flag == "--stay" => true,
        _ => return Err(Error::new("`cargo xtask demo` takes --stay or nothing")),
    };
    println!("{}", paint(Style::Bold, "Preparing"));
    setup::run(setup::Purpose::Demo)?;
    modules::build()?;
    run::step(&mut run::cargo(&[
        "build",
        "--workspace",
        "--bin",
        "gatewright",
        "--bin",
        "gatewright-apiserver",
    ]))?;

    let mut stage = stage::Demo::start()?;
    if let Err(error) = tour::run(&mut stage) {
        println!("\n{}", paint(Style::Bold, "What the gateway said"));
        println!("{}", stage.gateway.log().trim_end());
        return Err(error);
    }
    if stay {
        stay::until_interrupted(&stage)?;
    } else {
        println!("Everything is taken down. `cargo xtask demo --stay` leaves it running for you to try.");
    }
    Ok(())
}
