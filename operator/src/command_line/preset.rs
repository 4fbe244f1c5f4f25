//! Known networks.
//!
//! Data as of logos-delivery at 69fbffa and of the fleets' lists at <https://fleets.waku.org>; `status.staging` from
//! status-go's list, with the layout of `status.prod`.

use super::problem::Problem;
use super::table::WITHOUT_RLN;
use super::value::Value;
use super::values::Values;

/// What `--preset` knows.
pub(super) const NAMES: [&str; 5] = ["twn", "logos.dev", "logos.test", "status.prod", "status.staging"];

/// A known network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The Waku Network, cluster 1.
    Twn,
    /// Cluster 3.
    LogosDev,
    /// Cluster 2.
    LogosTest,
    /// Cluster 16.
    StatusProd,
    /// Cluster 16.
    StatusStaging,
}

struct Network {
    name: &'static str,
    cluster: &'static str,
    shards: &'static str,
    max_msg_size: &'static str,
    bootstrap: &'static [&'static str],
    entry: &'static [&'static str],
    /// What nodes there run besides, and this one does not.
    lacking: &'static str,
}

/// Sets what a preset says where no flag was given, with a warning for each flag that stands against it.
///
/// # Errors
/// No such preset, or one that needs what is not built.
pub(super) fn apply(values: &mut Values, warnings: &mut Vec<String>) -> Result<Option<Preset>, Problem> {
    let asked = values.text("preset").unwrap_or_default().to_ascii_lowercase();
    let preset = match asked.as_str() {
        "" => return Ok(implied(values, warnings)),
        "twn" => Preset::Twn,
        "logos.dev" | "logosdev" => Preset::LogosDev,
        "logos.test" | "logostest" => Preset::LogosTest,
        "status.prod" | "statusprod" => Preset::StatusProd,
        "status.staging" | "statusstaging" => Preset::StatusStaging,
        _ => return Err(Problem::Preset(asked)),
    };
    let declined = values.is_given("rln-relay") && values.is("rln-relay", &Value::Bool(false));
    if preset == Preset::Twn && !declined {
        return Err(Problem::NotBuilt {
            what: "RLN, which --preset=twn asks for,".to_owned(),
            advice: WITHOUT_RLN,
        });
    }
    set(values, &preset.network(), warnings);
    Ok(Some(preset))
}

/// nwaku takes cluster 1 for The Waku Network, and cluster 2 for another one. Private networks have the number 2,
/// so here it is nobody's.
fn implied(values: &mut Values, warnings: &mut Vec<String>) -> Option<Preset> {
    if !values.is("cluster-id", &Value::Number(1)) {
        return None;
    }
    warnings.push(
        "--cluster-id=1 is The Waku Network: joining with its settings, without checking RLN proofs. To say so \
         give --preset=twn --rln-relay=false"
            .to_owned(),
    );
    set(values, &Preset::Twn.network(), warnings);
    Some(Preset::Twn)
}

fn set(values: &mut Values, network: &Network, warnings: &mut Vec<String>) {
    let settings = [
        ("cluster-id", std::slice::from_ref(&network.cluster)),
        ("num-shards-in-network", std::slice::from_ref(&network.shards)),
        ("max-msg-size", std::slice::from_ref(&network.max_msg_size)),
        ("discv5-discovery", &["true"]),
        ("discv5-bootstrap-node", network.bootstrap),
        ("entry-node", network.entry),
    ];
    for (name, texts) in settings {
        if !values.preset(name, texts) {
            warnings.push(format!(
                "--{name} stands against the {} network's {}",
                network.name,
                texts.join(" ")
            ));
        }
    }
    if !network.lacking.is_empty() {
        warnings.push(format!(
            "nodes of the {} network run {}: this one does not",
            network.name, network.lacking
        ));
    }
}

impl Preset {
    fn network(self) -> Network {
        match self {
            Self::Twn => Network {
                name: "twn",
                cluster: "1",
                shards: "8",
                max_msg_size: "150KiB",
                bootstrap: &SANDBOX,
                entry: &[],
                lacking: "",
            },
            Self::LogosDev => Network { name: "logos.dev", cluster: "3", entry: &LOGOS_DEV, ..LOGOS },
            Self::LogosTest => Network { name: "logos.test", cluster: "2", entry: &LOGOS_TEST, ..LOGOS },
            Self::StatusProd => Network { name: "status.prod", entry: &STATUS_PROD, ..STATUS },
            Self::StatusStaging => Network { name: "status.staging", entry: &STATUS_STAGING, ..STATUS },
        }
    }
}

const LOGOS: Network = Network {
    name: "",
    cluster: "",
    shards: "8",
    max_msg_size: "150KiB",
    bootstrap: &[],
    entry: &[],
    lacking: "mix and Kademlia discovery",
};

const STATUS: Network = Network {
    name: "",
    cluster: "16",
    shards: "1",
    max_msg_size: "1024KiB",
    bootstrap: &[],
    entry: &[],
    lacking: "",
};

