//! From which probability on a label is predicted, as a task file says it.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// The rule for the thresholds of the head `multilabel`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Threshold {
    /// One for all labels, that of the highest micro F1 on the development file.
    #[default]
    One,
    /// One for each label, that of its highest F1 on the development file.
    PerLabel,
    /// This number.
    Fixed(f64),
}

impl Threshold {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const ONE: &str = "one";
const PER_LABEL: &str = "per_label";

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One => json.serialize_str(ONE),
            Self::PerLabel => json.serialize_str(PER_LABEL),
            Self::Fixed(number) => json.serialize_f64(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct RuleOrNumber;
        impl Visitor<'_> for RuleOrNumber {
            type Value = Threshold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`one`, `per_label` or a number from 0 to 1")
            }

            fn visit_str<E: de::Error>(self, rule: &str) -> Result<Threshold, E> {
                match rule {
                    ONE => Ok(Threshold::One),
                    PER_LABEL => Ok(Threshold::PerLabel),
                    _ => Err(E::invalid_value(de::Unexpected::Str(rule), &self)),
                }
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Threshold, E> {
                match number {
                    0.0..=1.0 => Ok(Threshold::Fixed(number)),
                    _ => Err(E::invalid_value(de::Unexpected::Float(number), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Threshold, E> {
                self.visit_f64(number as f64)
            }
        }
        json.deserialize_any(RuleOrNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_rule_or_a_number() {
        for (json, expected) in [
            ("\"one\"", Threshold::One),
            ("\"per_label\"", Threshold::PerLabel),
            ("0.25", Threshold::Fixed(0.25)),
        ] {
            assert_eq!(serde_json::from_str::<Threshold>(json).unwrap(), expected);
            assert_eq!(serde_json::to_string(&expected).unwrap(), json);
        }
        assert_eq!(serde_json::from_str::<Threshold>("1").unwrap(), Threshold::Fixed(1.0));
        for json in ["1.5", "-1", "\"best\"", "null"] {
            let error = serde_json::from_str::<Threshold>(json).unwrap_err().to_string();
            assert!(
                error.contains("expected `one`, `per_label` or a number from 0 to 1"),
                "{error}"
            );
        }
    }
}
