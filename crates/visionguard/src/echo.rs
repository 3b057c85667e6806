//! Refusals repeat what was asked, in whole or in part, so passwords and tokens are taken out before anything is read.

use serde_json::Value;
use watchpost_core::Secret;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// A body of JSON with these secrets taken out of all its texts, names of keys among them, however they are escaped. A body
/// that is no JSON becomes empty: of such a one nothing is shown.
#[must_use]
pub fn without_secrets(body: &[u8], secrets: &[&Secret]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    hide(&mut value, &forms);
    serde_json::to_vec(&value).unwrap_or_default()
}

/// The same for a text.
#[must_use]
pub fn hidden(text: &str, secret: &Secret) -> String {
    let mut text = text.to_owned();
    hide_in(&mut text, forms(secret));
    text
}

/// How a secret is written: within JSON within a text, and as it is.
fn forms(secret: &Secret) -> impl Iterator<Item = String> {
    let plain = secret.expose();
    let quoted = Value::from(plain).to_string();
    let escaped = quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
    [escaped, plain.to_owned()]
        .into_iter()
        .filter(|form| !form.is_empty())
}

fn hide(value: &mut Value, forms: &[String]) {
    match value {
        Value::String(text) => hide_in(text, forms),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, forms)),
        Value::Object(table) => {
            let entries = std::mem::take(table);
            table.extend(entries.into_iter().map(|(mut key, mut value)| {
                hide_in(&mut key, forms);
                hide(&mut value, forms);
                (key, value)
            }));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn hide_in(text: &mut String, forms: impl IntoIterator<Item: AsRef<str>>) {
    for form in forms {
        if text.contains(form.as_ref()) {
            *text = text.replace(form.as_ref(), HIDDEN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_secret_stays() {
        let password = Secret::new("pä\"ss".to_owned());
        for body in [
            r#"{"detail":[{"msg":"bad","input":{"password":"pä\"ss"}}]}"#,
            r#"{"message":"{\"password\": \"p\u00e4\\\"ss\"}"}"#,
            r#"{"detail":"pä\u0022ss was refused","pä\"ss":1}"#,
        ] {
            let shown = without_secrets(body.as_bytes(), &[&password]);
            let shown: Value = serde_json::from_slice(&shown).unwrap();
            assert!(!shown.to_string().contains('ä'), "{shown}");
            assert!(shown.to_string().contains("***"), "{shown}");
        }
        assert_eq!(without_secrets(b"<html>", &[&password]), b"");
        assert_eq!(
            without_secrets(br#"{"a":[1,null]}"#, &[&Secret::new(String::new())]),
            br#"{"a":[1,null]}"#
        );
        assert_eq!(hidden("token pä\"ss gone", &password), "token *** gone");
    }
}
