//! COPY, both ways.

use expect_test::expect;
use gatewright_playbook::{Play, Stage, check, messages::*};

fn copy_in() -> Vec<u8> {
    message(b'G', &[0, 0, 1, 0, 0])
}

#[test]
fn data_flows_in_once_the_target_takes_it() {
    check(
        |play| {
            play.log_in();
            play.client(query("copy orders from stdin"));
            play.permit();
            play.client([message(b'd', b"1\t2\n"), message(b'd', b"3\t4\n"), message(b'c', b"")].concat());
            play.target(copy_in());
            play.target([complete("COPY 2"), ready(b'I')].concat());
        },
        expect![[r#"
            client: Q(copy orders from stdin)
              decide sql.query `copy orders from stdin`
            permit
              to target: Q(copy orders from stdin)
            client: d d c
            target: G
              to target: d d c
              to client: G
            target: C(COPY 2) Z(I)
              to client: C(COPY 2) Z(I)
              finished 1: ok, 2 rows
        "#]],
    );
}

#[test]
fn data_flows_out() {
    check(
        |play| {
            play.log_in();
            play.client(query("copy orders to stdout"));
            play.permit();
            play.target(
                [
                    message(b'H', &[0, 0, 1, 0, 0]),
                    message(b'd', b"1\t2\n"),
                    message(b'c', b""),
                    complete("COPY 1"),
                    ready(b'I'),
                ]
                .concat(),
            );
        },
        expect![[r#"
            client: Q(copy orders to stdout)
              decide sql.query `copy orders to stdout`
            permit
              to target: Q(copy orders to stdout)
            target: H d(1\t2\n) c C(COPY 1) Z(I)
              to client: H d(1\t2\n) c C(COPY 1) Z(I)
              finished 1: ok, 1 rows
        "#]],
    );
}

#[test]
fn a_batch_that_copies_ignores_its_first_sync() {
    check(
        |play| {
            play.log_in();
            play.client(
                [parse("", "copy orders from stdin"), bind("", "", &[]), execute(""), sync()].concat(),
            );
            play.permit();
            play.permit();
            play.target([message(b'1', b""), message(b'2', b""), copy_in()].concat());
            play.client([message(b'd', b"1\t2\n"), message(b'c', b""), sync()].concat());
            play.target([complete("COPY 1"), ready(b'I')].concat());
        },
        expect![[r#"
            client: P(copy orders from stdin) B() E() S
              decide sql.parse `copy orders from stdin`
            permit
              to target: P(copy orders from stdin) B()
              decide sql.execute `copy orders from stdin`
            permit
              to target: E() S
            target: 1 2 G
              to client: 1 2 G
              finished 1: ok
            client: d c S
              to target: d c S
            target: C(COPY 1) Z(I)
              to client: C(COPY 1) Z(I)
              finished 2: ok, 1 rows
        "#]],
    );
}

#[test]
fn a022_data_without_a_copy_is_dropped() {
    check(
        |play| {
            play.log_in();
            play.client(
                [message(b'd', b"1\n"), message(b'c', b""), message(b'f', b"x\0"), query("select 1")]
                    .concat(),
            );
        },
        expect![[r#"
            client: d c f Q(select 1)
              decide sql.query `select 1`
        "#]],
    );
}

#[test]
fn a022_a_query_inside_a_copy_fails_the_copy_and_ends_the_session() {
    check(
        |play| {
            play.log_in();
            play.client(query("copy orders from stdin"));
            play.permit();
            play.target(copy_in());
            play.client([message(b'd', b"1\t2\n"), query("delete from people")].concat());
        },
        expect![[r#"
            client: Q(copy orders from stdin)
              decide sql.query `copy orders from stdin`
            permit
              to target: Q(copy orders from stdin)
            target: G
              to client: G
            client: d Q(delete from people)
              to target: d f X
              to client: E(08P01 a message of type `Q` while COPY takes in data)
              error pg.copy_state
              finished 1: unknown
              close Upstream
              connect out of band
        "#]],
    );
}

#[test]
fn a022_data_of_any_size_is_streamed() {
    let mut play = Play::relay(&Stage::default(), 1 << 16);
    play.client(query("copy t from stdin"));
    play.permit();
    play.target(copy_in());
    let data = message(b'd', &vec![b'x'; 20 << 20]);
    play.client(&data);
    assert!(play.transcript().target_bytes() == &data[..]);
}

#[test]
fn a006_replication_is_not_spoken() {
    check(
        |play| {
            play.log_in();
            play.client(query("select 1"));
            play.permit();
            play.target(message(b'W', &[0, 0, 0]));
        },
        expect![[r#"
            client: Q(select 1)
              decide sql.query `select 1`
            permit
              to target: Q(select 1)
            target: W
              to target: X
              to client: E(08006 the connection to the target failed)
              error upstream.protocol
              finished 1: unknown
              close Upstream
              connect out of band
        "#]],
    );
}

#[test]
fn a_copy_behind_which_the_client_has_synced_takes_in_its_data() {
    let mut play = Play::relay(&Stage::default(), usize::MAX);
    // Names something: what follows the Sync waits until that is known. Data of the COPY does not follow.
    let copy = [parse("s", "copy orders from stdin"), bind("", "s", &[]), execute(""), sync()].concat();
    play.client(copy);
    play.permit();
    play.permit();
    play.target([message(b'1', b""), message(b'2', b""), message(b'G', &[0, 0, 1, 0, 0])].concat());
    play.client([message(b'd', b"1\n"), message(b'c', b""), sync()].concat());
    let sent = render(play.transcript().target_bytes(), true);
    assert!(sent.starts_with("d") && sent.contains(" c"), "{}", play.transcript());
}

#[test]
fn a_batch_behind_a_copy_whose_data_came_early_waits_for_it_no_more() {
    check(
        |play| {
            play.log_in();
            // asyncpg sends data without waiting for CopyInResponse, and later a Flush without a Sync.
            play.client(query("copy orders from stdin"));
            play.permit();
            play.client([message(b'd', b"1\t2\n"), message(b'c', b"")].concat());
            play.target(copy_in());
            play.target([complete("COPY 1"), ready(b'I')].concat());
            play.client([parse("", "select 1"), describe('S', ""), message(b'H', b"")].concat());
            play.permit();
        },
        expect![[r#"
            client: Q(copy orders from stdin)
              decide sql.query `copy orders from stdin`
            permit
              to target: Q(copy orders from stdin)
            client: d c
            target: G
              to target: d c
              to client: G
            target: C(COPY 1) Z(I)
              to client: C(COPY 1) Z(I)
              finished 1: ok, 1 rows
            client: P(select 1) D(S) H
              decide sql.parse `select 1`
            permit
              to target: P(select 1) D(S) H
        "#]],
    );
}
