//! Tells the hub when it was built: a clock that shows an earlier time cannot be right.

use std::time::SystemTime;

#[expect(clippy::disallowed_methods, reason = "a build has no other clock")]
fn main() {
    // As packagers set it, so that the same source makes the same program.
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let seconds = given
        .and_then(|seconds| seconds.trim().parse().ok())
        .unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.map_or(0, |since_1970| since_1970.as_secs())
        });
    println!("cargo:rustc-env=WATCHPOST_BUILT={seconds}");
}
