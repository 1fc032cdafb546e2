//! Tests of `exclude`.
