//! A config, built member by member.

use std::fmt;

/// The text of a config, with its members in the order in which they were given.
#[derive(Clone, Default)]
pub struct Config {
    services: Vec<(String, String)>,
    step: Option<u16>,
    urls: Vec<(String, String)>,
    env: Vec<(String, String)>,
    env_files: Vec<(String, String)>,
    templates: Vec<(String, String)>,
}

/// A config with these services and base ports, and the default step.
pub fn config(services: &[(&str, u16)]) -> Config {
    let services = services.iter();
    Config {
        services: services
            .map(|(name, base)| ((*name).to_owned(), base.to_string()))
            .collect(),
        ..Config::default()
    }
}

impl Config {
    pub fn step(mut self, step: u16) -> Config {
        self.step = Some(step);
        self
    }

    /// Adds a member of `urls`.
    pub fn url(mut self, name: &str, template: &str) -> Config {
        self.urls.push((name.to_owned(), quoted(template)));
        self
    }

    /// Adds a member of `env`.
    pub fn env(mut self, name: &str, template: &str) -> Config {
        self.env.push((name.to_owned(), quoted(template)));
        self
    }

    /// Adds a member of `env_files`; one without variables has all lines of `--env`.
    pub fn env_file(mut self, path: &str, variables: &[(&str, &str)]) -> Config {
        let variables = variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, template)| ((*name).to_owned(), quoted(template)))
            .collect();
        self.env_files.push((path.to_owned(), object(&variables)));
        self
    }

    /// Adds a member of `templates`.
    pub fn template(mut self, target: &str, source: &str) -> Config {
        self.templates.push((target.to_owned(), quoted(source)));
        self
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut members = vec![("services".to_owned(), object(&self.services))];
        if let Some(step) = self.step {
            members.push(("step".to_owned(), step.to_string()));
        }
        let maps = [
            ("urls", &self.urls),
            ("env", &self.env),
            ("env_files", &self.env_files),
            ("templates", &self.templates),
        ];
        for (name, map) in maps {
            if !map.is_empty() {
                members.push((name.to_owned(), object(map)));
            }
        }
        writeln!(f, "{}", object(&members))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON object whose values are JSON already.
fn object(members: &[(String, String)]) -> String {
    let members = members.iter();
    let members: Vec<String> = members
        .map(|(name, value)| format!("{}: {value}", quoted(name)))
        .collect();
    format!("{{ {} }}", members.join(", "))
}
