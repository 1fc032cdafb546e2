//! What a misspelt word most likely means.

use std::borrow::Cow;

/// `` `servce`; did you mean `service`? ``, or, if nothing is near,
/// `` `nope`; available: `a`, `b` ``. `quoted` is how a word is shown.
pub fn suggestion<'a>(
    word: &str,
    available: impl Iterator<Item = &'a str> + Clone,
    quoted: impl Fn(&str) -> String,
) -> String {
    let shown = quoted(&cut(word));
    match nearest(word, available.clone()) {
        Some(near) => format!("{shown}; did you mean {}?", quoted(near)),
        None => format!(
            "{shown}; available: {}",
            available.map(&quoted).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The word with the fewest typing errors, if they are few for its length.
pub fn nearest<'a>(word: &str, available: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes time in the product of the lengths, and a word in a config may have 60 KiB.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let with_distance = |other: &'a str| {
        let distance = strsim::osa_distance(&word, &other.to_ascii_lowercase());
        (distance, other)
    };
    let (distance, near) = available
        .map(with_distance)
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= near.len() / 3).then_some(near)
}

/// The start of a text that may be long.
pub fn cut(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_the_one_it_means_and_another_finds_the_list() {
        let table = [
            ("service", "`service`; did you mean `services`?"),
            ("Services", "`Services`; did you mean `services`?"),
            ("setp", "`setp`; did you mean `step`?"),
            ("env-files", "`env-files`; did you mean `env_files`?"),
            (
                "stop_it",
                "`stop_it`; available: `services`, `step`, `env_files`",
            ),
            ("", "``; available: `services`, `step`, `env_files`"),
        ];
        for (word, text) in table {
            let available = ["services", "step", "env_files"].into_iter();
            assert_eq!(
                suggestion(word, available, |word| format!("`{word}`")),
                text
            );
        }
    }

    #[test]
    fn a_huge_word_is_compared_with_nothing_and_cut() {
        let text = suggestion(&"a".repeat(60_000), ["a"].into_iter(), str::to_owned);
        assert!(text.len() < 300 && text.ends_with("available: a"), "{text}");
    }
}
