//! Tests of `env_text`.
