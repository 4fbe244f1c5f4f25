//! How the public address is learned (`--nat`).

use std::net::IpAddr;

use super::problem::Problem;

/// How the public address is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// By whatever way works.
    Any,
    /// Not at all.
    None,
    /// It is known.
    Known(IpAddr),
}

/// Reads `any`, `none` or `extip:IP`, in any case.
pub(super) fn read(text: &str) -> Result<Nat, Problem> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "any" => Ok(Nat::Any),
        "none" => Ok(Nat::None),
        "upnp" | "pmp" => Err(Problem::NotBuilt {
            what: format!("--nat={lower}"),
            advice: "forward the ports in the router and give --nat=extip:IP",
        }),
        _ => match lower.strip_prefix("extip:") {
            Some(ip) => ip.parse().map(Nat::Known).map_err(|_| Problem::NatAddress(ip.to_owned())),
            None => Err(Problem::Nat(text.to_owned())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_read_and_none_is_one_of_them() {
        assert_eq!(read("any"), Ok(Nat::Any));
        assert_eq!(read("None"), Ok(Nat::None));
        assert_eq!(read("extip:172.18.0.5"), Ok(Nat::Known([172, 18, 0, 5].into())));
        assert_eq!(read("extip:::1"), Ok(Nat::Known("::1".parse().unwrap())));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        assert!(matches!(read("pmp"), Err(Problem::NotBuilt { what, .. }) if what == "--nat=pmp"));
        assert!(matches!(read("UPnP"), Err(Problem::NotBuilt { what, .. }) if what == "--nat=upnp"));
        assert_eq!(read("bogus"), Err(Problem::Nat("bogus".to_owned())));
        assert_eq!(read(""), Err(Problem::Nat(String::new())));
        assert_eq!(read("extip:"), Err(Problem::NatAddress(String::new())));
    }
}
