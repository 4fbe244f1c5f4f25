//! X
use super::network::NOBODY;
use crate::process::Process;
#[test]
fn probe() {
    let c = Process::start(&["--shard=0"]);
    println!("{:?}", c.post("/admin/v1/peers", &format!("[\"{NOBODY}\"]")));
    for _ in 0..4 {
        println!("{}", c.get("/admin/v1/peers").body);
        println!("{}", c.get("/admin/v1/peers/stats").body);
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
