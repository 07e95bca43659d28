//! Drivers can not tell the gateway from the server: each one's own programme gives the same with both.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use gatewright_e2e::{Result, Scene, conformance, driver};

#[test]
fn psycopg3() {
    let scene = Scene::open().unwrap();
    let known = [("a pipeline of two hundred", "39800"), ("cancel", "57014"), ("async", "190")];
    conformance::compare(&scene, "psycopg3", || python("psycopg3"), &known).unwrap();
}

fn python(driver: &str) -> Result<Command> {
    let programmes = conformance::directory(driver);
    let mut command = Command::new(driver::python()?);
    command.arg(programmes.join("programme.py")).env("PYTHONPATH", conformance::directory(""));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}
