//! A8: cancel requests of everybody but the owner.

use gatewright_attacks::MALLORY;
use gatewright_e2e::{
    Scene, eventually, policies,
    wire::{self, Client, Message},
};

use super::super::{print, scene};

/// How many keys are guessed for each of two sessions.
const GUESSES: u64 = 1_000;

/// A session, and the key that cancels what it runs.
struct Victim {
    client: Client,
    process: u32,
    secret: Vec<u8>,
}

#[test]
fn a008_guessed_keys_cancel_nothing_and_the_true_one_does() {
    let scene = scene(|_| vec![policies::masks().unwrap()]);
    // Protocol 3.0 has keys of four bytes, and 3.2 has long ones, with the process id that the target has given.
    let mut victims = [wire::PROTOCOL_3_0, wire::PROTOCOL_3_0 | 2].map(|version| begin(&scene, version));
    assert_eq!(victims.each_ref().map(|victim| victim.secret.len()), [4, 32]);
    let neighbour = begin(&scene, wire::PROTOCOL_3_0);
    let mut gone = begin(&scene, wire::PROTOCOL_3_0 | 2);
    gone.client.send(&wire::terminate()).unwrap();
    gone.client.until_closed().unwrap();

    let mut owner = Client::at_server(&scene.postgres).unwrap();
    owner.query("select pg_advisory_lock(8)").unwrap();
    for victim in &mut victims {
        victim.client.send(&wire::query("select pg_advisory_lock_shared(8), 'undisturbed'")).unwrap();
    }
    let waiting = || waiting(&scene);
    eventually("both sessions wait for the lock", || waiting().len() == 2);
    let before = waiting();

    for victim in &victims {
        for (process, secret) in guesses(victim, &before) {
            assert!((process, &secret) != (victim.process, &victim.secret));
            cancel(&scene, process, &secret);
        }
        // Keys of others, by themselves and with this one's process id: of one who runs nothing, and of one who has left.
        for other in [&neighbour, &gone] {
            cancel(&scene, other.process, &other.secret);
            cancel(&scene, victim.process, &other.secret);
            cancel(&scene, other.process, &victim.secret);
        }
    }
    assert_eq!(waiting(), before, "the same sessions still wait");
    owner.query("select pg_advisory_unlock(8)").unwrap();
    for victim in &mut victims {
        let answer = victim.client.until_ready().unwrap();
        let row = answer.iter().find(|message| message.tag == 'D').map(Message::row);
        assert_eq!(row.unwrap()[1].as_deref(), Some("undisturbed"), "{}", print(&answer));
        victim.client.query("select pg_advisory_unlock_all()").unwrap();
    }
    let denied = scene.gateway.log().matches("pg.cancel_denied").count();
    assert!(denied > 0, "guesses are told to whoever reads the log");

    // It was not for another reason that nothing was cancelled.
    owner.query("select pg_advisory_lock(8)").unwrap();
    for victim in &mut victims {
        victim.client.send(&wire::query("select pg_advisory_lock_shared(8)")).unwrap();
    }
    eventually("both sessions wait for the lock", || waiting().len() == 2);
    let [first, second] = &mut victims;
    cancel(&scene, first.process, &first.secret);
    assert_eq!(wire::states(&first.client.until_ready().unwrap()), ["57014"]);
    assert_eq!(waiting().len(), 1, "the other one goes on");
    cancel(&scene, second.process, &second.secret);
    assert_eq!(wire::states(&second.client.until_ready().unwrap()), ["57014"]);
}

/// Guesses that come near: each part of the key by itself, its beginning, longer ones, and the process ids that the target shows to everybody.
fn guesses(victim: &Victim, shown: &[u32]) -> Vec<(u32, Vec<u8>)> {
    let Victim { process, secret, .. } = victim;
    let mut long = secret.clone();
    long.resize(256, 0);
    let mut guesses = vec![
        (*process, secret[..secret.len() - 1].to_vec()),
        (*process, Vec::new()),
        (*process, long),
        (*process, [&secret[..], &[0]].concat()),
        (process.swap_bytes(), secret.clone()),
        (0, secret.clone()),
    ];
    if secret.len() > 4 {
        guesses.push((*process, secret[..4].to_vec()));
    }
    // One bit is another.
    for bit in 0..secret.len() * 8 {
        let mut secret = secret.clone();
        secret[bit / 8] ^= 1 << (bit % 8);
        guesses.push((*process, secret));
    }
    guesses.extend((0..32).map(|bit| (process ^ 1 << bit, secret.clone())));
    let mut state = 1;
    for number in guesses.len() as u64..GUESSES {
        let length = [4, 32, 256][(number % 3) as usize];
        let secret = std::iter::repeat_with(|| drawn(&mut state)).take(length).collect();
        let process = match number % 4 {
            0 => *process,
            1 => shown[number as usize % shown.len()],
            _ => u32::from_be_bytes([(); 4].map(|()| drawn(&mut state))),
        };
        guesses.push((process, secret));
    }
    guesses
}

/// A byte of a sequence that is the same in each run (Knuth's multiplier for 64 bits).
fn drawn(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 56) as u8
}

fn begin(scene: &Scene, version: u32) -> Victim {
    let gateway = &scene.gateway;
    let mut client = Client::connect_tls(gateway.port(), &gateway.authority()).unwrap();
    client.send(&wire::startup_version(version, &[("user", "app"), ("database", "postgres")])).unwrap();
    client.expect('R').unwrap();
    client.send(&wire::password(&gateway.token(&MALLORY).unwrap())).unwrap();
    let answer = client.until_ready().unwrap();
    let key = &answer.iter().find(|message| message.tag == 'K').unwrap().body;
    let (process, secret) = key.split_first_chunk::<4>().unwrap();
    Victim { client, process: u32::from_be_bytes(*process), secret: secret.to_vec() }
}

/// Sends a cancel request with a key of any length. Its connection ends without a word.
fn cancel(scene: &Scene, process: u32, secret: &[u8]) {
    let mut client = Client::connect(scene.gateway.port()).unwrap();
    client.send(&request(process, secret)).unwrap();
    assert!(client.until_closed().unwrap().is_empty(), "a cancel request is never answered");
}

fn request(process: u32, secret: &[u8]) -> Vec<u8> {
    // All but the key is that of any cancel request.
    let mut bytes = wire::cancel(process, 0);
    bytes.truncate(12);
    bytes.extend(secret);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// The sessions at the target that wait for the lock.
fn waiting(scene: &Scene) -> Vec<u32> {
    let ask = "select pid from pg_locks where locktype = 'advisory' and not granted order by pid";
    let answer = scene.postgres.sql("postgres", ask).unwrap();
    answer.lines().map(|line| line.parse().unwrap()).collect()
}
