//! A32: settings that a server announces, notifications, names of columns and command tags.

use gatewright_e2e::wire::{self, Client, Message};

use super::super::{Attack, CAROL, MALLORY, SECRET, Sent, Sides, Who, contains, print, say, shows};

const SETTINGS: &[Attack] = &[
    shows(&["select set_config('application_name', ssn, false) from people where id = 1"]),
    shows(&["select count(set_config('application_name', ssn, false)) from people where id = 1"]),
    shows(&["select 1 from people where id = 1 and set_config('application_name', ssn, false) <> ''"]),
    shows(&[
        "begin",
        "select 1 from people where id = 1 and set_config('application_name', ssn, true) <> ''",
        "commit",
    ]),
    shows(&[
        "do $$ begin perform set_config('application_name', (select ssn from people where id = 1), false); end $$",
    ]),
    shows(&["select lab.announces()"]),
    shows(&["select 1 from orders where lab.announces() is null"]),
    shows(&["call lab.announced()"]),
];

const NAMES: &[Attack] = &[
    shows(&[
        "begin",
        "do $$ declare c refcursor := 'c'; begin open c for execute (select format('select 1 as %I', ssn) from people where id = 1); end $$",
        "fetch all from c",
        "commit",
    ]),
    shows(&[
        "do $$ begin execute (select format('create temp table t as select 1 as %I', ssn) from people where id = 1); end $$",
        "table t",
    ]),
    shows(&[
        "do $$ begin execute (select format('prepare p as select 1 as %I', ssn) from people where id = 1); end $$",
        "execute p",
    ]),
    shows(&[
        "do $$ begin execute (select format('create temp view v as select 1 as %I', ssn) from people where id = 1); end $$",
        "select * from v",
    ]),
    shows(&[
        "do $$ begin execute (select format('create type lab.t as enum (%L)', ssn) from people where id = 1); end $$",
        "select enum_range(null::lab.t)",
    ]),
];

/// Nothing but the notification tells it, to whoever listens.
const NOTIFIED: &[&[&str]] = &[
    &["select pg_notify('c', ssn) from people where id = 1"],
    &["select count(pg_notify('c', ssn)) from people where id = 1"],
    &["select 1 from people where id = 1 and pg_notify('c', ssn) is null"],
    &["begin", "select 1 from people where id = 1 and pg_notify('c', ssn) is null", "commit"],
    &["do $$ begin perform pg_notify('c', ssn) from people where id = 1; end $$"],
    &["do $$ begin execute (select format('notify c, %L', ssn) from people where id = 1); end $$"],
    &["select lab.notifies()"],
    &["prepare q as select 1 from people where id = 1 and pg_notify('c', ssn) is null", "execute q"],
];

fn sides() -> Sides {
    Sides::prepare(
        "",
        "create function lab.ssn_of(int) returns text language sql as 'select ssn from public.people where id = $1'; \
         create function lab.announces() returns int language plpgsql as $$ begin perform set_config('application_name', lab.ssn_of(1), false); return 1; end $$; \
         create procedure lab.announced() language plpgsql as $$ begin perform lab.announces(); end $$; \
         create function lab.notifies() returns int language plpgsql as $$ begin perform pg_notify('c', lab.ssn_of(1)); return 1; end $$",
    )
}

#[test]
fn a032_no_setting_that_the_server_announces_is_the_value() {
    let sides = sides();
    sides.hide(SETTINGS);
    // What was announced was a message of its own, and not what an answer says of it.
    let announced = sides.told(Who::Exempt, Sent::Query, &["select lab.announces()"]);
    assert!(
        announced.iter().any(|message| message.tag == 'S' && contains(message, SECRET)),
        "{}",
        print(&announced)
    );
}

#[test]
fn a032_no_column_is_called_like_the_value() {
    sides().hide(NAMES);
}

#[test]
fn a032_no_notification_carries_the_value_to_its_own_session() {
    let sides = sides();
    for exchange in NOTIFIED {
        for who in [Who::Exempt, Who::Masked] {
            let exchange: Vec<&str> = [&["listen c"], *exchange].concat();
            let told = sides.told(who, Sent::Query, &exchange);
            held(&sides, who, &exchange, &told);
        }
    }
}

/// Whoever sends it: who is masked reads no value that somebody else has sent.
#[test]
fn a032_no_notification_carries_the_value_to_another_session() {
    let sides = sides();
    for (listener, sender) in [(&CAROL, &CAROL), (&MALLORY, &CAROL), (&MALLORY, &MALLORY)] {
        let who = if listener.subject == CAROL.subject { Who::Exempt } else { Who::Masked };
        let mut listening = sides.session_in(listener, "postgres");
        say(&mut listening, Sent::Query, "listen c");
        say(&mut listening, Sent::Query, "listen done");
        let mut sending = sides.session_in(sender, "postgres");
        for exchange in NOTIFIED {
            let mut told = Vec::new();
            for statement in *exchange {
                told.extend(say(&mut sending, Sent::Query, statement));
            }
            say(&mut sending, Sent::Query, "deallocate all");
            say(&mut sending, Sent::Query, "notify done");
            let heard = until_done(&mut listening);
            held(&sides, who, exchange, &heard);
            if sender.subject == MALLORY.subject {
                assert_eq!(sides.leak(&told, None), None, "{exchange:?}");
            }
        }
    }
}

/// What is notified comes in the order in which it was sent: when this one is there, so are all before it.
fn until_done(listening: &mut Client) -> Vec<Message> {
    let mut heard = Vec::new();
    loop {
        let message = listening.expect('A').unwrap();
        let done = contains(&message, "done");
        heard.push(message);
        if done {
            return heard;
        }
    }
}

#[track_caller]
fn held(sides: &Sides, who: Who, exchange: &[&str], told: &[Message]) {
    let heard = told.iter().any(|message| message.tag == 'A' && contains(message, SECRET));
    match who {
        Who::Exempt => {
            assert!(heard, "{exchange:?} notifies nobody where nothing is masked: {}", print(told))
        }
        Who::Masked => assert_eq!(sides.leak(told, None), None, "{exchange:?}: {}", wire::tags(told)),
    }
}
