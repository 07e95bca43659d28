use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use gatewright_model::{
    decision::{Escalation, SetVersion},
    digest::Digest,
    event::{Event, Facet, SessionContext},
    http::{HttpBody, HttpEvent, HttpRequest},
    id::{ApprovalId, EventId, SessionId},
    principal::{Principal, PrincipalKind},
    sql::{Analysis, Grade, Parameter, SqlEvent, SqlPhase},
};

use crate::{
    Answer, AnswerError, Approvals, NewRequest, OPEN_PER_SUBJECT, RequestError, Settled, State, Ticket,
    visible,
};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;
const TTL: Duration = Duration::from_secs(60);

fn principal(subject: &str, groups: &[&str], actors: &[&str]) -> Principal {
    Principal {
        subject: subject.into(),
        issuer: "test".into(),
        kind: PrincipalKind::Human,
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        actors: actors.iter().map(|actor| Arc::from(*actor)).collect(),
        claims: Vec::new(),
        credential: "t1".into(),
        issued_at: None,
        expires_at: None,
    }
}

fn asked(text: &str, parameters: Vec<Parameter>, quorum: u8, asking: Principal) -> NewRequest {
    let analysis = Analysis {
        text: text.into(),
        normalised: text.into(),
        fingerprint: "".into(),
        grade: Grade::Verified,
        grade_reason: None,
        statements: Arc::default(),
    };
    NewRequest {
        session: Arc::new(SessionContext {
            id: SessionId::from_random([1; 16]),
            protocol: "postgres",
            listener: "l".into(),
            target: "t".into(),
            account: "app".into(),
            attributes: vec![("database", "orders\naccount admin".into())],
            client: ([127, 0, 0, 1], 1).into(),
            principal: Arc::new(asking),
            opened_at: NOW,
        }),
        event: Arc::new(Event {
            id: EventId::FIRST,
            payload: Digest::new([7; 32]),
            facet: Facet::Sql(SqlEvent {
                phase: SqlPhase::Query,
                analysis: Arc::new(analysis),
                parameters,
            }),
        }),
        escalation: Escalation {
            rule: "escalate/drop".into(),
            reason: "it drops a table".into(),
            reviewers: vec!["reviewers".into()],
            quorum,
            ttl: TTL,
        },
        set: SetVersion { number: 1, digest: Digest::new([0; 32]) },
    }
}

fn request(approvals: &Approvals, quorum: u8) -> Ticket {
    let alice = principal("alice", &["reviewers"], &["agent-7"]);
    approvals.request(asked("drop table people", Vec::new(), quorum, alice), NOW).unwrap()
}

fn answer(
    approvals: &Approvals,
    id: &ApprovalId,
    reviewer: &Principal,
    answer: Answer,
) -> Result<State, AnswerError> {
    approvals.answer(id, reviewer, answer, "because", NOW, |_| Ok(()))
}

fn poll(ticket: &mut Ticket) -> Poll<Settled> {
    std::pin::Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()))
}

fn bob() -> Principal {
    principal("bob", &["reviewers"], &[])
}

#[test]
fn an_approval_by_someone_else_lets_it_run() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 1);
    assert_eq!(poll(&mut ticket), Poll::Pending);
    assert_eq!(answer(&approvals, &ticket.id().clone(), &bob(), Answer::Approve), Ok(State::Approved));
    assert_eq!(poll(&mut ticket), Poll::Ready(Settled::Approved { by: vec!["bob".into()] }));
}

#[test]
fn f025_what_was_withdrawn_is_settled_and_what_was_settled_is_not_withdrawn() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    assert_eq!(poll(&mut ticket), Poll::Pending);
    approvals.withdraw(&id);
    assert_eq!(answer(&approvals, &id, &bob(), Answer::Approve), Err(AnswerError::Settled));
    assert_eq!(poll(&mut ticket), Poll::Ready(Settled::Withdrawn));

    let mut ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    assert_eq!(answer(&approvals, &id, &bob(), Answer::Approve), Ok(State::Approved));
    approvals.withdraw(&id);
    assert_eq!(poll(&mut ticket), Poll::Ready(Settled::Approved { by: vec!["bob".into()] }));
}

