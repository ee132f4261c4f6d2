//! Subscriptions: a framework comes, comes back, or changes what it says of itself.

use std::collections::BTreeMap;

use muster_api::{Now, limits};
use muster_proto::{
    FrameworkId, FrameworkInfo, MasterInfo,
    scheduler::{Call, Subscribed, UpdateFramework},
};
use prost::Message as _;

use super::{
    event::{Effect, Step},
    framework::{Door, Framework, Standing},
    info::{self, Described, InvalidInfo},
    master::Master,
    note::Note,
    record, wire,
};

/// Why a framework is not let in: the message of its ERROR.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum NotSubscribed {
    #[error(transparent)]
    Info(#[from] InvalidInfo),
    #[error("Framework has been removed")]
    Removed,
    #[error("Changing framework's principal is not allowed")]
    Principal,
    #[error("The framework ID is that of the scheduler of this master")]
    Embedded,
    #[error("This master knows {} frameworks already, and takes no more", limits::FRAMEWORKS)]
    TooMany,
    #[error(
        "This master knows {} frameworks of this principal already, and takes no more",
        limits::FRAMEWORKS_PER_PRINCIPAL
    )]
    TooManyOfPrincipal,
}

/// Why what a framework says of itself cannot be changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum NotUpdated {
    #[error("Supplied FrameworkInfo is not valid: {0}")]
    Info(#[from] InvalidInfo),
    #[error("FrameworkInfo update is not valid: Changing framework's principal is not allowed")]
    Principal,
    #[error(
        "FrameworkInfo update is not valid: Updating 'FrameworkInfo.{field}' is unsupported; \
         attempted to update from '{from}' to '{to}'"
    )]
    Fixed { field: &'static str, from: String, to: String },
}

/// Who subscribes, and from where.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) door: Door,
    /// Who it has proved to be.
    pub(super) principal: Option<String>,
}

