//! Any JSON value, of which only what a header entry can hold is kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A JSON value: what a header entry may hold in full, the rest by its kind only.
pub(crate) enum Loose {
    Text(String),
    Number(u64),
    /// An array of unsigned integers, of which the first nine are kept: one more than the most dimensions.
    Numbers(Vec<u64>),
    /// The pairs of an object, repeated keys included.
    Object(Vec<(String, Self)>),
    Other,
}

const MAX_NUMBERS: usize = 9;
/// One more than an entry has fields: among four keys one is repeated or unknown.
const MAX_PAIRS: usize = 4;
/// An object, and the arrays in it. What is nested deeper is skipped without recursion, so that no depth is too much.
const MAX_DEPTH: u8 = 2;

impl Loose {
    /// Keeps the first four pairs of an object.
    pub(crate) const fn bounded() -> LooseSeed {
        LooseSeed {
            max_pairs: MAX_PAIRS,
            depth: MAX_DEPTH,
        }
    }

    /// Keeps so many pairs of an object.
    pub(crate) const fn up_to(max_pairs: usize) -> LooseSeed {
        LooseSeed {
            max_pairs,
            depth: MAX_DEPTH,
        }
    }
}

pub(crate) struct LooseSeed {
    max_pairs: usize,
    /// Levels of arrays and objects that are still looked into.
    depth: u8,
}

impl LooseSeed {
    /// For the values inside; `None` where they do not matter.
    fn inner(&self) -> Option<Self> {
        Some(Self {
            max_pairs: MAX_PAIRS,
            depth: self.depth.checked_sub(1)?,
        })
    }
}

impl<'de> DeserializeSeed<'de> for LooseSeed {
    type Value = Loose;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loose, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LooseSeed {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose, A::Error> {
        let mut numbers = Some(Vec::new());
        while let Some(inner) = self.inner() {
            match seq.next_element_seed(inner)? {
                Some(Loose::Number(number)) => {
                    if let Some(kept) = numbers.as_mut().filter(|kept| kept.len() < MAX_NUMBERS) {
                        kept.push(number);
                    }
                }
                Some(_) => numbers = None,
                None => return Ok(numbers.map_or(Loose::Other, Loose::Numbers)),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let mut pairs = Vec::new();
        while let Some(inner) = self.inner().filter(|_| pairs.len() < self.max_pairs) {
            let Some(key) = map.next_key()? else {
                return Ok(Loose::Object(pairs));
            };
            pairs.push((key, map.next_value_seed(inner)?));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Object(pairs))
    }
}
