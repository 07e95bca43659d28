//! Installs what is missing, and says so before it does.
//!
//! What the distribution has comes from apt. What it has not comes from its own registry into places that git
//! ignores: `.venv` and `target/tools`.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use gatewright_testbed::{Error, Result, repository};

use crate::{
    paint::{Style, paint},
    run,
};

/// What the machine is to be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Build, and run the demo.
    Demo,
    /// All that, and compare with a peer.
    Bench,
    /// All that, and run every check.
    Test,
}

/// Something that a package of Debian and Ubuntu brings.
struct Need {
    what: &'static str,
    package: &'static str,
    purposes: &'static [Purpose],
    present: fn() -> bool,
}

const EVERY: &[Purpose] = &[Purpose::Demo, Purpose::Bench, Purpose::Test];

const NEEDS: &[Need] = &[
    Need {
        what: "a C compiler, for aws-lc and pg_query",
        package: "gcc",
        purposes: EVERY,
        present: || run::exists("cc"),
    },
    Need {
        what: "the C library's headers",
        package: "libc6-dev",
        purposes: EVERY,
        present: || Path::new("/usr/include/stdio.h").exists(),
    },
    Need {
        what: "libclang, with which pg_query's bindings are made",
        package: "libclang-dev",
        purposes: EVERY,
        present: has_libclang,
    },
    Need {
        what: "a PostgreSQL server (only its programs are used: the demo and the tests start their own)",
        package: "postgresql",
        purposes: EVERY,
        present: has_postgresql,
    },
    Need { what: "psql", package: "postgresql-client", purposes: EVERY, present: || run::exists("psql") },
    Need {
        what: "openssl, for certificates of the demo and the tests",
        package: "openssl",
        purposes: EVERY,
        present: || run::exists("openssl"),
    },
    Need {
        what: "nginx, to have an HTTP service (only its program is used)",
        package: "nginx-light",
        purposes: EVERY,
        present: || Path::new("/usr/sbin/nginx").exists(),
    },
    Need {
        what: "OpenSSH's client",
        package: "openssh-client",
        purposes: EVERY,
        present: || run::exists("ssh"),
    },
    Need {
        what: "an OpenSSH server (only its program is used)",
        package: "openssh-server",
        purposes: EVERY,
        present: || Path::new("/usr/sbin/sshd").exists(),
    },
    Need {
        what: "xauth, for displays that an OpenSSH server forwards",
        package: "xauth",
        purposes: &[Purpose::Test],
        present: || run::exists("xauth"),
    },
    Need {
        what: "rsync, to be a real client of SSH",
        package: "rsync",
        purposes: &[Purpose::Test],
        present: || run::exists("rsync"),
    },
    Need {
        what: "curl, to be a real client",
        package: "curl",
        purposes: EVERY,
        present: || run::exists("curl"),
    },
    Need {
        what: "kubectl, to be a real client (1.30 or later, or the tests and the demo leave out what needs it)",
        package: "kubernetes-client",
        purposes: &[Purpose::Demo, Purpose::Test],
        present: || run::exists("kubectl"),
    },
    Need {
        what: "h2load, to test HTTP/2 under load",
        package: "nghttp2-client",
        purposes: &[Purpose::Test],
        present: || run::exists("h2load"),
    },
    Need {
        what: "Python, to test real drivers and clients",
        package: "python3",
        purposes: &[Purpose::Test],
        present: || run::exists("python3"),
    },
    Need {
        what: "Python's virtual environments",
        package: "python3-venv",
        purposes: &[Purpose::Test],
        present: || run::quietly(run::program("python3").args(["-c", "import ensurepip, venv"])),
    },
    Need {
        what: "a Java compiler, to test pgjdbc",
        package: "default-jdk-headless",
        purposes: &[Purpose::Test],
        present: || run::exists("javac"),
    },
    Need {
        what: "pgjdbc",
        package: "libpostgresql-jdbc-java",
        purposes: &[Purpose::Test],
        present: || Path::new("/usr/share/java/postgresql.jar").exists(),
    },
    Need {
        what: "Go, to test its drivers",
        package: "golang-go",
        purposes: &[Purpose::Test],
        present: || run::exists("go"),
    },
    Need {
        what: "pgx, a driver of Go",
        package: "golang-github-jackc-pgx-v4-dev",
        purposes: &[Purpose::Test],
        present: || Path::new("/usr/share/gocode/src/github.com/jackc/pgx/v4").exists(),
    },
    Need {
        what: "lib/pq, a driver of Go",
        package: "golang-github-lib-pq-dev",
        purposes: &[Purpose::Test],
        present: || Path::new("/usr/share/gocode/src/github.com/lib/pq").exists(),
    },
    Need {
        what: "Node.js, to test node-postgres",
        package: "nodejs",
        purposes: &[Purpose::Test],
        present: || run::exists("node"),
    },
    Need {
        what: "npm, which installs node-postgres",
        package: "npm",
        purposes: &[Purpose::Test],
        present: || run::exists("npm"),
    },
    Need {
        what: "PgBouncer, to compare with",
        package: "pgbouncer",
        purposes: &[Purpose::Bench],
        present: || run::exists("pgbouncer"),
    },
    Need {
        what: "HAProxy, to compare with",
        package: "haproxy",
        purposes: &[Purpose::Bench],
        present: || run::exists("haproxy"),
    },
    Need {
        what: "wrk, which asks over HTTP as fast as it can",
        package: "wrk",
        purposes: &[Purpose::Bench],
        present: || run::exists("wrk"),
    },
];

