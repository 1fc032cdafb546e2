//! What `docs/config.md` shows is what the program does.

use serde_json::{Value, json};

use super::*;

const PAGE: &str = include_str!("../../docs/config.md");

/// The blocks of code in that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    let blocks = PAGE.split(&*start).skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap())
        .collect()
}

/// The lines of the env file `.env` in the main worktree, or in `fix-cart`, slot 1.
fn env_file(config: &Config, is_main: bool) -> Vec<String> {
    let (slot, label) = if is_main {
        (0, "main")
    } else {
        (1, "fix-cart")
    };
    let bundle = config.bundle(Slot(slot)).unwrap();
    let values = Values {
        bundle: &bundle,
        label,
    };
    let file = config.env_files(&values).swap_remove(0);
    let lines = file.lines.iter();
    lines.map(|(name, value)| assignment(name, value)).collect()
}

#[test]
fn the_example_writes_the_env_file_that_is_shown() {
    let [example, default] = blocks("json").try_into().unwrap();
    let example = Config::parse(example).unwrap();
    let shown: Vec<&str> = blocks("sh")[0].lines().collect();
    assert_eq!(env_file(&example, false), shown);
    assert_eq!(Config::parse(default).unwrap(), Config::default());
}

#[test]
fn the_table_of_placeholders_shows_what_they_render_to() {
    let (_, table) = PAGE.split_once("| value | main worktree |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('`').collect();
        let [_, text, _, main, _, linked, _] = cells[..] else {
            panic!("{row}");
        };
        let name = match text {
            _ if text.contains("://") => "A_URL",
            "{web}" => "A_PORT",
            _ => "A_NAME",
        };
        let config = json!({
            "services": {"web": 3000}, "step": 10, "env_files": {".env": {name: text}}
        });
        let config = Config::parse(&config.to_string()).unwrap();
        assert_eq!(env_file(&config, true), [format!("{name}={main}")]);
        assert_eq!(env_file(&config, false), [format!("{name}={linked}")]);
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn every_word_that_the_page_names_allows_the_form_of_its_row() {
    let (_, table) = PAGE.split_once("| last word | value |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut words = 0;
    for row in rows.filter(|row| !row.contains(" after `")) {
        let (named, form) = row[2..].split_once(" | ").unwrap();
        let value = match form {
            _ if form.starts_with("a port:") => "{web}",
            _ if form.starts_with("a URL") => "http://localhost:{web}",
            _ if form.starts_with("a host") || form.starts_with("`localhost`") => "localhost",
            _ if form.starts_with("a name") => "shop{-slot}",
            _ => "{slot}",
        };
        for word in named.split('`').skip(1).step_by(2) {
            let name = format!("X_{}", word.replace('…', "X"));
            let name = name.replace("X_AWS", "AWS");
            let config = json!({"services": {"web": 3000}, "env": {&*name: value}});
            Config::parse(&config.to_string()).unwrap_or_else(|why| panic!("{why}"));
            words += 1;
        }
    }
    assert!(words > 40, "{words}");
}

#[test]
fn the_errors_on_the_page_are_those_of_the_program() {
    for line in blocks("text")[0].lines() {
        let (name, rest) = line["`env.".len()..].split_once('`').unwrap();
        let value = rest
            .strip_prefix(" is `")
            .map_or("\"{web}\"", |rest| rest.split("`: ").next().unwrap());
        let value: Value = serde_json::from_str(value).unwrap();
        let config = json!({"services": {"web": 3000}, "env": {name: value}});
        let why = Config::parse(&config.to_string()).unwrap_err();
        assert_eq!(why, line);
    }
}
