//! What offers a framework wants to see at all.

use prost::Message;

use super::Quantity;

messages! {
    /// What the offers for one role must at least hold.
    #[derive(Clone, PartialEq, Message)]
    pub struct OfferFilters {
        /// The least that is worth an offer.
        optional message<MinAllocatableResources> min_allocatable_resources = 1,
    }

    /// The least that is worth an offer; none: anything.
    #[derive(Clone, PartialEq, Message)]
    pub struct MinAllocatableResources {
        /// Amounts of which one must be there.
        repeated message<ResourceQuantities> quantities = 1,
    }

    /// Amounts of scalar resources.
    #[derive(Clone, PartialEq, Message)]
    pub struct ResourceQuantities {
        /// Each amount by the name of its resource.
        map message<Quantity> quantities = 1,
    }

    /// Which agents are to be offered.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct OfferConstraints {
        /// For each role.
        map message<RoleConstraints> role_constraints = 1,
    }

    /// Which agents are to be offered to one role: those that meet one of the groups.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct RoleConstraints {
        /// The groups.
        repeated message<ConstraintGroup> groups = 1,
    }

    /// Constraints that an agent must meet all.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ConstraintGroup {
        /// The constraints.
        repeated message<AttributeConstraint> attribute_constraints = 1,
    }

    /// What one attribute of an agent must be.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct AttributeConstraint {
        /// Which attribute.
        required message<AttributeSelector> selector = 1,
        /// What it must be.
        required message<AttributePredicate> predicate = 2,
    }

    /// Names an attribute: one of the two is set.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct AttributeSelector {
        /// Something that each agent has.
        optional enum<PseudoattributeType> pseudoattribute_type = 1,
        /// The name of an attribute.
        optional string attribute_name = 2,
    }

    /// What an attribute must be: one of these is set. A value that is no text meets all but the
    /// first two.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct AttributePredicate {
        /// It is there.
        optional message<Exists> exists = 1,
        /// It is not there.
        optional message<NotExists> not_exists = 2,
        /// It is this text.
        optional message<TextValue> text_equals = 3,
        /// It is there and not this text, or not there.
        optional message<TextValue> text_not_equals = 4,
        /// It matches.
        optional message<TextPattern> text_matches = 5,
        /// It does not match, or is not there.
        optional message<TextPattern> text_not_matches = 6,
    }

    /// An attribute is there.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct Exists {}

    /// An attribute is not there.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct NotExists {}

    /// A text to compare with.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct TextValue {
        /// The text.
        required string value = 1,
    }

    /// A pattern to match.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct TextPattern {
        /// The regular expression (RE2).
        required string regex = 1,
    }
}

enumerations! {
    /// What each agent has beside its attributes.
    pub enum PseudoattributeType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Its host name.
        Hostname = 1 "HOSTNAME",
        /// The region of its fault domain.
        Region = 2 "REGION",
        /// The zone of its fault domain.
        Zone = 3 "ZONE",
    }
}
