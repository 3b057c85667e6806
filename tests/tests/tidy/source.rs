//! How a Rust file looks: its first line, its length, and what test code must not do.
//!
//! The code is parsed, so comments and strings do not confuse the rules, and macros' arguments are looked into.

use std::ops::RangeInclusive;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::files::{read, with_extension};
use crate::{Finding, expect_none};

/// Crates at the border to C, where each unsafe block carries its reason. Clippy holds the reason, this test the place.
const UNSAFE_CRATES: [&str; 5] = [
    "crates/sink-abi/",
    "crates/sink/",
    "crates/sinkhost/",
    "crates/sinkhost-client/",
    "crates/sinkhost-protocol/",
];

/// Longest file, in lines that are not tests.
const MAX_FILE_LINES: usize = 500;

/// Longest function that is not a test, in lines from `fn` to its closing brace.
const MAX_FN_LINES: usize = 70;

#[test]
fn rust_files_keep_the_rules() {
    let files = with_extension("rs");
    assert!(
        files.iter().any(|file| file.ends_with("tidy/source.rs")),
        "the walk does not find this file"
    );
    let findings: Vec<Finding> = files.iter().flat_map(|file| check(file, &read(file))).collect();
    expect_none(&findings);
}

fn check(path: &Path, text: &str) -> Vec<Finding> {
    let at = |line: usize, problem: String| Finding::new(path, line, problem);
    let parsed = syn::parse_file(text);
    let (file, tokens) = match (parsed, text.parse::<TokenStream>()) {
        (Ok(file), Ok(tokens)) => (file, tokens),
        (Err(error), _) => return vec![at(error.span().start().line, format!("does not parse: {error}"))],
        (_, Err(error)) => return vec![at(error.span().start().line, format!("does not parse: {error}"))],
    };
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(at(
            1,
            "opens with `//!`: what the file is, and what it refuses to know".into(),
        ));
    }
    let tests = TestCode::of(path, &file, text);
    let lines = tests.lines_outside(text);
    if lines > MAX_FILE_LINES {
        findings.push(at(
            1,
            format!("{lines} lines without its tests; {MAX_FILE_LINES} are the limit"),
        ));
    }
    let mut functions = Functions::default();
    functions.visit_file(&file);
    for (line, length) in functions
        .0
        .into_iter()
        .filter(|(line, length)| *length > MAX_FN_LINES && !tests.holds(*line))
    {
        findings.push(at(
            line,
            format!("a function of {length} lines; {MAX_FN_LINES} are the limit"),
        ));
    }
    let may_be_unsafe = UNSAFE_CRATES
        .iter()
        .any(|place| path.to_string_lossy().contains(place));
    for (line, matter) in matters(tokens) {
        match matter {
            Matter::Unsafe if !may_be_unsafe => {
                findings.push(at(
                    line,
                    format!("unsafe code belongs into {} only", UNSAFE_CRATES.join(", ")),
                ));
            }
            Matter::Ignore => findings.push(at(
                line,
                "an ignored test proves nothing: fix or remove it".into(),
            )),
            Matter::Sleep if tests.holds(line) => {
                findings.push(at(
                    line,
                    "tests wait for a condition (`eventually`), not for time to pass".into(),
                ));
            }
            Matter::Unsafe | Matter::Sleep => {}
        }
    }
    findings
}

/// Which lines of a file are test code.
struct TestCode(Vec<RangeInclusive<usize>>);

impl TestCode {
    fn of(path: &Path, file: &syn::File, text: &str) -> Self {
        let whole_file = path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
        let below_root = path
            .strip_prefix(watchpost_testkit::workspace_root())
            .unwrap_or(path);
        // The test crate's own library, if it gets any, is code of tests as well.
        if whole_file || below_root.starts_with("tests") {
            return Self(vec![1..=text.lines().count()]);
        }
        let mut finder = TestItems::default();
        finder.visit_file(file);
        Self(finder.0)
    }

    fn holds(&self, line: usize) -> bool {
        self.0.iter().any(|range| range.contains(&line))
    }

    fn lines_outside(&self, text: &str) -> usize {
        (1..=text.lines().count())
            .filter(|line| !self.holds(*line))
            .count()
    }
}

/// Finds items under `#[cfg(test)]` or `#[test]`, with their attributes.
#[derive(Default)]
struct TestItems(Vec<RangeInclusive<usize>>);

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if attributes.iter().any(is_for_tests) {
            self.0.push(item.span().start().line..=item.span().end().line);
        } else {
            visit::visit_item(self, item);
        }
    }
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    let last = attribute
        .path()
        .segments
        .last()
        .map(|segment| segment.ident.to_string());
    match last.as_deref() {
        Some("test") => true,
        Some("cfg") => attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|argument| argument == "test"),
        _ => false,
    }
}

/// Collects the first line and the length of every function.
#[derive(Default)]
struct Functions(Vec<(usize, usize)>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (start, end) = (signature.span().start().line, block.span().end().line);
        self.0.push((start, end - start + 1));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// Something in the code that a rule has an opinion on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Matter {
    /// The keyword, or leave to use it.
    Unsafe,
    /// An attribute or a documentation example that keeps a test from running.
    Ignore,
    /// `thread::sleep`.
    Sleep,
}