const SANDBOX: [&str; 3] = [
    "enr:-QESuED0qW1BCmF-oH_ARGPr97Nv767bl_43uoy70vrbah3EaCAdK3Q0iRQ6wkSTTpdrg_dU_NC2ydO8leSlRpBX4pxiAYJpZIJ2NIJpcIRA4VDAim11bHRpYWRkcnO4XAArNiZub2RlLTAxLmRvLWFtczMud2FrdS5zYW5kYm94LnN0YXR1cy5pbQZ2XwAtNiZub2RlLTAxLmRvLWFtczMud2FrdS5zYW5kYm94LnN0YXR1cy5pbQYfQN4DgnJzkwABCAAAAAEAAgADAAQABQAGAAeJc2VjcDI1NmsxoQOTd-h5owwj-cx7xrmbvQKU8CV3Fomfdvcv1MBc-67T5oN0Y3CCdl-DdWRwgiMohXdha3UyDw",
    "enr:-QEkuED9X80QF_jcN9gA2ZRhhmwVEeJnsg_Hyg7IFCTYnZD0BDI7a8HArE61NhJZFwygpHCWkgwSt2vqiABXkBxzIqZBAYJpZIJ2NIJpcIQiQlleim11bHRpYWRkcnO4bgA0Ni9ub2RlLTAxLmdjLXVzLWNlbnRyYWwxLWEud2FrdS5zYW5kYm94LnN0YXR1cy5pbQZ2XwA2Ni9ub2RlLTAxLmdjLXVzLWNlbnRyYWwxLWEud2FrdS5zYW5kYm94LnN0YXR1cy5pbQYfQN4DgnJzkwABCAAAAAEAAgADAAQABQAGAAeJc2VjcDI1NmsxoQPFAS8zz2cg1QQhxMaK8CzkGQ5wdHvPJcrgLzJGOiHpwYN0Y3CCdl-DdWRwgiMohXdha3UyDw",
    "enr:-QEkuEBfEzJm_kigJ2HoSS_RBFJYhKHocGdkhhBr6jSUAWjLdFPp6Pj1l4yiTQp7TGHyu1kC6FyaU573VN8klLsEm-XuAYJpZIJ2NIJpcIQI2SVcim11bHRpYWRkcnO4bgA0Ni9ub2RlLTAxLmFjLWNuLWhvbmdrb25nLWMud2FrdS5zYW5kYm94LnN0YXR1cy5pbQZ2XwA2Ni9ub2RlLTAxLmFjLWNuLWhvbmdrb25nLWMud2FrdS5zYW5kYm94LnN0YXR1cy5pbQYfQN4DgnJzkwABCAAAAAEAAgADAAQABQAGAAeJc2VjcDI1NmsxoQOwsS69tgD7u1K50r5-qG5hweuTwa0W26aYPnvivpNlrYN0Y3CCdl-DdWRwgiMohXdha3UyDw",
];

const LOGOS_DEV: [&str; 6] = [
    "/dns4/delivery-01.do-ams3.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAmTUbnxLGT9JvV6mu9oPyDjqHK4Phs1VDJNUgESgNSkuby",
    "/dns4/delivery-02.do-ams3.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAmMK7PYygBtKUQ8EHp7EfaD3bCEsJrkFooK8RQ2PVpJprH",
    "/dns4/delivery-01.gc-us-central1-a.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm4S1JYkuzDKLKQvwgAhZKs9otxXqt8SCGtB4hoJP1S397",
    "/dns4/delivery-02.gc-us-central1-a.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm8Y9kgBNtjxvCnf1X6gnZJW5EGE4UwwCL3CCm55TwqBiH",
    "/dns4/delivery-01.ac-cn-hongkong-c.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAm8YokiNun9BkeA1ZRmhLbtNUvcwRr64F69tYj9fkGyuEP",
    "/dns4/delivery-02.ac-cn-hongkong-c.logos.dev.status.im/tcp/30303/p2p/16Uiu2HAkvwhGHKNry6LACrB8TmEFoCJKEX29XR5dDUzk3UT3UNSE",
];

const LOGOS_TEST: [&str; 6] = [
    "/dns4/node-01.do-ams3.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmQ9X2xDfPG3uL77V9piYDhjq14JhKCtcmNYsTMKNqrKCj",
    "/dns4/node-02.do-ams3.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmB8NYprrfQrgWVzsJtYWkfjsXbmJEGNMG6othXsQ53BwG",
    "/dns4/node-01.gc-us-central1-a.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmF8WtwGPmeGHgYAX2277jHgy5cW9F7zsB8EqUjBZQAZQ3",
    "/dns4/node-02.gc-us-central1-a.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmUuXhUW9bdJpzN1kfDziFiUZo4bszTk66cvr7uuyCHXR7",
    "/dns4/node-01.ac-cn-hongkong-c.logos.test.status.im/tcp/30303/p2p/16Uiu2HAmL3oU95jh1BZHozn3uNhx8HEneirgr8M1jEAapzXGDqRF",
    "/dns4/node-02.ac-cn-hongkong-c.logos.test.status.im/tcp/30303/p2p/16Uiu2HAm28CoBZjpyxsanC8tQpbvZ7bZJnVYuB1EgFzb571qpWsV",
];

const STATUS_PROD: [&str; 4] = [
    "enrtree://AMOJVZX4V6EXP7NTJPMAYJYST2QP6AJXYW76IU6VGJS7UVSNDYZG4@boot.prod.status.nodes.status.im",
    "/dns4/boot-01.do-ams3.status.prod.status.im/tcp/30303/p2p/16Uiu2HAmAR24Mbb6VuzoyUiGx42UenDkshENVDj4qnmmbabLvo31",
    "/dns4/boot-01.gc-us-central1-a.status.prod.status.im/tcp/30303/p2p/16Uiu2HAm8mUZ18tBWPXDQsaF7PbCKYA35z7WB2xNZH2EVq1qS8LJ",
    "/dns4/boot-01.ac-cn-hongkong-c.status.prod.status.im/tcp/30303/p2p/16Uiu2HAmGwcE8v7gmJNEWFtZtojYpPMTHy2jBLL6xRk33qgDxFWX",
];

const STATUS_STAGING: [&str; 1] =
    ["enrtree://AI4W5N5IFEUIHF5LESUAOSMV6TKWF2MB6GU2YK7PU4TYUGUNOCEPW@boot.staging.status.nodes.status.im"];
