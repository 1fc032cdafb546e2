//! The names of variables: their last word says what form a value has, and some are refused.

use crate::config::nearest::suggestion;
use crate::config::template::Form;

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// What the last word of a name says of its value.
const LAST_WORDS: [(&str, Form); 29] = [
    ("PORT", Form::Port),
    ("PGPORT", Form::Port),
    ("PORTS", Form::Ports),
    ("URL", Form::Urls),
    ("URLS", Form::Urls),
    ("URI", Form::Urls),
    ("DSN", Form::Urls),
    ("ORIGIN", Form::Urls),
    ("ORIGINS", Form::Urls),
    ("ENDPOINT", Form::Urls),
    ("HOST", Form::Host),
    ("HOSTS", Form::Host),
    ("HOSTNAME", Form::Host),
    ("ADDR", Form::Host),
    ("ADDRESS", Form::Host),
    ("PGHOST", Form::Host),
    ("NAME", Form::Name),
    ("PROJECT", Form::Name),
    ("SUFFIX", Form::Name),
    ("PREFIX", Form::Name),
    ("DATABASE", Form::Name),
    ("PGDATABASE", Form::Name),
    ("DB", Form::Name),
    ("SCHEMA", Form::Name),
    ("NAMESPACE", Form::Name),
    ("SLOT", Form::Name),
    ("INDEX", Form::Name),
    ("OFFSET", Form::Name),
    ("ID", Form::Name),
];

/// How the names start on which a tool acts that moves code, secrets or machines.
const TOOLS: [&str; 26] = [
    "GIT_",
    "GH_",
    "GITHUB_",
    "SSH_",
    "NPM_",
    "PIP_",
    "UV_",
    "POETRY_",
    "CARGO_",
    "DOCKER_",
    "CONTAINER_",
    "BUILDKIT_",
    "KUBERNETES_",
    "VAULT_",
    "CONSUL_",
    "NOMAD_",
    "AZURE_",
    "ARM_",
    "TF_",
    "CLOUDSDK_",
    "GOOGLE_CLOUD_",
    "GCLOUD_",
    "HF_",
    "ANTHROPIC_",
    "OPENAI_",
    "AWS_",
];

/// Where the clients of AWS find a service, and so one that stands in for it on this machine. A
/// service's name may follow: `AWS_ENDPOINT_URL_S3`.
const AWS_ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// The line that sets the variable `name`, as shells and readers of env files have it.
///
/// Of the characters that a value may have, a shell acts on `&` alone: what follows would be the
/// next command, and come from a branch's config. Values without it stay plain, because make takes
/// quotes for a part of the value. No value has a quote in it.
pub fn assignment(name: &str, value: &str) -> String {
    if value.contains('&') {
        format!("{name}='{value}'")
    } else {
        format!("{name}={value}")
    }
}

/// The form that the value of the variable `name` must have.
///
/// # Errors
/// Why a config may not set that variable.
pub fn form_of(name: &str) -> Result<Form, String> {
    let is_name = name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(format!(
            "the name of a variable is a letter or `_`, then letters, digits and `_`, at most {LONGEST} in all"
        ));
    }
    let name = name.to_ascii_uppercase();
    let is_aws_endpoint = name
        .strip_prefix(AWS_ENDPOINT)
        .is_some_and(|service| service.is_empty() || service.starts_with('_'));
    refuse(&name, is_aws_endpoint)?;
    if is_aws_endpoint {
        return Ok(Form::Urls);
    }
    let last_word = name.rsplit('_').next().unwrap_or_default();
    match LAST_WORDS.iter().find(|(word, _)| *word == last_word) {
        Some((_, form)) => Ok(*form),
        None => Err(format!(
            "the last word of a name says what its value is; unknown word {}",
            suggestion(
                last_word,
                LAST_WORDS.iter().map(|(word, _)| *word),
                |word| format!("`{word}`")
            )
        )),
    }
}

