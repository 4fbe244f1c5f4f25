//! How many requests are served (`--rate-limit`).

use std::time::Duration;

use super::problem::Problem;

/// What a rate limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Every service that has no limit of its own.
    All,
    /// Store, whatever its version.
    Store,
    /// Store, version 3.
    StoreV3,
    /// Lightpush, both versions.
    Lightpush,
    /// Peer exchange.
    PeerExchange,
    /// Filter.
    Filter,
}

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// For which service.
    pub service: Service,
    /// Requests; 0 is any number.
    pub volume: u64,
    /// In this time; none is no limit.
    pub period: Duration,
}

impl RateLimit {
    /// The limit of a service among those given: its own, else store's for version 3 of it, else that for all. Of
    /// several for one service the last counts.
    pub fn of(service: Service, limits: &[Self]) -> Option<Self> {
        let last = |wanted| limits.iter().rev().find(|limit| limit.service == wanted).copied();
        let store = || if service == Service::StoreV3 { last(Service::Store) } else { None };
        last(service).or_else(store).or_else(|| last(Service::All))
    }

    /// True when nothing is ever refused by it.
    pub fn is_unlimited(&self) -> bool {
        self.volume == 0 || self.period.is_zero()
    }
}

/// Reads `[service:]volume/period unit`, in any case, white space between the parts.
pub(super) fn read(text: &str) -> Result<RateLimit, Problem> {
    parse(&text.to_ascii_lowercase()).ok_or_else(|| Problem::RateLimit(text.to_owned()))
}

fn parse(text: &str) -> Option<RateLimit> {
    let (service, rate) = match text.split_once(':') {
        None => (Service::All, text),
        Some((service, rate)) => (self::service(service.trim())?, rate),
    };
    let (volume, period) = rate.split_once('/')?;
    let period = period.trim();
    let (count, unit) = period.split_at(period.find(|c: char| !c.is_ascii_digit())?);
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let period = Duration::from_millis(number(count)?.checked_mul(millis)?);
    Some(RateLimit { service, volume: number(volume.trim())?, period })
}

fn service(name: &str) -> Option<Service> {
    Some(match name {
        "store" => Service::Store,
        "storev3" => Service::StoreV3,
        "lightpush" => Service::Lightpush,
        "px" => Service::PeerExchange,
        "filter" => Service::Filter,
        _ => return None,
    })
}

fn number(text: &str) -> Option<u64> {
    // `parse` takes a plus sign, too.
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_a_service_a_volume_and_a_period() {
        let limit =
            |service, volume, millis| RateLimit { service, volume, period: Duration::from_millis(millis) };
        let cases = [
            ("100/1s", limit(Service::All, 100, 1000)),
            ("store:2/10s", limit(Service::Store, 2, 10_000)),
            (" StoreV3 : 5 / 2 h ", limit(Service::StoreV3, 5, 7_200_000)),
            ("px:5/100ms", limit(Service::PeerExchange, 5, 100)),
            ("lightpush:0/1m", limit(Service::Lightpush, 0, 60_000)),
            ("filter:30/1M", limit(Service::Filter, 30, 60_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let huge = "99999999999999999999/1s";
        for text in [
            "",
            "x",
            "5",
            "5/s",
            "/1s",
            "+5/1s",
            "foo:5/1s",
            ":5/1s",
            "5/1d",
            "5/1",
            huge,
            "1/9999999999999999h",
        ] {
            assert_eq!(read(text), Err(Problem::RateLimit(text.to_owned())));
        }
    }

    #[test]
    fn the_last_of_a_service_counts_and_store_never_overrides_storev3() {
        let volume = |service, texts: &[&str]| {
            let limits: Vec<_> = texts.iter().map(|text| read(text).unwrap()).collect();
            RateLimit::of(service, &limits).map(|limit| limit.volume)
        };
        assert_eq!(volume(Service::StoreV3, &["storev3:1/1s", "store:2/1s"]), Some(1));
        assert_eq!(volume(Service::StoreV3, &["store:2/1s", "9/1s"]), Some(2));
        assert_eq!(volume(Service::Filter, &["filter:1/1s", "filter:2/1s"]), Some(2));
        assert_eq!(volume(Service::Filter, &["store:2/1s", "9/1s"]), Some(9));
        assert_eq!(volume(Service::Filter, &["store:2/1s"]), None);
    }
}
