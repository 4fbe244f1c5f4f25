use super::*;

fn fields(ip: [u8; 4], udp: u16) -> Fields {
    Fields { ip4: Some(ip.into()), udp4: Some(udp), ..Fields::default() }
}

fn enr(fields: &Fields) -> ::discv5::Enr {
    sign(fields, 1, &SigningKey::from_slice(&[1; 32]).unwrap()).unwrap().0
}

#[test]
fn the_address_that_others_see_stays_until_another_is_given() {
    let (said, seen) = (fields([10, 0, 0, 1], 9000), fields([192, 0, 2, 1], 1234));
    let tcp = Fields { tcp4: Some(80), ..said.clone() };
    assert_eq!(keep_seen_address(&said, &tcp, &enr(&seen)), Fields { tcp4: Some(80), ..seen.clone() });
    let moved = fields([198, 51, 100, 1], 9000);
    assert_eq!(keep_seen_address(&said, &moved, &enr(&seen)), moved);
    assert_eq!(keep_seen_address(&said, &tcp, &enr(&said)), tcp);
}

#[test]
fn the_secret_is_not_in_debug_output() {
    let config = Config::new([0xab; 32], "127.0.0.1:0".parse().unwrap());
    let debug = format!("{config:?}");
    assert!(debug.contains("127.0.0.1") && !debug.contains("171") && !debug.contains("secret"), "{debug}");
}
