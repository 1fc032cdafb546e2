//! Tests of `error`.

use proptest::prelude::*;

use super::*;

#[test]
fn an_error_is_what_which_path_why_and_then_what_to_run() {
    let error = || Error::at("read", Path::new("a b"), "it is gone");
    assert_eq!(error().to_string(), "could not read `a b`: it is gone");
    let table = [
        (
            error().remedy("run x"),
            "could not read `a b`: it is gone; run x",
        ),
        (
            error().remedy("run x").remedy("run y"),
            "could not read `a b`: it is gone; run y",
        ),
        (
            error().remedy_or("run y"),
            "could not read `a b`: it is gone; run y",
        ),
        (
            error().remedy("run x").remedy_or("run y"),
            "could not read `a b`: it is gone; run x",
        ),
    ];
    for (error, text) in table {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn control_characters_are_escaped_and_all_others_are_not() {
    let table = [
        ("plain `text`, 'quoted'", "plain `text`, 'quoted'"),
        ("back\\slash", "back\\slash"),
        ("\u{fc}\u{1f980}", "\u{fc}\u{1f980}"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\u{1b}[2J\u{7}\0\u{7f}", "\\u{1b}[2J\\u{7}\\u{0}\\u{7f}"),
        // C1: 0x9b starts a sequence as ESC [ does.
        ("\u{9b}2J", "\\u{9b}2J"),
        ("\u{202e}\u{2066}\u{200f}", "\\u{202e}\\u{2066}\\u{200f}"),
    ];
    for (text, shown) in table {
        assert_eq!(printable(text), shown);
    }
}

#[test]
fn a_path_is_one_word_of_a_command() {
    #[cfg(unix)]
    let table = [
        ("/a/b-c_d.e", "/a/b-c_d.e"),
        ("/a b", "'/a b'"),
        ("/$(id)", "'/$(id)'"),
        ("/it's", r"'/it'\''s'"),
        ("/a\nb", r"$'/a\nb'"),
    ];
    #[cfg(windows)]
    let table = [
        ("C:/a/b-c_d.e", "C:/a/b-c_d.e"),
        (r"C:\a b", r#""C:\a b""#),
        (r"C:\it's", r#""C:\it's""#),
    ];
    for (path, word) in table {
        assert_eq!(shell_word(Path::new(path)), word);
    }
}

#[cfg(unix)]
#[test]
fn an_error_of_the_system_has_its_kind_whatever_is_added_to_it() {
    use ErrorKind::{Absent, Other, Refused, Shortage};
    let kinds: [(ErrorKind, &[i32]); 4] = [
        (
            Shortage,
            &[libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS],
        ),
        (Refused, &[libc::EACCES, libc::EPERM, libc::EROFS]),
        // Also a name that no file can have.
        (
            Absent,
            &[
                libc::ENOENT,
                libc::ENOTDIR,
                libc::ENAMETOOLONG,
                libc::EILSEQ,
            ],
        ),
        (Other, &[libc::EIO, libc::ELOOP, libc::ENOSPC, libc::EISDIR]),
    ];
    for (kind, codes) in kinds {
        for &code in codes {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(ErrorKind::of(&error), kind, "{error}");
            let error = Error::could_not("read", "/a")(error);
            let error = error.within("no ports").remedy("run x");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error
                    .to_string()
                    .starts_with("no ports: could not read `/a`: ")
            );
        }
    }
    assert_eq!(Error::new("x").kind(), Other);
    assert_eq!(Error::new("x").of_kind(Absent).kind(), Absent);
}

proptest! {
    #[test]
    fn what_is_printable_is_one_line_without_control_characters(text in any::<String>()) {
        let shown = printable(&text);
        prop_assert!(!shown.chars().any(char::is_control));
        // Shown again, it stays.
        prop_assert_eq!(printable(&shown), shown);
    }
}

proptest! {
    // Each case starts a shell.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_the_word_as_the_path(path in "[^\0]{1,40}") {
        let script = format!("printf %s {}", shell_word(Path::new(&path)));
        // dash has no other word for a control character than itself, which no message can have.
        let shell = if path.contains(drives_terminal) { "bash" } else { "sh" };
        let output = std::process::Command::new(shell).args(["-c", &script]).output().unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&output.stdout), path);
    }
}
