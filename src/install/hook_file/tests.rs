//! Tests of `hook_text`.

use super::*;

#[test]
fn a_shell_is_told_by_the_first_line() {
    let shells = [
        "#!/bin/sh\n",
        "#! /bin/sh -e\n",
        "#!/usr/bin/env bash\n",
        "#!/usr/bin/env -S zsh -f\n",
        "#!/usr/local/bin/dash\n",
        "#!/bin/ksh\t\n",
    ];
    for line in shells {
        assert!(is_shell_shebang(line.as_bytes()), "{line}");
    }
    let others = [
        "#!/bin/sh\r\n",
        "#!/usr/bin/env python3\n",
        "#!/usr/bin/env\n",
        "#!\n",
        "# /bin/sh\n",
        "#!/bin/csh\n",
        "#!/usr/bin/fish\n",
        "#!/usr/bin/env -S A=b sh\n",
    ];
    for line in others {
        assert!(!is_shell_shebang(line.as_bytes()), "{line}");
    }
    assert!(!is_shell_shebang(b"#!/bin/\xffsh\n"));
}

#[test]
fn a_script_with_our_block_stays_as_it_is_and_without_it_is_what_it_was() {
    for script in ["#!/bin/sh\n", "#!/bin/sh\nx", "#!/bin/bash\r \nx\n\n"] {
        let Some(with) = with_block_in_script(script.as_bytes()) else {
            assert!(script.contains('\r'));
            continue;
        };
        assert_eq!(with_block_in_script(&with).as_ref(), Some(&with));
        assert_eq!(without_us(&with).as_deref(), Some(script.as_bytes()));
    }
    assert_eq!(with_block_in_script(b"#!/bin/sh"), None);
    assert_eq!(without_us(HOOK_FILE.as_bytes()), None);
    let more = [HOOK_FILE.as_bytes(), b"more\xff\n"].concat();
    let without = without_us(&more).unwrap();
    assert_eq!(without, b"#!/bin/sh\nmore\xff\n");
}

#[test]
fn a_config_with_our_section_stays_as_it_is_and_without_it_is_what_it_was() {
    let program = Path::new("/clone/.git/worktree-ports/worktree-ports-hook");
    let configs = [
        "",
        "\n",
        "[a]",
        "[a]\n",
        "[a]\n\tb = c",
        "[a]\n\tb = c\n",
        "[a]\n\tb = \"c\" ; d",
    ];
    for config in configs {
        let with = with_block_in_config(config.as_bytes(), program);
        assert_eq!(with_block_in_config(&with, program), with, "{config:?}");
        let without = without_block_in_config(&with);
        assert_eq!(without.as_deref(), Some(config.as_bytes()), "{config:?}");
        assert_eq!(without_block_in_config(config.as_bytes()), None);

        // What somebody has appended stays a section of its own.
        let more = [&with, &b"[d]\n"[..]].concat();
        assert_eq!(with_block_in_config(&more, program), more, "{config:?}");
        let newline = if config.is_empty() || config.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let expected = format!("{config}{newline}[d]\n");
        let without = without_block_in_config(&more);
        assert_eq!(without.as_deref(), Some(expected.as_bytes()), "{config:?}");
    }
}

#[test]
fn a_config_that_git_has_edited_loses_our_section_alone() {
    let section = "[hook \"worktree-ports\"]\n\tcommand = x\n";
    let cases = [
        // git took our first mark for a part of the section before, and removed it.
        (format!("[a]\n{section}{END}[b]\n"), "[a]\n[b]\n"),
        // git wrote a key behind our first mark.
        (
            format!("[a]\n\tb = c{BEGIN}\td = e\n{section}{END}"),
            "[a]\n\tb = c\n\td = e\n",
        ),
        // git removed our section, and left the mark.
        (format!("[a]\n{BEGIN}[b]\n"), "[a]\n[b]\n"),
        (format!("[a]{BEGIN}[b]\n"), "[a]\n[b]\n"),
    ];
    for (config, expected) in cases {
        let without = without_block_in_config(config.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(without).unwrap(), expected, "{config:?}");
        let with = with_block_in_config(config.as_bytes(), Path::new("/p"));
        let with = String::from_utf8(with).unwrap();
        assert_eq!(with.matches(SECTION).count(), 1, "{with}");
        assert_eq!(with.matches(BEGIN).count(), 1, "{with}");
    }
}

#[test]
fn no_character_of_a_path_ends_a_quotation() {
    assert_eq!(in_single_quotes(b"a'b$c\"d"), br#"'a'\''b$c"d'"#);
    assert_eq!(
        in_config_quotes(b"a\"b\\c\nd\te;f#g"),
        br#""a\"b\\c\nd\te;f#g""#
    );
}
