//! The nearest valid spelling of a mistyped word, and what to say of one that is not there. It does not know what the words
//! mean.

/// Edits that a short word may be away from what was meant; longer words may be a third of their length away.
const MIN_EDITS: usize = 1;

/// The candidate most similar to `word`, or `None` when none of them is likely to be what was meant.
/// Case does not count, nor does `-` for `_`; of equally similar candidates the first is taken.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let tolerance = (word.chars().count() / 3).max(MIN_EDITS);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Says that there is no `kind` of this name, and what there is instead: "there is no sink `mial`; did you mean `mail`?"
pub fn not_there<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no {kind} `{name}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no {kind} `{name}`: the configuration names none"),
        None => format!("there is no {kind} `{name}`; there are {}", known.join(", ")),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours. Of a word and its beginning, such as
/// `heart` for `heartbeat`, it counts one, for people shorten words.
fn distance(word: &str, candidate: &str) -> usize {
    const SHORTENED: usize = 1;
    let edits = strsim::damerau_levenshtein(word, candidate);
    let shortened = word.len() >= 3 && candidate.starts_with(word);
    if shortened { edits.min(SHORTENED) } else { edits }
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_far_fetched() {
        let keys = ["token", "token_file", "token_env", "heartbeat", "url", "sinks"];
        for (word, meant) in [
            ("tokn_file", Some("token_file")),
            ("TOKEN-FILE", Some("token_file")),
            ("tokne", Some("token")),
            ("heart", Some("heartbeat")),
            ("ulr", Some("url")),
            ("sink", Some("sinks")),
            ("listen", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }
}
