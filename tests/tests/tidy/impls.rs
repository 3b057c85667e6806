//! One thing stands in one place: the inherent `impl` blocks of a type lie in few files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::files::{read, with_extension};
use crate::{Finding, expect_none};

/// Most files that the inherent `impl` blocks of one type may lie in: a type in more of them was cut by length and not
/// by concept.
const MAX_IMPL_FILES: usize = 3;

#[test]
fn a_type_stands_in_few_files() {
    let sources = with_extension("rs")
        .into_iter()
        .filter(|path| crate_of(path).is_some());
    let texts: Vec<(PathBuf, String)> = sources.map(|path| (path.clone(), read(&path))).collect();
    assert!(!texts.is_empty(), "the walk finds no sources");
    expect_none(&check(&texts));
}

/// The crate that a source file belongs to; `None` for tests, examples and the like.
fn crate_of(path: &Path) -> Option<PathBuf> {
    let outside_tests = path
        .components()
        .all(|part| part.as_os_str() != "tests" && part.as_os_str() != "tests.rs");
    let source = path.ancestors().find(|folder| folder.ends_with("src"))?;
    source.parent().filter(|_| outside_tests).map(Path::to_owned)
}

fn check(texts: &[(PathBuf, String)]) -> Vec<Finding> {
    let mut files: BTreeMap<(PathBuf, String), BTreeSet<&Path>> = BTreeMap::new();
    for (path, text) in texts {
        let (Some(krate), Ok(parsed)) = (crate_of(path), syn::parse_file(text)) else {
            continue;
        };
        for name in inherent_impls(&parsed) {
            files.entry((krate.clone(), name)).or_default().insert(path);
        }
    }
    let cut = files
        .into_iter()
        .filter(|(_, files)| files.len() > MAX_IMPL_FILES);
    cut.flat_map(|((_, name), files)| {
        let problem = format!(
            "`impl {name}` lies in {} files; {MAX_IMPL_FILES} are the limit",
            files.len()
        );
        files
            .into_iter()
            .next_back()
            .map(|path| Finding::new(path, 1, problem))
    })
    .collect()
}

/// Names of the types with an inherent `impl` at the top level of a file.
fn inherent_impls(file: &syn::File) -> BTreeSet<String> {
    let name = |item: &syn::Item| match item {
        syn::Item::Impl(item) if item.trait_.is_none() => match &*item.self_ty {
            syn::Type::Path(of) => of.path.segments.last().map(|segment| segment.ident.to_string()),
            _ => None,
        },
        _ => None,
    };
    file.items.iter().filter_map(name).collect()
}

#[test]
fn a_type_that_was_cut_is_found() {
    let file = |name: &str, text: &str| (PathBuf::from("crates/x/src").join(name), text.to_owned());
    let mut texts = vec![
        file("a.rs", "impl A {}"),
        file("b.rs", "impl A {} impl B {}"),
        file("c.rs", "impl<T> A<T> {} impl Clone for A {}"),
        file("d.rs", "impl Drop for A {}"),
    ];
    assert_eq!(check(&texts), []);
    texts.push(file("e.rs", "impl A {}"));
    let found: Vec<String> = check(&texts).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["crates/x/src/e.rs:1: `impl A` lies in 4 files; 3 are the limit"]
    );
}
