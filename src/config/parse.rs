//! The text of a config, checked key by key.

use std::borrow::Cow;

use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::config::nearest::{cut, suggestion};
use crate::config::template::{Form, Template, Values};
use crate::config::{Config, Service, Templates, env_path, variables};
use crate::files::json_object::JsonObject;
use crate::ports::{Port, ServiceName, Slot};

/// The longest name of a service or a URL, in bytes.
const NAME_LIMIT: usize = 32;

/// The keys of a config.
const KEYS: [&str; 6] = ["services", "step", "urls", "env", "env_files", "$schema"];

impl Config {
    /// Parses a config.
    ///
    /// # Errors
    /// Which key is wrong, and what is allowed there.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config = Config::parse_for_unix(text)?;
        match config.variables_that_differ_in_case() {
            Some((one, other)) if cfg!(windows) => Err(format!(
                "`{one}` and `{other}` are the same variable on Windows"
            )),
            _ => Ok(config),
        }
    }

    fn parse_for_unix(text: &str) -> Result<Config, String> {
        // Editors on Windows put one there; it is not JSON.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let members = object(text, "the config")?;
        if let Some((key, _)) = members.0.iter().find(|(key, _)| !KEYS.contains(&&**key)) {
            let suggestion = suggestion(key, KEYS.into_iter(), |key| format!("`{key}`"));
            return Err(format!("unknown key {suggestion}"));
        }
        if let Some(schema) = members.get("$schema") {
            string(schema).map_err(|why| format!("`$schema` is {}: {why}", excerpt(schema)))?;
        }
        let services = members.get("services").ok_or("`services` is missing")?;
        let services = parse_services(services)?;
        let step = members.get("step").map_or(Ok(100), parse_step)?;
        let urls = members.get("urls").map_or(Ok(Vec::new()), |urls| {
            parse_templates(urls, "urls", &services, form_of_url)
        })?;
        let env = members.get("env").map_or(Ok(Vec::new()), |env| {
            parse_templates(env, "env", &services, variables::form_of)
        })?;
        let env_files = members
            .get("env_files")
            .map_or(Ok(Vec::new()), |files| parse_env_files(files, &services))?;
        Ok(Config {
            services,
            step,
            urls,
            env,
            env_files,
        })
    }

    /// Two variables of one environment or file whose names differ in case alone, which on Windows are
    /// one.
    fn variables_that_differ_in_case(&self) -> Option<(String, String)> {
        let bundle = self.bundle(Slot::MAIN)?;
        let values = Values {
            bundle: &bundle,
            label: "main",
        };
        let files = self.env_files(&values).into_iter().map(|file| file.lines);
        let mut environments = files.chain([self.variables(&values)]);
        environments.find_map(|lines| names_differing_in_case(&lines))
    }
}

fn parse_services(json: &str) -> Result<Vec<Service>, String> {
    let members = object(json, "`services`")?;
    if !(1..=64).contains(&members.0.len()) {
        return Err(format!(
            "`services` has {} members; 1 to 64 are allowed",
            members.0.len()
        ));
    }
    let mut services: Vec<Service> = Vec::with_capacity(members.0.len());
    for (name, base) in members.0 {
        let shown = cut(&name);
        if !is_name(&name, "_-") {
            return Err(format!(
                "`services.{shown}`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`"
            ));
        }
        if ["slot", "worktree"].contains(&&*name) {
            return Err(format!(
                "`services.{shown}`: no service can be called `{shown}`, because `{{{shown}}}` is another placeholder"
            ));
        }
        let base = serde_json::from_str(base.get())
            .ok()
            .and_then(Port::new)
            .ok_or_else(|| {
                format!(
                    "`services.{shown}` is {}: a base port is a whole number from 1024 to 65535",
                    excerpt(base.get())
                )
            })?;
        let name = ServiceName::new(name);
        for other in &services {
            if other.base == base {
                return Err(format!(
                    "`services.{}` and `services.{name}` have the same base port {base}",
                    other.name
                ));
            }
            if other.name.variable() == name.variable() {
                return Err(format!(
                    "`services.{}` and `services.{name}` give the same variable `{}`",
                    other.name,
                    name.variable()
                ));
            }
        }
        services.push(Service { name, base });
    }
    Ok(services)
}

fn parse_step(json: &str) -> Result<u32, String> {
    let step = serde_json::from_str(json)
        .ok()
        .filter(|step| (1..=10_000).contains(step));
    step.ok_or_else(|| {
        format!(
            "`step` is {}: a step is a whole number from 1 to 10000",
            excerpt(json)
        )
    })
}

