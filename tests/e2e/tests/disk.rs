//! A disk that does not make safe what it was given: nothing is done that could not be proved afterwards.

// What goes wrong in a helper fails the test as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{io::Write as _, time::Duration};

use gatewright_e2e::{
    Disk, FakeUpstream, Front, Mint, Scene, Stage, eventually,
    http::{self, Shape},
    policies, wire,
};

fn scene_on(disk: &Disk) -> Scene {
    let allow = policies::allow().unwrap();
    Scene::build(&[("allow", &allow)], true, |setup| disk.under(setup.sync_deadline("2s"))).unwrap()
}

fn session(scene: &Scene) -> wire::Client {
    let token = scene.gateway.token(&Mint::default()).unwrap();
    wire::Client::session(scene.gateway.port(), &scene.gateway.authority(), &token).unwrap()
}

/// Was it refused because it could not be recorded?
fn is_unrecorded(answer: &[wire::Message]) -> bool {
    answer.iter().any(|message| {
        message.tag == 'E'
            && message.field('C').as_deref() == Some("42501")
            && message.field('M').is_some_and(|text| text.contains("can not record"))
    })
}

#[test]
fn f009_a_disk_that_hangs_refuses_within_the_deadline_and_goes_on_when_it_answers() {
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let scene = scene_on(&disk);
    let mut client = session(&scene);
    assert_eq!(wire::tags(&client.query("update people set city = 'before' where id = 1").unwrap()), "CZ");

    disk.hang().unwrap();
    let recorder = scene.recorder.as_ref().unwrap();
    recorder.forget();
    let answer = client.query("update people set city = 'unsafe' where id = 1").unwrap();
    assert!(
        is_unrecorded(&answer),
        "what changes something waits for the disk, and not for ever: {answer:?}"
    );
    let answer = client.query("select city as unsafe_read from people where id = 1").unwrap();
    assert!(is_unrecorded(&answer), "by then, nothing is recorded any more: {answer:?}");
    assert!(!recorder.saw("unsafe"), "none of it reached the server");
    let ready = scene.gateway.get("/readyz").unwrap();
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(scene.gateway.get("/status").unwrap().body.contains("the disk hangs"));
    assert_eq!(scene.gateway.get("/healthz").unwrap().status, 200, "it is not to be killed for it");

    disk.work().unwrap();
    eventually("it is ready again", || scene.gateway.get("/readyz").unwrap().status == 200);
    assert_eq!(wire::tags(&client.query("update people set city = 'after' where id = 1").unwrap()), "CZ");
    let city = scene.postgres.sql("postgres", "select city from people where id = 1").unwrap();
    assert_eq!(city, "after");
    let records = scene.evidence().unwrap();
    assert!(!records.of("evidence_resumed").is_empty(), "that there was a gap is on record");
    assert!(scene.gateway.verify(&scene.gateway.evidence()).unwrap().status.success());
}

#[test]
fn f008_a_disk_that_failed_once_is_not_believed_again() {
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let mut scene = scene_on(&disk);
    let mut client = session(&scene);
    disk.fail().unwrap();
    scene.recorder.as_ref().unwrap().forget();
    let answer = client.query("update people set city = 'unsafe' where id = 1").unwrap();
    assert!(is_unrecorded(&answer), "{answer:?}");
    disk.work().unwrap();
    // The kernel would report success now, for pages that it has thrown away.
    for statement in ["select 1 as unsafe", "update people set city = 'unsafe' where id = 1"] {
        let answer = client.query(statement).unwrap();
        assert!(is_unrecorded(&answer), "{statement}: {answer:?}");
    }
    assert!(!scene.recorder.as_ref().unwrap().saw("unsafe"), "none of it reached the server");
    assert_eq!(scene.gateway.get("/readyz").unwrap().status, 503);
    // A start reads the log anew, and then knows what is in it.
    scene.gateway.restart().unwrap();
    assert_eq!(wire::tags(&session(&scene).query("select 1").unwrap()), "TDCZ");
    assert!(scene.gateway.verify(&scene.gateway.evidence()).unwrap().status.success());
}

