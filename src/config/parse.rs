//! The text of a config, checked key by key.

use std::borrow::Cow;

use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::config::hint::nearest_value;
use crate::config::nearest::{cut, suggestion};
use crate::config::paths::{self, nearest_path};
use crate::config::placeholder::{self, is_of_worktree};
use crate::config::value::{Form, Setting};
use crate::config::{Config, Service, Settings, Template, file, names};
use crate::files::json_object::JsonObject;
use crate::ports::{Port, ServiceName};

/// The longest name of a service or a URL, in bytes.
const NAME_LIMIT: usize = 32;

/// How many env files there may be, and how many templates.
const FILES_LIMIT: usize = 16;

/// The longest value that a message shows whole, in bytes.
const LONGEST_HINT: usize = 200;

/// The keys of a config.
pub const KEYS: [&str; 7] = [
    "services",
    "step",
    "urls",
    "env",
    "env_files",
    "templates",
    "$schema",
];

/// The port file, which no template may replace.
const PORT_FILE: &str = ".worktree-ports.json";

impl Config {
    /// Parses a config.
    ///
    /// # Errors
    /// Which key is wrong, and what is allowed there, on one line.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config = Config::parse_for_unix(text)?;
        if cfg!(windows)
            && let Some((one, other)) = config.variables_that_differ_in_case()
        {
            return Err(format!(
                "`{one}` and `{other}` are the same variable on Windows"
            ));
        }
        Ok(config)
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
            string(schema)
                .ok_or_else(|| format!("`$schema` is {}: it must be a string", excerpt(schema)))?;
        }
        let services = members.get("services").ok_or(
            "`services` is missing; write `\"services\": {\"web\": 3000}` with your own names and ports",
        )?;
        let services = parse_services(services)?;
        let member = |key| members.get(key).unwrap_or("{}");
        let settings = |key, forms_of: fn(&str) -> Result<Vec<Form>, String>| {
            parse_settings(member(key), key, &services, forms_of)
        };
        let step = members.get("step").map_or(Ok(100), parse_step)?;
        let urls = settings("urls", forms_of_url)?;
        let env = settings("env", names::forms_of)?;
        let env_files = parse_files(
            member("env_files"),
            "env_files",
            paths::check_env_file,
            |place, variables| parse_settings(variables, place, &services, names::forms_of),
        )?;
        let templates = parse_templates(member("templates"), &env_files)?;
        Ok(Config {
            services,
            step,
            urls,
            env,
            env_files,
            templates,
        })
    }

    /// Two variables of one environment or file whose names differ in case alone, which on Windows are
    /// one.
    fn variables_that_differ_in_case(&self) -> Option<(String, String)> {
        let of_files = self.env_files.iter().map(|(_, settings)| {
            let names = settings.iter().map(|(name, _)| name.clone());
            names.collect::<Vec<_>>()
        });
        let mut environments = of_files.chain([self.names_in(Config::variables)]);
        environments.find_map(|names| differing_in_case(&names))
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
        if is_of_worktree(&name) {
            return Err(format!(
                "`services.{shown}`: no service can be called `{shown}`, because `{{{shown}}}` is another placeholder"
            ));
        }
        let base = serde_json::from_str(base.get())
            .ok()
            .and_then(Port::new)
            .ok_or_else(|| {
                let quotes = if base.get().starts_with('"') { ", without quotes" } else { "" };
                format!(
                    "`services.{shown}` is {}: a base port is a whole number from 1024 to 65535{quotes}",
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

/// Parses the values of the object at `place`, whose names say what forms they may have.
fn parse_settings(
    json: &str,
    place: &str,
    services: &[Service],
    forms_of: impl Fn(&str) -> Result<Vec<Form>, String>,
) -> Result<Settings, String> {
    let setting = |(name, value): (Cow<'_, str>, &RawValue)| {
        let forms = forms_of(&name).map_err(|why| format!("`{place}.{}`: {why}", cut(&name)))?;
        match parse_setting(&name, value.get(), &forms, services) {
            Ok(setting) => Ok((name.into_owned(), setting)),
            Err(why) => Err(format!(
                "`{place}.{name}` is {}: {why}",
                excerpt(value.get())
            )),
        }
    };
    let members = object(json, &format!("`{place}`"))?;
    members.0.into_iter().map(setting).collect()
}

fn parse_setting(
    name: &str,
    json: &str,
    forms: &[Form],
    services: &[Service],
) -> Result<Setting, String> {
    let nearest = |text: &str| nearest_value(text, name, forms, services);
    let Some(text) = string(json) else {
        let hint = nearest(json).map(|hint| format!("\"{hint}\""));
        return Err(with_hint("it must be a string".to_owned(), hint));
    };
    placeholder::check(&text, services)?;
    Setting::new(&text, forms).map_err(|why| with_hint(why, nearest(&text)))
}

/// What is wrong, and what to write instead.
fn with_hint(why: String, hint: Option<String>) -> String {
    match hint.filter(|hint| hint.len() <= LONGEST_HINT) {
        Some(hint) => format!("{why}; write `{hint}`"),
        None => why,
    }
}

/// URLs become lines of `--env` under their name in upper case, and obey the rules for those.
fn forms_of_url(name: &str) -> Result<Vec<Form>, String> {
    if !is_name(name, "_") || !name.ends_with("_url") {
        return Err("the name of a URL is a lower-case letter, then up to 31 of a-z, 0-9 and `_`, and ends in `_url`".to_owned());
    }
    names::forms_of(name).map(|_| vec![Form::Url])
}

fn parse_templates(json: &str, env_files: &[(String, Settings)]) -> Result<Vec<Template>, String> {
    let files = parse_files(json, "templates", paths::check, |place, source| {
        let wrong = |why: &str| format!("`{place}` is {}: {why}", excerpt(source));
        let path =
            string(source).ok_or_else(|| wrong("it must be the path of the template, a string"))?;
        paths::check(&path)
            .map_err(|why| wrong(&with_hint(why, nearest_path(&path, paths::check))))?;
        Ok(path)
    })?;
    let env_files = env_files.iter().map(|(path, _)| path.as_str());
    let ours: Vec<&str> = env_files.chain([PORT_FILE, file::NAME]).collect();
    for (target, _) in &files {
        let is_target = |path: &str| path.eq_ignore_ascii_case(target);
        if let Some(own) = ours.iter().find(|path| is_target(path)) {
            return Err(format!(
                "`templates[\"{target}\"]`: `{own}` cannot be made from a template, because worktree-ports-hook writes or reads it itself"
            ));
        }
        if files.iter().any(|(_, source)| is_target(source)) {
            return Err(format!(
                "`templates[\"{target}\"]`: `{target}` is itself a template in `templates`"
            ));
        }
    }
    let template = |(target, source)| Template { target, source };
    Ok(files.into_iter().map(template).collect())
}

/// Parses an object from paths to something else.
fn parse_files<T>(
    json: &str,
    key: &str,
    check: fn(&str) -> Result<(), String>,
    parse: impl Fn(&str, &str) -> Result<T, String>,
) -> Result<Vec<(String, T)>, String> {
    let members = object(json, &format!("`{key}`"))?;
    if members.0.len() > FILES_LIMIT {
        return Err(format!(
            "`{key}` has {} members; at most {FILES_LIMIT} are allowed",
            members.0.len()
        ));
    }
    let file = |(path, value): (Cow<'_, str>, &RawValue)| {
        let place = format!("{key}[\"{}\"]", cut(&path));
        check(&path)
            .map_err(|why| format!("`{place}`: {}", with_hint(why, nearest_path(&path, check))))?;
        let parsed = parse(&place, value.get())?;
        Ok((path.into_owned(), parsed))
    };
    let files: Vec<(String, T)> = members
        .0
        .into_iter()
        .map(file)
        .collect::<Result<_, String>>()?;
    let paths: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
    match differing_in_case(&paths) {
        Some((one, other)) => Err(format!(
            "`{key}` has both `{one}` and `{other}`, which are the same file on macOS and Windows"
        )),
        None => Ok(files),
    }
}

fn object<'a>(json: &'a str, what: &str) -> Result<JsonObject<'a>, String> {
    let members: JsonObject<'a> =
        serde_json::from_str(json).map_err(|error| match error.classify() {
            Category::Data => format!("{what} is not a JSON object"),
            _ => not_json(json, &error),
        })?;
    match members.repeated() {
        Some(key) => Err(format!("duplicate key `{}` in {what}", cut(key))),
        None => Ok(members),
    }
}

/// What is wrong with a text that is not JSON.
fn not_json(text: &str, error: &serde_json::Error) -> String {
    if text.trim().is_empty() {
        return "the file is empty; write `{\"services\": {\"web\": 3000}}` with your own names and ports".to_owned();
    }
    let (line, column) = (error.line(), error.column());
    let lines_before = text.split_inclusive('\n').take(line.saturating_sub(1));
    let at = lines_before.map(str::len).sum::<usize>() + column.saturating_sub(1);
    let (before, behind) = text.split_at_checked(at).unwrap_or((text, ""));
    let place = format!("at line {line} column {column}");
    if ["//", "/*", "#"]
        .iter()
        .any(|start| behind.starts_with(start))
    {
        format!("comments are not JSON; remove the one {place}")
    } else if behind.starts_with(['}', ']']) && before.trim_end().ends_with(',') {
        format!("it is not JSON: trailing comma {place}")
    } else if behind.starts_with('\'') {
        format!("it is not JSON: single quotes {place}; use double quotes")
    } else if error.is_eof() {
        format!("it is not JSON: it ends too early, {place}")
    } else {
        format!("it is not JSON: {error}")
    }
}

fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
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
fn differing_in_case(names: &[String]) -> Option<(String, String)> {
    names.iter().enumerate().find_map(|(i, name)| {
        let mut earlier = names[..i].iter();
        let other = earlier.find(|other| other.eq_ignore_ascii_case(name) && *other != name)?;
        Some((other.clone(), name.clone()))
    })
}

#[cfg(test)]
mod tests;
