//! Which HTTP requests a setting is about.

use schemars::JsonSchema;
use serde::Deserialize;

/// A path of which `*` is any one segment, and `**` at the end any number of them, none too: `/api/people/*`,
/// `/api/**`. Case counts. A `/` at the end of a request's path makes no difference: most targets serve the same
/// for both, and a rule that did not hold for one of them would be a way around it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct PathPattern {
    /// None: any.
    segments: Vec<Option<String>>,
    /// Does it go on with any segments?
    open: bool,
}

impl PathPattern {
    /// Does the path fit? It must be canonical, as the gateway gives it.
    pub fn matches(&self, path: &str) -> bool {
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut given = path.split('/').skip(1);
        let fits = |segment: &Option<String>| match (segment, given.next()) {
            (Some(own), Some(given)) => own == given,
            (None, Some(given)) => !given.is_empty(),
            (_, None) => false,
        };
        self.segments.iter().all(fits) && (self.open || given.next().is_none())
    }
}

impl TryFrom<String> for PathPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not a pattern of paths: {why}"));
        let Some(rest) = text.strip_prefix('/') else { return wrong("begin it with `/`") };
        let (rest, open) = match rest.strip_suffix("**") {
            Some(before) => (before.strip_suffix('/').unwrap_or(before), true),
            None => (rest, false),
        };
        if open && !rest.is_empty() && !text.ends_with("/**") {
            return wrong("`**` stands for whole segments, at the end");
        }
        if rest.is_empty() {
            return Ok(Self { segments: Vec::new(), open });
        }
        if rest.ends_with('/') {
            return wrong("leave out the `/` at its end, which makes no difference");
        }
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            match segment {
                "*" => segments.push(None),
                _ if segment.contains('*') => return wrong("`*` stands for a whole segment"),
                _ if is_segment(segment) => segments.push(Some(segment.to_owned())),
                _ => return wrong("no path that is judged has a segment like that"),
            }
        }
        Ok(Self { segments, open })
    }
}

/// Can it be a segment of a canonical path: not empty, no dot segment, and percent-encoded as the contract says?
pub(crate) fn is_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*,=:@".contains(&byte);
    let capital = |digit: u8| digit.is_ascii_digit() || matches!(digit, b'A'..=b'F');
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if plain(byte) {
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else { return false };
        let encoded = [high, low];
        let value = std::str::from_utf8(&encoded).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        if byte != b'%' || !capital(high) || !capital(low) || value.is_none_or(plain) {
            return false;
        }
    }
    !matches!(segment, "" | "." | "..")
}

/// A host, or with `*.` before it all hosts below it: `api.example`, `*.example`. On any port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct HostPattern {
    host: String,
    below: bool,
}

impl HostPattern {
    /// Does the host, without its port, fit?
    pub fn matches(&self, host: &str) -> bool {
        if !self.below {
            return host == self.host;
        }
        host.strip_suffix(&*self.host)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|rest| !rest.is_empty())
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (host, below) = match text.strip_prefix("*.") {
            Some(host) => (host, true),
            None => (&*text, false),
        };
        let label = |label: &str| {
            let fits =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
            !label.is_empty() && label.bytes().all(fits)
        };
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|_| !below);
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.');
        if !host.split('.').all(label) && !address.is_some_and(|address| address.bytes().all(hex)) {
            return Err(format!(
                "`{text}` is not a host: write it in lower case without a port, `*.` before it for all below it"
            ));
        }
        Ok(Self { host: host.to_owned(), below })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<PathPattern, String> {
        PathPattern::try_from(text.to_owned())
    }

    fn host(text: &str) -> Result<HostPattern, String> {
        HostPattern::try_from(text.to_owned())
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_any_number() {
        let fits = |pattern: &str, given: &str| path(pattern).unwrap().matches(given);
        assert!(fits("/", "/") && !fits("/", "/a"));
        assert!(fits("/people/*", "/people/7") && !fits("/people/*", "/people/7/orders"));
        assert!(
            fits("/people/*/orders", "/people/7/orders") && !fits("/people/*/orders", "/people/orders")
        );
        for given in ["/people", "/people/", "/people/7", "/people/7/orders"] {
            assert!(fits("/people/**", given), "{given}");
        }
        assert!(fits("/**", "/") && fits("/**", "/a/b"));
        assert!(fits("/caf%C3%A9", "/caf%C3%A9"));
    }

    #[test]
    fn segments_are_compared_whole() {
        let fits = |pattern: &str, given: &str| path(pattern).unwrap().matches(given);
        for given in ["/peoples", "/peoples/7", "/people.json", "/People", "/x/people", "/"] {
            assert!(!fits("/people/**", given) && !fits("/people", given), "{given}");
        }
        assert!(!fits("/people/*", "/people/"), "an empty segment is none");
    }

    #[test]
    fn a_slash_at_the_end_is_no_way_around() {
        assert!(path("/admin").unwrap().matches("/admin/"));
        assert!(path("/people/*").unwrap().matches("/people/7/"));
    }

    #[test]
    fn a_pattern_that_no_path_fits_is_refused() {
        for text in
            ["", "people", "*", "**", "/people/", "/a//b", "//", "/a/../b", "/.", "/v*/x", "/a/**/b"]
        {
            assert!(path(text).is_err(), "{text}");
        }
        for text in [
            "/a**",
            "/***",
            "/a/***",
            "/a?b",
            "/a b",
            "/é",
            "/a\\b",
            "/**/",
            "/a;b",
            "/%41",
            "/%c3%a9",
            "http://api.example/",
        ] {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_fit_whole_or_below() {
        let fits = |pattern: &str, given: &str| host(pattern).unwrap().matches(given);
        assert!(fits("api.example", "api.example") && !fits("api.example", "x.api.example"));
        assert!(fits("*.example", "api.example") && fits("*.example", "a.b.example"));
        for given in ["example", ".example", "badexample", "api.example.evil", "api-example"] {
            assert!(!fits("*.example", given), "{given}");
        }
        assert!(fits("[::1]", "[::1]"));
        for text in
            ["", "*", "*.", "API.example", "api.example:443", "api.example.", "a.*.b", "*[::1]", "é.b"]
        {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
