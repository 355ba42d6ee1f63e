use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// An entry of a list that is a table, or in short the name of a family.
///
/// Errors inside the table stay what they are, with their place, which an untagged enumeration would swallow.
pub(super) struct Entry<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrTable(PhantomData))
    }
}

struct NameOrTable<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + From<String>> Visitor<'de> for NameOrTable<T> {
    type Value = Entry<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, or the name of a family")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Entry(name.to_owned().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Entry)
    }
}
