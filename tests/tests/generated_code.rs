//! The checked-in protobuf code is what the `.proto` files say.

use std::path::Path;
use std::{env, fs};

use waku_tests::codegen;

#[test]
fn generated_code_is_fresh() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate sits in the workspace");
    for name in codegen::CRATES {
        let fresh = codegen::generate(workspace, name).unwrap();
        let path = codegen::generated_path(workspace, name);
        if env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
            fs::write(&path, &fresh).unwrap();
        }
        let checked_in = fs::read_to_string(&path).unwrap();
        assert!(
            checked_in == fresh,
            "{} is stale; run `UPDATE_GENERATED=1 cargo test -p waku-tests --test generated_code`",
            path.display()
        );
    }
}
