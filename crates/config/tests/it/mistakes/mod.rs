//! Mistakes, and what is shown of them.

mod between;
mod encoding;
mod keys;
mod machine;
mod plugins;
mod policies;
mod secrets;
mod sources;
mod syntax;
mod values;

use expect_test::Expect;

use crate::site::{CONNECTION, Site};

/// Compares what is shown of the errors in this main file.
fn check(main: &str, expected: Expect) {
    let shown = Site::new(main).errors();
    assert!(
        !shown.contains("s3cret") && !shown.contains("123454321"),
        "a secret is shown:\n{shown}"
    );
    expected.assert_eq(&shown);
}

/// The same in short, for each of many files.
fn table(cases: &[&str], expected: Expect) {
    let mut shown = String::new();
    for case in cases {
        let site = Site::new(case);
        let errors = site.brief_errors();
        assert!(!errors.contains("s3cret"), "a secret is shown:\n{errors}");
        let case = case.trim_end().replace('\n', "\n> ");
        shown += &format!("> {case}\n{errors}");
    }
    // What cannot be seen is named.
    let shown = shown
        .replace('\u{a0}', "<U+00A0>")
        .replace('\u{200b}', "<U+200B>");
    expected.assert_eq(&shown);
}

/// The same for what follows a connection that is right.
fn after_connection(cases: &[&str], expected: Expect) {
    let mut shown = String::new();
    for case in cases {
        let site = Site::new(&format!("{CONNECTION}{case}"));
        let errors = site.brief_errors();
        assert!(!errors.contains("s3cret"), "a secret is shown:\n{errors}");
        let case = case.trim_end().replace('\n', "\n> ");
        shown += &format!("> {case}\n{errors}");
    }
    expected.assert_eq(&shown);
}
