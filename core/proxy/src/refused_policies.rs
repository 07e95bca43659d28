//! The last change of the policy folder, for as long as it is refused: the log says it once, and whoever did not look there goes on
//! believing that the new rules hold.
//!
//! The status is for anyone who reaches the admin listener. So it names a file and says what is wrong in the gateway's own
//! words; what a document or its module says is in the log, and `check` prints it to who may read the folder.

use gatewright_policy::LoadProblem;
use parking_lot::Mutex;

/// What is to be said of the policy folder. Written by whoever watches it.
#[derive(Debug, Default)]
pub struct RefusedPolicies(Mutex<Option<String>>);

impl RefusedPolicies {
    /// A change was refused, for these reasons. A later one takes its place.
    pub fn refuse(&self, problems: &[LoadProblem]) {
        *self.0.lock() = Some(notice(problems));
    }

    /// What is in the folder is in use.
    pub fn accept(&self) {
        *self.0.lock() = None;
    }

    /// For people. None: what is in the folder is in use.
    pub fn notice(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

fn notice(problems: &[LoadProblem]) -> String {
    let mut text = "the last change of the policies was refused, and the old ones stay".to_owned();
    if let Some(first) = problems.first() {
        let file = first.file.file_name().unwrap_or(first.file.as_os_str());
        text += &format!(": {}: {}", file.display(), first.brief());
    }
    match problems.len().saturating_sub(1) {
        0 => {}
        1 => text += ", and 1 more problem",
        more => text += &format!(", and {more} more problems"),
    }
    text + "; see the log, or `gatewright check`"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &str, message: &str, brief: Option<&str>) -> LoadProblem {
        LoadProblem {
            file: file.into(),
            line: Some(7),
            message: message.to_owned(),
            remedy: "mend it".to_owned(),
            brief: brief.map(str::to_owned),
        }
    }

    #[test]
    fn a_refusal_is_said_until_something_is_accepted() {
        let refused = RefusedPolicies::default();
        assert_eq!(refused.notice(), None);
        refused.refuse(&[problem("policies/people.toml", "`module` is missing", None)]);
        assert_eq!(
            refused.notice().as_deref(),
            Some(
                "the last change of the policies was refused, and the old ones stay: people.toml: `module` is missing; \
                 see the log, or `gatewright check`"
            )
        );
        refused.accept();
        assert_eq!(refused.notice(), None);
    }

    #[test]
    fn of_several_problems_the_first_is_said_and_of_none_what_it_quotes() {
        let refused = RefusedPolicies::default();
        let quoting = "the module refuses its settings: `hunter2` is no method";
        let first = problem("a.toml", quoting, Some("the module refuses its settings"));
        let others = [problem("b.toml", "x", None), problem("c.toml", "y", None)];
        refused.refuse(&[&[first.clone()][..], &others].concat());
        let said = refused.notice().unwrap();
        assert!(
            said.contains(": a.toml: the module refuses its settings, and 2 more problems; "),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        refused.refuse(&[first, problem("b.toml", "x", None)]);
        assert!(refused.notice().unwrap().contains(", and 1 more problem; "), "the later one counts");
    }
}
