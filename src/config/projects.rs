//! What public projects' own scripts write into a worktree, written by a config instead.
//!
//! `tests/data/projects.json` has, for each project, the ports of its main checkout and the variables
//! of its script, with placeholders for what the script computes.

use serde_json::{Map, Value, json};

use super::*;

/// The variables that no config can set: secrets, paths, modes, and values of other forms.
const REFUSED: &[(&str, &str)] = &[
    ("CLOSERPROJECT/attesta", "APPWRITE_RESTORE_SEED_SQL"),
    // `jedidiahops://`, a scheme of its own.
    (
        "Jedidiah-Equipment/jedidiah-platform",
        "AUTH_TRUSTED_ORIGINS",
    ),
    ("SchoolAI/shipyard", "SHIPYARD_STATE_DIR"),
    // A list in JSON, which names another host.
    ("bccsa/luminary", "CORS_ORIGIN"),
    ("bluelight-hub/app", "HTTPS_ENABLED"),
    ("bluelight-hub/app", "HTTPS_KEY_PATH"),
    ("bluelight-hub/app", "INSECURE_MODE"),
    ("bluelight-hub/app", "MASTER_SECRET"),
    ("bluelight-hub/app", "NODE_ENV"),
    ("bluelight-hub/app", "VITE_INSECURE_MODE"),
    ("ivoba/worktree-example", "APP_ENV"),
    // `/api`, the path alone.
    ("ivoba/worktree-example", "VITE_API_URL"),
    ("threetau/kinitro", "POSTGRES_PASSWORD"),
];

/// A variable of a project's script.
struct Line {
    project: String,
    services: Value,
    step: Value,
    name: String,
    value: String,
}

fn lines() -> Vec<Line> {
    let text = include_str!("../../tests/data/projects.json");
    let projects: Map<String, Value> = serde_json::from_str(text).unwrap();
    let mut lines = Vec::new();
    for (project, facts) in projects {
        for variables in facts["writes"].as_object().unwrap().values() {
            for (name, value) in variables.as_object().unwrap() {
                lines.push(Line {
                    project: project.clone(),
                    services: facts["services"].clone(),
                    step: facts["step"].clone(),
                    name: name.clone(),
                    value: value.as_str().unwrap().to_owned(),
                });
            }
        }
    }
    lines
}

/// The value of the line in the worktree `fix-cart`, slot 1.
fn written(line: &Line) -> Result<String, String> {
    let config = json!({
        "services": line.services,
        "step": line.step,
        "env_files": {".env": {&*line.name: line.value}},
    });
    let config = Config::parse(&config.to_string())?;
    let bundle = config.bundle(Slot(1)).unwrap();
    let values = Values {
        bundle: &bundle,
        label: "fix-cart",
    };
    Ok(config.env_files(&values)[0].lines[0].1.clone())
}

/// What the script writes: its placeholders replaced as plain text.
fn expected(line: &Line) -> String {
    let mut text = line.value.clone();
    for (service, base) in line.services.as_object().unwrap() {
        let port = base.as_u64().unwrap() + line.step.as_u64().unwrap();
        text = text.replace(&format!("{{{service}}}"), &port.to_string());
    }
    text.replace("{slot}", "1")
        .replace("{worktree}", "fix-cart")
        .replace("{_worktree}", "_fix_cart")
}

#[test]
fn a_config_writes_187_of_200_variables_of_20_projects() {
    let lines = lines();
    let mut refused = Vec::new();
    for line in &lines {
        match written(line) {
            Ok(value) => assert_eq!(value, expected(line), "{}: {}", line.project, line.name),
            Err(_) => refused.push((&*line.project, &*line.name)),
        }
    }
    assert_eq!(refused, REFUSED);
    assert_eq!((lines.len(), lines.len() - refused.len()), (200, 187));
}
