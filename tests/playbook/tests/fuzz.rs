//! Random schedules and broken bytes: the session never panics, and nothing that was not permitted is
//! ever sent.

use gatewright_playbook::{
    Play, Stage,
    messages::{self, *},
};
use proptest::prelude::*;

/// What happens next on the stage.
#[derive(Debug, Clone)]
enum Event {
    /// The client sends a message; statements carry a marker that no other bytes hold.
    Client(Message),
    /// The target sends a message.
    Target(Answer),
    /// The decision on what is held.
    Decide(bool),
    /// Somebody sends bytes that may be anything.
    Noise(bool, Vec<u8>),
}

#[derive(Debug, Clone)]
enum Message {
    Query,
    Parse(u8),
    /// Of a text that is no SQL here.
    BrokenQuery,
    BrokenParse(u8),
    Bind(u8, u8),
    Describe(u8),
    Execute(u8),
    Close(u8),
    Flush,
    Sync,
    CopyData,
    CopyDone,
    FunctionCall,
}

#[derive(Debug, Clone)]
enum Answer {
    ParseComplete,
    BindComplete,
    CloseComplete,
    NoData,
    Row,
    Described,
    Complete,
    Suspended,
    CopyIn,
    CopyOut,
    CopyDone,
    Notice,
    Error,
    Ready(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let name = 0u8..3;
    let message = prop_oneof![
        4 => Just(Message::Query),
        4 => name.clone().prop_map(Message::Parse),
        2 => Just(Message::BrokenQuery),
        2 => name.clone().prop_map(Message::BrokenParse),
        4 => (name.clone(), name.clone()).prop_map(|(portal, statement)| Message::Bind(portal, statement)),
        1 => name.clone().prop_map(Message::Describe),
        4 => name.clone().prop_map(Message::Execute),
        1 => name.prop_map(Message::Close),
        1 => Just(Message::Flush),
        4 => Just(Message::Sync),
        1 => Just(Message::CopyData),
        1 => Just(Message::CopyDone),
        1 => Just(Message::FunctionCall),
    ];
    let answer = prop_oneof![
        4 => Just(Answer::ParseComplete),
        4 => Just(Answer::BindComplete),
        1 => Just(Answer::CloseComplete),
        1 => Just(Answer::NoData),
        2 => Just(Answer::Row),
        2 => Just(Answer::Described),
        4 => Just(Answer::Complete),
        1 => Just(Answer::Suspended),
        1 => Just(Answer::CopyIn),
        1 => Just(Answer::CopyOut),
        1 => Just(Answer::CopyDone),
        1 => Just(Answer::Notice),
        2 => Just(Answer::Error),
        6 => prop_oneof![Just(b'I'), Just(b'T'), Just(b'E')].prop_map(Answer::Ready),
    ];
    prop_oneof![
        10 => message.prop_map(Event::Client),
        10 => answer.prop_map(Event::Target),
        10 => any::<bool>().prop_map(Event::Decide),
        1 => (any::<bool>(), proptest::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(client, bytes)| Event::Noise(client, bytes)),
    ]
}

fn client_bytes(message: &Message, marker: usize) -> Vec<u8> {
    let name = |number: &u8| if *number == 0 { String::new() } else { format!("n{number}") };
    match message {
        Message::Query => query(&format!("select {marker}")),
        Message::Parse(statement) => parse(&name(statement), &format!("select {marker}")),
        Message::BrokenQuery => query(&format!("delet {marker}")),
        Message::BrokenParse(statement) => parse(&name(statement), &format!("delet {marker}")),
        Message::Bind(portal, statement) => bind(&name(portal), &name(statement), &[]),
        Message::Describe(portal) => describe('P', &name(portal)),
        Message::Execute(portal) => execute(&name(portal)),
        Message::Close(statement) => close('S', &name(statement)),
        Message::Flush => messages::message(b'H', b""),
        Message::Sync => sync(),
        Message::CopyData => messages::message(b'd', b"1\t2\n"),
        Message::CopyDone => messages::message(b'c', b""),
        Message::FunctionCall => messages::message(b'F', &[0; 10]),
    }
}

fn target_bytes(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::ParseComplete => messages::message(b'1', b""),
        Answer::BindComplete => messages::message(b'2', b""),
        Answer::CloseComplete => messages::message(b'3', b""),
        Answer::NoData => messages::message(b'n', b""),
        Answer::Row => data_row(&["x"]),
        Answer::Described => row_description(&[("a", 1, 1)]),
        Answer::Complete => complete("SELECT 1"),
        Answer::Suspended => messages::message(b's', b""),
        Answer::CopyIn => messages::message(b'G', &[0, 0, 0]),
        Answer::CopyOut => messages::message(b'H', &[0, 0, 0]),
        Answer::CopyDone => messages::message(b'c', b""),
        Answer::Notice => messages::message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"),
        Answer::Error => error("42601", "no"),
        Answer::Ready(state) => ready(*state),
    }
}

/// Statements in what reached the target, by their markers.
fn statements(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split("select ").skip(1).map(|rest| format!("select {}", digits(rest))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_sent_that_was_not_permitted(
        events in proptest::collection::vec(event(), 1..60),
        piece in prop_oneof![Just(1), Just(7), Just(usize::MAX)],
    ) {
        let mut play = Play::relay(&Stage::default(), piece);
        for (marker, event) in events.iter().enumerate() {
            match event {
                Event::Client(message) => play.client(client_bytes(message, marker)),
                Event::Target(answer) => play.target(target_bytes(answer)),
                Event::Decide(true) if play.holds() => play.permit(),
                Event::Decide(false) if play.holds() => play.deny_unread(),
                Event::Decide(_) => {}
                Event::Noise(true, bytes) => play.client(bytes),
                Event::Noise(false, bytes) => play.target(bytes),
            }
            for statement in statements(play.sent()) {
                let permitted = play.permitted().contains(&statement);
                prop_assert!(permitted, "`{statement}` left without a permit:\n{}", play.transcript());
            }
            // What was refused goes to the target only behind what keeps it from being run.
            let sent = String::from_utf8_lossy(play.sent());
            for (at, _) in sent.match_indices("delet ") {
                let text: String = sent[at..].split('\0').next().unwrap_or_default().to_owned();
                let asked = sent[..at].ends_with(";select;");
                prop_assert!(
                    asked || play.permitted().contains(&text),
                    "`{text}` left without a permit:\n{}",
                    play.transcript()
                );
            }
        }
    }

    #[test]
    fn a_client_of_noise_never_gets_through(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut play = Play::new(&Stage::default(), usize::MAX);
        play.client(&bytes);
        prop_assert!(play.transcript().target_bytes().is_empty());
    }

    #[test]
    fn a_target_of_noise_never_breaks_the_gateway(
        during_login in any::<bool>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut play = Play::new(&Stage::default(), usize::MAX);
        if during_login {
            play.client(startup(&[("user", "app")]));
            play.client(password("token"));
            play.authenticated();
            play.connected(Some("secret"), false);
        } else {
            play.log_in();
            play.client(query("select 1"));
            play.permit();
        }
        play.target(&bytes);
        prop_assert!(!String::from_utf8_lossy(play.transcript().target_bytes()).contains("secret"));
    }
}
