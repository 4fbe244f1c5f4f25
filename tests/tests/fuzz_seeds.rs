//! Every seed of the fuzz targets, and with them every input that once broke a promise, in every run of the tests.

use std::fs;
use std::path::Path;

#[allow(unreachable_pub, reason = "it is a library of its own beside the fuzz targets")]
#[allow(clippy::indexing_slicing, reason = "a target stops at the first surprise")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

#[test]
fn every_seed_keeps_what_its_target_promises() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, target) in fuzz::TARGETS {
        let files =
            fs::read_dir(seeds.join(name)).unwrap_or_else(|error| panic!("no seeds for {name}: {error}"));
        for file in files {
            let path = file.unwrap().path();
            eprintln!("{}", path.display());
            target(&fs::read(path).unwrap());
        }
    }
}
