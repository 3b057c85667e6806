//! Mistakes, and what is shown of them.

mod between;
mod keys;
mod secrets;
mod sources;
mod syntax;
mod values;

use expect_test::Expect;

use crate::site::Site;

/// Compares what is shown of the errors in this main file.
fn check(main: &str, expected: Expect) {
    let shown = Site::new(main).errors();
    assert!(
        !shown.contains("s3cret") && !shown.contains("123454321"),
        "a secret is shown:\n{shown}"
    );
    expected.assert_eq(&shown);
}
