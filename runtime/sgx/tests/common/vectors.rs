//! Data of other implementations, beside the repository; tests that want it say so and pass where it is absent.

use std::path::Path;

/// The bytes of a vector, or `None` (with a note) where the folder is absent.
pub fn read(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    if !path.exists() {
        eprintln!("skipped: ../shared/vectors/{name} is not there");
        return None;
    }
    Some(std::fs::read(path).expect("a readable vector"))
}