/// The version that `deny.toml` is written for.
const DENY_VERSION: &str = "0.20.2";

/// Installs what is missing for a purpose.
///
/// # Errors
/// Where something can not be installed; with the command to do it by hand.
pub(crate) fn run(purpose: Purpose) -> Result<()> {
    packages(purpose)?;
    let compiler = run::output(&mut run::program(repository().join("tools/setup-wasm.sh")))?;
    present(&format!("policy modules are built with {compiler}"));
    if purpose == Purpose::Test {
        python()?;
        node()?;
        deny()?;
    }
    Ok(())
}

/// The Python of the virtual environment with the driver in it.
pub(crate) fn python_program() -> PathBuf {
    repository().join(".venv/bin/python")
}

fn packages(purpose: Purpose) -> Result<()> {
    let missing: Vec<&Need> =
        NEEDS.iter().filter(|need| need.purposes.contains(&purpose) && !(need.present)()).collect();
    if missing.is_empty() {
        present("every package that is needed is installed");
        return Ok(());
    }
    for need in &missing {
        println!("  missing: {} ({})", need.what, need.package);
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!("sudo apt-get install --no-install-recommends {}", names.join(" "));
    if !run::exists("apt-get") {
        let what = format!("there is no apt-get here to install {}", names.join(", "));
        return Err(Error::new(what).remedy("install them with the package manager of this system"));
    }
    if !is_root() && !run::exists("sudo") {
        return Err(Error::new("packages are missing, and there is no sudo")
            .remedy(format!("run as root: {by_hand}")));
    }
    println!("  installing them now, as: {by_hand}");
    let advice = || format!("try it by hand: {by_hand}");
    run::step(as_root("apt-get").args(["update", "-q"])).map_err(|error| error.remedy(advice()))?;
    let mut install = as_root("apt-get");
    install.args(["install", "-q", "-y", "--no-install-recommends"]).args(&names);
    run::step(&mut install).map_err(|error| error.remedy(advice()))?;
    match missing.iter().find(|need| !(need.present)()) {
        None => Ok(()),
        Some(need) => {
            Err(Error::new(format!("{} was installed, and {} is still missing", need.package, need.what))
                .remedy(advice()))
        }
    }
}

/// What the tests need of PyPI (drivers of PostgreSQL, the Kubernetes client, websockets), in a virtual environment
/// of the repository's own.
fn python() -> Result<()> {
    let wanted = repository().join("tests/e2e/requirements.txt");
    let installed = repository().join(".venv/installed.txt");
    let text =
        fs::read(&wanted).map_err(|error| Error::new(format!("reading {}: {error}", wanted.display())))?;
    if fs::read(&installed).is_ok_and(|have| have == text) {
        present("the tests' Python packages are in .venv");
        return Ok(());
    }
    println!("  installing the tests' Python packages from PyPI into .venv");
    let advice = "the tests need https://pypi.org (or a pip configuration that names a mirror)";
    run::step(run::program("python3").args(["-m", "venv", "--clear", ".venv"]))?;
    let mut pip = run::program(python_program());
    pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r"]).arg(&wanted);
    run::step(&mut pip).map_err(|error| error.remedy(advice))?;
    fs::write(&installed, text)
        .map_err(|error| Error::new(format!("writing {}: {error}", installed.display())))
}

/// What the tests need of npm (node-postgres and its companions), into `target/tools`.
fn node() -> Result<()> {
    let wanted = repository().join("tests/e2e/drivers/node");
    let place = run::tools().join("node");
    let failed = |error: std::io::Error| Error::new(format!("preparing {}: {error}", place.display()));
    let lock = "package-lock.json";
    let text = fs::read(wanted.join(lock)).map_err(failed)?;
    let installed = place.join("installed.json");
    if fs::read(&installed).is_ok_and(|have| have == text) {
        present("the tests' packages for Node.js are in target/tools");
        return Ok(());
    }
    println!("  installing the tests' packages for Node.js from npm's registry into target/tools");
    fs::create_dir_all(&place).map_err(failed)?;
    for file in ["package.json", lock] {
        fs::copy(wanted.join(file), place.join(file)).map_err(failed)?;
    }
    let mut npm = run::program("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]).current_dir(&place);
    let advice = "the tests need https://registry.npmjs.org (or npm's configuration that names a mirror)";
    run::step(&mut npm).map_err(|error| error.remedy(advice))?;
    fs::write(&installed, text).map_err(failed)
}

/// cargo-deny: one that is installed will do; otherwise it is built without optimisation, which takes a minute
/// and saves four.
fn deny() -> Result<()> {
    if run::quietly(run::program("cargo").args(["deny", "--version"])) {
        present("cargo-deny is installed");
        return Ok(());
    }
    println!("  building cargo-deny {DENY_VERSION} into target/tools");
    let mut install =
        run::cargo(&["install", "cargo-deny", "--version", DENY_VERSION, "--locked", "--debug", "-q"]);
    install.args(["--no-default-features", "--root"]).arg(run::tools());
    install.env("CARGO_TARGET_DIR", run::tools().join("build")).env("CARGO_PROFILE_DEV_DEBUG", "0");
    run::step(&mut install)
        .map_err(|error| error.remedy("install it by hand: cargo install cargo-deny"))?;
    // What it was built from is not needed again.
    let _ = fs::remove_dir_all(run::tools().join("build"));
    Ok(())
}

/// The library is not enough: clang's own headers (`stddef.h`) come with the development package.
fn has_libclang() -> bool {
    entries("/usr/lib").iter().any(|llvm| {
        let library = entries(llvm.join("lib")).iter().any(|file| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libclang"))
                && file.to_string_lossy().contains(".so")
        });
        let headers =
            entries(llvm.join("lib/clang")).iter().any(|version| version.join("include/stddef.h").exists());
        library && headers
    })
}

fn has_postgresql() -> bool {
    entries("/usr/lib/postgresql").iter().any(|version| {
        ["postgres", "initdb", "pgbench"].iter().all(|name| version.join("bin").join(name).exists())
    })
}

fn entries(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn as_root(name: &str) -> Command {
    if is_root() {
        let mut command = run::program(name);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return command;
    }
    let mut command = run::program("sudo");
    command.args(["env", "DEBIAN_FRONTEND=noninteractive", name]);
    command
}

fn present(what: &str) {
    println!("  {} {what}", paint(Style::Green, "ok"));
}
