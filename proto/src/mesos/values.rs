//! Values and attributes.

use prost::Message;

enumerations! {
    /// What kind of value an attribute or resource holds.
    pub enum ValueType {
        /// A number with three decimals.
        Scalar = 0 "SCALAR",
        /// Ranges of integers.
        Ranges = 1 "RANGES",
        /// A set of strings.
        Set = 2 "SET",
        /// A string.
        Text = 3 "TEXT",
    }
}

messages! {
    /// A number; Mesos keeps exactly three decimals of it.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Scalar {
        /// The number.
        required double value = 1,
    }

    /// A number as [`Scalar`], in a map.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Quantity {
        /// The number.
        explicit double value = 1,
    }

    /// An inclusive range of integers.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct Range {
        /// First.
        required uint64 begin = 1,
        /// Last.
        required uint64 end = 2,
    }

    /// Ranges of integers.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Ranges {
        /// The ranges.
        repeated message<Range> range = 1,
    }

    /// A set of strings.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Set {
        /// The items.
        repeated string item = 1,
    }

    /// A string value.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Text {
        /// The string.
        required string value = 1,
    }

    /// A fact about a host, such as its rack.
    #[derive(Clone, PartialEq, Message)]
    pub struct Attribute {
        /// The name.
        required string name = 1,
        /// Which of the values is set.
        required enum<ValueType> r#type = 2,
        /// A number.
        optional message<Scalar> scalar = 3,
        /// Ranges.
        optional message<Ranges> ranges = 4,
        /// A set.
        optional message<Set> set = 6,
        /// A string.
        optional message<Text> text = 5,
    }
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
