//! `cargo xtask regress`: PostgreSQL's own regression suite, once against a server itself and once through the gateway.
//!
//! Its scripts print what a server answers, error messages and all, and are compared with what they should
//! print. So a script that is right without the gateway and differs with it shows where clients can tell the
//! two apart. The policy allows everything; what is refused all the same is the gateway's own doing.

mod report;
mod suite;

use gatewright_testbed::{
    Clients, Error, Gateway, Mint, Postgres, Result, Setup, Stage, gateway_program, modules_directory,
};

use self::{
    report::{CLOSED, OPENED, Report},
    suite::{Server, Suite},
};
use crate::{modules, run, setup};

/// Runs the suite on both ways, and writes the page that says how it went.
///
/// # Errors
/// Where the suite can not be had or run, or a script differs and nobody has said why.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let json = match arguments {
        [] => false,
        [flag] if flag == "--json" => true,
        _ => return Err(Error::new("`cargo xtask regress` takes --json or nothing")),
    };
    setup::run(setup::Purpose::Demo)?;
    let suite = Suite::fetch()?;
    modules::build()?;
    run::step(&mut run::cargo(&["build", "--quiet", "--workspace"]))?;
    eprintln!("  the suite, without the gateway");
    let direct = suite.run("direct", direct)?;
    eprintln!("  the suite, through the gateway");
    let opened = suite.run("gateway", |stage| through(stage, EVERYTHING))?;
    eprintln!("  the suite, through the gateway, which takes nothing that it can not read");
    let closed = suite.run("closed", |stage| through(stage, UNDERSTOOD))?;
    let report = Report::new(suite.version(), &direct.outcomes, [(OPENED, opened), (CLOSED, closed)])?;
    if json {
        println!("{}", report.json());
    } else {
        print!("{}", report.text());
    }
    report.write_page()?;
    report.verdict()
}

/// A server as `pg_regress` starts one for itself, where that is not what it is like anyway.
fn server(stage: &Stage) -> Result<Postgres> {
    let postgres = Postgres::start_with(stage, Clients::Scram, &SETTINGS)?;
    postgres.sql("postgres", &format!("alter role postgres password '{}'", postgres.password()))?;
    Ok(postgres)
}

/// The last two take back what a testbed's server has to be smaller and faster: when rows become visible to
/// all shows in plans.
const SETTINGS: [&str; 7] = [
    "max_prepared_transactions=2",
    "log_autovacuum_min_duration=0",
    "log_checkpoints=on",
    "log_lock_waits=on",
    "log_temp_files=128kB",
    "synchronous_commit=on",
    "shared_buffers=128MB",
];

fn direct(stage: &Stage) -> Result<Server> {
    let postgres = server(stage)?;
    Ok(Server {
        port: postgres.port(),
        password: postgres.password().to_owned(),
        authority: postgres.certificates().authority(),
        postgres,
        gateway: None,
    })
}

/// The account is the superuser: the scripts are written for one.
fn through(stage: &Stage, rules: &str) -> Result<Server> {
    let postgres = server(stage)?;
    let module = modules_directory(&["statement_rules.wasm"])?.join("statement_rules.wasm");
    let policy = format!("name = \"everything\"\nmodule = \"{}\"\n{rules}", module.display());
    let setup = Setup::new(stage, "gateway", &gateway_program()?)?
        .in_front_of(&postgres)?
        .account("postgres")
        .policy("everything", &policy)?;
    let gateway: Gateway = setup.start()?;
    let mint = Mint { subject: "suite", groups: &[], kind: "service", ttl: "2h", ..Mint::default() };
    Ok(Server {
        port: gateway.port(),
        password: gateway.token(&mint)?,
        authority: gateway.authority(),
        postgres,
        gateway: Some(gateway),
    })
}

/// Settings of a policy that allows everything, what nobody can read too.
pub(crate) const EVERYTHING: &str = r#"allow_grades = ["disputed", "opaque"]
[settings]
allow_grades = ["disputed", "opaque"]
require_where = []
deny_effects = []
allow_role_switch = true
"#;

const UNDERSTOOD: &str = r#"allow_grades = ["disputed"]
[settings]
allow_grades = ["disputed"]
require_where = []
deny_effects = []
allow_role_switch = true
"#;
