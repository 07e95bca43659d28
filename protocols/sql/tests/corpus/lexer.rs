//! Texts that lexers read differently (A12): how many statements are they?
//!
//! Each case is a few fragments around the constructs that SQL guards have been fooled with: strings with
//! and without escapes, Unicode strings, dollar quotes, bit strings, nested comments, line ends, quoted
//! names. Everything in them is harmless to run: the only statement is `select`.

/// Openings of something that may swallow what follows, and what each ends with.
const OPENINGS: &[(&str, &str)] = &[
    ("'", "'"),
    ("E'", "'"),
    ("e'", "'"),
    ("U&'", "'"),
    ("u&'", "'"),
    ("N'", "'"),
    ("B'", "'"),
    ("x'", "'"),
    ("X'", "'"),
    ("$$", "$$"),
    ("$a$", "$a$"),
    ("$a$", "$A$"),
    ("$1$", "$1$"),
    ("$é$", "$é$"),
    ("\"", "\""),
    ("U&\"", "\""),
    ("/*", "*/"),
    ("/*/*", "*/"),
    ("/*/*", "*/*/"),
    ("--", "\n"),
    ("--", "\r"),
    ("--", "\r\n"),
    ("--", "\x0b"),
    ("--", "\u{2028}"),
    ("'a'\n'", "'"),
    ("'a' '", "'"),
    ("'a'--\n'", "'"),
    ("U&'!0061' uescape '!' , '", "'"),
    ("1.5e", " "),
    ("-$1", " "),
    ("a$", "$"),
    ("::'", "'"),
];

/// What stands inside: quotes, escapes, a hidden statement.
const INSIDES: &[&str] = &[
    "",
    "a",
    "\\",
    "\\\\",
    "\\'",
    "\\'; select 2 --",
    "\\\\'; select 2 --",
    "'; select 2; select '",
    "''",
    "''; select 2 --",
    "\"; select 2; select \"",
    "\"\"",
    "; select 2; ",
    "*/ select 2; /*",
    "/* ; */ ; select 2 /*",
    "--\n; select 2",
    "--\r; select 2",
    "$$; select 2; $$",
    "$a$; select 2; $a$",
    "\\x27; select 2 --",
    "\\u0027; select 2 --",
    "\\0027; select 2 --",
    "\u{2019}; select 2",
    "\u{a0}; select 2",
    "0",
    "01",
    "\n",
    "\t; select 2",
    "#; select 2",
    "//; select 2",
    "`; select 2; `",
    "[; select 2; ]",
    "{; select 2; }",
    "\\N; select 2",
    "a b c",
];

/// Where the construct stands.
const FRAMES: &[(&str, &str)] =
    &[("select ", ""), ("select 1 as ", "; select 3"), ("select ", " as a, 'b'; select '3'")];

/// All cases: more than 3,000.
pub fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    for (before, after) in FRAMES {
        for (open, close) in OPENINGS {
            for inside in INSIDES {
                cases.push(format!("{before}{open}{inside}{close}{after}"));
            }
        }
    }
    // Every byte that can stand alone in UTF-8, after what may take it for an escape or an end.
    for byte in 1..=127_u8 {
        for (open, close) in OPENINGS {
            cases.push(format!("select {open}{}; select 2 {close}", char::from(byte)));
        }
    }
    cases
}
