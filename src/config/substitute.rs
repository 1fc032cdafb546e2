//! Lines of env files, and variables in templates.

/// The line that sets the variable `name`, as shells and readers of env files read it.
///
/// A value with `&` is quoted: a shell would run what follows as a command, and it may come from a
/// branch's config. A shell acts on no other character that a value may have, and quotes are not one of
/// them. Other values stay unquoted, because make takes quotes as part of the value.
pub fn assignment(name: &str, value: &str) -> String {
    if value.contains('&') {
        format!("{name}='{value}'")
    } else {
        format!("{name}={value}")
    }
}

/// `template` with the value for each `${NAME}` that is a variable; everything else stays as it is. `None` if
/// that is longer than `limit`, in bytes.
pub fn substitute(template: &str, variables: &[(String, String)], limit: usize) -> Option<String> {
    let mut parts = template.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = variables.iter().find_map(|(name, value)| {
            let rest = part.strip_prefix(&**name)?.strip_prefix('}')?;
            Some([&**value, rest])
        });
        text.extend(known.unwrap_or(["${", part]));
        if text.len() > limit {
            return None;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 4096;

    fn variables() -> Vec<(String, String)> {
        let variable = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        [
            ("WEB_PORT", "3010"),
            ("DB_NAME", "shop_x"),
            ("A_URL", "http://localhost:1/${WEB_PORT}"),
        ]
        .map(variable)
        .to_vec()
    }

    #[test]
    fn what_would_be_longer_than_the_limit_is_not_made() {
        for (limit, is_made) in [(8, true), (7, false), (0, false)] {
            let made = substitute("${WEB_PORT}${WEB_PORT}", &variables(), limit);
            assert_eq!(made.is_some(), is_made, "{limit}");
        }
        // Long before memory runs out.
        let many = "${A_URL}".repeat(1_000_000);
        let values = [("A_URL".to_owned(), "x".repeat(60_000))];
        assert_eq!(substitute(&many, &values, 256 * 1024), None);
    }

    #[test]
    fn known_variables_in_braces_are_replaced_and_nothing_else() {
        let table = [
            ("port = ${WEB_PORT}", "port = 3010"),
            ("${WEB_PORT}${WEB_PORT}", "30103010"),
            ("a\r\n${DB_NAME}\r\n", "a\r\nshop_x\r\n"),
            (
                "${HOME} $WEB_PORT {WEB_PORT} ${web_port}",
                "${HOME} $WEB_PORT {WEB_PORT} ${web_port}",
            ),
            (
                "${WEB_PORT:-3000} ${ WEB_PORT }",
                "${WEB_PORT:-3000} ${ WEB_PORT }",
            ),
            ("${${WEB_PORT}}", "${3010}"),
            ("$${WEB_PORT}", "$3010"),
            ("${WEB_PORT", "${WEB_PORT"),
            ("${", "${"),
            ("", ""),
            // A value is not looked at again.
            ("${A_URL}", "http://localhost:1/${WEB_PORT}"),
        ];
        for (template, text) in table {
            let made = substitute(template, &variables(), LIMIT);
            assert_eq!(made.as_deref(), Some(text), "{template}");
        }
    }

    proptest! {
        #[test]
        fn a_text_without_known_variables_comes_back_identical(
            parts in prop::collection::vec(
                prop::sample::select(&["$", "{", "}", "${", "WEB_PORT", "${HOME}", "\u{fc}", "\n", "\0"][..]), 0..12,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(substitute(&text, &[], LIMIT), Some(text.clone()));
            if !text.contains("${WEB_PORT}") {
                prop_assert_eq!(substitute(&text, &variables(), LIMIT), Some(text));
            }
        }
    }

    #[test]
    fn a_value_with_an_ampersand_is_quoted() {
        assert_eq!(
            assignment("A_URL", "http://localhost:1/a"),
            "A_URL=http://localhost:1/a"
        );
        assert_eq!(
            assignment("A_URL", "redis://localhost/0?db=1&w=2"),
            "A_URL='redis://localhost/0?db=1&w=2'"
        );
    }
}
