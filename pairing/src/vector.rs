//! The protocol's published vector, byte for byte.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use waku_noise_session::key::{KeyPair, PublicKey};
use waku_noise_session::letter::{open, seal};
use waku_noise_session::manager::PairRoot;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::UnixTime;

use crate::code::Code;
use crate::hello::{self, Hello, Kind};
use crate::identity::Identity;
use crate::kdf::CodeKeys;
use crate::letter::{self, LetterId};
use crate::part::Part;
use crate::profile;
use crate::sas::{self, Sas};
use crate::testing::FixedRng;
use crate::topic;

const HELLO_APP: &str = "010102010000000068e77800c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0031b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13803a17bdf52ce36f0b3e71df208d34c8bad87d25824fe8780c04741957f55eef000000000000000000000000000000000000000000000000000000000000000009626561636f6e2d30318525862bf1c678595dbd44f5fd6ea5df702b2174d84dbd8dcd733130d1f2cecb32751a1889572fb53184aee76ead3bc2fea4374dd9619b8a6370f90e0aa3b86c";
const HELLO_APP_PAYLOAD: &str = "d8aa829a0c0cd55435b01ef30c535cee1e001401000000000000d1d1d1d1d1d1d1d1d1d1d1d128e9f0b912b43de0ed138ee21bf75bb45a77a4e0cb1ed6701780d1035f163b4934169014618ecb8c71f34e9c6175b3d0b999fb5326e70f71d59ffcaacb3399ad25fed3d6fb65032c4c3f4325824103e10b87219c55115d793aef2e831699dbc04b94fc24d4b96281ddc0265a70c5780bdadf8f999f69902188c6461f7d603db1abc5c601ed19d0c0a283eaa869d0e4466d78683d297c89f9bf4d17b15c9aa60ea6322666e2931031d514b7fb09858c2b482163eb65c20fea7b6b2db5bf0995ab23ad16be88766c2d81691d89b9f103ace50479c3f2e53e1fb8cd19bcc84bcf772c359ffd90a0cf44bd8c57df859158808545ba71571585e669819a0e9ee3f72e785ec3528fbc161e";
const HELLO_NODE_MANAGER: &str = "010202010000000068e77803c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0024d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d07660faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb832ce9cc9ed4dd48c5de5de389852f58729b45b3790c916becaac056cc9c998066c6170746f703dd003a2bb9e15ad0f2d652b811d37f2cfb6d0613f43d31207e73a7369eae9d8415e9f33fc56a1a81e43241fdae0110e060f2341d40746528ead4914f83ffa0a";
/// Of the manager to the app at second 1,760,000,000. The payload comes from an independent implementation, and from plain
/// primitives in the tests of `waku-noise-session`.
const LETTER: &str = "01186cc6acd4b00000e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e16469736b20616c6d6f73742066756c6c";
const LETTER_PAYLOAD: &str = "7bcee32364d3ea863cc963cab15bb4e91e210038ab664bd86f77d7e66bdd9ae0792913a94fd8b33a1260027e4b46c1f4884c671401000000000000d5d5d5d5d5d5d5d5d5d5d5d53bd9a3d07b9b31e6d1c75ebfef8df87e0f10fb667414cb07dcd70a8e0df5f99d0a4260f666a6c9213e6f7abb4205667560aef3cb90d2931529ad7aa543546bfa7c293abb1f2f6f1328f5894839c14b770a55778150eb7d890f2f28c3bdeb12d3dd68a8ca59eddd3a85e11c76899d00a9df593b379d9eb63dc9dd88d28089ad64d37745d89cf265620b13c7b0f5dae2283160fb5786bb28725b19f26ef7a2ade69159169ce9a840270a717de9a96157c6cd0ef2910e2e8a93f1a151184168c7529ac7a02c6f7d2de5c14e5d4e3a93fcd4856676101e68dc71ab1bbe66797fa95abb453898646bfb2678a0a2ddc35908c813fbc41a017ef431ec27582266054a0efc0db5f0ed49cd60";
const N_NM: [u8; 32] = [0xaa; 32];
const N_APP: [u8; 32] = [0xbb; 32];

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn manager() -> Identity {
    Identity::from_secrets(&[1; 32], &[0x11; 32]).unwrap()
}

fn app() -> Identity {
    Identity::from_secrets(&[2; 32], &[0x22; 32]).unwrap()
}

fn keys() -> CodeKeys {
    CodeKeys::derive(&Code::from(0x0123_4567_89ab_cdef))
}

fn hello(identity: &Identity, kind: Kind, time: u64, label: &str) -> Hello {
    Hello {
        kind,
        time,
        attempt: [0xc0; 16],
        identity: identity.key(),
        noise: identity.noise().public(),
        label: label.parse().unwrap(),
    }
}

fn hello_app() -> Hello {
    let kind = Kind::HelloApp { requires_sas: true, commitment: sas::commitment(&N_NM) };
    hello(&manager(), kind, 1_760_000_000, "beacon-01")
}

fn hello_node_manager() -> Hello {
    let answers = Sha256::digest(HEXLOWER.decode(HELLO_APP.as_bytes()).unwrap()).into();
    let kind = Kind::HelloNodeManager { requires_sas: true, n_app: N_APP, answers };
    hello(&app(), kind, 1_760_000_003, "laptop")
}

fn transcript() -> [u8; 32] {
    let decode = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    hello::transcript(&decode(HELLO_APP), &decode(HELLO_NODE_MANAGER))
}

