//! Replays the inputs that fuzzing kept, so that no finding comes back: the same entrances as
//! `fuzz/`, on the ordinary compiler.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use tfbert::fuzzing::{TARGETS, clean};

#[test]
fn no_kept_input_of_a_fuzzer_breaks_a_promise() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (name, target) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/ lacks `{name}`");
        let corpus = fuzz.join("corpus").join(name);
        let entries = fs::read_dir(&corpus).unwrap_or_else(|_| panic!("no corpus of `{name}`"));
        let mut inputs = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            assert!(catch_unwind(|| target(&data)).is_ok(), "{}", path.display());
            inputs += 1;
        }
        assert!(inputs >= 2, "the corpus of `{name}` has {inputs} inputs");
    }
    clean();
}
