//! Starting and stopping.

use crate::process::Process;

#[test]
fn starts_answers_and_stops_cleanly_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut node = Process::start(&["--shard=0"]);
        assert_eq!(node.get("/health").json()["nodeHealth"], "READY");
        assert_eq!(node.end(signal).code(), Some(0), "{signal}");
        assert!(node.log().contains(&format!("Shutting down after receiving SIG{}", &signal[1..])));
    }
}
