//! The startup parameter `options`: settings in the manner of a command line, as `PGOPTIONS` holds them.
//!
//! It is read to be taken apart: each setting becomes a parameter of its own, for which the same rules hold, and
//! the text itself goes nowhere. So it does no harm where this reader and a server's would cut it differently.

/// Reads `-c NAME=VALUE`, `-cNAME=VALUE` and `--NAME=VALUE`, in any number and order. None: there is something
/// else in it.
pub fn decode(text: &str) -> Option<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting.to_owned(),
            None => match word.strip_prefix("-c")? {
                "" => words.next()?,
                setting => setting.to_owned(),
            },
        };
        let (name, value) = setting.split_once('=')?;
        // As the server does (`ParseLongOption` of its `utils/misc/guc.c`).
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Some(settings)
}

/// Words between white space; a backslash takes away what the character behind it means (`pg_split_opts` of the
/// server's `utils/init/postinit.c`).
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(characters.next()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, settings: &[(&str, &str)]) {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(decode(text), Some(settings.collect()), "{text}");
    }

    #[test]
    fn settings_are_read_in_every_spelling() {
        check("", &[]);
        check(" \t ", &[]);
        check("-c a=b", &[("a", "b")]);
        check(
            "-ca=b --date-style=ISO,\\ MDY  -c\tc=",
            &[("a", "b"), ("date_style", "ISO, MDY"), ("c", "")],
        );
        check("-c a=b=c -c a\\=\\\\", &[("a", "b=c"), ("a", "\\")]);
    }

    #[test]
    fn a005_what_is_no_setting_is_not_read() {
        for text in ["-c", "-c a", "--a", "-d 5", "a=b", "-c a=b x", "-", "--", "-O", "-sc a=b", "\\"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
