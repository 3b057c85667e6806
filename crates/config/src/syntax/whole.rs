//! Files that are something else altogether: JSON, YAML, XML, a script.

use super::Explanation;

/// How many of the lines that say something must look like YAML for the file to be YAML, of ten.
const YAML_TENTHS: usize = 6;

/// What the whole file is, if it is not meant to be TOML.
pub(super) fn explain(text: &str) -> Option<Explanation> {
    let begin = text.len() - text.trim_start().len();
    let first = text[begin..].lines().next()?.trim_end();
    let span = begin..begin + first.len();
    let see = "the example watchpost.toml shows how";
    let other = |what: &str, help: &str| {
        let message = format!("this file is {what}, and the configuration is TOML");
        Some(
            Explanation::new(span.clone(), message, format!("{what} begins here"))
                .help(format!("{help}; {see}")),
        )
    };
    if first.starts_with('{') {
        return other(
            "JSON",
            "write `key = \"value\"`, a line each, below a table such as `[hub]`",
        );
    }
    if first.starts_with('<') && !first.starts_with("<<<<") {
        return other(
            "XML or HTML",
            "write `key = \"value\"`, a line each, below a table such as `[hub]`",
        );
    }
    if first.starts_with("#!") && !text.contains('=') {
        return other("a script", "name the configuration with `--config FILE`");
    }
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let yaml = lines.iter().filter(|line| is_yaml(line)).count();
    let toml = lines
        .iter()
        .any(|line| line.starts_with("[[") || line.contains(" = "));
    (yaml > 1 && yaml * 10 >= lines.len() * YAML_TENTHS && !toml).then_some(())?;
    other(
        "YAML",
        "write `key = \"value\"` instead of `key: value`, and `[[sink]]` instead of a list of tables",
    )
}

fn is_yaml(line: &str) -> bool {
    let line = line.strip_prefix("- ").unwrap_or(line);
    let key = line.split(':').next().unwrap_or_default();
    let named = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-\"'".contains(c));
    line == "---" || named && (line[key.len()..].starts_with(": ") || line[key.len()..] == *":")
}
