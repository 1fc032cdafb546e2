//! A JSON object as it was written: in order, with duplicate keys.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object: its members in order, each value still as text, or of one type for all.
pub struct JsonObject<'a, V = &'a RawValue>(pub Vec<(Cow<'a, str>, V)>);

/// A JSON string, borrowed from the document unless it contains an escape: each key of each
/// worktree's port file is one.
#[derive(serde::Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl<'a> JsonObject<'a> {
    /// The value of the first member named `key`.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value.get())
    }
}

impl<V> JsonObject<'_, V> {
    /// A duplicate key.
    pub fn repeated(&self) -> Option<&str> {
        // A few keys are compared with each other; thousands, as in a hostile file, need a set.
        const FEW: usize = 16;
        let keys = || self.0.iter().map(|(name, _)| &**name);
        if self.0.len() > FEW {
            let mut seen = BTreeSet::new();
            return keys().find(|key| !seen.insert(*key));
        }
        let mut numbered = keys().enumerate();
        let is_repeated = |(i, key): &(usize, &str)| keys().take(*i).any(|earlier| earlier == *key);
        numbered.find(is_repeated).map(|(_, key)| key)
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for JsonObject<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<'a, V>(PhantomData<(&'a (), V)>);

        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Collect<'a, V> {
            type Value = JsonObject<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(JsonObject(members))
            }
        }

        deserializer.deserialize_map(Collect(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_among_few_and_among_many() {
        for others in [0, 1, 15, 100] {
            let others: Vec<String> = (0..others).map(|i| format!("\"k{i}\": 0, ")).collect();
            let others = others.concat();
            let once = format!("{{{others}\"a\": 1}}");
            let twice = format!("{{\"a\": 1, {others}\"a\": 2}}");
            let repeated = |text: &str| {
                let members: JsonObject<'_> = serde_json::from_str(text).unwrap();
                members.repeated().map(str::to_owned)
            };
            assert_eq!(repeated(&once), None, "{once}");
            assert_eq!(repeated(&twice).as_deref(), Some("a"), "{twice}");
        }
    }
}
