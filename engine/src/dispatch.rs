//! Which handler takes in what: one line for each event, each change that a user asks for, and each
//! timer.

use crate::{
    agents, apps, blocker,
    cx::Cx,
    deadlines, documents, drains,
    effect::Effect,
    event::{Command, CommandReply, Event},
    executions, executors, held, lost_hosts, missed, outbox, queries, reconcile, reruns, sharing,
    steady, tasks, triggers, unreachable,
    world::Timer,
    zombies,
};

/// Timers that one step serves, so that its commit stays bounded.
const TIMERS_PER_STEP: usize = 200;

/// Takes in an event.
pub(crate) fn handle(cx: &mut Cx<'_>, event: Event) {
    match event {
        Event::Command { request, command } => {
            let reply = serve(cx, command);
            cx.effect(Effect::Reply { request, reply });
        }
        Event::Query { request, query } => {
            let answer = queries::answer(cx, query);
            cx.effect(Effect::Answer { request, answer });
        }
        Event::Subscribed => {
            agents::forget_offers(cx);
            unreachable::cut_off(cx);
            sharing::subscribed(cx, true);
            reconcile::subscribed(cx);
            unreachable::subscribed(cx);
        }
        Event::Unsubscribed => {
            agents::forget_offers(cx);
            unreachable::cut_off(cx);
            sharing::subscribed(cx, false);
            reconcile::unsubscribed(cx);
        }
        Event::Shared(shared) => sharing::shared(cx, shared),
        Event::Offers(offers) => agents::offers(cx, offers),
        Event::Rescinded(offer) => agents::rescinded(cx, &offer),
        Event::Task(update) => tasks::update(cx, &update),
        Event::ExecutorExited(executor) => executors::gone(cx, executor),
        Event::AgentRegistered(news) => agents::registered(cx, news),
        Event::AgentSilent { agent, since } => agents::silent(cx, &agent, since),
        Event::AgentHeard(agent) => agents::heard(cx, &agent),
        Event::AgentLost(agent) => unreachable::agent_lost(cx, &agent),
        Event::Disowned => unreachable::disowned(cx),
        Event::Moved => unreachable::moved(cx),
        Event::AgentGone(agent) => agents::gone(cx, &agent),
        Event::AgentDraining { agent, deadline } => drains::begin(cx, &agent, deadline),
        Event::AgentActivated(agent) => drains::end(cx, &agent),
        Event::Executions { executor, agent, batch } => {
            executions::told(cx, executor, &agent, batch);
        }
        Event::NoticeTried { notice, outcome } => outbox::tried(cx, notice, outcome),
        Event::Tick => {}
    }
}

fn serve(cx: &mut Cx<'_>, command: Command) -> CommandReply {
    match command {
        Command::PutApp { spec, expect } => apps::put_app(cx, spec, expect),
        Command::DeleteApp { name, expect } => apps::delete_app(cx, &name, expect),
        Command::SetAppDisabled { name, disabled, kill } => {
            apps::set_app_disabled(cx, &name, disabled, kill)
        }
        Command::PutJob { spec, expect } => documents::put_job(cx, spec, expect),
        Command::DeleteJob { name, expect } => documents::delete_job(cx, &name, expect),
        Command::SetJobDisabled { name, disabled, kill } => {
            documents::set_job_disabled(cx, &name, disabled, kill)
        }
        Command::Trigger { job, request, idempotency_key } => {
            triggers::trigger(cx, &job, request, idempotency_key)
        }
        Command::Rerun { former, request, idempotency_key } => {
            reruns::rerun(cx, &former, request, idempotency_key)
        }
        Command::Cancel { run } => triggers::cancel(cx, run),
        Command::Resume { replay } => held::resume(cx, replay),
        Command::Reconcile => reconcile::request(cx),
        Command::KillTask { run, item } => triggers::kill_task(cx, run, item),
        Command::MarkAgentGone { .. }
        | Command::DrainAgent { .. }
        | Command::ActivateAgent { .. } => agents::not_ours("hosts"),
        Command::SetWeight { .. }
        | Command::CreateCredential { .. }
        | Command::RevokeCredential { .. }
        | Command::RemoveFramework { .. } => agents::not_ours("frameworks"),
    }
}

/// Does what was to be done by now.
pub(crate) fn serve_timers(cx: &mut Cx<'_>) {
    for _ in 0..TIMERS_PER_STEP {
        match cx.world.timers.first().copied() {
            Some((at, timer)) if at <= cx.now.mono => {
                cx.world.timers.pop_first();
                serve_timer(cx, timer);
            }
            _ => return,
        }
    }
}

fn serve_timer(cx: &mut Cx<'_>, timer: Timer) {
    match timer {
        Timer::Backoff(run, item) => tasks::check_backoff(cx, run, item),
        Timer::Launching(task) => tasks::check_launching(cx, task),
        Timer::Overdue(task) => tasks::check_overdue(cx, task),
        Timer::KillAgain(task) => tasks::kill_again(cx, task),
        Timer::KillZombie(task) => zombies::kill_again(cx, task),
        Timer::Idle(executor) => executors::check_idle(cx, executor),
        Timer::ShutdownAgain(executor) => executors::shutdown_again(cx, executor),
        Timer::Fence(executor) => agents::check_lease(cx, executor),
        Timer::Unreachable(task) => unreachable::check(cx, task),
        Timer::RunTimeout(run) => deadlines::check_end(cx, run),
        Timer::Reconcile => reconcile::go_on(cx),
        Timer::Blocker => blocker::check(cx),
        Timer::Drains => drains::look(cx),
        Timer::Offers => sharing::look(cx),
        Timer::Settled => held::settled(cx),
        Timer::Webhook(notice) => outbox::rested(cx, notice),
        Timer::Quiet(job) => missed::quiet_is_over(cx, job),
        Timer::Steady(job) => steady::check(cx, job),
        Timer::LostHosts => lost_hosts::look(cx),
        Timer::Hosts => unreachable::forget_hosts(cx),
    }
}
