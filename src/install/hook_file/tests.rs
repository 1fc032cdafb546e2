//! Tests of `hook_file`.

use proptest::prelude::*;

use super::*;

const BEGIN: &str = "# >>> worktree-ports >>>\n";
const END: &str = "# <<< worktree-ports <<<\n";

#[test]
fn a_shell_is_told_by_the_first_line() {
    let shells = [
        "#!/bin/sh",
        "#! /bin/sh -e",
        "#!/usr/bin/env bash",
        "#!/usr/bin/env -S zsh -f",
        "#!/usr/local/bin/dash",
        "#!/bin/ksh\t",
    ];
    for line in shells {
        assert!(is_shell_shebang(line), "{line}");
    }
    let others = [
        "#!/bin/sh\r",
        "#!/usr/bin/env python3",
        "#!/usr/bin/env",
        "#!",
        "# /bin/sh",
        "#!/bin/csh",
        "#!/usr/bin/fish",
        "#!/usr/bin/env -S A=b sh",
    ];
    for line in others {
        assert!(!is_shell_shebang(line), "{line}");
    }
}

#[test]
fn a_script_that_another_language_reads_too_is_no_shell_script() {
    let polyglots = [
        "\"exec\" \"python3\" \"$0\" \"$@\"",
        "'''exec' python3 \"$0\" \"$@\"\n' '''",
        "\"\"\":\"",
        "''':'",
        ":'''",
        ":\" //# ; exec node \"$0\" \"$@\"",
        "eval 'exec perl -x -wS $0 ${1+\"$@\"}'\nif 0;",
        "# \\\nexec tclsh \"$0\" \"$@\"",
        "#|\nexec sbcl --script \"$0\" \"$@\"\n|#",
        "//usr/bin/env go run \"$0\" \"$@\"; exit $?",
        "exec scala \"$0\" \"$@\"\n!#",
        "true + '\\'; exec perl -x \"$0\"",
        "# -*- coding: utf-8 -*-\n\n\"exec\" \"python3\" \"$0\" \"$@\"",
    ];
    for rest in polyglots {
        let script = format!("#!/bin/sh\n{rest}\n");
        assert_eq!(with_block(script.as_bytes()), None, "{script}");
    }
    let shell = [
        "",
        "\n",
        "exit 0",
        "# a comment\n\nset -eu",
        ". \"$(dirname \"$0\")/common\"",
        "exec sh -c 'x' sh \"$@\"",
        "[ -n \"$1\" ] || exit",
        "command -v git-lfs >/dev/null 2>&1 || { echo >&2 \"...\"; exit 2; }",
        ": \"${X:=1}\"",
        "PATH=/x:$PATH",
        "(x)",
        "/usr/bin/x",
    ];
    for rest in shell {
        let script = format!("#!/bin/sh\n{rest}\n");
        assert!(with_block(script.as_bytes()).is_some(), "{script}");
    }
}

#[test]
fn what_is_no_text_with_a_line_for_its_interpreter_is_no_shell_script() {
    for script in [
        "",
        "#!/bin/sh",
        "x\n",
        "#!/bin/sh\n\0",
        "#!/bin/sh\r\nx\r\n",
    ] {
        assert_eq!(with_block(script.as_bytes()), None, "{script:?}");
    }
    assert!(with_block(b"#!/bin/sh\n# caf\xe9\n").is_some());
}

#[test]
fn a_block_whose_line_ends_an_editor_has_changed_is_ours_all_the_same() {
    for changed in [
        HOOK_FILE.trim_end().to_owned(),
        HOOK_FILE.replace('\n', "\r\n"),
    ] {
        assert!(has_block(changed.as_bytes()), "{changed:?}");
        let script = with_block(changed.as_bytes()).unwrap();
        assert!(
            String::from_utf8(script)
                .unwrap()
                .contains(head_and_block().1),
            "{changed:?}"
        );
    }
}

#[test]
fn our_own_file_is_deleted_and_what_another_added_to_it_stays() {
    assert!(is_ours_alone(HOOK_FILE.as_bytes()));
    assert_eq!(without_us(HOOK_FILE.as_bytes()), None);
    let more = [HOOK_FILE.as_bytes(), b"more\xff\n"].concat();
    assert_eq!(without_us(&more).unwrap(), b"#!/bin/sh\nmore\xff\n");
    let older = format!("{}{BEGIN}older\n{END}", head_and_block().0);
    assert!(is_ours_alone(older.as_bytes()));
}

#[test]
fn a_mark_without_its_partner_takes_nothing_of_the_users_along() {
    let cases = [
        (format!("#!/bin/sh\n{BEGIN}x\n"), None),
        (format!("#!/bin/sh\n{END}x\n"), None),
        (
            format!("#!/bin/sh\n{BEGIN}x\n{BEGIN}ours\n{END}y\n"),
            Some(format!("#!/bin/sh\n{BEGIN}x\ny\n")),
        ),
        (
            format!("#!/bin/sh\n{BEGIN}ours\n{END}x\n{BEGIN}ours\n{END}y"),
            Some("#!/bin/sh\nx\ny".to_owned()),
        ),
        (format!("#!/bin/sh\necho '{BEGIN}x\n{END}"), None),
    ];
    for (script, rest) in cases {
        assert_eq!(has_block(script.as_bytes()), rest.is_some(), "{script}");
        let expected = rest.unwrap_or_else(|| script.clone());
        assert_eq!(
            without_block(script.as_bytes()),
            expected.as_bytes(),
            "{script}"
        );
    }
}

/// Lines of a script, some of which look like ours.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"exit 0\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"x\r\n".to_vec()),
        Just(BEGIN.as_bytes().to_vec()),
        Just(END.as_bytes().to_vec()),
        Just(END.trim_end().as_bytes().to_vec()),
        any::<Vec<u8>>(),
    ];
    let shebang = prop_oneof!["#!/bin/sh\n", "#!/usr/bin/env bash\n", ""];
    (shebang, prop::collection::vec(line, 0..8))
        .prop_map(|(shebang, lines)| [shebang.into_bytes(), lines.concat()].concat())
}

proptest! {
    #[test]
    fn our_block_goes_in_once_and_comes_out_to_the_byte(script in script()) {
        // A whole block that stands there already is ours.
        let before = without_block(&script);
        if let Some(with) = with_block(&before) {
            prop_assert!(has_block(&with));
            prop_assert_eq!(with_block(&with), Some(with.clone()));
            prop_assert_eq!(without_us(&with), Some(before));
        }
    }
}
