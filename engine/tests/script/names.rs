//! Short names for the ids that the engine makes: `run1`, `task1`, `exec1`.

use std::collections::BTreeMap;

/// Short names in order of appearance.
#[derive(Default)]
pub(super) struct Names {
    by_id: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, u32>,
}

impl Names {
    /// The short name of an id, made if it is new.
    pub(super) fn of(&mut self, kind: &'static str, id: impl std::fmt::Display) -> String {
        let id = id.to_string();
        if let Some(name) = self.by_id.get(&id) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}{count}");
        self.by_id.insert(id, name.clone());
        name
    }

    /// The id that a short name stands for.
    pub(super) fn id<T: std::str::FromStr>(&self, name: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        let found = self.by_id.iter().find(|(_, known)| *known == name);
        let (id, _) = found.unwrap_or_else(|| panic!("no id is called {name} yet"));
        id.parse().unwrap()
    }

    /// Replaces ids in some text by their short names.
    pub(super) fn shorten(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in &self.by_id {
            text = text.replace(id, name);
        }
        text
    }
}
