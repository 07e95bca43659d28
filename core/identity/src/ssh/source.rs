//! The critical option `source-address`.

use std::net::IpAddr;

/// Is the address in this list of addresses and networks (`10.0.0.0/8,::1`)? A list with anything else in it has no address.
pub(super) fn lists(list: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    let found: Option<Vec<bool>> = list.split(',').map(|network| covers(network, address)).collect();
    found.is_some_and(|found| found.contains(&true))
}

/// None: it is no network.
fn covers(network: &str, address: IpAddr) -> Option<bool> {
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base, Some(length)),
        None => (network, None),
    };
    let base: IpAddr = base.parse().ok()?;
    let bits = if base.is_ipv4() { 32 } else { 128 };
    let length = match length {
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u32>().ok()?,
        Some(_) => return None,
        None => bits,
    };
    let host_bits = bits.checked_sub(length)?;
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    // A network with bits behind its length was meant to be another one.
    let cut = |address: IpAddr| number(address).checked_shr(host_bits).unwrap_or_default();
    if cut(base).checked_shl(host_bits).unwrap_or_default() != number(base) {
        return None;
    }
    Some(base.is_ipv4() == address.is_ipv4() && cut(base) == cut(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(list: &str, address: &str) -> bool {
        lists(list, address.parse().unwrap())
    }

    #[test]
    fn a040_addresses_and_networks() {
        for (list, address) in [
            ("10.0.0.7", "10.0.0.7"),
            ("10.0.0.0/8", "10.255.0.1"),
            ("192.0.2.0/24,10.0.0.0/8", "10.1.1.1"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("::/0", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:1::1"),
            // A client of an IPv6 socket.
            ("10.0.0.0/8", "::ffff:10.0.0.1"),
        ] {
            assert!(is_in(list, address), "{list} {address}");
        }
        for (list, address) in [
            ("10.0.0.7", "10.0.0.8"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("::/0", "10.0.0.1"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("", "10.0.0.1"),
            ("10.0.0.0/33", "10.0.0.1"),
            ("10.0.0.0/+8", "10.0.0.1"),
            ("10.0.0.1/8", "10.0.0.1"),
            ("*", "10.0.0.1"),
            // One that is wrong makes the list say nothing.
            ("10.0.0.0/8,nowhere", "10.0.0.1"),
            ("10.0.0.0/8,", "10.0.0.1"),
            ("!10.0.0.0/8", "10.0.0.1"),
        ] {
            assert!(!is_in(list, address), "{list} {address}");
        }
    }
}
