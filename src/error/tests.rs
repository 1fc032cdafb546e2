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
fn a_name_that_no_file_can_have_is_absent() {
    let errors = [
        libc::ENOENT,
        libc::ENOTDIR,
        libc::ENAMETOOLONG,
        libc::EILSEQ,
    ];
    for code in errors {
        assert!(is_absence(&io::Error::from_raw_os_error(code)), "{code}");
    }
    for code in [libc::EACCES, libc::EIO, libc::ELOOP] {
        assert!(!is_absence(&io::Error::from_raw_os_error(code)), "{code}");
    }
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
