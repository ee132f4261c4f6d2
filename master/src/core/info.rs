//! What a framework says of itself, checked as Mesos does it and in its order.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::{Resources, limits};
use muster_proto::{CapabilityType, FrameworkInfo, OfferConstraints, OfferFilters};
use prost::Message as _;

use super::{
    constraints::{self, InvalidConstraints},
    framework::Interest,
    role::{InvalidRole, Role},
    wire::{self, InvalidId},
    words,
};

/// A framework as it describes itself, and what it wants in each of its roles.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) info: FrameworkInfo,
    pub(super) roles: BTreeMap<Role, Interest>,
}

/// Why a framework cannot be let in as it describes itself.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InvalidInfo {
    #[error("FrameworkInfo is longer than {} bytes", limits::FRAMEWORK_INFO_BYTES)]
    TooLong,
    #[error("'FrameworkInfo.roles' has more than {} items", limits::FRAMEWORK_ROLES)]
    ManyRoles,
    #[error("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable")]
    RoleSet,
    #[error("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable")]
    RolesSet,
    #[error("'FrameworkInfo.roles' contains duplicate items: {{ {} }}", .0.join(", "))]
    Duplicates(Vec<String>),
    #[error("'FrameworkInfo.roles' contains invalid role: {0}")]
    Roles(InvalidRole),
    #[error("'FrameworkInfo.role' is not a valid role: {0}")]
    Role(InvalidRole),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(
        "'FrameworkInfo.offer_filters' names the role '{0}', which is not contained in the list of roles"
    )]
    FilterRole(String),
    #[error("'FrameworkInfo.offer_filters' of the role '{0}' holds a quantity that is not valid")]
    FilterQuantity(String),
    #[error("'FrameworkInfo.offer_filters' has more than {} quantities", limits::OFFER_QUANTITIES)]
    ManyQuantities,
    #[error("The framework failover_timeout ({}) is invalid", words::number(*.0))]
    Failover(f64),
    #[error("Suppressed role '{0}' is not contained in the list of roles")]
    Suppressed(String),
    #[error(transparent)]
    Constraints(#[from] InvalidConstraints),
}

/// Checks a description with what belongs to it.
pub(super) fn check(
    info: FrameworkInfo,
    suppressed: &[String],
    constraints: Option<&OfferConstraints>,
) -> Result<Described, InvalidInfo> {
    if info.encoded_len() > limits::FRAMEWORK_INFO_BYTES {
        return Err(InvalidInfo::TooLong);
    }
    let mut roles = roles(&info)?;
    if roles.len() > limits::FRAMEWORK_ROLES {
        return Err(InvalidInfo::ManyRoles);
    }
    if let Some(id) = info.id.as_ref().filter(|id| !id.value.is_empty()) {
        wire::check_id(&id.value)?;
    }
    let filters = info.offer_filters.values();
    let least_of = filters.flat_map(|filters| &filters.min_allocatable_resources);
    let quantities = least_of.flat_map(|least| &least.quantities);
    if quantities.map(|one| one.quantities.len().max(1)).sum::<usize>() > limits::OFFER_QUANTITIES {
        return Err(InvalidInfo::ManyQuantities);
    }
    for (name, filters) in &info.offer_filters {
        let interest = roles.get_mut(name.as_str());
        let interest = interest.ok_or_else(|| InvalidInfo::FilterRole(name.clone()))?;
        interest.least = least(name, filters)?;
    }
    if let Some(seconds) = info.failover_timeout.filter(|seconds| !wire::is_duration(*seconds)) {
        return Err(InvalidInfo::Failover(seconds));
    }
    for name in suppressed {
        let interest = roles.get_mut(name.as_str());
        interest.ok_or_else(|| InvalidInfo::Suppressed(name.clone()))?.suppressed = true;
    }
    let named = |role: &str| roles.contains_key(role);
    for (role, constraints) in constraints::read(constraints, named)? {
        if let Some(interest) = roles.get_mut(&role) {
            interest.constraints = Some(constraints);
        }
    }
    Ok(Described { info, roles })
}

