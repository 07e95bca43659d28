//! The few addresses that key sets are fetched from.

/// An `https` address, held to what an address of keys needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpsUrl<'t> {
    /// Host and port, without the default port.
    authority: &'t str,
}

impl<'t> HttpsUrl<'t> {
    /// Reads an address, or says what is wrong with it.
    ///
    /// Stricter than RFC 3986: no user, no address literal, no fragment, no character that another parser might
    /// take for the end of the host. Nothing refused here is needed, and nothing taken can be read as another
    /// host.
    pub(crate) fn parse(text: &'t str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("https://").ok_or("must begin with https://")?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !br#"\"<>^`{|}#"#.contains(&byte)) {
            return Err("must not have spaces, fragments or special characters");
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let host_is_name = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        let port_is_number =
            port.parse::<u16>().is_ok_and(|number| number > 0 && !port.starts_with(['+', '0']));
        if !host_is_name || !port_is_number {
            return Err("must have a host name, and a port at most");
        }
        Ok(Self { authority: if port == "443" { host } else { authority } })
    }

    /// Is it on this host (and port, if it is not 443)?
    pub(crate) fn is_on(&self, authority: &str) -> bool {
        self.authority.eq_ignore_ascii_case(authority)
    }

    pub(crate) const fn authority(&self) -> &'t str {
        self.authority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, authority) in [
            ("https://id.example", "id.example"),
            ("https://id.example:443/a", "id.example"),
            ("https://id.example:8443/a?p=b", "id.example:8443"),
            ("https://ID.example?x", "id.example"),
        ] {
            assert!(HttpsUrl::parse(text).unwrap().is_on(authority), "{text}");
        }
    }

    #[test]
    fn a084_what_could_be_another_host_is_refused() {
        for text in [
            "http://id.example",
            "HTTPS://id.example",
            "https://",
            "https:///a",
            "https://:443/",
            "https://id.example@evil.example/",
            "https://id.example:pw@evil.example/",
            "https://evil.example\\@id.example/",
            "https://evil.example#@id.example/",
            "https://id.example /",
            "https://id.example\t/",
            "https://id.example:0/",
            "https://id.example:65536/",
            "https://id.example:+443/",
            "https://[::1]/",
            "https://id。example/",
            "file:///etc/passwd",
        ] {
            assert!(HttpsUrl::parse(text).is_err(), "{text}");
        }
    }
}
