//! The text of a config, checked key by key.

use std::ops::RangeInclusive;

use serde_json::error::Category;

use crate::config::hint::nearest_value;
use crate::config::nearest::{cut, suggestion};
use crate::config::paths::{self, nearest_path};
use crate::config::placeholder::{Values, is_of_worktree};
use crate::config::value::{Form, Setting, has};
use crate::config::{Config, Service, Settings, Template, file, names};
use crate::files::json_object::JsonObject;
use crate::ports::{Bundle, Port, ServiceName, Slot};

/// The keys of a config.
pub const KEYS: &str = "services step urls env env_files templates $schema";

/// The port file, which no template may replace.
const PORT_FILE: &str = ".worktree-ports.json";

impl Config {
    /// Parses a config.
    ///
    /// # Errors
    /// Which key is wrong, and what is allowed there, on one line.
    pub fn parse(text: &str) -> Result<Config, String> {
        // Editors on Windows put one there; it is not JSON.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let members = object(text, "the config")?;
        if let Some((key, _)) = members.0.iter().find(|(key, _)| !has(KEYS, key)) {
            let suggestion = suggestion(key, KEYS.split(' '), |key| format!("`{key}`"));
            return Err(format!("unknown key {suggestion}"));
        }
        if let Some(schema) = members.get("$schema") {
            string(schema).map_err(|why| wrong("$schema", schema, &why))?;
        }
        let services = members.get("services").ok_or(
            "`services` is missing; write `\"services\": {\"web\": 3000}` with your own names and ports",
        )?;
        let services = parse_services(services)?;
        let names = services.iter().map(|service| service.name.clone());
        let bundle = Bundle {
            slot: Slot(u32::MAX),
            ports: names.map(|name| (name, Port::MAX)).collect(),
        };
        let sample = Values {
            bundle: &bundle,
            label: "a-0",
        };
        let member = |key| members.get(key).unwrap_or("{}");
        let config = Config {
            step: members.get("step").map_or(Ok(100), parse_step)?,
            urls: parse_settings(member("urls"), "urls", &sample, forms_of_url)?,
            env: parse_settings(member("env"), "env", &sample, names::forms_of)?,
            env_files: parse_files(
                member("env_files"),
                "env_files",
                paths::check_env_file,
                |place, json| parse_settings(json, place, &sample, names::forms_of),
            )?,
            templates: parse_templates(member("templates"))?,
            services,
        };
        config.check_targets()?;
        if cfg!(windows) {
            config.check_case_of_variables()?;
        }
        Ok(config)
    }

    /// Checks that no template replaces a file that this program writes or reads itself.
    fn check_targets(&self) -> Result<(), String> {
        let env_files = self.env_files.iter().map(|(path, _)| path);
        let sources = self.templates.iter().map(|template| &template.source);
        let named = env_files.chain(sources).map(String::as_str);
        for own in named.chain([PORT_FILE, file::NAME]) {
            let replaces_it = |template: &&Template| template.target.eq_ignore_ascii_case(own);
            if let Some(Template { target, .. }) = self.templates.iter().find(replaces_it) {
                return Err(format!(
                    "`templates[\"{target}\"]`: `{own}` cannot be made from a template, because worktree-ports-hook writes or reads it itself"
                ));
            }
        }
        Ok(())
    }

    /// Checks that no two variables of one environment or file differ only in case: on Windows they
    /// are one variable.
    fn check_case_of_variables(&self) -> Result<(), String> {
        const ARE_ONE: &str = "are the same variable on Windows";
        for (_, variables) in &self.env_files {
            check_case(variables, ARE_ONE)?;
        }
        check_case(&self.in_main(Config::variables), ARE_ONE)
    }
}

fn parse_services(json: &str) -> Result<Vec<Service>, String> {
    let mut services: Vec<Service> = Vec::new();
    for (name, base) in members(json, "services", 1..=64)?.0 {
        let place = format!("services.{}", cut(&name));
        if !is_name(&name, "_-") || is_of_worktree(&name) {
            return Err(format!(
                "`{place}`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`, and is not `slot` or `worktree`, which are other placeholders"
            ));
        }
        let why = "a base port is a whole number from 1024 to 65535, without quotes";
        let base_port = serde_json::from_str(base.get()).ok().and_then(Port::new);
        let base = base_port.ok_or_else(|| wrong(&place, base.get(), why))?;
        let name = ServiceName::new(name);
        for other in &services {
            let what = if other.base == base {
                format!("have the same base port {base}")
            } else if other.name.variable() == name.variable() {
                format!("give the same variable `{}`", name.variable())
            } else {
                continue;
            };
            let other = &other.name;
            return Err(format!("`services.{other}` and `services.{name}` {what}"));
        }
        services.push(Service { name, base });
    }
    Ok(services)
}

fn parse_step(json: &str) -> Result<u32, String> {
    let step = serde_json::from_str(json).ok();
    step.filter(|step| (1..=10_000).contains(step))
        .ok_or_else(|| wrong("step", json, "a step is a whole number from 1 to 10000"))
}

/// Parses the values of the object at `place`; their names decide which forms they may have.
fn parse_settings(
    json: &str,
    place: &str,
    sample: &Values<'_>,
    forms_of: fn(&str) -> Result<Vec<Form>, String>,
) -> Result<Settings, String> {
    let mut settings = Settings::new();
    for (name, value) in object(json, &format!("`{place}`"))?.0 {
        let forms = forms_of(&name).map_err(|why| format!("`{place}.{}`: {why}", cut(&name)))?;
        let setting = parse_setting(&name, value.get(), &forms, sample)
            .map_err(|why| wrong(&format!("{place}.{name}"), value.get(), &why))?;
        settings.push((name.into_owned(), setting));
    }
    Ok(settings)
}

