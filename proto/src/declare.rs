//! How a message of Mesos is written down, once, for both of its forms on the wire.
//!
//! ```text
//! messages! {
//!     /// How long declined resources are not to be offered again.
//!     #[derive(Clone, Copy, PartialEq, Message)]
//!     pub struct Filters {
//!         /// Seconds.
//!         optional double refuse_seconds = 1 [default 5.0],
//!     }
//! }
//! ```
//!
//! A line says what a line of a proto file says: label, kind, name, number, and the default if
//! Mesos declares one. It becomes a field with the attribute that `prost` wants, and a line of each
//! of the tables that [`crate::json`] and [`crate::wire`] work by. The labels and the types that
//! they make:
//!
//! | label | field | |
//! |---|---|---|
//! | `required` | `T` | a message is `Option<T>` all the same, so that its absence can be seen |
//! | `optional` | `Option<T>` | |
//! | `repeated` | `Vec<T>` | |
//! | `explicit` | `Option<T>` | a required scalar of which its absence can be seen too |
//! | `map` | `BTreeMap<String, T>` | of messages or strings |
//!
//! `prost` leaves the value of a map's entry out when it equals its default. So a message that is in
//! maps has `explicit` for `required`, or what it says would not be written where it is 0.
//!
//! The kinds are the scalars of protobuf, `enum<T>` (an `i32`, since a peer may know more values),
//! `message<T>`, and `boxed<T>`: a message that is rare or large, or holds itself.
//!
//! Fields stand in the order of the definitions of Mesos, which is the order of its JSON. `prost`
//! sorts by number, which is the order of its protobuf.

/// Declares messages, in protobuf and JSON.
macro_rules! messages {
    ($($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* })*) => {$(
        message_struct! { [$(#[$meta])* pub struct $name] {} $($body)* }
        message_fields! { $name { $($body)* } }
        message_shape! { $name { $($body)* } }
    )*};
}

/// Makes the struct of a message, a field at a time: an attribute cannot hold a macro.
macro_rules! message_struct {
    ([$($head:tt)*] {$($done:tt)*}) => { $($head)* { $($done)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* repeated message<$of:ident> $field:ident = $tag:tt, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost(message, repeated, tag = $tag)] pub $field: Vec<$of>,
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* map message<$of:ident> $field:ident = $tag:tt, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost(btree_map(string, message), tag = $tag)]
        pub $field: std::collections::BTreeMap<String, $of>,
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* map string $field:ident = $tag:tt, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost(btree_map(string, string), tag = $tag)]
        pub $field: std::collections::BTreeMap<String, String>,
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* $label:ident message<$of:ident> $field:ident = $tag:tt, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost(message, optional, tag = $tag)] pub $field: Option<$of>,
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* $label:ident boxed<$of:ident> $field:ident = $tag:tt, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost(message, optional, boxed, tag = $tag)] pub $field: Option<Box<$of>>,
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* $label:ident enum<$of:ident> $field:ident = $tag:tt
            $([default $default:literal])?, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost(enumeration($of), $label, tag = $tag)]
        pub $field: labelled!($label i32),
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* explicit $kind:ident $field:ident = $tag:tt, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost($kind, optional, tag = $tag)] pub $field: Option<scalar!($kind)>,
    } $($rest)* } };
    ($head:tt {$($done:tt)*}
        $(#[$doc:meta])* $label:ident $kind:ident $field:ident = $tag:tt
            $([default $default:literal])?, $($rest:tt)*
    ) => { message_struct! { $head { $($done)*
        $(#[$doc])* #[prost($kind, $label, tag = $tag)]
        pub $field: labelled!($label scalar!($kind)),
    } $($rest)* } };
}

/// The type of a field by its label.
macro_rules! labelled {
    (required $($of:tt)*) => { $($of)* };
    (optional $($of:tt)*) => { Option<$($of)*> };
    (repeated $($of:tt)*) => { Vec<$($of)*> };
}

/// The type of a scalar of protobuf.
macro_rules! scalar {
    (string) => { String };
    (bytes) => { Vec<u8> };
    (bool) => { bool };
    (double) => { f64 };
    (int32) => { i32 };
    (int64) => { i64 };
    (uint32) => { u32 };
    (uint64) => { u64 };
}

/// How JSON reads and writes a value of a field.
macro_rules! json_kind {
    (message $of:ident) => { $crate::json::Nested<$of> };
    (boxed $of:ident) => { $crate::json::Boxed<$of> };
    (enum $of:ident) => { $crate::json::Named<$of> };
    (bytes) => { $crate::json::Base64 };
    ($kind:ident) => { scalar!($kind) };
}

/// Whether a label asks for the field to be there.
macro_rules! is_required {
    (required) => {
        true
    };
    (explicit) => {
        true
    };
    ($label:ident) => {
        false
    };
}

/// Makes the table of a message's fields for JSON.
macro_rules! message_fields {
    ($name:ident {$(
        $(#[$doc:meta])* $label:ident $kind:ident $(<$of:ident>)? $field:ident = $tag:tt
            $([default $default:literal])?,
    )*}) => {
        impl $crate::json::Fields for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [$crate::json::Field<Self>] = &[$(
                $crate::json::Field::new(
                    stringify!($field),
                    is_required!($label),
                    default_text!($($default)?),
                    |message: &mut Self, value, place, reader| {
                        type Kind = json_kind!($kind $($of)?);
                        $crate::json::Slot::<Kind>::read(&mut message.$field, value, place, reader)
                    },
                    |message: &Self, name, object| {
                        type Kind = json_kind!($kind $($of)?);
                        $crate::json::Slot::<Kind>::write(&message.$field, name, object)
                    },
                ),
            )*];
        }
    };
}

/// The default of a field, as JSON.
macro_rules! default_text {
    () => {
        None
    };
    ($default:literal) => {
        Some(stringify!($default))
    };
}

/// Makes the table of a message's fields for protobuf.
macro_rules! message_shape {
    ($name:ident {$(
        $(#[$doc:meta])* $label:ident $kind:ident $(<$of:ident>)? $field:ident = $tag:tt
            $([default $default:literal])?,
    )*}) => {
        // `presence.rs` counts the fields of a message in the bits of one integer.
        const _: () = assert!(<$name as $crate::wire::Shaped>::LINES.len() <= 64);

        impl $crate::wire::Shaped for $name {
            const LINES: &'static [$crate::wire::Line] = &[$(
                $crate::wire::Line::new(
                    stringify!($field),
                    $tag,
                    is_required!($label),
                    content!($label $kind $($of)?),
                ),
            )*];

            fn forget_unknown(&mut self) {
                $( forget_unknown!(self $field $label $kind $($of)?); )*
            }
        }
    };
}