fn roles(info: &FrameworkInfo) -> Result<BTreeMap<Role, Interest>, InvalidInfo> {
    let multi = CapabilityType::MultiRole as i32;
    if !info.capabilities.iter().any(|one| one.r#type == Some(multi)) {
        if !info.roles.is_empty() {
            return Err(InvalidInfo::RolesSet);
        }
        let role = Role::new(info.role.as_deref().unwrap_or("*")).map_err(InvalidInfo::Role)?;
        return Ok([(role, Interest::default())].into());
    }
    if info.role.is_some() {
        return Err(InvalidInfo::RoleSet);
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&String> = info.roles.iter().filter(|role| !seen.insert(*role)).collect();
    if !twice.is_empty() {
        return Err(InvalidInfo::Duplicates(twice.into_iter().cloned().collect()));
    }
    let role = |name: &String| Ok((Role::new(name)?, Interest::default()));
    info.roles.iter().map(role).collect::<Result<_, _>>().map_err(InvalidInfo::Roles)
}

/// The roles of a description that was let in before, or by another master.
pub(super) fn known_roles(info: &FrameworkInfo) -> BTreeMap<Role, Interest> {
    roles(info).unwrap_or_else(|_| [(Role::any(), Interest::default())].into())
}

fn least(role: &str, filters: &OfferFilters) -> Result<Option<Vec<Resources>>, InvalidInfo> {
    let Some(least) = &filters.min_allocatable_resources else { return Ok(None) };
    let quantities = |one: &muster_proto::ResourceQuantities| {
        wire::quantities_in(&one.quantities)
            .map_err(|_| InvalidInfo::FilterQuantity(role.to_owned()))
    };
    least.quantities.iter().map(quantities).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use muster_proto::{
        Capability, FrameworkId, MinAllocatableResources, Quantity, ResourceQuantities,
    };

    use super::*;

    fn multi(roles: &[&str]) -> FrameworkInfo {
        let capability = Capability { r#type: Some(CapabilityType::MultiRole as i32) };
        FrameworkInfo {
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            capabilities: vec![capability],
            ..FrameworkInfo::default()
        }
    }

    fn refusal(info: FrameworkInfo) -> String {
        check(info, &[], None).expect_err("it is refused").to_string()
    }

    /// The words as they were recorded of a real master.
    #[test]
    fn each_fault_is_told_in_the_words_of_mesos() {
        let single =
            |role: &str| FrameworkInfo { role: Some(role.to_owned()), ..FrameworkInfo::default() };
        let named =
            |id: &str| FrameworkInfo { id: Some(FrameworkId::new(id)), ..FrameworkInfo::default() };
        let away =
            |seconds| FrameworkInfo { failover_timeout: Some(seconds), ..FrameworkInfo::default() };
        let roles = vec!["a".to_owned()];
        for (info, words) in [
            (
                multi(&["a", "/b"]),
                "'FrameworkInfo.roles' contains invalid role: Role '/b' cannot start with a slash",
            ),
            (
                FrameworkInfo { role: Some("a".to_owned()), ..multi(&["b"]) },
                "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
            ),
            (multi(&["a", "b", "a"]), "'FrameworkInfo.roles' contains duplicate items: { a }"),
            (
                FrameworkInfo { roles, ..FrameworkInfo::default() },
                "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
            ),
            (
                single("a b"),
                "'FrameworkInfo.role' is not a valid role: Role component 'a b' is \
                invalid because it contains backspace or whitespace",
            ),
            (named("a/b"), "'a/b' contains invalid characters"),
            (named(".."), "'..' is disallowed"),
            (away(1e20), "The framework failover_timeout (1e+20) is invalid"),
            (away(f64::NAN), "The framework failover_timeout (nan) is invalid"),
        ] {
            assert_eq!(refusal(info), words);
        }
    }

    #[test]
    fn what_mesos_lets_in_is_let_in() {
        let away = |seconds| FrameworkInfo {
            failover_timeout: Some(seconds),
            id: Some(FrameworkId::new("")),
            ..FrameworkInfo::default()
        };
        for info in [away(-1.0), away(0.0), away(9e9), multi(&[]), multi(&["*", "a/b"])] {
            check(info.clone(), &[], None).unwrap_or_else(|error| panic!("{info:?}: {error}"));
        }
    }

    #[test]
    fn a_description_is_taken_at_its_bounds_and_refused_beyond() {
        let names = |count: usize| (0..count).map(|at| format!("r{at}")).collect::<Vec<_>>();
        let with_roles = |count| FrameworkInfo { roles: names(count), ..multi(&[]) };
        let quantities = |roles: usize, each: usize| {
            let one = |name: usize| (format!("x{name}"), Quantity { value: Some(1.0) });
            let least = MinAllocatableResources {
                quantities: vec![ResourceQuantities { quantities: (0..each).map(one).collect() }],
            };
            let filters = OfferFilters { min_allocatable_resources: Some(least) };
            let offer_filters = names(roles).into_iter().map(|role| (role, filters.clone()));
            FrameworkInfo { offer_filters: offer_filters.collect(), ..with_roles(roles) }
        };
        let long = |bytes: usize| {
            let info =
                FrameworkInfo { name: "n".repeat(limits::FRAMEWORK_INFO_BYTES), ..multi(&[]) };
            let beyond = info.encoded_len() - bytes;
            FrameworkInfo { name: "n".repeat(info.name.len() - beyond), ..info }
        };
        let fits = limits::FRAMEWORK_INFO_BYTES;
        for info in [with_roles(limits::FRAMEWORK_ROLES), quantities(2, 50), long(fits)] {
            check(info, &[], None).expect("it is at its bounds");
        }
        for (info, words) in [
            (
                with_roles(limits::FRAMEWORK_ROLES + 1),
                "'FrameworkInfo.roles' has more than 100 items",
            ),
            (quantities(3, 34), "'FrameworkInfo.offer_filters' has more than 100 quantities"),
            (long(fits + 1), "FrameworkInfo is longer than 65536 bytes"),
        ] {
            assert_eq!(refusal(info), words);
        }
    }

    #[test]
    fn suppressed_roles_are_some_of_its_own() {
        let described = check(multi(&["a", "b"]), &["b".to_owned()], None).expect("it is valid");
        let suppressed: Vec<_> =
            described.roles.iter().map(|(role, one)| (role.as_str(), one.suppressed)).collect();
        assert_eq!(suppressed, [("a", false), ("b", true)]);
        let error = check(multi(&["a"]), &["b".to_owned()], None).expect_err("it has no b");
        assert_eq!(error.to_string(), "Suppressed role 'b' is not contained in the list of roles");
    }
}