/// Parses the templates of the object at `place`, whose names say what forms they have.
fn parse_templates(
    json: &str,
    place: &str,
    services: &[Service],
    form_of: impl Fn(&str) -> Result<Form, String>,
) -> Result<Templates, String> {
    let members = object(json, &format!("`{place}`"))?;
    let template = |(name, value): (Cow<'_, str>, &RawValue)| {
        let form = form_of(&name).map_err(|why| format!("`{place}.{}`: {why}", cut(&name)))?;
        let template = string(value.get()).and_then(|text| Template::parse(&text, form, services));
        match template {
            Ok(template) => Ok((name.into_owned(), template)),
            Err(why) => Err(format!(
                "`{place}.{name}` is {}: {why}",
                excerpt(value.get())
            )),
        }
    };
    members.0.into_iter().map(template).collect()
}

fn form_of_url(name: &str) -> Result<Form, String> {
    if is_name(name, "_") && name.ends_with("_url") {
        Ok(Form::Url)
    } else {
        Err("the name of a URL is a lower-case letter, then up to 31 of a-z, 0-9 and `_`, and ends in `_url`".to_owned())
    }
}

fn parse_env_files(json: &str, services: &[Service]) -> Result<Vec<(String, Templates)>, String> {
    let members = object(json, "`env_files`")?;
    if members.0.len() > 16 {
        return Err(format!(
            "`env_files` has {} members; at most 16 are allowed",
            members.0.len()
        ));
    }
    let file = |(path, variables): (Cow<'_, str>, &RawValue)| {
        let place = format!("env_files[\"{}\"]", cut(&path));
        env_path::check(&path).map_err(|why| format!("`{place}`: {why}"))?;
        let variables = parse_templates(variables.get(), &place, services, variables::form_of)?;
        Ok((path.into_owned(), variables))
    };
    let files: Vec<_> = members
        .0
        .into_iter()
        .map(file)
        .collect::<Result<_, String>>()?;
    match names_differing_in_case(&files) {
        Some((one, other)) => Err(format!(
            "`env_files` has both `{one}` and `{other}`, which are the same file on macOS and Windows"
        )),
        None => Ok(files),
    }
}

fn object<'a>(json: &'a str, what: &str) -> Result<JsonObject<'a>, String> {
    let members: JsonObject<'a> =
        serde_json::from_str(json).map_err(|error| match error.classify() {
            Category::Data => format!("{what} is not a JSON object"),
            _ => format!("it is not JSON: {error}"),
        })?;
    match members.repeated() {
        Some(key) => Err(format!("duplicate key `{}` in {what}", cut(key))),
        None => Ok(members),
    }
}

fn string(json: &str) -> Result<String, String> {
    serde_json::from_str(json).map_err(|_| "it must be a string".to_owned())
}

fn is_name(name: &str, punctuation: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || punctuation.contains(c))
}

/// The start of a value, for a message.
fn excerpt(json: &str) -> String {
    format!("`{}`", cut(json))
}

/// Two of these names that differ, but not to a system that ignores case.
fn names_differing_in_case<T>(named: &[(String, T)]) -> Option<(String, String)> {
    named.iter().enumerate().find_map(|(i, (name, _))| {
        let mut earlier = named[..i].iter().map(|(name, _)| name);
        let other = earlier.find(|other| other.eq_ignore_ascii_case(name) && *other != name)?;
        Some((other.clone(), name.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_are_one_on_windows_are_found_in_each_environment() {
        let found = |extra: &str| {
            let config = format!("{{\"services\": {{\"web\": 3000}}, {extra}}}");
            let config = Config::parse_for_unix(&config).unwrap();
            config
                .variables_that_differ_in_case()
                .map(|(one, other)| format!("{one} {other}"))
        };
        let table = [
            (r#""env": {"WEB_PORT": "{web}", "A_ID": "{slot}"}"#, None),
            (
                r#""env": {"a_id": "{slot}", "A_ID": "{slot}"}"#,
                Some("a_id A_ID"),
            ),
            (r#""env": {"Port": "{web}"}"#, Some("PORT Port")),
            (r#""env_files": {".env": {"Port": "{web}"}}"#, None),
            (
                r#""env_files": {".env": {"A_ID": "{slot}", "A_Id": "{slot}"}}"#,
                Some("A_ID A_Id"),
            ),
        ];
        for (extra, names) in table {
            assert_eq!(found(extra).as_deref(), names, "{extra}");
        }
    }
}
