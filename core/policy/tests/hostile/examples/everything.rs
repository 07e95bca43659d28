//! No attack: a module that calls every function of the contract through the SDK and says what came, so that
//! a test can hold all of it against the event that it was shown.
#![cfg(target_family = "wasm")]

use gatewright_policy_sdk::{
    Access, ColumnMask, ConditionLimit, Detector, DetectorMask, Effect, Escalation, Event, Http, Mask, Method, Sql,
    Verdict, policy,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What to answer.
    answer: Answer,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Session,
    Statement,
    Parts,
    Http,
    Mask,
    Escalate,
}

policy! {
    name: "everything",
    kinds: ["sql.query", "sql.execute", "http.request"],
    inputs: ["parameters", "clock"],
    settings: Settings,
    evaluate: evaluate,
}

fn evaluate(event: &Event, settings: &Settings) -> Verdict {
    if let Answer::Http = settings.answer {
        assert!(event.sql().is_none());
        return said(request(event, &event.http().unwrap()));
    }
    assert!(event.http().is_none());
    let sql = event.sql().unwrap();
    match settings.answer {
        Answer::Session => said(session(event)),
        Answer::Statement => said(statement(event, &sql)),
        Answer::Parts => said(parts(&sql)),
        Answer::Http => unreachable!(),
        Answer::Mask => Mask {
            columns: vec![ColumnMask {
                schema: "public".into(),
                relation: "people".into(),
                column: "ssn".into(),
                method: Method::Partial(4),
                rule: "column".into(),
            }],
            detectors: vec![DetectorMask {
                detector: Detector::CardNumber,
                method: Method::Hash,
                rule: "detector".into(),
            }],
            conditions: vec![ConditionLimit {
                schema: "public".into(),
                relation: "people".into(),
                column: "ssn".into(),
                most: 3,
            }],
            ..Mask::default()
        }
        .into(),
        Answer::Escalate => Escalation {
            reviewers: vec!["dba".into(), "sec".into()],
            quorum: 2,
            ttl: std::time::Duration::from_secs(60),
            ..Escalation::new("held", "why")
        }
        .into(),
    }
}

fn said(words: Vec<String>) -> Verdict {
    Verdict::block("said", words.join(" "), "")
}

fn session(event: &Event) -> Vec<String> {
    let (principal, session) = (event.principal(), event.session());
    let groups: Vec<_> = principal.groups().collect();
    let actors: Vec<_> = principal.actors().collect();
    vec![
        format!("{:?}", event.now()),
        principal.subject(),
        principal.issuer(),
        format!("{:?}", principal.kind()),
        format!("{groups:?} {} {}", principal.in_group("analysts"), principal.in_group("analyst")),
        format!("{actors:?} {} {}", principal.involves("agent-7"), principal.involves("bob")),
        format!("{:?} {:?}", principal.claim("team"), principal.claim("none")),
        session.protocol(),
        session.listener(),
        session.target(),
        session.account(),
        format!("{:?} {:?}", session.attribute("database"), session.attribute("none")),
        session.client_address(),
    ]
}

fn statement(event: &Event, sql: &Sql) -> Vec<String> {
    let parameters: Vec<_> = sql.parameters().collect();
    vec![
        event.kind(),
        format!("{:?} {:?}", event.grade(), event.grade_reason()),
        format!("{:?} {:?} {:?}", sql.text(), sql.normalised(), sql.fingerprint()),
        format!("{} {}", sql.has_effect(Effect::Write), sql.has_effect(Effect::Ddl)),
        format!("{} {}", sql.touches("public", "people", None), sql.touches("public", "pets", None)),
        format!("{}", sql.touches("public", "people", Some(Access::Read))),
        format!("{}", sql.touches("public", "people", Some(Access::Write))),
        format!("{} {}", sql.calls("now"), sql.calls("then")),
        format!("{parameters:?}"),
    ]
}

fn parts(sql: &Sql) -> Vec<String> {
    let mut words = Vec::new();
    for statement in sql.statements() {
        let effects: Vec<_> = statement.effects().iter().collect();
        words.push(format!("{} {effects:?} {:?}", statement.kinds().join("+"), statement.has_where()));
        words.extend(statement.relations().map(|relation| {
            format!("{:?} {} {:?}", relation.schema(), relation.name(), relation.access())
        }));
        words
            .extend(statement.columns().map(|column| format!("{:?} {}", column.relation(), column.name())));
        words.extend(
            statement.functions().map(|function| {
                format!("{:?} {} {:?}", function.schema(), function.name(), function.class())
            }),
        );
    }
    words
}

fn request(event: &Event, http: &Http) -> Vec<String> {
    let query: Vec<_> = http.query_pairs().collect();
    let headers: Vec<_> = http.headers().collect();
    vec![
        format!("{} {}", event.kind(), event.session().protocol()),
        format!("{} {} {} {}", http.method(), http.scheme(), http.authority(), http.path()),
        format!("{} {} {}", http.is_safe(), http.path_under("/people"), http.path_under("/peopl")),
        format!("{:?} {:?} {:?}", http.route(), http.route_parameter("id"), http.route_parameter("none")),
        format!("{:?} {:?} {query:?}", http.query("a"), http.query("none")),
        format!("{:?} {:?} {headers:?}", http.header("X-Tenant"), http.header("none")),
        format!("{:?} {:?}", http.media_type(), http.body()),
    ]
}