impl Master {
    /// A framework subscribes, for the first time or again. An id that nobody knows is adopted:
    /// the framework brings it from another master. Who comes again always wins: the stream that
    /// it had is ended.
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        who: Newcomer,
        call: Call,
        step: &mut Step,
    ) -> Result<(), NotSubscribed> {
        let subscribe = call.subscribe.unwrap_or_default();
        let mut described = info::check(
            subscribe.framework_info.unwrap_or_default(),
            &subscribe.suppressed_roles,
            subscribe.offer_constraints.as_ref(),
        )?;
        if described.info.principal.is_none() {
            described.info.principal.clone_from(&who.principal);
        }
        let named = described.info.id.take().filter(|id| !id.value.is_empty());
        if let Some(known) = named.as_ref().and_then(|id| self.frameworks.get(id)) {
            check_return(known, &who, &described.info)?;
            if !known.hearsay {
                // What executors were started with stays, whatever it says now.
                described.info.user.clone_from(&known.info.user);
                described.info.checkpoint = known.info.checkpoint;
            }
        } else if matches!(who.door, Door::Stream(_)) {
            self.check_room(who.principal.as_deref())?;
        }
        let id = named
            .unwrap_or_else(|| FrameworkId::new(self.framework_ids.uuid(now.wall).to_string()));
        self.let_in(now, &id, who, described, step);
        Ok(())
    }

    /// Whether there is room for one more, and for one more of whom it has proved to be.
    fn check_room(&self, principal: Option<&str>) -> Result<(), NotSubscribed> {
        let known = self.frameworks.values().filter(|framework| !framework.is_removed());
        if known.clone().count() >= limits::FRAMEWORKS {
            return Err(NotSubscribed::TooMany);
        }
        let theirs = |one: &&Framework| one.info.principal.as_deref() == principal;
        if principal.is_some() && known.filter(theirs).count() >= limits::FRAMEWORKS_PER_PRINCIPAL {
            return Err(NotSubscribed::TooManyOfPrincipal);
        }
        Ok(())
    }

    fn let_in(
        &mut self,
        now: Now,
        id: &FrameworkId,
        who: Newcomer,
        described: Described,
        step: &mut Step,
    ) {
        if let Some(former) = self.frameworks.get(id).and_then(Framework::stream) {
            let event = wire::error("Framework failed over");
            step.effects.push(Effect::ToStream { stream: former, event });
            step.end_stream(former);
        }
        self.forget_offers_of(id);
        self.clear_filters_of(id);
        self.questions.forget(id);
        self.await_no_longer(id);
        let Newcomer { door, principal } = who;
        let standing = Standing::Subscribed { door, since: now.wall, principal };
        let mut coming = Framework::new(id, described.info, described.roles, standing);
        let stored = record::put_framework(id, &coming);
        let known = self.frameworks.get_mut(id);
        if known.as_ref().is_none_or(|known| record::put_framework(id, known) != stored) {
            step.writes.push(stored);
        }
        let mut before = BTreeMap::new();
        if let Some(known) = known {
            coming.tasks = std::mem::take(&mut known.tasks);
            before = std::mem::take(&mut known.roles);
        }
        self.books.change_roles(id, &before, &coming.roles);
        if let Door::Stream(_) = door {
            let (framework, name) = (id.value.clone(), coming.info.name.clone());
            step.notes.push(Note::FrameworkSubscribed { framework, name });
        }
        self.frameworks.insert(id.clone(), coming);
        self.offer_to(id);
        self.tell(id, wire::subscribed(self.welcome(id)), step);
        match door {
            Door::Embedded => {
                self.embedded = Some(id.clone());
                self.tell_all(step);
            }
            Door::Stream(_) => self.tell_unacknowledged(id, step),
        }
        self.follow_sharing(step);
    }

    /// Tells a framework that has come back again what it had not acknowledged, sooner than its
    /// agents do; where that is much, the first of it, for all comes at once and agents repeat the
    /// rest as it is wanted.
    fn tell_unacknowledged(&mut self, id: &FrameworkId, step: &mut Step) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let tasks = framework.tasks.iter();
        let known = tasks.filter_map(|(task, agent)| {
            let task = self.agents.get(agent)?.here.get(id)?.tasks.get(task)?;
            Some((agent.clone(), task.unacknowledged.as_deref()?.clone()))
        });
        let mut bytes = 0;
        let known = known.take_while(|(_, status)| {
            bytes += status.encoded_len();
            bytes <= limits::STATUSES_AT_ONCE_BYTES
        });
        for (agent, status) in known.collect::<Vec<_>>() {
            self.tell_status(&agent, id, status, step);
        }
    }

    /// Within one process there are no heartbeats, and the master has no address; where the stream
    /// goes over HTTP its shell fills in both.
    fn welcome(&self, id: &FrameworkId) -> Subscribed {
        let master_info = MasterInfo {
            id: self.term.to_string(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..MasterInfo::default()
        };
        Subscribed {
            framework_id: Some(id.clone()),
            heartbeat_interval_seconds: None,
            master_info: Some(master_info),
        }
    }

    /// A framework changes what it says of itself. Offers in roles that it gives up are withdrawn.
    pub(super) fn update_framework(
        &mut self,
        id: &FrameworkId,
        update: UpdateFramework,
        step: &mut Step,
    ) -> Result<(), NotUpdated> {
        let mut described = info::check(
            update.framework_info.unwrap_or_default(),
            &update.suppressed_roles,
            update.offer_constraints.as_ref(),
        )?;
        let Some(known) = self.frameworks.get(id) else { return Ok(()) };
        if described.info.principal.is_none() {
            described.info.principal.clone_from(&known.info.principal);
        }
        check_update(&known.info, &described.info)?;
        let dropped: Vec<_> = known
            .roles
            .keys()
            .filter(|role| !described.roles.contains_key(*role))
            .cloned()
            .collect();
        let offers = known.offers.iter();
        let void = offers.filter(|offer| dropped.contains(&self.offers[*offer].role));
        for offer in void.cloned().collect::<Vec<_>>() {
            self.rescind(&offer, step);
        }
        dropped.iter().for_each(|role| self.clear_filters_in(id, role));
        let known = self.frameworks.get_mut(id).expect("it was found a moment ago");
        let before = record::put_framework(id, known);
        self.books.change_roles(id, &known.roles, &described.roles);
        for (role, mut interest) in described.roles {
            if let Some(before) = known.roles.get_mut(&role) {
                interest.filters = std::mem::take(&mut before.filters);
            }
            known.roles.insert(role, interest);
        }
        known.roles.retain(|role, _| !dropped.contains(role));
        known.describe(id, described.info);
        let after = record::put_framework(id, known);
        step.writes.extend((after != before).then_some(after));
        self.offer_to(id);
        Ok(())
    }

    /// Tells a framework something, if it is subscribed.
    pub(super) fn tell(
        &self,
        id: &FrameworkId,
        event: muster_proto::scheduler::Event,
        step: &mut Step,
    ) {
        match self.frameworks.get(id).and_then(Framework::door) {
            Some(Door::Embedded) => step.effects.push(Effect::ToEmbedded(event)),
            Some(Door::Stream(stream)) => step.effects.push(Effect::ToStream { stream, event }),
            None => {}
        }
    }
}

fn check_return(
    known: &Framework,
    who: &Newcomer,
    info: &FrameworkInfo,
) -> Result<(), NotSubscribed> {
    if known.is_removed() {
        Err(NotSubscribed::Removed)
    } else if known.door() == Some(Door::Embedded) && who.door != Door::Embedded {
        Err(NotSubscribed::Embedded)
    } else if known.info.principal != info.principal && !known.hearsay {
        Err(NotSubscribed::Principal)
    } else {
        Ok(())
    }
}

fn check_update(before: &FrameworkInfo, after: &FrameworkInfo) -> Result<(), NotUpdated> {
    if before.principal != after.principal {
        return Err(NotUpdated::Principal);
    }
    let fixed = |field, from: &str, to: &str| match from == to {
        true => Ok(()),
        false => Err(NotUpdated::Fixed { field, from: from.to_owned(), to: to.to_owned() }),
    };
    fixed("user", &before.user, &after.user)?;
    let kept = |info: &FrameworkInfo| if info.checkpoint == Some(true) { "true" } else { "false" };
    fixed("checkpoint", kept(before), kept(after))
}
