//! Resources in fixed point: thousandths, so that sums are exact.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Bound,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::limits;

/// An amount of one resource, in thousandths of its unit (cpus; MiB of mem and disk).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u64);

/// A number that is no amount.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{text}` is no amount; it is a number from 0 to {max} with at most three decimals",
    max = limits::AMOUNT_MAX)]
pub struct InvalidAmount {
    /// The number.
    pub text: String,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From thousandths.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// In thousandths.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// From a floating-point number, as Mesos sends it: rounded to three decimals.
    pub fn from_f64(number: f64) -> Result<Self, InvalidAmount> {
        let invalid = || InvalidAmount { text: number.to_string() };
        if !(0.0..=limits::AMOUNT_MAX as f64).contains(&number) {
            return Err(invalid());
        }
        Ok(Self((number * 1000.0).round() as u64))
    }

    /// As a floating-point number, as Mesos sends it.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl FromStr for Amount {
    type Err = InvalidAmount;
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let invalid = || InvalidAmount { text: text.to_owned() };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let fraction = fraction.trim_end_matches('0');
        if !digits(whole) || fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let whole: u64 = whole.parse().map_err(|_| invalid())?;
        let fraction: u64 = format!("{fraction:0<3}").parse().map_err(|_| invalid())?;
        if whole > limits::AMOUNT_MAX {
            return Err(invalid());
        }
        Ok(Self(whole * 1000 + fraction))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1000, self.0 % 1000);
        if fraction == 0 {
            write!(f, "{whole}")
        } else {
            write!(f, "{whole}.{}", format!("{fraction:03}").trim_end_matches('0'))
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u64(self.0 / 1000)
        } else {
            serializer.serialize_f64(self.as_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Number::deserialize(deserializer)?.to_string().parse().map_err(D::Error::custom)
    }
}

/// The two resources that everything has.
const CPUS: &str = "cpus";
const MEM: &str = "mem";

/// Amounts of resources by name; absent is none. `cpus`, `mem` (MiB) and any names that agents
/// declare.
///
/// Reads and writes as `cpus:4;mem:4096` in text, and as a map in JSON, in the order of the names.
/// A million jobs have one each, so that the two that all of them name take no map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Resources {
    cpus: Amount,
    mem: Amount,
    /// Those that are not zero; absent when there are none.
    #[allow(
        clippy::box_collection,
        reason = "a box is a third of a map's size, and mostly absent"
    )]
    others: Option<Box<BTreeMap<Box<str>, Amount>>>,
}

/// A text that describes no resources.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidResources {
    /// A part is not `name:number`.
    #[error("`{part}` is no resource; write them as in cpus:4;mem:4096")]
    Part {
        /// The part.
        part: String,
    },
    /// The amount is not valid.
    #[error("the amount of `{name}` is not valid")]
    Amount {
        /// Of what.
        name: String,
        /// Why.
        #[source]
        source: InvalidAmount,
    },
    /// A name stands twice.
    #[error("`{name}` is given twice")]
    Twice {
        /// The name.
        name: String,
    },
}

impl Resources {
    /// No resources.
    pub fn none() -> Self {
        Self::default()
    }

    /// The amount of one.
    pub fn get(&self, name: &str) -> Amount {
        match name {
            CPUS => self.cpus,
            MEM => self.mem,
            name => self.others.as_ref().and_then(|all| all.get(name)).copied().unwrap_or_default(),
        }
    }

    /// Sets the amount of one; zero removes it.
    pub fn set(&mut self, name: &str, amount: Amount) {
        match name {
            CPUS => self.cpus = amount,
            MEM => self.mem = amount,
            name if amount != Amount::ZERO => {
                self.others.get_or_insert_default().insert(name.into(), amount);
            }
            name => {
                if let Some(others) = &mut self.others {
                    others.remove(name);
                    self.others.take_if(|others| others.is_empty());
                }
            }
        }
    }

