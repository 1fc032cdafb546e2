//! `config.schema.json`, which helps editors: it allows what the parser allows, and knows its keys.

use serde_json::{Map, Value, json};

use super::parse::KEYS;
use super::*;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../config.schema.json")).unwrap()
}

#[test]
fn the_schema_is_one_itself() {
    assert!(jsonschema::meta::is_valid(&schema()));
}

#[test]
fn every_key_of_the_parser_is_in_the_schema_and_described() {
    let schema = schema();
    let properties = schema["properties"].as_object().unwrap();
    let mut known: Vec<&str> = properties.keys().map(String::as_str).collect();
    let mut keys: Vec<&str> = KEYS.split(' ').collect();
    known.sort_unstable();
    keys.sort_unstable();
    assert_eq!(known, keys);
    for (key, property) in properties {
        assert!(property["description"].is_string(), "{key}");
    }
}

#[test]
fn what_the_parser_allows_is_valid_by_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let many = |n: u32| {
        let services = (0..n).map(|i| (format!("s{i}"), json!(1024 + i)));
        Value::Object(services.collect::<Map<_, _>>())
    };
    let projects: Map<String, Value> =
        serde_json::from_str(include_str!("../../tests/data/projects.json")).unwrap();
    let of_projects = projects
        .values()
        .map(|facts| json!({"services": facts["services"], "step": facts["step"]}));
    let mut configs: Vec<Value> = of_projects.collect();
    configs.extend([
        json!({"services": many(1), "step": 1}),
        json!({"services": many(64), "step": 10_000}),
        json!({"services": {"web": 65535}, "$schema": "x"}),
        json!({
            "services": {"web": 3000},
            "urls": {"web_url": "http://{worktree.}localhost:{web}"},
            "env": {"COMPOSE_PROJECT_NAME": "shop{-worktree}"},
            "env_files": {".env": {}, "a/.dev.vars": {"PORT": "{web}"}},
            "templates": {"a.toml": "a.toml.template"},
        }),
    ]);
    for config in configs {
        assert!(Config::parse(&config.to_string()).is_ok(), "{config}");
        let errors: Vec<String> = validator
            .iter_errors(&config)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, [""; 0], "{config}");
    }
}

#[test]
fn the_examples_of_the_schema_are_configs() {
    let schema = schema();
    for (key, property) in schema["properties"].as_object().unwrap() {
        for example in property["examples"].as_array().into_iter().flatten() {
            let mut config = json!({"services": {"web": 3000, "api": 4000}});
            config[key] = example.clone();
            Config::parse(&config.to_string()).unwrap();
        }
    }
}

#[test]
fn wrong_types_keys_and_numbers_are_invalid_by_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let invalid = [
        json!([]),
        json!({}),
        json!({"services": {}}),
        json!({"services": {"web": "3000"}}),
        json!({"services": {"web": 80}}),
        json!({"services": {"web": 3000}, "step": 0}),
        json!({"services": {"web": 3000}, "envs": {}}),
        json!({"services": {"web": 3000}, "env": {"PORT": 3000}}),
        json!({"services": {"web": 3000}, "env_files": [".env"]}),
        json!({"services": {"web": 3000}, "templates": {"a": {}}}),
    ];
    for config in invalid {
        assert!(!validator.is_valid(&config), "{config}");
        assert!(Config::parse(&config.to_string()).is_err(), "{config}");
    }
}
