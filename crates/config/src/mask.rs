//! Hides secrets in the text of a file before any of it is shown. It works on the text and not on the
//! parsed file, because it is needed most where the file does not parse.

/// Words that make a key a secret's when they are part of it, or nearly so: a mistyped `tokn` must not
/// show what stands behind it.
const SECRET_WORDS: [&str; 8] = [
    "token",
    "secret",
    "passwd",
    "apikey",
    "password",
    "passphrase",
    "credential",
    "credentials",
];

/// Short words that count only when they are spelled exactly.
const SECRET_SHORT_WORDS: [&str; 4] = ["key", "pass", "pwd", "auth"];

/// Ends of keys that say where a secret is and do not hold one.
const POINTER_ENDS: [&str; 4] = ["file", "env", "path", "dir"];

/// The address of a monitor: whoever knows it can report that all is well.
const MONITOR: &str = "ping_url";

/// That of a person: its hash, or by mistake the code itself.
const CODE: &str = "code";

/// What a hidden secret begins with in the masked text; blanks follow.
pub(crate) const HIDDEN: &str = "***";

/// Whether what stands behind this key is likely to be a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    if key == MONITOR || key == CODE {
        return true;
    }
    let parts: Vec<&str> = key.split(['_', '-', '.']).collect();
    if parts.last().is_some_and(|last| POINTER_ENDS.contains(last)) {
        return false;
    }
    parts.iter().any(|part| {
        let similar = |word: &str| {
            let tolerance = if word.len() >= 8 { 2 } else { 1 };
            strsim::damerau_levenshtein(part, word) <= tolerance
        };
        SECRET_SHORT_WORDS.contains(part) || SECRET_WORDS.iter().any(|word| similar(word))
    })
}

/// Whether this text is likely to be a secret itself where the name of its file is expected: a JSON Web
/// Token, which is what a backend's token is.
pub(crate) fn looks_like_token(text: &str) -> bool {
    text.starts_with("eyJ")
}

/// Whether a secret stands behind a key that should only say where it is.
fn is_misplaced_secret(key: &str, value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let is_variable = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    looks_like_token(value) || (key.ends_with("_env") && !is_variable)
}

/// The text with the values behind secret keys, and the credentials in addresses, as stars. Everything
/// else stays at its byte and line, so places in the original are places in the masked text. Of a secret
/// only the first three bytes become stars and the others blanks, which at the end of a line do not give away
/// its length.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = text.as_bytes().to_vec();
    let mut hide = |from: usize, to: usize| {
        for (i, byte) in masked[from..to].iter_mut().enumerate() {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = if i < HIDDEN.len() { b'*' } else { b' ' };
            }
        }
    };
    let in_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    // A colon in JSON and in YAML, which are taken for TOML at times.
    for (equals, _) in text.match_indices(['=', ':']) {
        let before = text[..equals].trim_end().trim_end_matches(['"', '\'']);
        let key = &before[before.trim_end_matches(in_key).len()..];
        let after = text[equals + 1..].trim_start_matches([' ', '\t']);
        let length = value_length(after);
        if is_secret_key(key) || is_misplaced_secret(key, &after[..length]) {
            let value = text.len() - after.len();
            hide(value, value + length);
        }
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        // A secret's key without its `=`.
        let key = line.trim_start_matches([' ', '\t', '#', '"', '\'']);
        let rest = key.trim_start_matches(in_key);
        let named = is_secret_key(&key[..key.len() - rest.len()]);
        if named && !rest.trim_start_matches([' ', '\t', '"', '\'']).starts_with('=') {
            hide(start + line.len() - rest.len(), start + line.len());
        }
        start += line.len();
    }
    for (colon, _) in text.match_indices("://") {
        let rest = &text[colon + 3..];
        let address = &rest[..rest
            .find(['"', '\'', ' ', '\t', '\n', '\r'])
            .unwrap_or(rest.len())];
        if let Some(at) = address.rfind('@') {
            hide(colon + 3, colon + 3 + at);
        }
    }
    String::from_utf8_lossy(&masked).into_owned()
}