    /// All that are not zero, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Amount)> {
        self.others(Bound::Unbounded, Bound::Excluded(CPUS))
            .chain([(CPUS, self.cpus)])
            .chain(self.others(Bound::Excluded(CPUS), Bound::Excluded(MEM)))
            .chain([(MEM, self.mem)])
            .chain(self.others(Bound::Excluded(MEM), Bound::Unbounded))
            .filter(|(_, amount)| *amount != Amount::ZERO)
    }

    fn others(
        &self,
        from: Bound<&'static str>,
        to: Bound<&'static str>,
    ) -> impl Iterator<Item = (&str, Amount)> {
        let others = self.others.iter().flat_map(move |all| all.range::<str, _>((from, to)));
        others.map(|(name, amount)| (&**name, *amount))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether these hold at least `need` in each dimension.
    pub fn covers(&self, need: &Self) -> bool {
        need.iter().all(|(name, amount)| self.get(name) >= amount)
    }

    /// Adds `other`; `None` on overflow, and then nothing is changed.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let mut sum = self.clone();
        for (name, amount) in other.iter() {
            sum.set(name, Amount(sum.get(name).0.checked_add(amount.0)?));
        }
        Some(sum)
    }

    /// Takes `other` away; `None` when there is not enough.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let mut rest = self.clone();
        for (name, amount) in other.iter() {
            rest.set(name, Amount(rest.get(name).0.checked_sub(amount.0)?));
        }
        Some(rest)
    }
}

impl FromIterator<(String, Amount)> for Resources {
    fn from_iter<I: IntoIterator<Item = (String, Amount)>>(pairs: I) -> Self {
        let mut all = Self::none();
        for (name, amount) in pairs {
            all.set(&name, amount);
        }
        all
    }
}

impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<String, Amount>::deserialize(deserializer)?;
        Ok(all.into_iter().collect())
    }
}

impl FromStr for Resources {
    type Err = InvalidResources;
    fn from_str(text: &str) -> Result<Self, InvalidResources> {
        let mut all = Self::none();
        let mut names = BTreeSet::new();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let invalid = || InvalidResources::Part { part: part.to_owned() };
            let (name, amount) = part.split_once(':').ok_or_else(invalid)?;
            let (name, amount) = (name.trim(), amount.trim());
            if name.is_empty() || name.len() > limits::NAME_BYTES {
                return Err(invalid());
            }
            if !names.insert(name) {
                return Err(InvalidResources::Twice { name: name.to_owned() });
            }
            let amount = amount
                .parse()
                .map_err(|source| InvalidResources::Amount { name: name.to_owned(), source })?;
            all.set(name, amount);
        }
        Ok(all)
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, amount)) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { ";" };
            write!(f, "{separator}{name}:{amount}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_trip_and_are_exact() {
        for (text, thousandths) in [("0", 0), ("0.001", 1), ("0.5", 500), ("12.345", 12_345)] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!((amount.thousandths(), amount.to_string()), (thousandths, text.to_owned()));
            let json = serde_json::to_string(&amount).unwrap();
            assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }
        assert_eq!("1.500".parse::<Amount>().unwrap(), Amount(1500));
        for text in ["", "-1", "1.2345", ".5", "1e3", "x", "1000000001"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }

    #[test]
    fn resources_read_add_and_subtract() {
        let host: Resources = "cpus:4;mem:4096".parse().unwrap();
        let task: Resources = "cpus:0.5; mem:64".parse().unwrap();
        assert!(host.covers(&task) && !task.covers(&host));
        let rest = host.checked_sub(&task).unwrap();
        assert_eq!(rest.to_string(), "cpus:3.5;mem:4032");
        assert_eq!(rest.checked_add(&task).unwrap(), host);
        assert_eq!(task.checked_sub(&host), None);
        let all: Resources = "mem:1;a:2;z:3;gpus:4;cpus:5;none:0".parse().unwrap();
        assert_eq!(all.to_string(), "a:2;cpus:5;gpus:4;mem:1;z:3");
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"{"a":2,"cpus":5,"gpus":4,"mem":1,"z":3}"#);
        assert_eq!(serde_json::from_str::<Resources>(&json).unwrap(), all);
        assert_eq!(all.checked_sub(&all), Some(Resources::none()));
        for text in ["cpus", "cpus:x", "cpus:1;cpus:1", ":1"] {
            assert!(text.parse::<Resources>().is_err(), "{text}");
        }
    }
}
