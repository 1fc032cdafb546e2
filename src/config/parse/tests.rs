//! Tests of `config::parse`.

use super::*;

#[test]
fn variables_that_are_one_on_windows_are_found_in_each_environment() {
    let found = |extra: &str| {
        let config = format!("{{\"services\": {{\"web\": 3000}}, {extra}}}");
        let config = Config::parse(&config);
        config.and_then(|config| config.check_case_of_variables())
    };
    let table = [
        (r#""env": {"WEB_PORT": "{web}", "A_ID": "{slot}"}"#, None),
        (
            r#""env": {"a_id": "{slot}", "A_ID": "{slot}"}"#,
            Some(("a_id", "A_ID")),
        ),
        (r#""env": {"Port": "{web}"}"#, Some(("PORT", "Port"))),
        (r#""env_files": {".env": {"Port": "{web}"}}"#, None),
        (
            r#""env_files": {".env": {"A_ID": "{slot}", "A_Id": "{slot}"}}"#,
            Some(("A_ID", "A_Id")),
        ),
    ];
    for (extra, names) in table {
        let expected = names.map_or(Ok(()), |(one, other)| {
            Err(format!(
                "`{one}` and `{other}` are the same variable on Windows"
            ))
        });
        assert_eq!(found(extra), expected, "{extra}");
    }
}
