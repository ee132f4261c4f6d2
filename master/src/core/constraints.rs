//! Offer constraints: which agents a framework wants to see at all, by their names and attributes.

use std::collections::BTreeMap;

use muster_api::{limits, spec::Matcher};
use muster_proto::{
    AttributeConstraint, AttributePredicate, AttributeSelector, OfferConstraints,
    PseudoattributeType, RoleConstraints,
};

use super::{agent::Facts, role::Role};

/// The constraints of one role: an agent is offered that meets all of one group.
#[derive(Debug)]
pub(super) struct Constraints {
    groups: Vec<Vec<Constraint>>,
}

#[derive(Debug)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

#[derive(Debug)]
enum Selector {
    Hostname,
    /// Regions and zones, which agents of ours have not.
    Nothing,
    Attribute(String),
}

#[derive(Debug)]
enum Predicate {
    Exists,
    NotExists,
    Equals(String),
    NotEquals(String),
    Matches(Matcher),
    NotMatches(Matcher),
}

/// Why constraints cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidConstraints {
    #[error(
        "Offer constraints specify `role_constraints` for the role '{0}' which is not contained in the list of roles"
    )]
    Role(String),
    #[error("Offer constraints are not valid: there are more than {}", limits::OFFER_CONSTRAINTS)]
    TooMany,
    #[error(
        "Offer constraints are not valid: their regular expressions are longer than {} bytes",
        limits::OFFER_PATTERNS_BYTES
    )]
    LongPatterns,
    #[error("Offer constraints are not valid: an attribute constraint selects nothing")]
    NoSelector,
    #[error(
        "Offer constraints are not valid: an attribute constraint has not exactly one predicate"
    )]
    NoPredicate,
    #[error(
        "Offer constraints are not valid: the regular expression '{regex}' cannot be used: {why}"
    )]
    Regex { regex: String, why: String },
}

/// Reads the constraints of each role.
pub(super) fn read(
    all: Option<&OfferConstraints>,
    is_role: impl Fn(&str) -> bool,
) -> Result<BTreeMap<Role, Constraints>, InvalidConstraints> {
    let count = |constraints: &RoleConstraints| {
        let groups = constraints.groups.iter();
        groups.map(|group| group.attribute_constraints.len().max(1)).sum::<usize>()
    };
    let all_roles = all.iter().flat_map(|all| &all.role_constraints);
    if all_roles.clone().map(|(_, of_role)| count(of_role)).sum::<usize>()
        > limits::OFFER_CONSTRAINTS
    {
        return Err(InvalidConstraints::TooMany);
    }
    let groups = all_roles.clone().flat_map(|(_, of_role)| &of_role.groups);
    let constraints = groups.flat_map(|group| &group.attribute_constraints);
    if constraints.map(pattern_bytes).sum::<usize>() > limits::OFFER_PATTERNS_BYTES {
        return Err(InvalidConstraints::LongPatterns);
    }
    let mut read = BTreeMap::new();
    for (name, constraints) in all_roles {
        let unknown = || InvalidConstraints::Role(name.clone());
        let role = Role::new(name).ok().filter(|_| is_role(name)).ok_or_else(unknown)?;
        let group = |one: &muster_proto::ConstraintGroup| {
            one.attribute_constraints.iter().map(Constraint::read).collect()
        };
        let groups = constraints.groups.iter().map(group).collect::<Result<_, _>>()?;
        read.insert(role, Constraints { groups });
    }
    Ok(read)
}

impl Constraints {
    /// Whether an agent is to be offered.
    pub(super) fn admit(&self, agent: &Facts) -> bool {
        let meets = |group: &Vec<Constraint>| group.iter().all(|one| one.is_met(agent));
        self.groups.is_empty() || self.groups.iter().any(meets)
    }
}

impl Constraint {
    fn read(constraint: &AttributeConstraint) -> Result<Self, InvalidConstraints> {
        let selector = constraint.selector.as_ref().and_then(Selector::read);
        let predicate = constraint.predicate.as_ref().ok_or(InvalidConstraints::NoPredicate)?;
        Ok(Self {
            selector: selector.ok_or(InvalidConstraints::NoSelector)?,
            predicate: Predicate::read(predicate)?,
        })
    }

