//! The roles of frameworks: names between which the cluster is shared.
//!
//! A role is `*` or a path such as `eng/web`: what `eng/web` has counts for `eng` as well.

use std::{borrow::Borrow, fmt, sync::Arc};

/// A valid name of a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Role(Arc<str>);

/// Why a name is none of a role, in the words of Mesos.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRole {
    #[error("Empty role name is invalid")]
    Empty,
    #[error("Role '{0}' cannot start with a slash")]
    LeadingSlash(String),
    #[error("Role '{0}' cannot end with a slash")]
    TrailingSlash(String),
    #[error("Role '{0}' cannot contain two adjacent slashes")]
    AdjacentSlashes(String),
    #[error("Role '{role}' cannot include '{component}' as a component")]
    Component { role: String, component: String },
    #[error("Role component '{0}' is invalid because it begins with a dash")]
    Dash(String),
    #[error("Role component '{0}' is invalid because it contains backspace or whitespace")]
    Whitespace(String),
    #[error("Role '{0}' is longer than 255 bytes")]
    TooLong(String),
}

impl Role {
    /// The role of who names none.
    pub(super) fn any() -> Self {
        Self("*".into())
    }

    pub(super) fn new(name: &str) -> Result<Self, InvalidRole> {
        let role = || name.to_owned();
        if name.is_empty() {
            return Err(InvalidRole::Empty);
        }
        if name.len() > muster_api::limits::OPAQUE_ID_BYTES {
            return Err(InvalidRole::TooLong(role()));
        }
        if name == "*" {
            return Ok(Self::any());
        }
        if name.starts_with('/') {
            return Err(InvalidRole::LeadingSlash(role()));
        }
        if name.ends_with('/') {
            return Err(InvalidRole::TrailingSlash(role()));
        }
        for component in name.split('/') {
            check_component(name, component)?;
        }
        Ok(Self(name.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first `depth` components, if it has as many.
    pub(super) fn ancestor(&self, depth: usize) -> Option<&str> {
        self.paths().nth(depth.checked_sub(1)?)
    }

    /// The paths that it lies within, the last of which is its own.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let ends = self.0.match_indices('/').map(|(at, _)| at).chain([self.0.len()]);
        ends.map(|end| &self.0[..end])
    }
}

fn check_component(role: &str, component: &str) -> Result<(), InvalidRole> {
    let named = || component.to_owned();
    let control = |c: char| c == '\u{7f}' || c.is_ascii_whitespace() || c.is_control();
    match component {
        "" => Err(InvalidRole::AdjacentSlashes(role.to_owned())),
        "." | ".." | "*" => {
            Err(InvalidRole::Component { role: role.to_owned(), component: named() })
        }
        component if component.starts_with('-') => Err(InvalidRole::Dash(named())),
        component if component.contains(control) => Err(InvalidRole::Whitespace(named())),
        _ => Ok(()),
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Role {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_roles_are_those_of_mesos() {
        for good in ["*", "web", "eng/web", "a.b_c-d", "größe"] {
            assert_eq!(Role::new(good).expect(good).as_str(), good);
        }
        for (bad, words) in [
            ("", "Empty role name is invalid"),
            ("/b", "Role '/b' cannot start with a slash"),
            ("b/", "Role 'b/' cannot end with a slash"),
            ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
            ("a/./b", "Role 'a/./b' cannot include '.' as a component"),
            ("a/*", "Role 'a/*' cannot include '*' as a component"),
            ("-a", "Role component '-a' is invalid because it begins with a dash"),
            ("a b", "Role component 'a b' is invalid because it contains backspace or whitespace"),
        ] {
            assert_eq!(Role::new(bad).expect_err(bad).to_string(), words);
        }
        assert!(Role::new(&"r".repeat(256)).is_err());
    }

    #[test]
    fn a_role_lies_below_its_ancestors() {
        let role = Role::new("eng/web/shop").expect("it is valid");
        let ancestors: Vec<_> = (0..5).map(|depth| role.ancestor(depth)).collect();
        assert_eq!(ancestors, [None, Some("eng"), Some("eng/web"), Some("eng/web/shop"), None]);
        assert_eq!(role.paths().collect::<Vec<_>>(), ["eng", "eng/web", "eng/web/shop"]);
    }
}
