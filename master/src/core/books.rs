//! What each framework holds in each of its roles, and whose turn it is: dominant resource fairness.
//!
//! The share of somebody is the largest part of the cluster, over all dimensions, that is in use by
//! him or offered to him, divided by his weight. The next offer goes to the smallest share: first
//! among roles, level by level of their paths, then among the frameworks of the role. Numbers are
//! whole; shares are compared as fractions.

use std::collections::{BTreeMap, BTreeSet};

use muster_api::Resources;
use muster_proto::FrameworkId;

use super::{role::Role, share::Share};

/// The weight of a role that has none of its own, in thousandths.
pub(super) const WEIGHT: u32 = 1_000;

/// Who holds what of the cluster.
///
/// Frameworks may have many roles, and come and go with others: whoever neither has a role nor holds
/// anything in it is not in here.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// What all agents together have.
    total: Resources,
    held: BTreeMap<Role, BTreeMap<FrameworkId, Held>>,
    /// What is held in the roles within each path: the role of that name, and all below it.
    within: BTreeMap<Box<str>, Sum>,
    /// Of roles and of paths that lead to them, in thousandths; those that are not one.
    weights: BTreeMap<Role, u32>,
}

/// What one framework holds in one role.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// In use or offered.
    pub(super) resources: Resources,
    /// How many offers it was made.
    pub(super) offers: u64,
    /// Whether it has the role, so that offers still count when it holds nothing.
    pub(super) has_role: bool,
}

/// What several hold together.
#[derive(Debug, Default, Clone)]
struct Sum {
    resources: Resources,
    offers: u64,
    /// Of how many, each framework in each of its roles.
    entries: usize,
}

/// Somebody of several, by whose turn it is.
type Turn<'a> = (Share, u64, &'a str);

impl Books {
    /// The books of before a start: only the weights outlast it.
    pub(super) fn new(weights: BTreeMap<Role, u32>) -> Self {
        Self { weights, ..Self::default() }
    }

    /// An agent has these resources from now on, in place of those.
    pub(super) fn resize(&mut self, before: &Resources, now: &Resources) {
        let rest = self.total.checked_sub(before).expect("it was counted when it came");
        self.total = rest.checked_add(now).expect("amounts are bounded, and agents are not many");
    }

    /// A framework has these roles from now on, in place of those.
    pub(super) fn change_roles<T>(
        &mut self,
        framework: &FrameworkId,
        before: &BTreeMap<Role, T>,
        now: &BTreeMap<Role, T>,
    ) {
        for role in now.keys() {
            self.entry(framework, role).has_role = true;
        }
        for role in before.keys().filter(|role| !now.contains_key(*role)) {
            self.entry(framework, role).has_role = false;
            self.forget_nothing(framework, role);
        }
    }

    /// Something is in use or offered from now on.
    pub(super) fn take(&mut self, framework: &FrameworkId, role: &Role, what: &Resources) {
        let plus = |held: &Resources| held.checked_add(what).expect("agents have what is held");
        let held = self.entry(framework, role);
        held.resources = plus(&held.resources);
        self.change_sums(role, |sum| sum.resources = plus(&sum.resources));
        // An agent may bring an executor that takes nothing, of a framework that has no such role yet.
        self.forget_nothing(framework, role);
    }

    /// It is no longer.
    pub(super) fn give_back(&mut self, framework: &FrameworkId, role: &Role, what: &Resources) {
        let minus =
            |held: &Resources| held.checked_sub(what).expect("only what is held is given back");
        let held = self.entry(framework, role);
        held.resources = minus(&held.resources);
        self.change_sums(role, |sum| sum.resources = minus(&sum.resources));
        self.forget_nothing(framework, role);
    }

    /// One more offer was made.
    pub(super) fn count_offer(&mut self, framework: &FrameworkId, role: &Role) {
        self.entry(framework, role).offers += 1;
        self.change_sums(role, |sum| sum.offers += 1);
    }

