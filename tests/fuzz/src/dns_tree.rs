//! Lists of nodes in DNS.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k256::ecdsa::SigningKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_discovery::Record;
use waku_discovery::dns::{Entry, Hash, Limits, Root, Seqs, TreeUrl, Walk};

const DOMAIN: &str = "example.org";
const LIMITS: Limits = Limits { entries: 30, depth: 4, trees: 2 };

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_slice(&[3; 32]).expect("it is below the curve's order"));

/// What was read is written so that it is read again. A walk through a list of any entries, each found under its right
/// hash, keeps within its limits.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for line in text.lines() {
        read(line);
    }
    walk(text);
}

fn read(line: &str) {
    if let Ok(entry) = Entry::parse(line) {
        assert_eq!(Entry::parse(&entry.to_string()), Ok(entry));
    }
    if let Ok(root) = Root::parse(line) {
        assert_eq!(root.to_string(), line);
        assert!(!root.is_signed_by(KEY.verifying_key()), "a root was forged");
    }
    if let Ok(url) = line.parse::<TreeUrl>() {
        assert_eq!(url.to_string().parse(), Ok(url));
    }
    if let Ok(record) = line.parse::<Record>() {
        assert_eq!(record.to_string(), line);
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
    if let Ok(hash) = Hash::parse(line) {
        assert_eq!(hash.to_string(), line);
    }
    assert!(Hash::of(line).is_of(line));
}

/// The first line is where the nodes begin, the last one where the links do.
fn walk(text: &str) {
    let (Some(first), Some(last)) = (text.lines().next(), text.lines().last()) else { return };
    let name = |hash: Hash| format!("{hash}.{DOMAIN}");
    let mut zone: BTreeMap<_, _> = text.lines().map(|line| (name(Hash::of(line)), line.to_owned())).collect();
    let root = Root::sign(Hash::of(first), Hash::of(last), 1, &KEY);
    zone.insert(DOMAIN.to_owned(), root.to_string());

    let url = TreeUrl::new(*KEY.verifying_key(), DOMAIN).expect("the domain is a name");
    let mut walk = Walk::new(url.clone(), LIMITS, Seqs::default());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut asked = 0;
    while let Some(question) = walk.next(&mut rng) {
        asked += 1;
        let texts: Vec<_> = zone.get(question.name()).into_iter().map(String::as_str).collect();
        // What was wrong is noted.
        let _ = walk.answer(question, texts);
    }
    let findings = walk.into_findings();
    assert!(asked == findings.asked && asked <= LIMITS.entries);
    assert!(findings.records.len() + findings.wrong < asked);
    assert_eq!(findings.seqs.get(&url), Some(1));
}
