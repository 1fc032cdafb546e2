//! `{worktree}`: a worktree's id as one DNS label, for host names and names of stacks.

use crate::git::worktree::Worktree;

/// The main worktree's label.
pub const MAIN: &str = "main";

/// The longest label. DNS allows 63 characters; the rest is for what a config puts around it.
const LONGEST: usize = 40;

/// The label of `worktree`.
pub fn of(worktree: &Worktree) -> String {
    let name = worktree.git_dir.path().file_name().unwrap_or_default();
    label((!worktree.is_main()).then_some(name.as_encoded_bytes()))
}

/// The label of the worktree with that id, in bytes as git has it; `None` is the main worktree.
///
/// An id that is a valid label stays as it is. Any other is turned into one, with a hash of the id at the
/// end, so that no two ids have the same label.
fn label(id: Option<&[u8]>) -> String {
    let Some(id) = id else {
        return MAIN.to_owned();
    };
    let lower = String::from_utf8_lossy(id).to_ascii_lowercase();
    let plain = dashed(&lower, |c| c.is_ascii_alphanumeric());
    let is_taken = plain == MAIN || has_hash(&plain);
    if plain.as_bytes() == id && plain.len() <= LONGEST && !plain.is_empty() && !is_taken {
        return plain;
    }
    let hash = format!("-{:06x}", hash(id));
    let start = &plain[..plain.len().min(LONGEST - hash.len())];
    match start.trim_end_matches('-') {
        "" => format!("w{hash}"),
        start => format!("{start}{hash}"),
    }
}

/// Whether `label` ends like one with a hash: another id could be turned into it.
fn has_hash(label: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let end = label.rsplit_once('-').map_or("", |(_, end)| end);
    end.len() == 6 && end.bytes().all(is_digit)
}

/// `text` with one `-` for each run of characters that are not kept, and none for those at its ends.
pub fn dashed(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let words = text.split(|c| !is_kept(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}

/// 24 bits of FNV-1a. std's hasher may change, and the next version of this program must find the volumes
/// and projects again that have a label in their names.
fn hash(id: &[u8]) -> u64 {
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 24) ^ (hash >> 48)) & 0x00ff_ffff
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_is_the_id_or_starts_like_it_and_ends_in_a_hash() {
        let forty = "a".repeat(40);
        let forty_one = "a".repeat(41);
        let start_of_forty_one = format!("{}-", "a".repeat(33));
        let table: [(&[u8], &str); 15] = [
            (b"fix-favicon", "fix-favicon"),
            (b"x1", "x1"),
            (b"1", "1"),
            (forty.as_bytes(), &forty),
            (forty_one.as_bytes(), &start_of_forty_one),
            (b"main", "main-"),
            (b"Main", "main-"),
            (b"Fix-Favicon", "fix-favicon-"),
            (b"fix_favicon", "fix-favicon-"),
            (b"fix--favicon", "fix-favicon-"),
            (b"-fix-", "fix-"),
            (b"\xff\xfe", "w-"),
            (b"...", "w-"),
            (b"", "w-"),
            ("f\u{fc}r".as_bytes(), "f-r-"),
        ];
        for (id, start) in table {
            let label = label(Some(id));
            if start.as_bytes() == id {
                assert_eq!(label, start);
            } else {
                let hash = label
                    .strip_prefix(start)
                    .unwrap_or_else(|| panic!("{label}"));
                assert!(
                    hash.len() == 6 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
                    "{label}"
                );
            }
        }
        assert_eq!(label(None), "main");
    }

    #[test]
    fn a_label_stays_what_it_was_in_earlier_versions() {
        assert_eq!(label(Some(b"main")), "main-fabe5f");
        assert_eq!(label(Some(b"Fix_Favicon")), "fix-favicon-09fba7");
    }

    #[test]
    fn ids_that_differ_in_case_and_punctuation_alone_have_different_labels() {
        let mut ids: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for bits in 0..512_u32 {
            for separator in *b"-_. " {
                let mut id = b"fix-favicon".to_vec();
                id[3] = separator;
                for (bit, at) in [0, 1, 2, 4, 5, 6, 7, 8, 9].into_iter().enumerate() {
                    if bits & (1 << bit) != 0 {
                        id[at] = id[at].to_ascii_uppercase();
                    }
                }
                let other = ids.insert(label(Some(&id)), id.clone());
                assert_eq!(other, None, "{}", String::from_utf8_lossy(&id));
            }
        }
        assert_eq!(ids.len(), 2048);
    }

    fn ids() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "[a-zA-Z0-9_.-]{0,60}".prop_map(String::into_bytes),
            "-{0,2}(main|Main|a|A){0,2}-{0,2}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn a_label_is_a_dns_label_of_at_most_40_and_each_ids_own(one in ids(), other in ids()) {
            let label_of_one = label(Some(&one));
            let is_in_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            prop_assert!((1..=40).contains(&label_of_one.len()), "{label_of_one}");
            prop_assert!(label_of_one.chars().all(is_in_label), "{label_of_one}");
            prop_assert!(!label_of_one.starts_with('-') && !label_of_one.ends_with('-'));
            prop_assert!(!label_of_one.contains("--"), "{label_of_one}");
            prop_assert_ne!(&label_of_one, "main");
            prop_assert_eq!(label_of_one == label(Some(&other)), one == other);
        }

        #[test]
        fn long_ids_that_differ_behind_their_start_have_different_labels(
            start in "[a-z]{40}", one in "[a-z]{1,9}", other in "[a-z]{1,9}",
        ) {
            let label = |end: &str| label(Some(format!("{start}{end}").as_bytes()));
            prop_assert_eq!(label(&one) == label(&other), one == other);
        }
    }
}