    fn entry(&mut self, framework: &FrameworkId, role: &Role) -> &mut Held {
        if self.held_by(framework, role).is_none() {
            let of_role = self.held.entry(role.clone()).or_default();
            of_role.insert(framework.clone(), Held::default());
            self.change_sums(role, |sum| sum.entries += 1);
        }
        let of_role = self.held.get_mut(role).expect("it was made a moment ago");
        of_role.get_mut(framework).expect("it was made a moment ago")
    }

    fn change_sums(&mut self, role: &Role, change: impl Fn(&mut Sum)) {
        for path in role.paths() {
            match self.within.get_mut(path) {
                Some(sum) => change(sum),
                None => change(self.within.entry(path.into()).or_default()),
            }
        }
    }

    /// Forgets a framework in a role that it has not, once it holds nothing there.
    fn forget_nothing(&mut self, framework: &FrameworkId, role: &Role) {
        let Some(of_role) = self.held.get_mut(role) else { return };
        let nothing = |held: &Held| held.resources.is_empty() && !held.has_role;
        if !of_role.get(framework).is_some_and(nothing) {
            return;
        }
        let offers = of_role.remove(framework).map_or(0, |held| held.offers);
        if of_role.is_empty() {
            self.held.remove(role);
        }
        self.change_sums(role, |sum| {
            sum.offers -= offers;
            sum.entries -= 1;
        });
        for path in role.paths() {
            if self.within.get(path).is_some_and(|sum| sum.entries == 0) {
                self.within.remove(path);
            }
        }
    }

    /// The weight of a role or of a path to one, in thousandths.
    pub(super) fn weight(&self, path: &str) -> u32 {
        self.weights.get(path).copied().unwrap_or(WEIGHT)
    }

    /// Sets a weight; whether that changed it.
    pub(super) fn set_weight(&mut self, role: Role, weight: u32) -> bool {
        let before = self.weight(role.as_str());
        if weight == WEIGHT {
            self.weights.remove(&role);
        } else {
            self.weights.insert(role, weight);
        }
        before != weight
    }

    /// How many roles have a weight of their own.
    pub(super) fn weights(&self) -> &BTreeMap<Role, u32> {
        &self.weights
    }

    /// What is held, by role.
    pub(super) fn held(&self) -> &BTreeMap<Role, BTreeMap<FrameworkId, Held>> {
        &self.held
    }

    pub(super) fn total(&self) -> &Resources {
        &self.total
    }

    /// What a framework holds in a role.
    pub(super) fn held_by(&self, framework: &FrameworkId, role: &Role) -> Option<&Held> {
        self.held.get(role)?.get(framework)
    }

    /// The largest part of the cluster that these are, in thousandths of it.
    pub(super) fn thousandths(&self, of: &Resources) -> u32 {
        let Share { part, of } = self.share(of, WEIGHT);
        u32::try_from(part * 1_000 / of).unwrap_or(u32::MAX)
    }

