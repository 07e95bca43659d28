//! Where a tunnel may be asked to lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What every resolver reads alike: with a blank or a NUL in it, some read the beginning only. And of addresses, the one usual way to write
/// them: what a rule refuses in one spelling must not be reached in another (threats A44).
pub(super) fn is_a_place(host: &str, port: u32) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(plain)
        && (1..=65535).contains(&port)
        && is_usual(host)
}

/// A path that is what it seems to be: whole, and without detours, which a rule about its beginning would not see.
pub(super) fn is_a_socket(path: &str) -> bool {
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    path.len() <= MAX_PATH
        && !path.chars().any(|character| character.is_control())
        && parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..")))
}

/// Bytes of the path of a socket at most; systems take less.
const MAX_PATH: usize = 4_096;

/// May a name lead to these? What a rule says of a name it means for a place in the network: not for the host that asks, nor for what answers
/// everybody on its link, like a cloud's metadata. Such a place is asked for by its address, which rules see as such; `localhost` says that it is the host.
pub(super) fn may_lead_to(name: &str, addresses: &[IpAddr]) -> bool {
    if name.eq_ignore_ascii_case("localhost") {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    !addresses.iter().any(|address| match address {
        IpAddr::V4(address) => {
            address.octets()[0] == 0
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.octets()[0] >= 240
                || METADATA_V4.contains(address)
        }
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_multicast()
                || hides_another(*address)
                || *address == METADATA_V6
        }
    })
}

/// Where clouds have their metadata elsewhere than on the link (Alibaba, Oracle), and where Amazon has it in IPv6.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn is_usual(host: &str) -> bool {
    if host.contains(':') {
        let Ok(address) = host.parse::<Ipv6Addr>() else { return false };
        return !hides_another(address) && address.to_string() == host;
    }
    // Resolvers take a name whose last part is a number for an address: `2130706433`, `127.1`, `0x7f.1` are 127.0.0.1.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if is_number { host.parse::<Ipv4Addr>().is_ok() } else { !host.split('.').any(str::is_empty) }
}

/// Addresses of IPv4 within those of IPv6: mapped, compatible, and those of NAT64 (RFC 6052 section 2.1).
fn hides_another(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
        || matches!(address.segments(), [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1))
        || matches!(address.segments(), [0x64, 0xff9b, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a044_a_socket_has_one_spelling() {
        for path in ["/run/app.sock", "/a b/c", "/é"] {
            assert!(is_a_socket(path), "{path}");
        }
        for path in [
            "",
            "/",
            "app.sock",
            "./app",
            "/run/../docker.sock",
            "/run/app/..",
            "/run//app",
            "/run/./app",
            "/run/",
            "/a\0b",
            "/a\nb",
        ] {
            assert!(!is_a_socket(path), "{path:?}");
        }
        assert!(!is_a_socket(&format!("/{}", "a".repeat(4_096))));
    }

    #[test]
    fn a044_a_name_leads_to_no_host_that_asks_and_to_nothing_on_its_link() {
        let leads = |name: &str, addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            may_lead_to(name, &addresses)
        };
        assert!(leads("db.internal", &["10.0.0.7", "fd12::7", "8.8.8.8", "2001:db8::1"]));
        for astray in [
            "127.0.0.1",
            "127.8.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
        ] {
            assert!(!leads("db.internal", &[astray]), "{astray}");
            // One among others is enough: it may be the one that answers.
            assert!(!leads("db.internal", &["10.0.0.7", astray]), "{astray}");
        }
        assert!(leads("localhost", &["127.0.0.1", "::1"]) && leads("LOCALHOST", &["::1"]));
        assert!(!leads("localhost", &["127.0.0.1", "10.0.0.7"]) && !leads("a.localhost", &["127.0.0.1"]));
    }

    #[test]
    fn a044_a_place_has_one_spelling() {
        for host in ["db.internal", "127.0.0.1", "::1", "2001:db8::7", "host-1", "a_b.c", "10.example"] {
            assert!(is_a_place(host, 22), "{host}");
        }
        for host in [
            "",
            ".",
            "db.internal.",
            "a..b",
            ".a",
            "2130706433",
            "127.1",
            "127.0.0.01",
            "0x7f.1",
            "0X7F000001",
            "017700000001",
            "256.0.0.1",
            "1.2.3.4.5",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "0:0:0:0:0:0:0:1",
            "2001:DB8::7",
            "fe80::1%eth0",
            "[::1]",
            "a b",
            "a\0b",
            "a/b",
            "é",
        ] {
            assert!(!is_a_place(host, 22), "{host}");
        }
        assert!(!is_a_place("h", 0) && !is_a_place("h", 65_536));
    }
}