#[test]
fn a096_nobody_in_the_chain_can_answer() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    for (reviewer, error) in [
        (principal("alice", &["reviewers"], &[]), AnswerError::OwnRequest),
        (principal("agent-7", &["reviewers"], &[]), AnswerError::OwnRequest),
        (principal("alice", &["reviewers"], &["helper"]), AnswerError::OwnRequest),
        (principal("bob", &["reviewers"], &["agent-7"]), AnswerError::ByAgent),
        (principal("bob", &["analysts"], &[]), AnswerError::NotAReviewer),
        (principal("bob", &[], &[]), AnswerError::NotAReviewer),
    ] {
        assert_eq!(answer(&approvals, &id, &reviewer, Answer::Approve), Err(error), "{reviewer:?}");
    }
    // The same name by another issuer may be the same person.
    let other = Principal { issuer: "other".into(), ..principal("alice", &["reviewers"], &[]) };
    assert_eq!(answer(&approvals, &id, &other, Answer::Approve), Err(AnswerError::OwnRequest));
    assert_eq!(poll(&mut ticket), Poll::Pending);
}

#[test]
fn a096_one_reviewer_counts_once() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 2);
    let id = ticket.id().clone();
    assert_eq!(answer(&approvals, &id, &bob(), Answer::Approve), Ok(State::Pending));
    assert_eq!(answer(&approvals, &id, &bob(), Answer::Approve), Err(AnswerError::Again));
    assert_eq!(poll(&mut ticket), Poll::Pending);
    let carol = principal("carol", &["reviewers"], &[]);
    assert_eq!(answer(&approvals, &id, &carol, Answer::Approve), Ok(State::Approved));
}

#[test]
fn a096_an_old_answer_can_not_be_used_again() {
    let approvals = Approvals::new();
    let ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    answer(&approvals, &id, &bob(), Answer::Approve).unwrap();
    let carol = principal("carol", &["reviewers"], &[]);
    assert_eq!(answer(&approvals, &id, &carol, Answer::Approve), Err(AnswerError::Settled));
    let unknown = ApprovalId::from_random([9; 10]);
    assert_eq!(answer(&approvals, &unknown, &carol, Answer::Approve), Err(AnswerError::Unknown));
}

#[test]
fn f024_time_that_is_over_is_a_refusal() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    approvals.expire(NOW + TTL - Duration::from_secs(1));
    assert_eq!(poll(&mut ticket), Poll::Pending);
    let late = approvals.answer::<AnswerError>(&id, &bob(), Answer::Approve, "", NOW + TTL, |_| Ok(()));
    assert_eq!(late, Err(AnswerError::Settled), "even before the sweep");
    approvals.expire(NOW + TTL);
    assert_eq!(poll(&mut ticket), Poll::Ready(Settled::Expired));
}

#[test]
fn whoever_stopped_to_wait_may_come_back_once_with_the_same() {
    let approvals = Approvals::new();
    let ask = || asked("delete from people", Vec::new(), 1, principal("alice", &[], &[]));
    approvals.request(ask(), NOW).unwrap().park();
    let id = approvals.list(false)[0].id.clone();
    assert_eq!(approvals.list(false).len(), 1, "it waits for a reviewer");
    answer(&approvals, &id, &bob(), Answer::Approve).unwrap();
    let mut ticket = approvals.resume(&ask(), NOW).unwrap();
    assert_eq!(ticket.id(), &id);
    assert_eq!(poll(&mut ticket), Poll::Ready(Settled::Approved { by: vec!["bob".into()] }));
    drop(ticket);
    assert!(approvals.resume(&ask(), NOW).is_none(), "an approval is good once");
}

