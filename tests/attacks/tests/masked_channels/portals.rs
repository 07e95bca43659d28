//! A30: portals that are interleaved, suspended, described late or never.

use gatewright_e2e::wire::{self, Client, Message};

use super::super::{SECRET, Sides, Who, contains, print};

/// What the statements of a schedule are, `a` to `e`: what is shown by one is hidden of another.
const STATEMENTS: [(&str, &str); 6] = [
    ("a", "select id from people order by id"),
    ("b", "select ssn from people order by id"),
    ("c", "select city, ssn, name from people order by id"),
    ("d", "select ssn, city, name from people order by id desc"),
    ("e", "select p.ssn, o.id from people p join orders o on o.person = p.id order by p.id"),
    ("f", "select ssn as id, city as ssn from people order by id"),
];

/// Schedules that are drawn: the row asks for many.
const SCHEDULES: u64 = 1_500;

/// Between the two executes of a portal, another one gives its rows: `T D s D s D`, and nobody is told whose they are.
#[test]
fn a030_each_of_two_suspended_portals_is_masked_by_itself() {
    let sides = Sides::prepare("", "select 1");
    let one_after_the_other = |client: &mut Client, described: &str| {
        let mut bytes = Vec::new();
        for (portal, statement) in [
            ("p", "select id, city from people order by id"),
            ("q", "select ssn, name from people order by id"),
        ] {
            bytes.extend(wire::parse(portal, statement));
            bytes.extend(wire::bind(portal, portal, &[]));
        }
        for portal in described.chars() {
            bytes.extend(wire::describe('P', &portal.to_string()));
        }
        for _ in 0..3 {
            bytes.extend([wire::execute("p", 1), wire::execute("q", 1)].concat());
        }
        bytes.extend(wire::sync());
        client.send(&bytes).unwrap();
        client.until_ready().unwrap()
    };
    for described in ["", "p", "q", "pq", "qp"] {
        let shown = one_after_the_other(&mut sides.session(Who::Exempt), described);
        assert!(
            wire::tags(&shown).contains("DsDs") && shown.iter().any(|message| contains(message, SECRET)),
            "{}",
            print(&shown)
        );
        let told = one_after_the_other(&mut sides.session(Who::Masked), described);
        assert_eq!(sides.leak(&told, None), None, "described: {described}: {}", print(&told));
    }
}

/// Whatever else is between, and in whatever order.
#[test]
fn a030_no_schedule_of_portals_shows_the_value() {
    let sides = Sides::prepare("", "select 1");
    let mut clients = [Who::Exempt, Who::Masked].map(|who| sides.session(who));
    for client in &mut clients {
        let parse = STATEMENTS.map(|(name, text)| wire::parse(name, text)).concat();
        client.send(&[parse, wire::sync()].concat()).unwrap();
        let told = client.until_ready().unwrap();
        assert!(wire::states(&told).is_empty(), "{}", print(&told));
    }
    let [exempt, masked] = &mut clients;
    let (mut shown, mut rows, mut masked_rows) = (0_u64, 0, 0);
    for seed in 0..SCHEDULES {
        let schedule = Schedule::draw(seed);
        let open = schedule.play(exempt);
        shown += u64::from(open.iter().any(|message| contains(message, SECRET)));
        rows += open.iter().filter(|message| message.tag == 'D').count();
        let told = schedule.play(masked);
        masked_rows += told.iter().filter(|message| message.tag == 'D').count();
        assert_eq!(
            sides.leak(&told, None),
            None,
            "schedule {seed}: {:?}: {}",
            schedule.words,
            print(&told)
        );
    }
    assert!(shown > SCHEDULES / 3, "{shown} of {SCHEDULES} show it where nothing is masked");
    assert!(masked_rows > rows / 4, "{masked_rows} rows came masked, {rows} where nothing is masked");
}

/// Messages in batches, each of which ends with Sync, and what they are in words.
struct Schedule {
    batches: Vec<Vec<u8>>,
    words: Vec<String>,
}

impl Schedule {
    /// Names of portals are used again while they are open, closed while they are suspended, and described when they have ended.
    fn draw(seed: u64) -> Self {
        let mut dice = Dice(seed + 1);
        let mut this = Self { batches: Vec::new(), words: Vec::new() };
        for _ in 0..=dice.below(2) {
            let mut batch = Vec::new();
            // What an error makes of a batch is another matter: most of these go through.
            let mut open: Vec<(String, String)> = Vec::new();
            for _ in 0..4 + dice.below(10) {
                let (word, bytes) = match dice.below(10) {
                    0..=3 => {
                        let portal = ["", "p", "q", "r"][dice.below(4)].to_owned();
                        let statement = STATEMENTS[dice.below(STATEMENTS.len())].0;
                        let format = u8::try_from(dice.below(2)).unwrap();
                        // A portal that has a name keeps it until it is closed.
                        if open.iter().any(|(have, _)| *have == portal) && !portal.is_empty() {
                            batch.extend(wire::close('P', &portal));
                        }
                        open.retain(|(have, _)| *have != portal);
                        open.push((portal.clone(), statement.to_owned()));
                        (
                            format!("bind {portal:?} {statement} {format}"),
                            wire::bind_format(&portal, statement, &[], format),
                        )
                    }
                    4 => (
                        "describe".to_owned(),
                        wire::describe('S', STATEMENTS[dice.below(STATEMENTS.len())].0),
                    ),
                    5 if !open.is_empty() => {
                        let (portal, _) = &open[dice.below(open.len())];
                        (format!("describe {portal:?}"), wire::describe('P', portal))
                    }
                    6 if dice.below(4) == 0 => ("flush".to_owned(), wire::flush()),
                    _ if !open.is_empty() => {
                        let (portal, _) = &open[dice.below(open.len())];
                        let most = u32::try_from(dice.below(3)).unwrap();
                        (format!("execute {portal:?} {most}"), wire::execute(portal, most))
                    }
                    _ => continue,
                };
                batch.extend(bytes);
                this.words.push(word);
            }
            batch.extend(wire::sync());
            this.words.push("sync".to_owned());
            this.batches.push(batch);
        }
        this
    }

    fn play(&self, client: &mut Client) -> Vec<Message> {
        let mut told = Vec::new();
        for batch in &self.batches {
            client.send(batch).unwrap();
            let answer = client.until_ready().unwrap();
            assert_eq!(
                answer.last().map(|message| message.tag),
                Some('Z'),
                "{:?}: {}",
                self.words,
                print(&answer)
            );
            told.extend(answer);
        }
        told
    }
}

/// The same numbers for the same seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        let mut state = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0 = state;
        usize::try_from(state >> 33).unwrap() % end
    }
}
