//! Nothing passes that is to be recorded and is not.

use std::sync::Arc;

use bytes::Bytes;
use expect_test::{Expect, expect};
use gatewright_model::{
    mask::{Detector, DetectorMask, MaskMethod, MaskPlan},
    session::{Input, Rejection, Side},
};
use gatewright_ssh::message::{Message, Request, Size};

use crate::play::Play;

fn masks() -> MaskPlan {
    let method = MaskMethod::Redact;
    let mask = DetectorMask { detector: Detector::CardNumber, method, rule: "ssh/cards".into() };
    MaskPlan { detectors: vec![mask], ..MaskPlan::default() }
}

fn exec() -> Request {
    Request::Exec(Bytes::from_static(b"mysql -phunter2"))
}

fn typed(text: &'static str) -> Message {
    Message::Data(Bytes::from_static(text.as_bytes()))
}

fn failed() -> Rejection {
    Rejection { code: "record.failed", message: "no".into(), remedy: "".into() }
}

fn check(play: &Play, expected: Expect) {
    expected.assert_eq(&play.in_order.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// Row A50: whatever passes is recorded before it does, and nothing starts before its recording has.
#[test]
fn a050_all_that_passes_is_recorded_before_it_does() {
    let mut play = Play::open();
    let size = Size { columns: 100, rows: 30, ..Size::default() };
    play.ask(Request::Pty { terminal: "xterm".into(), size, modes: Arc::default() });
    play.permit(None).connected().target(Message::Success);
    play.in_order.clear();
    play.ask(exec()).permit_recorded(Some(&masks()));
    play.in_order.push("--".to_owned());
    play.begun().target(Message::Success);
    play.client(typed("secret")).out("4111111111111111 and more\r\n").err("err\r\n");
    let wider = Request::WindowChange(Size { columns: 120, rows: 40, ..Size::default() });
    play.ask(wider).client(Message::Eof);
    play.target(Message::ExitStatus(0)).tell(Input::Closed { side: Side::Upstream });
    check(
        &play,
        expect![[r#"
            record Start { event: EventId(3), title: "mysql", terminal: Some("xterm"), size: Size { columns: 100, rows: 30 } }
            --
            to client ExtendedData(1, 44)
            to target Request("exec", true)
            to client Success
            record Typed(6)
            to target Data(6)
            record Output(27)
            to client Data(27)
            record Output(5)
            to client ExtendedData(1, 5)
            record Resize(Size { columns: 120, rows: 40 })
            to target Request("window-change", false)
            to target Eof
            to client ExitStatus(0)
            record End
            finished ok None
        "#]],
    );
}

/// What is masked is recorded as it is shown.
#[test]
fn a_recording_has_what_was_shown() {
    let mut play = Play::open();
    play.ask(exec()).permit_recorded(Some(&masks())).connected().begun();
    play.target(Message::Success);
    play.in_order.clear();
    play.out("4111 1111").out(" 1111 1111\n");
    // `[redacted]`, and the end of the line.
    assert_eq!(play.in_order, ["record Output(11)", "to client Data(11)"]);
}

/// Row A50: what can not be recorded does not run.
#[test]
fn a050_what_can_not_be_recorded_reaches_nobody() {
    let mut play = Play::open();
    play.ask(exec()).permit_recorded(None).connected();
    play.in_order.clear();
    play.tell(Input::Terminate(failed()));
    check(
        &play,
        expect![[r#"
        finished refused Some("record.failed")
        to client Success
        to client ExtendedData(1, 32)
        to client ExitStatus(255)
        to client Eof
    "#]],
    );
    // Of a recording of something else, nothing is permitted.
    let mut play = Play::open();
    play.ask(exec()).permit_recorded(None).connected();
    play.in_order.clear();
    play.tell(Input::Recording(gatewright_model::id::EventId::FIRST));
    assert_eq!(play.in_order, [] as [&str; 0]);
}

/// Row A50: a session ends whose recording does.
#[test]
fn a050_a_session_ends_with_its_recording() {
    let mut play = Play::open();
    play.ask(exec()).permit_recorded(None).connected().begun();
    play.target(Message::Success);
    play.in_order.clear();
    play.tell(Input::Terminate(failed()));
    check(
        &play,
        expect![[r#"
        to client ExtendedData(1, 32)
        to target Request("signal", false)
        record End
        finished unknown None
    "#]],
    );
    play.in_order.clear();
    play.client(typed("rm -rf /\n"));
    assert_eq!(play.in_order, [] as [&str; 0]);
}

#[test]
fn what_shows_nothing_can_not_be_recorded() {
    for request in [
        Request::Pty { terminal: "xterm".into(), size: Size::default(), modes: Arc::default() },
        Request::Subsystem("sftp".into()),
    ] {
        let mut play = Play::open();
        play.finished.clear();
        play.ask(request).permit_recorded(None);
        assert_eq!(play.finished[0].code.as_deref(), Some("record.unsupported"));
        assert_eq!(play.to_target, 0);
    }
}

/// A program that did not start has a recording, which is over.
#[test]
fn a_recording_ends_with_what_it_records() {
    let mut play = Play::open();
    play.ask(exec()).permit_recorded(None).connected().begun();
    play.in_order.clear();
    play.target(Message::Failure);
    check(
        &play,
        expect![[r#"
        to client Failure
        record End
        finished error Some("ssh.request_failed")
    "#]],
    );
    play.in_order.clear();
    play.ask(Request::Shell).permit(None).target(Message::Success).out("x\n");
    assert!(!play.in_order.iter().any(|line| line.starts_with("record")), "{:?}", play.in_order);
}
