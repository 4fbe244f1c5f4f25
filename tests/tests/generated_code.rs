//! The checked-in protobuf code is what the `.proto` files say.

use std::fs;
use std::path::Path;

use waku_tests::codegen;

#[test]
fn generated_code_is_fresh() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate sits in the workspace");
    for name in codegen::CRATES {
        let path = codegen::generated_path(workspace, name);
        let checked_in = fs::read_to_string(&path).unwrap();
        assert!(
            checked_in == codegen::generate(workspace, name).unwrap(),
            "{} is stale; run `cargo run -p waku-tests --bin generate`",
            path.display()
        );
    }
}