#[test]
fn a096_nobody_comes_back_for_what_somebody_else_asked_or_for_something_else() {
    let approvals = Approvals::new();
    let alice = || principal("alice", &[], &["agent"]);
    let ask = || asked("delete from people", Vec::new(), 1, alice());
    approvals.request(ask(), NOW).unwrap().park();
    let mut others = vec![
        asked("delete from people", Vec::new(), 1, principal("mallory", &[], &["agent"])),
        asked("delete from people", Vec::new(), 1, principal("alice", &[], &[])),
        asked("delete from people", Vec::new(), 2, alice()),
    ];
    let mut other = |change: fn(&mut NewRequest)| {
        let mut asked = ask();
        change(&mut asked);
        others.push(asked);
    };
    other(|asked| Arc::make_mut(&mut asked.event).payload = Digest::new([9; 32]));
    other(|asked| Arc::make_mut(&mut asked.session).target = "other".into());
    other(|asked| asked.set.digest = Digest::new([9; 32]));
    for other in others {
        assert!(approvals.resume(&other, NOW).is_none());
    }
    assert!(approvals.resume(&ask(), NOW + TTL).is_none(), "its time is over");
}

#[test]
fn who_comes_back_waits_on_and_can_leave_for_good() {
    let approvals = Approvals::new();
    let ask = || asked("delete from people", Vec::new(), 1, principal("alice", &[], &[]));
    approvals.request(ask(), NOW).unwrap().park();
    let mut ticket = approvals.resume(&ask(), NOW).unwrap();
    assert_eq!(poll(&mut ticket), Poll::Pending);
    drop(ticket);
    assert_eq!(approvals.pending(), 0, "withdrawn");
    // What is parked counts among what one subject may ask for, answered or not.
    for _ in 0..OPEN_PER_SUBJECT {
        approvals.request(ask(), NOW).unwrap().park();
    }
    let one = approvals.list(false)[0].id.clone();
    answer(&approvals, &one, &bob(), Answer::Approve).unwrap();
    assert_eq!(approvals.request(ask(), NOW).err(), Some(RequestError::TooMany));
    approvals.expire(NOW + TTL);
    assert!(approvals.request(ask(), NOW).is_ok());
}

#[test]
fn f025_an_answer_after_the_client_left_counts_for_nothing() {
    let approvals = Approvals::new();
    let ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    drop(ticket);
    assert_eq!(answer(&approvals, &id, &bob(), Answer::Approve), Err(AnswerError::Settled));
    assert_eq!(approvals.show(&id).unwrap().state, State::Withdrawn);
}

#[test]
fn f026_the_first_rejection_wins() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 2);
    let id = ticket.id().clone();
    answer(&approvals, &id, &bob(), Answer::Approve).unwrap();
    let carol = principal("carol", &["reviewers"], &[]);
    assert_eq!(answer(&approvals, &id, &carol, Answer::Reject), Ok(State::Rejected));
    let rejected = Settled::Rejected { by: "carol".into(), comment: "because".into() };
    assert_eq!(poll(&mut ticket), Poll::Ready(rejected));
    assert_eq!(approvals.show(&id).unwrap().votes.len(), 2, "both are kept");
}

#[test]
fn a094_a_view_names_everything_that_an_approval_covers() {
    let approvals = Approvals::new();
    let alice = principal("alice", &[], &["agent-7"]);
    let parameters = vec![Parameter::Text("42".into()), Parameter::Null];
    let ticket =
        approvals.request(asked("delete from t where id = $1", parameters, 1, alice), NOW).unwrap();
    let view = approvals.show(ticket.id()).unwrap();
    assert_eq!(view.payload, Digest::new([7; 32]));
    assert_eq!((&*view.subject, &*view.target, &*view.account), ("alice", "t", "app"));
    assert_eq!(view.actors, [Arc::from("agent-7")]);
    assert_eq!(view.text, "delete from t where id = $1");
    assert_eq!(view.parameters, ["'42'", "null"]);
}

#[test]
fn a095_what_would_hide_is_shown() {
    assert_eq!(visible("select 1"), "select 1");
    assert_eq!(visible("a\tb\nc"), "a\tb\nc");
    assert_eq!(visible("x \u{202e}gnihton"), "x ⟦U+202E⟧gnihton");
    assert_eq!(visible("a\u{200b}b\u{feff}"), "a⟦U+200B⟧b⟦U+FEFF⟧");
    assert_eq!(visible("\u{1b}[2Jx\r"), "⟦U+001B⟧[2Jx⟦U+000D⟧");
    assert_eq!(visible("drop table t;   \n--"), "drop table t;⟦U+0020⟧⟦U+0020⟧⟦U+0020⟧\n--");
    assert_eq!(visible("a\u{a0}b"), "a⟦U+00A0⟧b");
}

