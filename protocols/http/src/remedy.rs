//! What a client can do about a refusal of the gateway's own, by its code. Policies say it themselves.

/// What can be done. Empty for codes that are not known here.
pub(crate) fn of(code: &str) -> &'static str {
    match code {
        "http.path" => {
            "send a plainer path: no `//`, no dot segments, no `;` or backslash, no escaped slash, and all of it UTF-8"
        }
        "http.query" => {
            "write the query as `name=value&name=value`, and escape in it all but letters, digits and `-._~`, as UTF-8"
        }
        "http.authority" => {
            "name the host once, as in the gateway's URL: a name or an address, and the port"
        }
        "http.method" => {
            "use a method that the target has for it, in upper case: GET, HEAD, POST, PUT, PATCH, DELETE"
        }
        "http.header" | "http.hopbyhop" | "http.h2" => {
            "leave the header out, or write its value in visible ASCII if the target needs it"
        }
        "http.framing" => {
            "send the request with an HTTP library, which writes its length once, and all of the body"
        }
        "http.upgrade" => "switch to nothing but WebSocket, in HTTP/1.1 and as its libraries do (RFC 6455)",
        "http.charset" => "send JSON in UTF-8",
        "http.encoding" => {
            "send the body without Content-Encoding, and ask for answers with `Accept-Encoding: gzip`"
        }
        "http.body_limit" => {
            "send a smaller body, or ask the operator of the gateway to raise `inspect_body`"
        }
        "http.no_route" => "check the host and the path, or ask the operator of the gateway for a route",
        "json.ambiguous" => {
            "send JSON that every reader understands alike: UTF-8, each name once in an object, numbers that fit"
        }
        "net.slow" => "send the rest of the request without long breaks",
        "gateway.busy" => "send the request again in a moment",
        "mask.unsupported" => {
            "ask for it in another form (whole, in JSON, without a coding), or the operator of the gateway for a policy that \
             needs no mask"
        }
        "record.unsupported" => "ask the operator of the gateway for a policy that allows or blocks it",
        "mask.malformed" | "mask.limit" => {
            "ask for less at once, or tell whoever runs the target what it answers"
        }
        "upstream.unreachable" => "try again in a while; if it stays so, tell the operator of the gateway",
        "upstream.slow" | "upstream.cut" => {
            "see whether the target has done it before you send it again; if it stays so, tell the operator of the gateway"
        }
        "upstream.credential" => {
            "nothing of yours is wrong: tell the operator of the gateway to check the target's `account`, `credential` and `password` in \
             its configuration (expired, replaced, or read before it was changed: that takes a restart)"
        }
        "upstream.tls_failed" => "tell the operator of the gateway",
        "upstream.framing" | "upstream.status" | "upstream.upgrade" => {
            "tell whoever runs the target: its answer is not HTTP as it should be"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Words of the same form: kinds of events, the block of a policy, which says it itself, and what nobody is left to
    /// read.
    const NO_REFUSALS: [&str; 6] = [
        "http.request",
        "http.response",
        "http.answer",
        "http.unknown",
        "http.denied",
        "net.client_closed",
    ];

    #[test]
    fn every_code_that_is_in_the_source_has_a_remedy() {
        let mut codes = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut codes);
        assert!(codes.contains("json.ambiguous") && codes.len() > 20, "{codes:?}");
        let without: Vec<_> = codes
            .iter()
            .filter(|code| !NO_REFUSALS.contains(&code.as_str()) && of(code).is_empty())
            .collect();
        assert!(without.is_empty(), "{without:?}");
    }

    fn collect(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, codes);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            codes.extend(source.split('"').filter(|text| is_code(text)).map(str::to_owned));
        }
    }

    fn is_code(text: &str) -> bool {
        let areas = ["gateway", "http", "json", "mask", "net", "record", "upstream"];
        text.split_once('.').is_some_and(|(area, name)| {
            let plain =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            areas.contains(&area) && plain
        })
    }
}