/// Refuses an upper-case name by which a branch's config could make a tool act for it.
fn refuse(name: &str, is_aws_endpoint: bool) -> Result<(), String> {
    if name == "PREFIX" {
        return Err(
            "`PREFIX` says where make and npm install to, so a config may not set it".to_owned(),
        );
    }
    let tool = TOOLS.iter().find(|tool| name.starts_with(**tool));
    if let Some(tool) = tool.filter(|_| !is_aws_endpoint) {
        let exception = if *tool == "AWS_" {
            "; only `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_*` are allowed"
        } else {
            ""
        };
        return Err(format!(
            "`{tool}*` configures a tool that handles code or credentials, so a config may not set it{exception}"
        ));
    }
    if name.ends_with("_DOWNLOAD_HOST") {
        return Err(
            "`*_DOWNLOAD_HOST` says where programs are downloaded from, so a config may not set it"
                .to_owned(),
        );
    }
    if name.ends_with("_ACCOUNT_ID") {
        return Err(
            "`*_ACCOUNT_ID` says whose account is used, so a config may not set it".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    pub const FORMS: &[(&str, Form)] = &[
        ("PORT", Form::Port),
        ("port", Form::Port),
        ("_PORT", Form::Port),
        ("VITE_API_PORT", Form::Port),
        ("PGPORT", Form::Port),
        ("DEBUG_PORTS", Form::Ports),
        ("DATABASE_URL", Form::Urls),
        ("CORS_ORIGINS", Form::Urls),
        ("sentry_dsn", Form::Urls),
        ("MONGO_URI", Form::Urls),
        ("S3_ENDPOINT", Form::Urls),
        ("AWS_ENDPOINT_URL", Form::Urls),
        ("AWS_ENDPOINT_URL_S3", Form::Urls),
        ("aws_endpoint_url_dynamodb", Form::Urls),
        ("AWS_ENDPOINT_URL_X_PORT", Form::Urls),
        ("VITE_HOST", Form::Host),
        ("PGHOST", Form::Host),
        ("LISTEN_ADDR", Form::Host),
        ("COMPOSE_PROJECT_NAME", Form::Name),
        ("WP1_SUFFIX", Form::Name),
        ("TABLE_PREFIX", Form::Name),
        ("PGDATABASE", Form::Name),
        ("DB", Form::Name),
        ("Worktree_Id", Form::Name),
    ];

    #[test]
    fn a_value_is_quoted_only_where_a_shell_would_act_on_it() {
        let table = [
            ("http://localhost:1/?a=[b]", "A=http://localhost:1/?a=[b]"),
            ("http://localhost:1/?a=b&c", "A='http://localhost:1/?a=b&c'"),
        ];
        for (value, line) in table {
            assert_eq!(assignment("A", value), line);
        }
    }

    #[test]
    fn the_last_word_of_a_name_gives_the_form_in_any_case() {
        for (name, form) in FORMS {
            assert_eq!(form_of(name), Ok(*form), "{name}");
        }
    }

    pub const REFUSED: &[&str] = &[
        "",
        "1PORT",
        "A-PORT",
        "A PORT",
        "A=B_PORT",
        "A_PORT\n",
        "\u{dc}_PORT",
        "PATH",
        "LD_PRELOAD",
        "BASH_ENV",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "HTTP_PROXY",
        "PORT_",
        "XPORT",
        "URLPATH",
        "PREFIX",
        "prefix",
        "GIT_PROXY_PORT",
        "git_x_port",
        "GH_HOST",
        "GITHUB_API_URL",
        "SSH_AUTH_ADDR",
        "NPM_REGISTRY_URL",
        "npm_config_prefix",
        "PIP_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "POETRY_URL",
        "CARGO_REGISTRY_INDEX",
        "DOCKER_HOST",
        "docker_host",
        "CONTAINER_HOST",
        "BUILDKIT_HOST",
        "KUBERNETES_SERVICE_HOST",
        "VAULT_ADDR",
        "CONSUL_HTTP_ADDR",
        "NOMAD_ADDR",
        "AZURE_X_URL",
        "ARM_ENDPOINT",
        "TF_VAR_DB",
        "CLOUDSDK_CORE_PROJECT",
        "GOOGLE_CLOUD_PROJECT",
        "GCLOUD_PROJECT",
        "HF_ENDPOINT",
        "ANTHROPIC_BASE_URL",
        "OPENAI_BASE_URL",
        "AWS_URL",
        "AWS_ENDPOINT",
        "AWS_ENDPOINT_URLS",
        "PLAYWRIGHT_DOWNLOAD_HOST",
        "playwright_download_host",
        "CLOUDFLARE_ACCOUNT_ID",
        "AWS_ENDPOINT_URL_ACCOUNT_ID",
    ];

    #[test]
    fn what_a_shell_a_loader_or_a_tool_acts_on_is_refused() {
        for name in REFUSED {
            assert!(form_of(name).is_err(), "{name}");
        }
        let longest = format!("{}_PORT", "A".repeat(59));
        assert_eq!(form_of(&longest), Ok(Form::Port));
        assert!(form_of(&format!("A{longest}")).is_err());
    }

    #[test]
    fn a_refusal_gives_the_reason() {
        let table = [
            (
                "docker_host",
                "`DOCKER_*` configures a tool that handles code or credentials, so a config may not set it",
            ),
            (
                "AWS_URL",
                "`AWS_*` configures a tool that handles code or credentials, so a config may not set it; only `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_*` are allowed",
            ),
            (
                "prefix",
                "`PREFIX` says where make and npm install to, so a config may not set it",
            ),
            (
                "API_PROT",
                "the last word of a name says what its value is; unknown word `PROT`; did you mean `PORT`?",
            ),
        ];
        for (name, why) in table {
            assert_eq!(form_of(name).unwrap_err(), why);
        }
    }

    proptest! {
        #[test]
        fn case_never_decides(name in "[a-zA-Z_]{0,6}(_PORT|_Url|_host|_name|GIT_|Docker_)[a-z_]{0,5}") {
            prop_assert_eq!(form_of(&name.to_ascii_lowercase()), form_of(&name.to_ascii_uppercase()));
        }

        #[test]
        fn any_name_that_is_allowed_is_one_word_to_a_shell(name in any::<String>()) {
            if form_of(&name).is_ok() {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            }
        }
    }
}
