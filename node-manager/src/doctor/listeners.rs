//! Who can reach the services' ports: they should listen on this machine alone.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use waku_gateway::Config;

use super::report::Finding;

/// Where the kernel shows its sockets.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// Looks at the port of every service.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let texts = TABLES.map(|path| fs::read_to_string(path).ok());
    let is_readable = texts.iter().any(Option::is_some);
    let listeners = is_readable.then(|| listeners(&texts.map(Option::unwrap_or_default).concat()));
    let mut ports = BTreeMap::<u16, Vec<&str>>::new();
    for service in config.policy.services() {
        if let Some(address) = service.base.addresses().first() {
            ports.entry(address.port()).or_default().push(&service.name);
        }
    }
    ports.into_iter().map(|(port, names)| judge(port, &names.join(", "), listeners.as_deref())).collect()
}

fn judge(port: u16, names: &str, listeners: Option<&[(IpAddr, u16)]>) -> Finding {
    let check = format!("port {port}");
    let Some(listeners) = listeners else {
        return Finding::not_checked(
            check,
            "this system does not show who listens",
            "ss -ltn, or lsof -i, shows it",
        );
    };
    let at = listeners.iter().filter(|(_, known)| *known == port).map(|(ip, _)| ip.to_canonical());
    let (inside, outside): (Vec<_>, Vec<_>) = at.partition(IpAddr::is_loopback);
    if let Some(ip) = outside.first() {
        let everywhere = if ip.is_unspecified() { "on every address" } else { "beyond this machine" };
        return Finding::warning(
            check,
            format!("{names}: listens {everywhere} ({ip}), for whoever can reach this host"),
            format!(
                "have it listen on 127.0.0.1 (Nimbus: --rest-address, --metrics-address; Docker: -p 127.0.0.1:{port}:{port}), \
                 or close the port in the firewall"
            ),
        );
    }
    if inside.is_empty() {
        return Finding::not_checked(
            check,
            format!("{names}: nobody here is seen to listen on it"),
            "start the service; where it runs in a container, see on which address the port is published",
        );
    }
    Finding::ok(check, format!("{names}: listens on this machine alone"))
}

/// Addresses and ports on which somebody listens, from the kernel's tables.
fn listeners(tables: &str) -> Vec<(IpAddr, u16)> {
    let rows = tables.lines().filter_map(|row| {
        let mut cells = row.split_ascii_whitespace().skip(1);
        let (local, state) = (cells.next()?, cells.nth(1)?);
        let (address, port) = local.split_once(':')?;
        (state == LISTENS).then_some((ip(address)?, u16::from_str_radix(port, 16).ok()?))
    });
    rows.collect()
}

/// An address as the kernel writes it: words of 32 bits, each in the order of this machine.
fn ip(text: &str) -> Option<IpAddr> {
    let words = text.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        let is_hex = word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)).flatten()
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::State;
    use super::*;

    /// As a little-endian machine shows it.
    #[cfg(target_endian = "little")]
    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n   \
        0: 0100007F:13BC 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1 1\n   \
        1: 00000000:1F48 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1 1\n   \
        2: 0100A8C0:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 1 1\n   \
        3: 00000000:1F49 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000 0 1 1\n   \
        0: 00000000000000000000000001000000:2161 00000000000000000000000000000000:0000 0A 0:0 0:0 0 1000 0 1\n   \
        1: 0000000000000000FFFF00000100007F:2162 00000000000000000000000000000000:0000 0A 0:0 0:0 0 1000 0 1\n";

    #[cfg(target_endian = "little")]
    #[test]
    fn listeners_are_told_by_the_kernels_tables() {
        let found = listeners(TABLE);
        let state = |port| judge(port, "x", Some(&found)).state;
        assert_eq!(state(5052), State::Ok);
        assert_eq!(state(8008), State::Warning);
        assert_eq!(state(22), State::Warning);
        // A connection is no listener.
        assert_eq!(state(8009), State::NotChecked);
        assert_eq!((state(8545), state(8546)), (State::Ok, State::Ok), "{found:?}");
    }

    #[test]
    fn odd_tables_are_read_as_far_as_they_make_sense() {
        let rows =
            ["", "x", "0: a b c", "0: 0100007F:zz 0:0 0A", "0: 01:13BC 0:0 0A", "0: 0100007F13BC 0:0 0A"];
        assert_eq!(listeners(&rows.join("\n")), []);
        assert_eq!(ip("+100007F"), None);
        assert_eq!(judge(1, "x", None).state, State::NotChecked);
    }

    #[test]
    fn sockets_of_this_very_process_are_found() {
        let inside = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = inside.local_addr().unwrap().port();
        let text = format!("[[service]]\nname = \"x\"\nurl = \"http://127.0.0.1:{port}\"\n");
        let findings = check(&Config::parse("x", &text).unwrap());
        assert!(cfg!(not(target_os = "linux")) || findings[0].state == State::Ok, "{findings:?}");
    }
}