    /// Whose turn it is of those who would take an offer.
    pub(super) fn neediest<'a>(
        &self,
        candidates: &[(&'a FrameworkId, &'a Role)],
    ) -> Option<(&'a FrameworkId, &'a Role)> {
        let role = self.neediest_role(candidates.iter().map(|(_, role)| *role).collect())?;
        let of_role = candidates.iter().filter(|(_, other)| *other == role);
        of_role
            .copied()
            .min_by(|(one, _), (other, _)| self.turn_of(one, role).cmp(&self.turn_of(other, role)))
    }

    fn turn_of<'a>(&self, framework: &'a FrameworkId, role: &Role) -> Turn<'a> {
        let nothing = Held::default();
        let held = self.held_by(framework, role).unwrap_or(&nothing);
        (self.share(&held.resources, WEIGHT), held.offers, &framework.value)
    }

    /// Goes down the tree of paths, at each level to the neediest branch.
    fn neediest_role<'a>(&self, mut candidates: BTreeSet<&'a Role>) -> Option<&'a Role> {
        for depth in 1.. {
            if candidates.len() <= 1 {
                break;
            }
            let mut branches = BTreeMap::<Option<&str>, BTreeSet<&Role>>::new();
            for role in candidates {
                // One that ends above this level is a leaf beside its own branches.
                branches.entry(role.ancestor(depth)).or_default().insert(role);
            }
            let neediest = branches.into_iter().min_by(|(one, at), (other, also_at)| {
                let (at, also_at) = (at.first().copied(), also_at.first().copied());
                self.branch(*one, at).cmp(&self.branch(*other, also_at))
            });
            candidates = neediest?.1;
        }
        candidates.first().copied()
    }

    /// Where a branch stands: all that lies within its path, or for a leaf it alone.
    fn branch<'a>(&self, path: Option<&'a str>, leaf: Option<&'a Role>) -> Turn<'a> {
        let (sum, weight) = match path {
            Some(path) => (self.within.get(path).cloned().unwrap_or_default(), self.weight(path)),
            None => (leaf.map(|role| self.in_role(role)).unwrap_or_default(), WEIGHT),
        };
        let name = path.or(leaf.map(Role::as_str)).unwrap_or_default();
        (self.share(&sum.resources, weight), sum.offers, name)
    }

    fn in_role(&self, role: &Role) -> Sum {
        let mut sum = Sum::default();
        for held in self.held.get(role).into_iter().flat_map(BTreeMap::values) {
            let resources = sum.resources.checked_add(&held.resources);
            sum.resources = resources.expect("agents have what is held");
            sum.offers += held.offers;
        }
        sum
    }

    fn share(&self, held: &Resources, weight: u32) -> Share {
        let of = |(name, amount): (&str, muster_api::Amount)| {
            let total = u128::from(self.total.get(name).thousandths());
            let part = u128::from(amount.thousandths()) * u128::from(WEIGHT);
            (total > 0).then_some(Share { part, of: total * u128::from(weight.max(1)) })
        };
        held.iter().filter_map(of).max().unwrap_or(Share { part: 0, of: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Role {
        Role::new(name).expect("it is valid")
    }

    fn some(text: &str) -> Resources {
        text.parse().expect("they are valid")
    }

    /// Books of a cluster of 10 cpus and 1,000 MiB, where each of these holds something.
    fn books(holdings: &[(&str, &str, &str)]) -> Books {
        let mut books = Books::default();
        books.resize(&Resources::none(), &some("cpus:10;mem:1000"));
        for (framework, of, what) in holdings {
            books.take(&FrameworkId::new(*framework), &role(of), &some(what));
        }
        books
    }

    fn next(books: &Books, candidates: &[(&str, &str)]) -> (String, String) {
        let candidates: Vec<_> =
            candidates.iter().map(|(id, of)| (FrameworkId::new(*id), role(of))).collect();
        let candidates: Vec<_> = candidates.iter().map(|(id, of)| (id, of)).collect();
        let (framework, role) = books.neediest(&candidates).expect("there is somebody");
        (framework.value.clone(), role.to_string())
    }

    fn pair(framework: &str, role: &str) -> (String, String) {
        (framework.to_owned(), role.to_owned())
    }

    #[test]
    fn the_dominant_resource_counts() {
        // A third of the memory is more than a fifth of the cpus.
        let books = books(&[("a", "x", "cpus:2"), ("b", "y", "cpus:1;mem:300")]);
        assert_eq!(next(&books, &[("a", "x"), ("b", "y")]), pair("a", "x"));
    }

    #[test]
    fn roles_come_first_then_the_frameworks_of_the_role() {
        let books = books(&[("a", "x", "cpus:4"), ("b", "y", "cpus:1"), ("c", "y", "cpus:2")]);
        let all = [("a", "x"), ("b", "y"), ("c", "y"), ("d", "x")];
        assert_eq!(next(&books, &all), pair("b", "y"));
        assert_eq!(next(&books, &[("a", "x"), ("d", "x")]), pair("d", "x"));
    }

    #[test]
    fn a_weight_divides_the_share() {
        let mut books = books(&[("a", "x", "cpus:5"), ("b", "y", "cpus:2")]);
        let both = [("a", "x"), ("b", "y")];
        assert_eq!(next(&books, &both), pair("b", "y"));
        assert!(books.set_weight(role("x"), 3_000));
        assert_eq!(next(&books, &both), pair("a", "x"));
        assert!(books.set_weight(role("x"), WEIGHT) && !books.set_weight(role("x"), WEIGHT));
        assert!(books.weights().is_empty());
    }

    #[test]
    fn who_takes_nothing_in_a_role_that_he_has_not_is_not_in_the_books() {
        let mut books = books(&[]);
        books.take(&FrameworkId::new("a"), &role("x"), &Resources::none());
        assert!(books.held().is_empty() && books.within.is_empty());
    }

    #[test]
    fn a_path_shares_what_its_root_gets() {
        let mut books = books(&[
            ("a", "eng/web", "cpus:3"),
            ("b", "eng/db", "cpus:1"),
            ("c", "ops", "cpus:3"),
            ("d", "eng", "cpus:2"),
        ]);
        let all = [("a", "eng/web"), ("b", "eng/db"), ("c", "ops"), ("d", "eng")];
        assert_eq!(next(&books, &all), pair("c", "ops"), "six are in eng");
        books.set_weight(role("eng"), 3_000);
        assert_eq!(next(&books, &all), pair("b", "eng/db"));
        assert_eq!(next(&books, &[("a", "eng/web"), ("d", "eng")]), pair("d", "eng"));
    }

    /// A million of them would make each step slow, and fill the memory of a master that stays up.
    #[test]
    fn a_role_that_nobody_has_and_nothing_is_held_in_is_forgotten() {
        let mut books = books(&[("a", "eng/web", "cpus:3")]);
        let a = FrameworkId::new("a");
        let roles = |names: &[&str]| -> BTreeMap<Role, ()> {
            names.iter().map(|name| (role(name), ())).collect()
        };
        let known = |books: &Books| {
            let held: Vec<_> = books.held.keys().map(Role::to_string).collect();
            let within: Vec<_> = books.within.keys().map(ToString::to_string).collect();
            (held, within)
        };
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        books.change_roles(&a, &roles(&[]), &roles(&["eng/web", "ops"]));
        books.count_offer(&a, &role("ops"));
        assert_eq!(known(&books), (names(&["eng/web", "ops"]), names(&["eng", "eng/web", "ops"])));
        books.change_roles(&a, &roles(&["eng/web", "ops"]), &roles(&["eng/db"]));
        let both = names(&["eng/db", "eng/web"]);
        assert_eq!(known(&books), (both, names(&["eng", "eng/db", "eng/web"])));
        books.give_back(&a, &role("eng/web"), &some("cpus:3"));
        assert_eq!(known(&books), (names(&["eng/db"]), names(&["eng", "eng/db"])));
        books.change_roles(&a, &roles(&["eng/db"]), &roles(&[]));
        assert_eq!(known(&books), (vec![], vec![]));
    }

    #[test]
    fn ties_go_to_who_was_offered_less_and_then_by_name() {
        let mut books = books(&[]);
        let both = [("b", "y"), ("a", "x")];
        assert_eq!(next(&books, &both), pair("a", "x"));
        books.count_offer(&FrameworkId::new("a"), &role("x"));
        assert_eq!(next(&books, &both), pair("b", "y"));
    }

    #[test]
    fn what_nobody_has_is_no_share() {
        let books = books(&[("a", "x", "gpus:1"), ("b", "y", "cpus:1")]);
        assert_eq!(next(&books, &[("b", "y"), ("a", "x")]), pair("a", "x"));
        assert_eq!(books.thousandths(&some("cpus:1;mem:300")), 300);
    }
}
