//! What runs is judged again when the policies change.

use bytes::Bytes;
use gatewright_model::{
    decision::{Block, Escalation},
    id::ApprovalId,
    mask::{Detector, DetectorMask, MaskMethod, MaskPlan},
    permit::Denial,
    session::{Input, Session as _},
};
use gatewright_ssh::message::{Message, Request};

use crate::play::Play;

fn hidden(detector: Detector) -> MaskPlan {
    let mask = DetectorMask { detector, method: MaskMethod::Redact, rule: "ssh/r".into() };
    MaskPlan { detectors: vec![mask], ..MaskPlan::default() }
}

fn exec() -> Request {
    Request::Exec(Bytes::from_static(b"tail -f log"))
}

fn running(masks: &MaskPlan) -> Play {
    let mut play = Play::running(exec(), masks);
    assert!(play.channel.is_judged_again());
    let first = play.judged;
    play.tell(Input::PoliciesChanged);
    assert_ne!(play.judged, first, "it has an event of its own");
    play.in_order.clear();
    play
}

fn deny(play: &mut Play) {
    let block = Block {
        code: "ssh.denied".into(),
        rule: "ssh/closed".into(),
        reason: "not any more".into(),
        remedy: "".into(),
    };
    let denial = Denial { event: play.judged.unwrap(), block, approval: None };
    play.tell(Input::Denied(denial));
}

/// The request for approval is withdrawn, and so recorded.
fn withdrawn(play: &mut Play) {
    let block = Block {
        code: Denial::WITHDRAWN.into(),
        rule: "ssh/asked".into(),
        reason: "the request was withdrawn".into(),
        remedy: "".into(),
    };
    let approval = Some(ApprovalId::from_random([1; 10]));
    play.tell(Input::Denied(Denial { event: play.judged.unwrap(), block, approval }));
}

fn held(play: &mut Play) {
    let approval = ApprovalId::from_random([1; 10]);
    play.tell(Input::Held {
        event: play.judged.unwrap(),
        approval,
        escalation: Escalation::new("rule", "look").into(),
    });
}

/// It was killed, and is over.
fn is_cut(play: &Play) -> bool {
    let all = play.in_order.join("\n");
    let finished = play.finished.last().and_then(|outcome| outcome.code.as_deref());
    all.contains("to target Request(\"signal\"") && finished == Some("policy.changed")
}

#[test]
fn what_is_still_permitted_goes_on() {
    for masks in [MaskPlan::default(), hidden(Detector::Email)] {
        let mut play = running(&masks);
        play.permit(Some(&masks));
        assert!(!is_cut(&play));
        assert!(play.channel.is_judged_again(), "and is judged again the next time");
        play.out("more\n");
        assert!(play.shown().contains("more"));
    }
}

#[test]
fn what_is_blocked_now_is_ended_and_told_so() {
    let mut play = running(&MaskPlan::default());
    deny(&mut play);
    assert!(is_cut(&play), "{:?}", play.in_order);
    assert!(play.shown().contains("blocked by ssh/closed: not any more"));
}

#[test]
fn what_is_to_be_hidden_in_another_way_or_recorded_ends() {
    let mut play = running(&MaskPlan::default());
    play.permit(Some(&hidden(Detector::Email)));
    assert!(is_cut(&play), "{:?}", play.in_order);
    let mut play = running(&hidden(Detector::Email));
    play.permit(None);
    assert!(is_cut(&play), "{:?}", play.in_order);
    let mut play = running(&MaskPlan::default());
    play.permit_recorded(None);
    assert!(is_cut(&play), "{:?}", play.in_order);
}

#[test]
fn what_a_reviewer_has_approved_is_not_asked_about_again() {
    let mut play = Play::open();
    play.ask(exec());
    held(&mut play);
    play.permit(None).connected().target(Message::Success);
    play.tell(Input::PoliciesChanged);
    held(&mut play);
    withdrawn(&mut play);
    assert!(!is_cut(&play), "{:?}", play.in_order);
    assert!(play.in_order.contains(&"withdraw".to_owned()));
    // What blocks it counts, and so does every other answer to what was withdrawn: that it could not be recorded, or that somebody said no first.
    play.tell(Input::PoliciesChanged);
    held(&mut play);
    deny(&mut play);
    assert!(is_cut(&play), "{:?}", play.in_order);
    // Nobody has approved this one.
    let mut play = running(&MaskPlan::default());
    held(&mut play);
    assert!(is_cut(&play), "{:?}", play.in_order);
    assert!(play.in_order.contains(&"withdraw".to_owned()));
}

#[test]
fn what_does_not_run_is_not_judged_again() {
    let mut play = Play::open();
    assert!(!play.channel.is_judged_again());
    play.ask(exec());
    assert!(!play.channel.is_judged_again());
}

/// Threats A42: what the target was granted is judged again as well.
#[test]
fn a042_keys_that_may_not_be_used_any_more_end_what_uses_them() {
    let with_agent = || {
        let mut play = Play::open();
        play.ask(Request::AgentForwarding).permit(None).connected().target(Message::Success);
        play.ask(exec()).permit(None).target(Message::Success);
        play.tell(Input::PoliciesChanged);
        let of_program = play.judged;
        play.permit(None);
        assert_ne!(play.judged, of_program, "the agent is asked about behind it");
        play.in_order.clear();
        play
    };
    let mut play = with_agent();
    play.permit(None);
    assert!(!is_cut(&play) && play.channel.is_judged_again(), "{:?}", play.in_order);
    let mut play = with_agent();
    deny(&mut play);
    assert!(is_cut(&play), "{:?}", play.in_order);
}

/// Neither before anything runs, nor behind what was approved, nor where the target says that it failed, is a grant forgotten.
#[test]
fn a042_a_grant_is_judged_again_wherever_it_stands() {
    let mut idle = Play::open();
    idle.ask(Request::AgentForwarding).permit(None).connected().target(Message::Failure);
    assert!(idle.channel.is_judged_again());
    idle.tell(Input::PoliciesChanged);
    deny(&mut idle);
    assert!(idle.in_order.iter().any(|line| line.contains("to client")), "{:?}", idle.in_order);
    assert!(!idle.channel.is_judged_again(), "it is over");

    let mut approved = Play::open();
    approved.ask(Request::AgentForwarding).permit(None).connected().target(Message::Success);
    approved.ask(exec());
    held(&mut approved);
    approved.permit(None).target(Message::Success);
    approved.tell(Input::PoliciesChanged);
    let of_program = approved.judged;
    held(&mut approved);
    withdrawn(&mut approved);
    assert_ne!(approved.judged, of_program, "the agent is asked about behind it");
    deny(&mut approved);
    assert!(is_cut(&approved), "{:?}", approved.in_order);
}

#[test]
fn policies_that_change_while_it_is_judged_begin_it_anew() {
    let mut play = Play::open();
    play.ask(Request::AgentForwarding).permit(None).connected().target(Message::Success);
    // Asked for again and again, it is one grant.
    for _ in 0..3 {
        play.ask(Request::AgentForwarding).permit(None).target(Message::Success);
    }
    play.ask(exec()).permit(None).target(Message::Success);
    play.tell(Input::PoliciesChanged).permit(None).tell(Input::PoliciesChanged);
    let mut asked = 0;
    while asked < 9 {
        let before = play.judged;
        play.permit(None);
        asked += 1;
        if play.judged == before {
            break;
        }
    }
    // The agent's first, and then the program and the agent by the newer ones.
    assert_eq!(asked, 3);
}