#[test]
fn a095_what_is_too_long_to_show_is_not_asked() {
    let approvals = Approvals::new();
    let alice = || principal("alice", &[], &[]);
    let long = "x".repeat(crate::DISPLAY_LIMIT + 1);
    let error = approvals.request(asked(&long, Vec::new(), 1, alice()), NOW).unwrap_err();
    assert_eq!(error, RequestError::TooLong);
    let hidden = vec![Parameter::Text(long.as_str().into())];
    assert_eq!(
        approvals.request(asked("select $1", hidden, 1, alice()), NOW).unwrap_err(),
        RequestError::TooLong
    );
}

#[test]
fn a097_one_subject_can_not_flood_the_reviewers() {
    let approvals = Approvals::new();
    let tickets: Vec<Ticket> = (0..OPEN_PER_SUBJECT).map(|_| request(&approvals, 1)).collect();
    let ask =
        |subject: &str| approvals.request(asked("x", Vec::new(), 1, principal(subject, &[], &[])), NOW);
    assert_eq!(ask("alice").unwrap_err(), RequestError::TooMany);
    assert!(ask("dave").is_ok(), "another subject is not in the way");
    drop(tickets);
    assert!(ask("alice").is_ok());
}

#[test]
fn what_is_not_recorded_does_not_count() {
    let approvals = Approvals::new();
    let mut ticket = request(&approvals, 1);
    let id = ticket.id().clone();
    let failed = approvals.answer(&id, &bob(), Answer::Approve, "", NOW, |_| Err(AnswerError::Unknown));
    assert_eq!(failed, Err(AnswerError::Unknown));
    assert_eq!(poll(&mut ticket), Poll::Pending);
}

#[test]
fn a_rejection_says_why() {
    let approvals = Approvals::new();
    let ticket = request(&approvals, 1);
    let empty = approvals.answer::<AnswerError>(ticket.id(), &bob(), Answer::Reject, " ", NOW, |_| Ok(()));
    assert_eq!(empty, Err(AnswerError::CommentMissing));
}

#[test]
fn lists_show_what_waits_and_on_request_what_was_settled() {
    let approvals = Approvals::new();
    let open = request(&approvals, 1);
    drop(request(&approvals, 1));
    assert_eq!(approvals.list(false).len(), 1);
    assert_eq!(approvals.list(true).len(), 2);
    assert_eq!(approvals.pending(), 1);
    drop(open);
}

#[test]
fn a095_what_a_reviewer_could_not_see_is_not_asked() {
    let request = HttpRequest {
        method: "POST".into(),
        scheme: "https",
        authority: "api.example".into(),
        path: "/pay".into(),
        query: Vec::new(),
        query_text: "".into(),
        headers: Vec::new(),
        route: "all".into(),
        route_parameters: Vec::new(),
    };
    let ask = |body| {
        let mut asked = asked("", Vec::new(), 1, principal("alice", &[], &[]));
        let http = HttpEvent { request: Arc::new(request.clone()), body, response: None };
        Arc::make_mut(&mut asked.event).facet = Facet::Http(http);
        Approvals::new().request(asked, NOW).err()
    };
    assert_eq!(ask(HttpBody::Streamed { length: Some(7) }), Some(RequestError::Unseen));
    assert_eq!(ask(HttpBody::Streamed { length: None }), Some(RequestError::Unseen));
    assert_eq!(ask(HttpBody::Empty), None);
    assert_eq!(ask(HttpBody::Read { bytes: "amount=1".into(), json: None }), None);
}

#[test]
fn a096_a_reviewer_sees_in_which_database_it_runs() {
    let approvals = Approvals::new();
    let _ticket = request(&approvals, 1);
    let view = &approvals.list(false)[0];
    assert_eq!(view.attributes["database"], "orders⟦U+000A⟧account admin");
}
