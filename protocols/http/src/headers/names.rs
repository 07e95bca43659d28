//! Which header is what. Whoever adds one here says what it would do to a target.

/// What a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A secret for the gateway: taken out.
    Credential,
    /// Believed by targets because a proxy in front of them sets it: taken out.
    Identity,
    /// Would make another request of it: refused.
    Override,
    /// Hop-by-hop, or part of how a message is framed: taken out, and made anew.
    Wire,
    /// Sent, and there at most once.
    Once,
    /// Sent.
    Any,
    /// Sent, each line by itself.
    Lines,
}

impl Kind {
    /// Only the gateway may send it from now on.
    pub(super) const fn reserve(&mut self) {
        if matches!(self, Self::Once | Self::Any | Self::Lines) {
            *self = Self::Identity;
        }
    }
}

/// By whole name, in lower case.
pub(super) const NAMES: &[(&str, Kind)] = &[
    ("authorization", Kind::Credential),
    ("proxy-authorization", Kind::Credential),
    // RFC 9110 section 7.6.1, and what is older.
    ("connection", Kind::Wire),
    ("proxy-connection", Kind::Wire),
    ("keep-alive", Kind::Wire),
    ("te", Kind::Wire),
    ("trailer", Kind::Wire),
    ("transfer-encoding", Kind::Wire),
    ("upgrade", Kind::Wire),
    ("http2-settings", Kind::Wire),
    ("proxy-authenticate", Kind::Wire),
    // Compression of a WebSocket: nobody could read what is in it any more.
    ("sec-websocket-extensions", Kind::Wire),
    // Answered by the gateway itself: the client is asked for its body after the permit.
    ("expect", Kind::Wire),
    // Set by the gateway from the authority that was judged.
    ("host", Kind::Wire),
    // Who the client is.
    ("forwarded", Kind::Identity),
    ("via", Kind::Identity),
    ("client-ip", Kind::Identity),
    ("true-client-ip", Kind::Identity),
    ("cf-connecting-ip", Kind::Identity),
    ("cf-connecting-ipv6", Kind::Identity),
    ("fastly-client-ip", Kind::Identity),
    ("fly-client-ip", Kind::Identity),
    ("x-real-ip", Kind::Identity),
    ("x-client-ip", Kind::Identity),
    ("x-cluster-client-ip", Kind::Identity),
    ("x-originating-ip", Kind::Identity),
    ("x-remote-ip", Kind::Identity),
    ("x-remote-addr", Kind::Identity),
    ("remote-addr", Kind::Identity),
    ("remote-user", Kind::Identity),
    ("remote-groups", Kind::Identity),
    ("remote-name", Kind::Identity),
    ("remote-email", Kind::Identity),
    ("x-remote-user", Kind::Identity),
    ("x-remote-group", Kind::Identity),
    ("x-remote-groups", Kind::Identity),
    ("x-remote-uid", Kind::Identity),
    ("x-user", Kind::Identity),
    ("x-username", Kind::Identity),
    ("x-user-id", Kind::Identity),
    ("x-user-email", Kind::Identity),
    ("x-user-groups", Kind::Identity),
    ("x-groups", Kind::Identity),
    ("x-email", Kind::Identity),
    ("x-authenticated-user", Kind::Identity),
    ("x-authenticated-userid", Kind::Identity),
    ("x-authenticated-groups", Kind::Identity),
    ("x-token-subject", Kind::Identity),
    ("x-jwt-payload", Kind::Identity),
    ("x-jwt-assertion", Kind::Identity),
    ("x-goog-iap-jwt-assertion", Kind::Identity),
    ("x-forwarded", Kind::Identity),
    ("x-auth-user", Kind::Identity),
    ("x-roles", Kind::Identity),
    ("x-ssl-cert", Kind::Identity),
    ("x-arr-clientcert", Kind::Identity),
    ("x-consumer-username", Kind::Identity),
    ("x-scope-orgid", Kind::Identity),
    ("x-vouch-user", Kind::Identity),
    ("x-endpoint-api-userinfo", Kind::Identity),
    ("x-azure-clientip", Kind::Identity),
    ("wl-proxy-client-ip", Kind::Identity),
    ("proxy-client-ip", Kind::Identity),
    ("sm-user", Kind::Identity),
    ("iv-user", Kind::Identity),
    ("oam-remote-user", Kind::Identity),
    ("tailscale-user-login", Kind::Identity),
    ("oidc-claim-sub", Kind::Identity),
    ("x-client-cert", Kind::Identity),
    ("x-client-dn", Kind::Identity),
    ("x-client-verify", Kind::Identity),
    ("x-userinfo", Kind::Identity),
    ("x-anonymous-consumer", Kind::Identity),
    ("x-credential-identifier", Kind::Identity),
    ("x-identity-status", Kind::Identity),
    ("x-original-forwarded-for", Kind::Identity),
    ("x-proxyuser-ip", Kind::Identity),
    ("es-security-runas-user", Kind::Identity),
    ("x-auth-username", Kind::Identity),
    ("x-auth-groups", Kind::Identity),
    ("x-auth-roles", Kind::Identity),
    ("x-rh-identity", Kind::Identity),
    ("client-cert", Kind::Identity),
    ("client-cert-chain", Kind::Identity),
    // Another path, host or method than the one that was judged.
    ("x-original-url", Kind::Override),
    ("x-original-uri", Kind::Override),
    ("x-original-method", Kind::Override),
    ("x-original-host", Kind::Override),
    ("x-rewrite-url", Kind::Override),
    ("x-rewrite-uri", Kind::Override),
    ("x-override-url", Kind::Override),
    ("x-http-path-override", Kind::Override),
    ("x-rewrite-path", Kind::Override),
    ("x-http-method", Kind::Override),
    ("x-http-method-override", Kind::Override),
    ("x-method-override", Kind::Override),
    ("x-host", Kind::Override),
    ("x-http-host-override", Kind::Override),
    // CGI's `HTTP_PROXY`: the proxy of what the target itself asks (httpoxy, CVE-2016-5385).
    ("proxy", Kind::Override),
    // With a second value, some readers take the first, some the last, some both.
    ("content-length", Kind::Once),
    ("content-type", Kind::Once),
    ("content-range", Kind::Once),
    ("content-location", Kind::Once),
    ("content-disposition", Kind::Once),
    ("date", Kind::Once),
    ("from", Kind::Once),
    ("if-modified-since", Kind::Once),
    ("if-range", Kind::Once),
    ("if-unmodified-since", Kind::Once),
    ("max-forwards", Kind::Once),
    ("origin", Kind::Once),
    ("range", Kind::Once),
    ("referer", Kind::Once),
    ("user-agent", Kind::Once),
    ("sec-websocket-key", Kind::Once),
    ("sec-websocket-version", Kind::Once),
];

/// Beginnings of names of identity: proxies that authenticate, meshes and load balancers own these.
pub(super) const PREFIXES: &[&str] = &[
    "x-forwarded-",
    "x-remote-extra-",
    "x-authentik-",
    "x-appengine-",
    "x-webauth-",
    "x-consumer-",
    "oidc-claim-",
    "tailscale-user-",
    "x-auth-request-",
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-envoy-",
    "x-pomerium-",
    "x-ssl-client-",
    "ssl-client-",
    "cf-access-",
    "x-gatewright-",
];

/// Beginnings of names of overrides. Impersonation (Kubernetes, `Impersonate-User`) is for the gateway to say.
pub(super) const OVERRIDES: &[&str] = &["impersonate-"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_there_once_and_in_its_plain_form() {
        let names: BTreeSet<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), NAMES.len());
        let all = names.iter().chain(PREFIXES).chain(OVERRIDES);
        for name in all {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(name.bytes().all(plain), "{name}");
        }
    }
}
