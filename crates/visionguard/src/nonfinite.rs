//! The three number words that Python's `json.dumps` writes and JSON does not know.
//!
//! They are looked for outside strings only, so a stream called `NaN` keeps its name. It does not parse:
//! text that was no JSON before stays none, because `null` is valid only where a value may stand.

use std::ops::Range;

/// Longest first, so that the minus goes with its word.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
const NULL: &str = "null";

/// Writes `text` into `into` with every such word made `null`, padded to the word's length where that is
/// longer. False, and nothing written, when there is no such word.
pub(crate) fn replace(text: &str, into: &mut String) -> bool {
    let mut copied = 0;
    for word in words(text) {
        into.push_str(text.get(copied..word.start).unwrap_or_default());
        into.push_str(NULL);
        into.extend(std::iter::repeat_n(' ', word.len().saturating_sub(NULL.len())));
        copied = word.end;
    }
    if copied > 0 {
        into.push_str(text.get(copied..).unwrap_or_default());
    }
    copied > 0
}

/// Where in `text` the byte at `offset` of its replacement came from.
pub(crate) fn original_offset(text: &str, offset: usize) -> usize {
    let grown = words(text)
        .filter(|word| word.len() < NULL.len())
        .enumerate()
        .take_while(|(before, word)| word.end + before < offset)
        .count();
    offset - grown
}

/// The ranges of the words outside strings, in order.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = end_of_string(bytes, at + 1),
                b'-' | b'I' | b'N' => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let Some(word) = WORDS.iter().find(|word| rest.starts_with(word.as_bytes())) else {
                        at += 1;
                        continue;
                    };
                    at += word.len();
                    return Some(at - word.len()..at);
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// The index behind the quote that closes the string whose inside begins at `from`.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let mut out = String::new();
        let found = replace(text, &mut out);
        assert_eq!(found, !out.is_empty());
        expected.assert_eq(&out);
    }

    #[test]
    fn words_outside_strings_become_null() {
        check(
            r#"{"score":-Infinity,"a":[NaN,Infinity]}"#,
            expect![[r#"{"score":null     ,"a":[null,null    ]}"#]],
        );
        check("NaN", expect!["null"]);
    }

    #[test]
    fn words_inside_strings_and_plain_json_stay() {
        check(r#"{"NaN":"-Infinity","a":"\"NaN","b":"\\"}"#, expect![""]);
        check(r#"["\\",NaN,"NaN"]"#, expect![[r#"["\\",null,"NaN"]"#]]);
        check(r#"["open NaN"#, expect![""]);
        check(r#"["open NaN\"#, expect![""]);
    }

    #[test]
    fn offsets_lead_back_to_the_original() {
        let text = r#"[NaN,-Infinity,NaN,x]"#;
        let mut out = String::new();
        assert!(replace(text, &mut out));
        let x = out.find('x').unwrap();
        assert_eq!(original_offset(text, x), text.find('x').unwrap());
        assert_eq!(original_offset(text, 1), 1);
    }
}
