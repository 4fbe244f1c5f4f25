//! Whatever strangers can send is fuzzed.

use crate::assert_none;
use crate::source::Source;
use crate::workspace::{FUZZ, manifest, root, sources};

#[test]
fn every_wire_type_is_fuzzed() {
    let sources = sources();
    let fuzzed = sources.iter().find(|source| source.path == format!("{FUZZ}/src/wire.rs"));
    let fuzzed = &fuzzed.expect("the wire types are fuzzed in one file").code;
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| source.is_in("proto/src")) {
        for (at, item) in source.product().match_indices("impl Wire for ") {
            let name = source.code[at + item.len()..].split(' ').next().unwrap_or_default();
            let module =
                source.path.trim_start_matches("proto/src/").trim_end_matches(".rs").replace('/', "::");
            let path = format!("{module}::{name}");
            if Source::find_word(fuzzed, &path).next().is_none() {
                broken.push(format!("{}: {path}", source.at(at)));
            }
        }
    }
    assert_none(&format!("add the type to {FUZZ}/src/wire.rs"), &broken);
}

#[test]
fn every_fuzz_target_has_seeds_to_start_from() {
    let manifest = manifest(FUZZ);
    let targets = manifest["bin"].as_array().expect("fuzz targets are binaries");
    let names = targets.iter().filter_map(|target| target["name"].as_str());
    let has_seeds = |name: &str| {
        std::fs::read_dir(root().join(FUZZ).join("seeds").join(name))
            .is_ok_and(|mut files| files.next().is_some())
    };
    let broken: Vec<_> =
        names.filter(|name| !has_seeds(name)).map(|name| format!("{FUZZ}/seeds/{name}")).collect();
    assert_none("add a small file to start from", &broken);
}
