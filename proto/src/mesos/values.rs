//! Values, attributes and resources.

use prost::{Enumeration, Message};

/// What kind of value an attribute or resource holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ValueType {
    /// A number with three decimals.
    Scalar = 0,
    /// Ranges of integers.
    Ranges = 1,
    /// A set of strings.
    Set = 2,
    /// A string.
    Text = 3,
}

/// A number; Mesos keeps exactly three decimals of it.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Scalar {
    /// The number.
    #[prost(double, required, tag = "1")]
    pub value: f64,
}

/// An inclusive range of integers.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Range {
    /// First.
    #[prost(uint64, required, tag = "1")]
    pub begin: u64,
    /// Last.
    #[prost(uint64, required, tag = "2")]
    pub end: u64,
}

/// Ranges of integers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ranges {
    /// The ranges.
    #[prost(message, repeated, tag = "1")]
    pub range: Vec<Range>,
}

/// A set of strings.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Set {
    /// The items.
    #[prost(string, repeated, tag = "1")]
    pub item: Vec<String>,
}

/// A string value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Text {
    /// The string.
    #[prost(string, required, tag = "1")]
    pub value: String,
}

/// A fact about a host, such as its rack.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// The name.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// Which of the values is set.
    #[prost(enumeration = "ValueType", required, tag = "2")]
    pub r#type: i32,
    /// A number.
    #[prost(message, optional, tag = "3")]
    pub scalar: Option<Scalar>,
    /// Ranges.
    #[prost(message, optional, tag = "4")]
    pub ranges: Option<Ranges>,
    /// A string.
    #[prost(message, optional, tag = "5")]
    pub text: Option<Text>,
    /// A set.
    #[prost(message, optional, tag = "6")]
    pub set: Option<Set>,
}

impl Attribute {
    /// A text attribute.
    pub fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            r#type: ValueType::Text as i32,
            text: Some(Text { value: value.into() }),
            ..Self::default()
        }
    }

    /// Its value in words, whatever its kind, as Mesos prints it.
    pub fn value_text(&self) -> String {
        if let Some(text) = &self.text {
            text.value.clone()
        } else if let Some(scalar) = self.scalar {
            scalar.value.to_string()
        } else if let Some(set) = &self.set {
            format!("{{{}}}", set.item.join(","))
        } else if let Some(ranges) = &self.ranges {
            let each = ranges.range.iter().map(|range| format!("{}-{}", range.begin, range.end));
            format!("[{}]", each.collect::<Vec<_>>().join(","))
        } else {
            String::new()
        }
    }
}

/// The role that resources are offered to.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct AllocationInfo {
    /// The role.
    #[prost(string, optional, tag = "1")]
    pub role: Option<String>,
}

/// An amount of one resource.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    /// `cpus`, `mem` (MiB), `disk` (MiB), `ports`, or a custom name.
    #[prost(string, required, tag = "1")]
    pub name: String,
    /// Which of the values is set.
    #[prost(enumeration = "ValueType", required, tag = "2")]
    pub r#type: i32,
    /// The amount of a scalar resource.
    #[prost(message, optional, tag = "3")]
    pub scalar: Option<Scalar>,
    /// Ranges, such as ports.
    #[prost(message, optional, tag = "4")]
    pub ranges: Option<Ranges>,
    /// A set.
    #[prost(message, optional, tag = "5")]
    pub set: Option<Set>,
    /// The role it is reserved for, in the format without reservation refinement.
    #[prost(string, optional, tag = "6")]
    pub role: Option<String>,
    /// The role it is offered to.
    #[prost(message, optional, tag = "11")]
    pub allocation_info: Option<AllocationInfo>,
}

impl Resource {
    /// A scalar resource.
    pub fn scalar(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            r#type: ValueType::Scalar as i32,
            scalar: Some(Scalar { value }),
            ..Self::default()
        }
    }
}