    /// The attributes of our agents are all texts.
    fn is_met(&self, agent: &Facts) -> bool {
        let value = match &self.selector {
            Selector::Hostname => Some(&agent.hostname),
            Selector::Nothing => None,
            Selector::Attribute(name) => agent.attributes.get(name),
        };
        match (&self.predicate, value) {
            (Predicate::Exists, value) => value.is_some(),
            (Predicate::NotExists, value) => value.is_none(),
            (Predicate::Equals(text), value) => value.is_some_and(|value| value == text),
            (Predicate::NotEquals(text), value) => value.is_none_or(|value| value != text),
            (Predicate::Matches(matcher), value) => {
                value.is_some_and(|value| matcher.matches(value))
            }
            (Predicate::NotMatches(matcher), value) => {
                value.is_none_or(|value| !matcher.matches(value))
            }
        }
    }
}

impl Selector {
    fn read(selector: &AttributeSelector) -> Option<Self> {
        let pseudo = selector.pseudoattribute_type;
        match (pseudo.map(PseudoattributeType::try_from), &selector.attribute_name) {
            (None, Some(name)) => Some(Self::Attribute(name.clone())),
            (Some(Ok(PseudoattributeType::Hostname)), None) => Some(Self::Hostname),
            (Some(Ok(PseudoattributeType::Region | PseudoattributeType::Zone)), None) => {
                Some(Self::Nothing)
            }
            _ => None,
        }
    }
}

impl Predicate {
    fn read(predicate: &AttributePredicate) -> Result<Self, InvalidConstraints> {
        let AttributePredicate {
            exists,
            not_exists,
            text_equals,
            text_not_equals,
            text_matches,
            text_not_matches,
        } = predicate;
        let mut set: Vec<Result<Self, InvalidConstraints>> = Vec::new();
        set.extend(exists.map(|_| Ok(Self::Exists)));
        set.extend(not_exists.map(|_| Ok(Self::NotExists)));
        set.extend(text_equals.iter().map(|text| Ok(Self::Equals(text.value.clone()))));
        set.extend(text_not_equals.iter().map(|text| Ok(Self::NotEquals(text.value.clone()))));
        set.extend(text_matches.iter().map(|one| matcher(&one.regex).map(Self::Matches)));
        set.extend(text_not_matches.iter().map(|one| matcher(&one.regex).map(Self::NotMatches)));
        match set.len() {
            1 => set.remove(0),
            _ => Err(InvalidConstraints::NoPredicate),
        }
    }
}

/// How long the regular expressions of a constraint are.
fn pattern_bytes(constraint: &AttributeConstraint) -> usize {
    let of = |predicate: &AttributePredicate| {
        let matches = predicate.text_matches.as_ref().map_or(0, |one| one.regex.len());
        matches + predicate.text_not_matches.as_ref().map_or(0, |one| one.regex.len())
    };
    constraint.predicate.as_ref().map_or(0, of)
}