/// Length of the value that `rest` begins with. What is ambiguous counts as part of it.
fn value_length(rest: &str) -> usize {
    let line = rest.find('\n').unwrap_or(rest.len());
    for quotes in ["\"\"\"", "'''"] {
        if let Some(inner) = rest.strip_prefix(quotes) {
            return inner.find(quotes).map_or(rest.len(), |end| end + 6);
        }
    }
    match rest.as_bytes().first() {
        Some(&quote @ (b'"' | b'\'')) => {
            let mut escaped = false;
            let closing = rest[1..line].bytes().position(|byte| {
                let closes = byte == quote && !escaped;
                escaped = quote == b'"' && byte == b'\\' && !escaped;
                closes
            });
            let Some(end) = closing.map(|at| at + 2) else {
                return line;
            };
            // A quote in the middle of a secret would end it too early.
            let proper = matches!(
                rest[end..line].trim_start().as_bytes().first(),
                None | Some(b',' | b'}' | b'#')
            );
            if proper { end } else { line }
        }
        Some(b'[') => rest.find("]\n").map_or(rest.len(), |end| end + 1),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_of_secrets() {
        let secret = [
            "token",
            "tokn",
            "TOKEN",
            "password",
            "pasword",
            "smtp_password",
            "api_key",
            "client-secret",
        ];
        let open = [
            "token_file",
            "token_env",
            "user_id",
            "name",
            "keep_for",
            "url",
            "timeout",
            "plugin",
            "max_size",
        ];
        assert_eq!(secret.map(is_secret_key), [true; 8]);
        assert_eq!(open.map(is_secret_key), [false; 9]);
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let text = r#"
user_id = "u"
token = "s3cret"   # comment
tokn = 's3cret
  "token" = "s3\"cret"
login = { email = "a@b", password = "s3cret", extra = 1 }
password = s3cret, s3cret
  - password: s3cret
{"login": {"password": "s3cret"}}
# token = "s3cret"
url = "https://user:s3cret@host/?token=s3cret"
token_file = "shown"
token_file = "eyJs3cret"
token_env = "SHOWN"
token_env = "s3cret.s3cret"
api_key = """
s3cret
"""
secrets = ["s3cret",
  "s3]cret"]
token = "s3"cret"
last = true
"#;
        let masked = mask(text);
        assert!(!masked.contains("s3") && masked.len() == text.len());
        let lines: Vec<&str> = masked.lines().map(str::trim_end).collect();
        expect![[r#"

            user_id = "u"
            token = ***        # comment
            tokn = ***
              "token" = ***
            login = { email = "a@b", password = ***     , extra = 1 }
            password = ***
              - password: ***
            {"login": {"password": ***     }}
            # token = ***
            url = "https://***        @host/?token=***
            token_file = "shown"
            token_file = ***
            token_env = "SHOWN"
            token_env = ***
            api_key = ***


            secrets = ***

            token = ***
            last = true"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn a_slip_of_the_finger_shows_no_secret() {
        let text = "user_id = \"u\"\ntoken = \"s3cret\"\nkeep_pose = true\n";
        for i in 0..text.len() - 1 {
            let left_out = format!("{}{}", &text[..i], &text[i + 1..]);
            let swapped = format!(
                "{}{}{}{}",
                &text[..i],
                &text[i + 1..i + 2],
                &text[i..i + 1],
                &text[i + 2..]
            );
            assert!(!mask(&left_out).contains("s3cret"), "{left_out}");
            assert!(!mask(&swapped).contains("s3cret"), "{swapped}");
        }
    }

    proptest! {
        #[test]
        fn lines_stay_and_nothing_panics(text in "(token ?= ?)?[\"'\\[\\]=@:/ é\n\\\\a-c]{0,40}") {
            let masked = mask(&text);
            prop_assert_eq!(masked.lines().count(), text.lines().count());
        }
    }
}