fn parse_setting(
    name: &str,
    json: &str,
    forms: &[Form],
    sample: &Values<'_>,
) -> Result<Setting, String> {
    let nearest = |text: &str| nearest_value(text, name, forms, sample);
    let text = string(json).map_err(|why| {
        let hint = nearest(json).map(|hint| format!("\"{hint}\""));
        with_hint(why, hint)
    })?;
    Setting::new(&text, forms, sample).map_err(|why| with_hint(why, nearest(&text)))
}

/// What is wrong, and what to write instead.
fn with_hint(why: String, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{why}; write `{hint}`"),
        None => why,
    }
}

/// URLs become lines of `--env`, under their names in upper case, and obey the same rules.
fn forms_of_url(name: &str) -> Result<Vec<Form>, String> {
    if !is_name(name, "_") || !name.ends_with("_url") {
        return Err("the name of a URL is a lower-case letter, then up to 31 of a-z, 0-9 and `_`, and ends in `_url`".to_owned());
    }
    names::forms_of(name).map(|_| vec![Form::Url])
}

fn parse_templates(json: &str) -> Result<Vec<Template>, String> {
    let files = parse_files(json, "templates", paths::check, |place, json| {
        let source = string(json).and_then(|source| {
            check_path(&source, paths::check)?;
            Ok(source)
        });
        source.map_err(|why| wrong(place, json, &why))
    })?;
    let template = |(target, source)| Template { target, source };
    Ok(files.into_iter().map(template).collect())
}

/// Parses an object with paths for keys, and each value with `parse`.
fn parse_files<T>(
    json: &str,
    key: &str,
    check: fn(&str) -> Result<(), String>,
    parse: impl Fn(&str, &str) -> Result<T, String>,
) -> Result<Vec<(String, T)>, String> {
    let mut files = Vec::new();
    for (path, value) in members(json, key, 0..=16)?.0 {
        let place = format!("{key}[\"{}\"]", cut(&path));
        check_path(&path, check).map_err(|why| format!("`{place}`: {why}"))?;
        files.push((path.into_owned(), parse(&place, value.get())?));
    }
    let are_one = format!("in `{key}` are the same file on macOS and Windows");
    check_case(&files, &are_one)?;
    Ok(files)
}

fn check_path(path: &str, check: fn(&str) -> Result<(), String>) -> Result<(), String> {
    check(path).map_err(|why| with_hint(why, nearest_path(path, check)))
}

/// The members of the object `key`, if it has as many as are `allowed`.
fn members<'a>(
    json: &'a str,
    key: &str,
    allowed: RangeInclusive<usize>,
) -> Result<JsonObject<'a>, String> {
    let members = object(json, &format!("`{key}`"))?;
    let (count, least, most) = (members.0.len(), allowed.start(), allowed.end());
    if !allowed.contains(&count) {
        return Err(format!(
            "`{key}` has {count} members; {least} to {most} are allowed"
        ));
    }
    Ok(members)
}

fn object<'a>(json: &'a str, what: &str) -> Result<JsonObject<'a>, String> {
    let members: JsonObject<'a> =
        serde_json::from_str(json).map_err(|error| match error.classify() {
            Category::Data => format!("{what} is not a JSON object"),
            _ => not_json(json, error),
        })?;
    match members.repeated() {
        Some(key) => Err(format!("duplicate key `{}` in {what}", cut(key))),
        None => Ok(members),
    }
}

/// What is wrong with a text that is not JSON.
fn not_json(text: &str, error: serde_json::Error) -> String {
    if text.trim().is_empty() {
        return "the file is empty; write `{\"services\": {\"web\": 3000}}` with your own names and ports".to_owned();
    }
    // Only the parser of a `Value` tells a trailing comma from other errors.
    let error = serde_json::from_str::<serde_json::Value>(text)
        .err()
        .unwrap_or(error);
    let (line, column) = (error.line(), error.column());
    let place = format!("at line {line} column {column}");
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    match line.as_bytes().get(column.saturating_sub(1)) {
        _ if error.is_eof() => format!("it is not JSON: it ends too early, {place}"),
        Some(b'/' | b'#') => format!("comments are not JSON; remove the one {place}"),
        Some(b'\'') => format!("it is not JSON: single quotes {place}; use double quotes"),
        _ => format!("it is not JSON: {error}"),
    }
}

fn string(json: &str) -> Result<String, String> {
    serde_json::from_str(json).map_err(|_| "it must be a string".to_owned())
}

fn is_name(name: &str, punctuation: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || punctuation.contains(c))
}

/// What is wrong with the value at `place`.
fn wrong(place: &str, json: &str, why: &str) -> String {
    format!("`{place}` is `{}`: {why}", cut(json))
}

/// Checks that no two names differ only in case, because then they `are_one`.
fn check_case<T>(named: &[(String, T)], are_one: &str) -> Result<(), String> {
    for (i, (name, _)) in named.iter().enumerate() {
        let is_name = |other: &str| other.eq_ignore_ascii_case(name) && other != name;
        if let Some((other, _)) = named[..i].iter().find(|(other, _)| is_name(other)) {
            return Err(format!("`{other}` and `{name}` {are_one}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