fn matcher(regex: &str) -> Result<Matcher, InvalidConstraints> {
    let invalid = |why: String| InvalidConstraints::Regex { regex: regex.to_owned(), why };
    Matcher::new(regex).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use muster_proto::{ConstraintGroup, Exists, NotExists, TextPattern, TextValue};

    use super::*;

    fn facts() -> Facts {
        Facts {
            hostname: "h1.example".to_owned(),
            attributes: [("rack".to_owned(), "r12".to_owned())].into(),
            resources: muster_api::Resources::none(),
            boot_id: String::new(),
        }
    }

    fn rack(predicate: AttributePredicate) -> AttributeConstraint {
        let selector =
            AttributeSelector { attribute_name: Some("rack".into()), ..Default::default() };
        AttributeConstraint { selector: Some(selector), predicate: Some(predicate) }
    }

    fn of(groups: Vec<Vec<AttributeConstraint>>) -> OfferConstraints {
        let group = |attribute_constraints| ConstraintGroup { attribute_constraints };
        let groups = groups.into_iter().map(group).collect();
        OfferConstraints { role_constraints: [("*".to_owned(), RoleConstraints { groups })].into() }
    }

    fn admits(groups: Vec<Vec<AttributeConstraint>>) -> bool {
        let all = read(Some(&of(groups)), |role| role == "*").expect("they are valid");
        all.values().all(|constraints| constraints.admit(&facts()))
    }

    fn text(value: &str) -> Option<TextValue> {
        Some(TextValue { value: value.to_owned() })
    }

    fn pattern(regex: &str) -> Option<TextPattern> {
        Some(TextPattern { regex: regex.to_owned() })
    }

    #[test]
    fn each_predicate_says_what_it_says() {
        let bare = AttributePredicate::default;
        let cases = [
            (AttributePredicate { exists: Some(Exists {}), ..bare() }, true),
            (AttributePredicate { not_exists: Some(NotExists {}), ..bare() }, false),
            (AttributePredicate { text_equals: text("r12"), ..bare() }, true),
            (AttributePredicate { text_equals: text("r1"), ..bare() }, false),
            (AttributePredicate { text_not_equals: text("r1"), ..bare() }, true),
            (AttributePredicate { text_matches: pattern("r[0-9]+"), ..bare() }, true),
            (AttributePredicate { text_matches: pattern("r"), ..bare() }, false),
            (AttributePredicate { text_not_matches: pattern("x.*"), ..bare() }, true),
        ];
        for (predicate, meets) in cases {
            assert_eq!(admits(vec![vec![rack(predicate.clone())]]), meets, "{predicate:?}");
        }
    }

    #[test]
    fn one_group_is_enough_and_all_of_it() {
        let yes = || rack(AttributePredicate { exists: Some(Exists {}), ..Default::default() });
        let no = || rack(AttributePredicate { text_equals: text("x"), ..Default::default() });
        assert!(admits(vec![vec![yes(), no()], vec![yes()]]));
        assert!(!admits(vec![vec![yes(), no()], vec![no()]]));
        assert!(admits(vec![]) && admits(vec![vec![]]));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let read = |constraints: Vec<AttributeConstraint>, role: &'static str| {
            super::read(Some(&of(vec![constraints])), move |one| one == role).map(|all| all.len())
        };
        let regex = AttributePredicate { text_matches: pattern("("), ..Default::default() };
        assert!(matches!(read(vec![rack(regex)], "*"), Err(InvalidConstraints::Regex { .. })));
        let none = AttributePredicate::default();
        assert_eq!(read(vec![rack(none)], "*"), Err(InvalidConstraints::NoPredicate));
        let exists = AttributePredicate { exists: Some(Exists {}), ..Default::default() };
        let nowhere = AttributeConstraint { selector: None, ..rack(exists.clone()) };
        assert_eq!(read(vec![nowhere], "*"), Err(InvalidConstraints::NoSelector));
        assert!(matches!(read(vec![rack(exists.clone())], "a"), Err(InvalidConstraints::Role(_))));
        let many = vec![rack(exists.clone()); limits::OFFER_CONSTRAINTS];
        assert!(read(many.clone(), "*").is_ok());
        let more = [many, vec![rack(exists.clone())]].concat();
        assert_eq!(read(more, "*"), Err(InvalidConstraints::TooMany));
        let long = |bytes: usize| {
            let each = limits::PATTERN_BYTES;
            let regexes = std::iter::repeat_n(each, bytes / each).chain([bytes % each]);
            let one = |bytes| AttributePredicate {
                text_matches: pattern(&"x".repeat(bytes)),
                ..Default::default()
            };
            regexes.map(|bytes| rack(one(bytes))).collect::<Vec<_>>()
        };
        assert!(read(long(limits::OFFER_PATTERNS_BYTES), "*").is_ok());
        let beyond = read(long(limits::OFFER_PATTERNS_BYTES + 1), "*");
        assert_eq!(beyond, Err(InvalidConstraints::LongPatterns));
        let half = of(vec![vec![rack(exists); limits::OFFER_CONSTRAINTS / 2 + 1]]);
        let half = half.role_constraints["*"].clone();
        let role_constraints = [("a".to_owned(), half.clone()), ("b".to_owned(), half)].into();
        let in_two_roles = super::read(Some(&OfferConstraints { role_constraints }), |_| true);
        assert!(matches!(in_two_roles, Err(InvalidConstraints::TooMany)), "they count together");
    }
}