/// Goes through all tokens, those in macros' arguments too.
fn matters(tokens: TokenStream) -> Vec<(usize, Matter)> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        let before = |back: usize| {
            index
                .checked_sub(back)
                .map(|index| tokens[index].to_string())
                .unwrap_or_default()
        };
        match token {
            TokenTree::Ident(ident) if *ident == "unsafe" => found.push((line, Matter::Unsafe)),
            TokenTree::Ident(ident) if *ident == "sleep" && before(3) == "thread" && before(2) == ":" => {
                found.push((line, Matter::Sleep));
            }
            TokenTree::Group(group) => {
                let lead = before(1);
                if group.delimiter() == Delimiter::Bracket && (lead == "#" || before(2) == "#") {
                    found.extend(attribute_matter(group).map(|matter| (line, matter)));
                }
                found.extend(matters(group.stream()));
            }
            _ => {}
        }
    }
    found
}

/// What an attribute's brackets hold, as far as a rule cares.
fn attribute_matter(brackets: &Group) -> Option<Matter> {
    let words = brackets.stream().to_string();
    let has = |word: &str| {
        words
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(|found| found == word)
    };
    let starts = |name: &str| words.trim_start().starts_with(name);
    // A documentation comment is an attribute by now.
    if starts("doc") {
        return words.contains("```ignore").then_some(Matter::Ignore);
    }
    if starts("ignore") || (starts("cfg_attr") && has("ignore")) {
        return Some(Matter::Ignore);
    }
    ((has("allow") || has("expect")) && has("unsafe_code")).then_some(Matter::Unsafe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(Path::new(path), text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_first_line_says_what_the_file_is() {
        assert_eq!(
            findings("crates/core/src/a.rs", "//! A file.\nfn f() {}\n"),
            [""; 0]
        );
        let wrong = findings("crates/core/src/a.rs", "fn f() {}\n");
        assert_eq!(
            wrong,
            ["crates/core/src/a.rs:1: opens with `//!`: what the file is, and what it refuses to know"]
        );
    }

    #[test]
    fn unsafe_code_is_found_outside_its_crates_and_in_macros() {
        let text =
            "//! A file.\nfn f() { g!(unsafe { h() }) }\n// unsafe in words\nconst S: &str = \"unsafe\";\n";
        assert_eq!(findings("crates/hub/src/a.rs", text).len(), 1);
        assert_eq!(findings("crates/sink/src/a.rs", text), [""; 0]);
        let leave = "//! A file.\n#![allow(unsafe_code)]\n";
        assert!(findings("crates/hub/src/a.rs", leave)[0].starts_with("crates/hub/src/a.rs:2: unsafe code"));
        assert_eq!(
            findings("crates/hub/src/a.rs", "//! A file.\n#![forbid(unsafe_code)]\n"),
            [""; 0]
        );
    }

    #[test]
    fn sleeping_and_ignoring_are_found_in_tests() {
        let body = "fn wait() { std::thread::sleep(LONG); }";
        assert_eq!(
            findings("crates/hub/src/a.rs", &format!("//! A file.\n{body}\n")),
            [""; 0]
        );
        assert_eq!(
            findings("crates/hub/tests/a.rs", &format!("//! A file.\n{body}\n")).len(),
            1
        );
        let inline = format!("//! A file.\n#[cfg(test)]\nmod tests {{\n    {body}\n}}\n");
        assert!(findings("crates/hub/src/a.rs", &inline)[0].starts_with("crates/hub/src/a.rs:4: tests wait"));
        let ignored = "//! A file.\n#[test]\n#[ignore = \"slow\"]\nfn t() {}\n";
        assert!(
            findings("crates/hub/tests/a.rs", ignored)[0].starts_with("crates/hub/tests/a.rs:3: an ignored")
        );
        let example = "//! A file.\n\n/// ```ignore\n/// f();\n/// ```\nfn f() {}\n";
        assert_eq!(findings("crates/hub/src/a.rs", example).len(), 1);
    }

    #[test]
    fn long_files_and_functions_are_found_but_not_long_tests() {
        let lines = |count: usize| "    g();\n".repeat(count);
        let long_fn = format!("//! A file.\nfn f() {{\n{}}}\n", lines(MAX_FN_LINES));
        let wrong = findings("crates/hub/src/a.rs", &long_fn);
        assert_eq!(
            wrong,
            ["crates/hub/src/a.rs:2: a function of 72 lines; 70 are the limit"]
        );
        assert_eq!(findings("crates/hub/tests/a.rs", &long_fn), [""; 0]);
        let long_file = format!("//! A file.\n{}", "const A: u8 = 1;\n".repeat(MAX_FILE_LINES));
        assert_eq!(findings("crates/hub/src/a.rs", &long_file).len(), 1);
        let long_test = format!(
            "//! A file.\n#[cfg(test)]\nmod tests {{\n    fn t() {{\n{}}}\n}}\n",
            lines(500)
        );
        assert_eq!(findings("crates/hub/src/a.rs", &long_test), [""; 0]);
    }
}