/// What a field holds on the wire.
macro_rules! content {
    (map message $of:ident) => {
        $crate::wire::Content::Map { lines: || <$of as $crate::wire::Shaped>::LINES }
    };
    (map string) => {
        $crate::wire::Content::Texts
    };
    (repeated message $of:ident) => {
        $crate::wire::Content::Messages { lines: || <$of as $crate::wire::Shaped>::LINES }
    };
    ($label:ident message $of:ident) => {
        $crate::wire::Content::Message { lines: || <$of as $crate::wire::Shaped>::LINES }
    };
    ($label:ident boxed $of:ident) => {
        content!($label message $of)
    };
    ($label:ident enum $of:ident) => {
        $crate::wire::Content::Enumeration { is_known: $of::is_valid }
    };
    ($label:ident $kind:ident) => {
        $crate::wire::Content::Scalar
    };
}

/// Takes unknown values of enumerations out of a field.
macro_rules! forget_unknown {
    ($message:ident $field:ident optional enum $of:ident) => {
        $message.$field = $message.$field.filter(|value| $of::is_valid(*value));
    };
    ($message:ident $field:ident repeated enum $of:ident) => {
        $message.$field.retain(|value| $of::is_valid(*value));
    };
    ($message:ident $field:ident map message $of:ident) => {
        $message.$field.values_mut().for_each($crate::wire::Shaped::forget_unknown);
    };
    ($message:ident $field:ident $label:ident message $of:ident) => {
        $message.$field.iter_mut().for_each($crate::wire::Shaped::forget_unknown);
    };
    ($message:ident $field:ident $label:ident boxed $of:ident) => {
        $message.$field.iter_mut().for_each(|one| $crate::wire::Shaped::forget_unknown(&mut **one));
    };
    ($message:ident $field:ident $label:ident $kind:ident $($of:ident)?) => {};
}

/// Declares enumerations: each value with its number and the name that JSON gives it.
macro_rules! enumerations {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident {$(
            $(#[$doc:meta])* $value:ident = $number:tt $word:literal,
        )*}
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
        #[repr(i32)]
        pub enum $name {$( $(#[$doc])* $value = $number, )*}

        impl $name {
            /// The name that Mesos gives it.
            pub fn as_str_name(self) -> &'static str {
                match self { $( Self::$value => $word, )* }
            }
        }

        impl $crate::json::Names for $name {
            const NAMES: &'static [(&'static str, i32)] = &[$( ($word, $number), )*];
        }
    )*};
}
