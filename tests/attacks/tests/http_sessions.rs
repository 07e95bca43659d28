//! Rows A9, A81 and A92: what was proved on a connection, and who may use it.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeSet, io::Write as _, thread, time::Duration};

use gatewright_e2e::{
    FakeUpstream, Front, Mint, eventually, evidence,
    http::{self, Reply, Shape},
    wire::Client,
};

const OLGA: Mint<'static> =
    Mint { subject: "olga", groups: &["operators"], actors: &[], kind: "human", ttl: "1h" };

fn target() -> FakeUpstream {
    FakeUpstream::start(|peer| {
        while http::request(peer)?.is_some() {
            peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
            peer.flush()?;
        }
        Ok(())
    })
    .unwrap()
}

/// A request on a connection that is kept.
fn ask(client: &mut Client, token: &str) -> Reply {
    let request = format!("GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    client.send(request.as_bytes()).unwrap();
    http::reply(client, false).unwrap()
}

fn token(front: &Front, subject: &str) -> String {
    front.gateway.token(&Mint::person(subject, &["analysts"])).unwrap()
}

#[test]
fn a092_requests_of_two_people_on_one_connection_share_no_session() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let (alice, bob) = (token(&front, "alice"), token(&front, "bob"));
    let mut client = front.connect().unwrap();
    for token in [&alice, &bob, &alice, &alice, &bob] {
        assert_eq!(ask(&mut client, token).status, 200);
    }
    drop(client);
    eventually("both sessions are closed", || front.evidence().unwrap().of("session_closed").len() == 2);
    let records = front.evidence().unwrap();
    let opened = records.of("session_opened");
    assert_eq!(opened.len(), 2, "{}", records.text());
    for (opened, (subject, events)) in opened.iter().zip([("alice", 3), ("bob", 2)]) {
        let session = evidence::text(opened, "session");
        assert_eq!(evidence::text(opened, "subject"), subject);
        let of = |kind: &str| {
            let records = records.of(kind).into_iter();
            records.filter(|record| evidence::text(record, "session") == session).collect::<Vec<_>>()
        };
        assert!(of("decision").iter().all(|decision| evidence::text(decision, "subject") == subject));
        assert_eq!((of("decision").len(), of("outcome").len()), (events, events));
        let closed = of("session_closed");
        assert_eq!(closed[0]["events"], events);
        assert_eq!(evidence::text(closed[0], "code"), "client_closed");
    }
    let numbers: BTreeSet<u64> =
        records.of("decision").iter().filter_map(|decision| decision["event"].as_u64()).collect();
    assert_eq!(numbers.len(), 5, "a request has one name on its connection");
}

#[test]
fn a009_what_was_proved_on_a_connection_ends_with_a_revocation() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let (alice, bob) = (token(&front, "alice"), token(&front, "bob"));
    let mut client = front.connect().unwrap();
    assert_eq!(ask(&mut client, &alice).status, 200);
    assert_eq!(ask(&mut client, &bob).status, 200);
    let revoke = ["revocations", "add", "--reason", "lost", "--subject", "alice"];
    assert!(front.gateway.ask(&OLGA, &revoke).unwrap().status.success());
    let refused = ask(&mut client, &alice);
    assert_eq!(refused.status, 401, "{}", refused.head);
    assert!(refused.body.contains("auth.revoked"), "{}", refused.body);
    assert_eq!(ask(&mut client, &bob).status, 200, "others go on");
    assert_eq!(ask(&mut client, &token(&front, "alice")).status, 401, "nor with a new token");
    let records = front.evidence().unwrap();
    let closed = records.of("session_closed");
    assert_eq!(evidence::text(closed[0], "code"), "auth.revoked", "{}", records.text());
}

#[test]
fn a009_what_was_proved_on_a_connection_ends_when_it_expires() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let mint = Mint { ttl: "1s", ..Mint::person("alice", &["analysts"]) };
    let token = front.gateway.token(&mint).unwrap();
    let mut client = front.connect().unwrap();
    let mut last = ask(&mut client, &token);
    assert_eq!(last.status, 200, "{}", last.head);
    // A session that does not end makes this loop end by its count. A minute is for clocks that differ.
    for _ in 0..1_000 {
        last = ask(&mut client, &token);
        if last.status != 200 {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    assert!(last.status == 401 && last.body.contains("auth."), "{} {}", last.head, last.body);
}

#[test]
fn a081_another_token_of_the_same_length_is_not_taken_for_the_one_that_was_proved() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let token = token(&front, "alice");
    let mut client = front.connect().unwrap();
    assert_eq!(ask(&mut client, &token).status, 200);
    // The last letter of a signature, a letter of its claims, and the same claims under another signature.
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let turned = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let forged = [
        format!("{signed}.{}", turned(signature, 5)),
        format!("{}.{signature}", turned(signed, signed.len() - 5)),
        format!("{signed}.{}", "A".repeat(signature.len())),
        signed.to_owned(),
    ];
    for forged in forged {
        assert_eq!(ask(&mut client, &forged).status, 401, "{forged}");
        assert_eq!(ask(&mut client, &token).status, 200);
    }
    assert_eq!(front.evidence().unwrap().of("session_opened").len(), 1);
}

#[test]
fn a009_an_operator_ends_a_session_and_the_next_request_begins_another() {
    let target = target();
    let front = Front::of(target.port()).unwrap();
    let token = token(&front, "alice");
    let mut client = front.connect().unwrap();
    assert_eq!(ask(&mut client, &token).status, 200);
    let records = front.evidence().unwrap();
    let session = evidence::text(records.of("session_opened")[0], "session").to_owned();
    let end = ["sessions", "end", &session, "--reason", "went astray"];
    let ended = front.gateway.ask(&OLGA, &end).unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ask(&mut client, &token).status, 200);
    let records = front.evidence().unwrap();
    assert_eq!(evidence::text(records.of("session_closed")[0], "code"), "session.ended");
    let opened: BTreeSet<String> = records
        .of("session_opened")
        .iter()
        .map(|record| evidence::text(record, "session").to_owned())
        .collect();
    assert_eq!(opened.len(), 2);
}

/// Whoever looks for a way in is to be seen: what a client was told is in the record, too.
#[test]
fn a081_who_is_turned_away_is_on_record_with_the_reason() {
    let target = target();
    let shape = Shape { listener: "inspect_body = 4096".to_owned(), ..Shape::default() };
    let front = Front::shaped(&[("api", target.port()), ("other", target.port())], &shape).unwrap();
    let head = front.head();
    let basic = "Authorization: Basic YTpi\r\n";
    let rest = [
        ("auth.missing", "GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 401),
        ("auth.malformed", format!("GET /api HTTP/1.1\r\nHost: localhost\r\n{basic}\r\n"), 401),
        ("http.no_route", format!("GET /nowhere HTTP/1.1\r\n{head}\r\n"), 404),
        (
            "http.body_limit",
            format!(
                "POST /api HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 99999\r\n\r\n"
            ),
            413,
        ),
    ];
    for (code, request, status) in rest {
        assert_eq!(front.ask(&request).unwrap().status, status, "{code}");
        eventually(code, || {
            let evidence = front.evidence().unwrap();
            evidence.of("refused").iter().any(|record| record["code"] == code)
        });
    }
    assert!(target.received().is_empty());
}
