//! Tests of `table`.

use proptest::prelude::*;

use super::*;

#[test]
fn only_a_plain_url_of_this_machine_is_a_link() {
    let table = [
        ("http://localhost:3010", true),
        ("https://127.0.0.1:3010/a?b", true),
        ("http://[::1]:3010/", true),
        ("http://fix-cart.localhost:3010", true),
        ("http://localhost:30100", false),
        ("http://localhost/3010", false),
        ("postgres://localhost:3010", false),
        ("http://example.com:3010", false),
        ("http://example.com/:3010", false),
        ("http://example.com\\@localhost:3010", false),
        ("http://u@a.localhost:3010", false),
        ("http://localhost:3010\u{1b}\\", false),
        ("javascript://localhost:3010", false),
        ("", false),
    ];
    for (url, is_link) in table {
        assert_eq!(is_at(url, Port::new(3010).unwrap()), is_link, "{url}");
    }
}

#[test]
fn a_path_is_shown_from_where_the_reader_is_if_that_is_shorter() {
    let table = [
        ("/src/shop", "/src/shop", "."),
        ("/src/fix-cart", "/src/shop", "../fix-cart"),
        ("/w", "/home/me/src/shop", "/w"),
        ("/src/shop/.worktrees/a", "/src/shop", ".worktrees/a"),
    ];
    for (path, from, shown) in table {
        assert_eq!(
            short(Path::new(path), Path::new(from)),
            Path::new(shown),
            "{path}"
        );
    }
}

proptest! {
    #[test]
    fn the_end_of_a_text_fits_and_is_its_end(
        text in "[a-z/\u{65e5}\u{672c}]{0,40}", room in 1_usize..30,
    ) {
        let end = end_of(&text, room);
        prop_assert!(end.width() <= room, "{end}");
        prop_assert!(text.ends_with(&end.replace('…', "")), "{end} of {text}");
        prop_assert!(end.width() + 1 >= room.min(text.width()), "{end} of {text}");
    }
}