#[test]
fn f009_a_gateway_whose_disk_hangs_can_still_be_stopped() {
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let mut scene = scene_on(&disk);
    let mut client = session(&scene);
    disk.hang().unwrap();
    assert!(is_unrecorded(&client.query("update people set city = 'unsafe' where id = 1").unwrap()));
    scene.gateway.terminate().unwrap();
    let status = scene.gateway.wait(Duration::from_secs(120)).unwrap();
    assert!(!status.success(), "that its last records may be lost is no good end: {}", scene.gateway.log());
    disk.work().unwrap();
    scene.gateway.restart().unwrap();
    assert_eq!(wire::tags(&session(&scene).query("select 1").unwrap()), "TDCZ");
    assert!(scene.gateway.verify(&scene.gateway.evidence()).unwrap().status.success());
}

/// Requests of HTTP are written to the log together, just before they leave: a log that takes nothing keeps all of them back,
/// the first one too, and those that come on connections to the target that are open already.
#[test]
fn f007_what_can_not_be_recorded_does_not_reach_an_http_target() {
    let target = FakeUpstream::start(|peer| {
        while http::request(peer)?.is_some() {
            write!(peer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let target = target.unwrap();
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let (targets, off) = ([("api", target.port())], "tls = { mode = \"off\" }");
    let front = Front::prepared(&targets, &Shape::default(), off, |setup| disk.under(setup)).unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{}\r\n", front.head());
    let mut clients: Vec<_> = (0..40).map(|_| front.connect().unwrap()).collect();
    for client in &mut clients {
        client.send(get("/before").as_bytes()).unwrap();
        assert_eq!(http::reply(client, false).unwrap().status, 200);
    }

    disk.fill().unwrap();
    for round in 0..3 {
        for client in &mut clients {
            client.send(get(&format!("/unsafe/{round}")).as_bytes()).unwrap();
        }
        for client in &mut clients {
            let reply = http::reply(client, false).unwrap();
            assert!((403..=503).contains(&reply.status), "{reply:?}");
            assert!(reply.body.contains("evidence.unavailable"), "{reply:?}");
        }
    }
    let seen = target.received().concat();
    assert!(!String::from_utf8_lossy(&seen).contains("unsafe"), "none of it reached the target");
    assert_eq!(front.gateway.get("/readyz").unwrap().status, 503);

    disk.work().unwrap();
    eventually("it is ready again", || front.gateway.get("/readyz").unwrap().status == 200);
    assert_eq!(front.ask(&get("/after")).unwrap().status, 200);
    assert!(front.gateway.verify(&front.gateway.evidence()).unwrap().status.success());
}

/// What sessions of PostgreSQL only read is written to the log together, just before it leaves: a log that takes nothing keeps it back, the first
/// statement too, which ends its session with the reason; those that follow are refused.
#[test]
fn f007_what_can_not_be_recorded_does_not_reach_a_database() {
    let stage = Stage::new("disk").unwrap();
    let disk = Disk::new(&stage).unwrap();
    let scene = scene_on(&disk);
    let mut clients: Vec<_> = (0..20).map(|_| session(&scene)).collect();
    for client in &mut clients {
        assert_eq!(wire::tags(&client.query("select 1").unwrap()), "TDCZ");
    }
    disk.fill().unwrap();
    let recorder = scene.recorder.as_ref().unwrap();
    recorder.forget();
    for client in &mut clients {
        let answer =
            client.query("select city as unsafe_read from people where id = 1").unwrap_or_default();
        assert!(!answer.iter().any(|message| message.tag == 'D'), "{answer:?}");
    }
    assert!(!recorder.saw("unsafe"), "none of it reached the server");
    // Whoever is still there is refused, and told why.
    let mut late = 0;
    for client in &mut clients {
        late += usize::from(client.query("select 2").is_ok_and(|answer| is_unrecorded(&answer)));
    }
    assert!(late > 0, "only those whose records were to be written first have ended");
    disk.work().unwrap();
    eventually("it is ready again", || scene.gateway.get("/readyz").unwrap().status == 200);
    assert_eq!(wire::tags(&session(&scene).query("select 1").unwrap()), "TDCZ");
    assert!(scene.gateway.verify(&scene.gateway.evidence()).unwrap().status.success());
}