#[test]
fn the_pairing_topic_is_the_vectors() {
    let topic = topic::pairing(&keys().topic);
    assert_eq!(topic.as_str(), "/status-node-manager/1/pair-80d9362c6106e8879e99b40011b2adae/proto");
}

#[test]
fn hello_app_is_the_vectors() {
    let keys = keys();
    let plaintext = hello_app().encode(&manager(), &keys.topic);
    assert_eq!(hex(&plaintext), HELLO_APP);
    let payload = hello::seal(&keys.app, &mut FixedRng(vec![0xd1; 12]), &plaintext);
    assert_eq!(hex(&payload), HELLO_APP_PAYLOAD);

    let opened = hello::open(&keys.app, &PayloadV2::decode(&payload).unwrap()).unwrap();
    assert_eq!(Hello::decode(&opened, &keys.topic), Ok(hello_app()));
}

#[test]
fn hello_node_manager_is_the_vectors() {
    let keys = keys();
    let plaintext = hello_node_manager().encode(&app(), &keys.topic);
    assert_eq!(hex(&plaintext), HELLO_NODE_MANAGER);
    assert_eq!(Hello::decode(&plaintext, &keys.topic), Ok(hello_node_manager()));
    let payload = hello::seal(&keys.node_manager, &mut FixedRng(vec![0xd2; 12]), &plaintext);
    let payload = PayloadV2::decode(&payload).unwrap();
    assert!(hello::open(&keys.app, &payload).is_none(), "the directions are apart");
    assert_eq!(*hello::open(&keys.node_manager, &payload).unwrap(), plaintext);
}

#[test]
fn transcript_and_six_digits_are_the_vectors() {
    let transcript = transcript();
    assert_eq!(hex(transcript), "0e01383e0f148d907dfa1ffc2efdc634b593dd5f06afdd170bfed7934f291aed");
    assert_eq!(Sas::compute(&transcript, &N_NM, &N_APP).to_string(), "570605");
}

#[test]
fn the_pairings_secret_and_its_topic_are_the_vectors() {
    let (manager, app) = (KeyPair::from_secret(&[0x11; 32]), KeyPair::from_secret(&[0x22; 32]));
    let shared = manager.diffie_hellman(&app.public()).unwrap();
    assert_eq!(hex(shared.as_ref()), "9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056");
    let root = PairRoot::new(&manager, &app.public(), &transcript()).unwrap();
    assert_eq!(hex(root.as_bytes()), "0d90dd23e6dfc34ae662606d76e730a49eb1e95567cbaa9ba1afb777e5c95746");
    assert_eq!(root.as_bytes(), PairRoot::new(&app, &manager.public(), &transcript()).unwrap().as_bytes());
    assert_eq!(
        topic::rendezvous(&root, 20_370).as_str(),
        "/status-node-manager/1/r-d6b25d019b43fb5b940d0685d70ccfc9/proto"
    );
    let prologue =
        [b"status-node-manager/session/1".as_slice(), root.expand::<32>(b"snm/1 prologue").as_ref()].concat();
    assert_eq!(
        hex(prologue),
        "7374617475732d6e6f64652d6d616e616765722f73657373696f6e2f318bd0992b5202c3c461b4e5ef05393ca5768519eb9685740133326ac382214799"
    );
}

#[test]
fn a_letter_and_its_topics_are_the_vectors() {
    let writer =
        profile::link(Part::NodeManager, &manager(), &app().noise().public(), &transcript()).unwrap();
    let reader = profile::link(Part::App, &app(), &manager().noise().public(), &transcript()).unwrap();
    let id = LetterId::new(UnixTime::from_secs(1_760_000_000), &mut FixedRng(vec![0xe1; 16]));
    let plaintext = letter::encode(id, b"disk almost full");
    assert_eq!(hex(&plaintext), LETTER);
    assert_eq!(letter::decode(&plaintext), Some((id, &b"disk almost full"[..])));

    let mut chance = FixedRng([vec![0x55; 32], vec![0xd5; 12]].concat());
    let payload = seal(&writer, &mut chance, id.sent_at().day(), &plaintext).unwrap();
    assert_eq!(hex(&payload), LETTER_PAYLOAD);
    let opened = open(&reader, 20_370, &PayloadV2::decode(&payload).unwrap());
    assert_eq!(opened, Some(plaintext));

    let topics =
        [writer.local_part, writer.remote_part].map(|part| topic::letters(&reader.root, part, 20_370));
    assert_eq!(topics[0].as_str(), "/status-node-manager/1/l-0dc5ff216e60b1b6355059ad16f76467/proto");
    assert_eq!(topics[1].as_str(), "/status-node-manager/1/l-952e434dcac8c04664bea14b63a75e3d/proto");
}

#[test]
fn every_changed_byte_of_a_hello_is_refused() {
    let keys = keys();
    let plaintext = HEXLOWER.decode(HELLO_APP.as_bytes()).unwrap();
    for at in 0..plaintext.len() {
        let mut changed = plaintext.clone();
        changed[at] ^= 1;
        assert!(Hello::decode(&changed, &keys.topic).is_err(), "byte {at}");
        assert!(Hello::decode(&plaintext[..at], &keys.topic).is_err(), "{at} bytes");
    }
    assert!(Hello::decode(&plaintext, &[0; 32]).is_err(), "signed for another code");
    assert_ne!(hello_app().noise, PublicKey::from([0; 32]));
}
