"""The plays: what a framework on pymesos does, and all that must come of it.

    plays.py MUSTER [PLAY...]
"""

import contextlib
import getpass
import logging
import os
import sys
import time

from pymesos import decode_data, encode_data

from server import Cluster, Server
from watcher import WAIT, Failed, Watcher

HERE = os.path.dirname(os.path.abspath(__file__))
TASKS = 8

checks = 0


def check(what, is_so):
    global checks
    if not is_so:
        raise Failed(what)
    checks += 1


def framework(**more):
    return dict(user=getpass.getuser(), name="pymesos plays", hostname="localhost", **more)


def scalars(**amounts):
    return [dict(name=name, type="SCALAR", scalar=dict(value=value))
            for name, value in amounts.items()]


def amount(resources, name):
    return sum(one["scalar"]["value"] for one in resources if one["name"] == name)


def executor(server, name):
    """The executor of the plays; `server` gets what it witnesses."""
    variables = [dict(name="WITNESS", value=server.witness),
                 dict(name="PYTHONDONTWRITEBYTECODE", value="1")]
    command = dict(value="exec %s %s" % (sys.executable, os.path.join(HERE, "executor.py")),
                   environment=dict(variables=variables))
    return dict(executor_id=dict(value=name), name=name, command=command,
                resources=scalars(cpus=0.1, mem=32))


def task(name, offer, **more):
    return dict(task_id=dict(value=name), agent_id=offer["agent_id"], name=name,
                **dict(dict(resources=scalars(cpus=0.1, mem=32)), **more))


def in_executor(server, name, offer, what="wait", executor_id="e1"):
    return task(name, offer, executor=executor(server, executor_id),
                data=encode_data(what.encode()))


def tell(watcher, offer, what, executor_id="e1"):
    data = encode_data(what.encode())
    watcher.driver.sendFrameworkMessage(dict(value=executor_id), offer["agent_id"], data)


def await_witness(server, line):
    deadline = time.monotonic() + WAIT
    while line not in server.witnessed():
        if time.monotonic() > deadline:
            raise Failed("no executor wrote %s, but %s" % (line, server.witnessed()))
        time.sleep(0.05)
    check("witnessed", True)


def check_report(status, state, offer):
    """A report of an executor has all that the agent adds."""
    check("state %s" % status, status["state"] == state)
    check("source %s" % status, status["source"] == "SOURCE_EXECUTOR")
    check("agent %s" % status, status["agent_id"] == offer["agent_id"])
    check("uuid %s" % status, len(decode_data(status["uuid"])) == 16)
    check("time %s" % status, abs(status["timestamp"] - time.time()) < 60)
    check("container %s" % status, status["container_status"]["container_id"]["value"])


def play_tasks(server):
    """Tasks in an executor of the framework, and messages both ways."""
    with Watcher(server.master, framework()) as watcher:
        how, framework_id, _ = watcher.wait("registration", lambda: watcher.registrations)[0]
        check("registered", how == "registered" and framework_id)
        offer = watcher.offer()
        check("framework of the offer", offer["framework_id"]["value"] == framework_id)
        check("cpus %s" % offer, amount(offer["resources"], "cpus") == 4)
        check("mem %s" % offer, amount(offer["resources"], "mem") == 2048)
        check("host %s" % offer, offer["hostname"])

        names = ["t%d" % number for number in range(TASKS)]
        launched = [in_executor(server, name, offer) for name in names]
        watcher.driver.launchTasks(offer["id"], launched, dict(refuse_seconds=0))
        for name in names:
            check_report(watcher.status(name, "TASK_RUNNING"), "TASK_RUNNING", offer)
            tell(watcher, offer, "finish %s" % name)
        for name in names:
            status = watcher.status(name, "TASK_FINISHED")
            check_report(status, "TASK_FINISHED", offer)
            check("data", decode_data(status["data"]) == b"result of " + name.encode())
            states = watcher.states(name)
            check("states of %s: %s" % (name, states),
                  states == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"])
        answers = [("e1", offer["agent_id"]["value"], encode_data(b"did finish " + name.encode()))
                   for name in names]
        watcher.wait("answers of the executor", lambda: len(watcher.messages) == TASKS)
        check("answers %s" % watcher.messages, sorted(watcher.messages) == sorted(answers))
        uuids = {status["uuid"] for status in watcher.statuses}
        check("every report has a uuid of its own", len(uuids) == len(watcher.statuses))

        rest = watcher.offer()
        while amount(rest["resources"], "cpus") < 3.85:
            # What is held back would be missing in the next offer.
            watcher.decline_all(rest)
            rest = watcher.offer()
        check("the executor is told in offers", rest["executor_ids"] == [dict(value="e1")])
        check("it still has its resources", abs(amount(rest["resources"], "cpus") - 3.9) < 1e-6)
        watcher.leave()
        await_witness(server, ["e1", "shutdown"])
        check("no errors %s" % watcher.errors, not watcher.errors)
    with Watcher(server.master, framework(id=dict(value=framework_id))) as watcher:
        errors = watcher.wait("the refusal of a removed framework", lambda: watcher.errors)
        check("refusal %s" % errors, errors == ["Framework has been removed"])


def play_calls(server):
    """Kill, reconcile, decline, suppress and revive; what is refused, and in which words."""
    with Watcher(server.master, framework()) as watcher:
        driver = watcher.driver
        offer = watcher.offer()
        driver.launchTasks(offer["id"], [in_executor(server, "stay", offer)])
        watcher.status("stay", "TASK_RUNNING")

        driver.reconcileTasks([dict(task_id=dict(value="stay")), dict(task_id=dict(value="no"))])
        unknown = watcher.status("no", "TASK_LOST")
        check("unknown %s" % unknown, unknown["reason"] == "REASON_RECONCILIATION")
        check("unknown %s" % unknown, "uuid" not in unknown)
        driver.reconcileTasks([])
        watcher.wait("both answers about what runs",
                     lambda: watcher.states("stay").count("TASK_RUNNING") == 3)
        answer = watcher.of("stay")[-1]
        check("answer %s" % answer, answer["reason"] == "REASON_RECONCILIATION")
        check("answer %s" % answer, answer["source"] == "SOURCE_MASTER" and "uuid" not in answer)

        driver.killTask(dict(value="stay"))
        check_report(watcher.status("stay", "TASK_KILLED"), "TASK_KILLED", offer)
        driver.killTask(dict(value="never"))
        watcher.status("never", "TASK_LOST")

        driver.launchTasks(dict(value="no-such-offer"), [in_executor(server, "late", offer)])
        lost = watcher.status("late", "TASK_LOST")
        check("lost %s" % lost, lost["reason"] == "REASON_INVALID_OFFERS")
        check("lost %s" % lost, lost["source"] == "SOURCE_MASTER" and "uuid" not in lost)

        offer = watcher.offer()
        large = dict(in_executor(server, "large", offer), resources=scalars(cpus=400))
        small = in_executor(server, "small", offer)
        driver.launchTasks(offer["id"], [large, small])
        error = watcher.status("large", "TASK_ERROR")
        check("error %s" % error, error["reason"] == "REASON_TASK_INVALID")
        watcher.status("small", "TASK_RUNNING")

        offer = watcher.offer()
        driver.declineOffer(offer["id"], dict(refuse_seconds=0.5))
        again = watcher.offer()
        check("offers are new", again["id"] != offer["id"])
        driver.suppressOffers()
        watcher.decline_all(again)
        check("nothing is offered to who wants nothing", watcher.becomes_quiet(2))
        driver.reviveOffers()
        watcher.offer()
        check("revived", True)
        watcher.leave()


def play_commands(server):
    """Tasks that are a command: the agent has an executor for them."""
    with Watcher(server.master, framework()) as watcher:
        offer = watcher.offer()
        commands = dict(good="echo $WORD > %s.word" % server.witness, bad="exit 3",
                        long="sleep 600")
        environment = dict(variables=[dict(name="WORD", value="hello")])
        launched = [task(name, offer, command=dict(value=value, environment=environment))
                    for name, value in commands.items()]
        watcher.driver.launchTasks(offer["id"], launched)
        check_report(watcher.status("good", "TASK_FINISHED"), "TASK_FINISHED", offer)
        check_report(watcher.status("bad", "TASK_FAILED"), "TASK_FAILED", offer)
        watcher.status("long", "TASK_RUNNING")
        watcher.driver.killTask(dict(value="long"))
        check_report(watcher.status("long", "TASK_KILLED"), "TASK_KILLED", offer)
        check("states", watcher.states("good") == ["TASK_STARTING", "TASK_RUNNING",
                                                   "TASK_FINISHED"])
        with open(server.witness + ".word") as file:
            check("its environment", file.read() == "hello\n")
        watcher.leave()


def play_crash(server):
    """An executor that ends on its own takes its tasks with it."""
    with Watcher(server.master, framework()) as watcher:
        offer = watcher.offer()
        launched = [in_executor(server, "beside", offer),
                    in_executor(server, "bomb", offer, "crash")]
        watcher.driver.launchTasks(offer["id"], launched)
        lost = watcher.wait("the end of the executor", lambda: watcher.lost)
        check("lost %s" % lost, lost == [("e1", offer["agent_id"]["value"], 3 << 8)])
        for name in ["beside", "bomb"]:
            status = watcher.status(name, "TASK_FAILED")
            check("reason %s" % status, status["reason"] == "REASON_EXECUTOR_TERMINATED")
        watcher.leave()


def play_failover(server):
    """A framework whose scheduler goes away, comes back, and is taken over."""
    info = framework(failover_timeout=60, checkpoint=True)
    with Watcher(server.master, info) as first:
        offer = first.offer()
        first.driver.launchTasks(offer["id"], [in_executor(server, "t", offer)])
        first.status("t", "TASK_RUNNING")
        # What comes after a status comes after its acknowledgement, which is not to be cut off.
        tell(first, offer, "greet t")
        first.wait("an answer", lambda: first.messages)
        framework_id = first.driver.framework_id
    info = dict(info, id=dict(value=framework_id))
    with Watcher(server.master, info) as second:
        how, again, _ = second.wait("registration", lambda: second.registrations)[0]
        check("it is the same", how == "reregistered" and again == framework_id)
        second.driver.reconcileTasks([])
        check("its task runs", second.status("t", "TASK_RUNNING")["reason"]
              == "REASON_RECONCILIATION")
        with Watcher(server.master, info) as third:
            errors = second.wait("the word that another took over", lambda: second.errors)
            check("errors %s" % errors, errors == ["Framework failed over"])
            third.wait("registration", lambda: third.registrations)
            tell(third, offer, "finish t")
            check_report(third.status("t", "TASK_FINISHED"), "TASK_FINISHED", offer)
            third.leave()
    await_witness(server, ["e1", "shutdown"])


def play_restart(server):
    """The master is killed and comes back; what runs goes on and is reported."""
    with Watcher(server.master, framework(failover_timeout=60, checkpoint=True)) as watcher:
        offer = watcher.offer()
        watcher.driver.launchTasks(offer["id"], [in_executor(server, "t", offer)])
        watcher.status("t", "TASK_RUNNING")
        # What comes after a status comes after its acknowledgement, which is not to be cut off.
        tell(watcher, offer, "greet t")
        watcher.wait("an answer", lambda: watcher.messages)
        listen = server.master
        server.kill_scheduler()
        server.restart_scheduler(listen)
        again = watcher.wait("registration", lambda: len(watcher.registrations) > 1
                             and watcher.registrations[1])
        check("again %s" % [again], again[0] == "reregistered")
        check("it is the same", again[1] == watcher.registrations[0][1])
        # It is offered as soon as the agent is back, and then the master knows what runs there.
        offer = watcher.offer()
        watcher.driver.reconcileTasks([])
        watcher.wait("word of what runs", lambda: watcher.states("t").count("TASK_RUNNING") > 1)
        tell(watcher, offer, "finish t")
        check_report(watcher.status("t", "TASK_FINISHED"), "TASK_FINISHED", offer)
        watcher.leave()


def play_credentials(server):
    """Nobody without a secret is let in."""
    made = server.client("credentials", "create", "plays")
    for secret in [None, "wrong"]:
        options = dict(principal="plays", secret=secret) if secret else {}
        try:
            with Watcher(server.master, framework(), **options) as watcher:
                watcher.wait("a refusal", lambda: watcher.registrations)
            raise Failed("it was let in with %s" % secret)
        except RuntimeError as error:
            check("refusal %s" % error, "Failed with HTTP 401" in str(error))
    options = dict(principal="plays", secret=made["secret"])
    with Watcher(server.master, framework(principal="plays"), **options) as watcher:
        offer = watcher.offer()
        watcher.driver.launchTasks(offer["id"], [in_executor(server, "t", offer)])
        watcher.status("t", "TASK_RUNNING")
        tell(watcher, offer, "finish t")
        check_report(watcher.status("t", "TASK_FINISHED"), "TASK_FINISHED", offer)
        watcher.leave()


ANONYMOUS = ["--anonymous-frameworks"]
PLAYS = dict(
    tasks=(play_tasks, Server, ANONYMOUS),
    calls=(play_calls, Server, ANONYMOUS),
    commands=(play_commands, Server, ANONYMOUS),
    crash=(play_crash, Server, ANONYMOUS),
    failover=(play_failover, Server, ANONYMOUS),
    restart=(play_restart, Cluster, ANONYMOUS),
    credentials=(play_credentials, Server, []),
)


@contextlib.contextmanager
def log_to(path):
    """What pymesos logs goes to the log of the servers, which is shown when a play fails."""
    [handler] = logging.getLogger("pymesos").handlers
    with open(path, "a") as log:
        former = handler.setStream(log)
        try:
            yield
        finally:
            handler.setStream(former)


def main(muster, *wanted):
    unknown = set(wanted) - set(PLAYS)
    if unknown:
        sys.exit("there is no play %s" % ", ".join(sorted(unknown)))
    for name in wanted or PLAYS:
        play, server, flags = PLAYS[name]
        began, before = time.monotonic(), checks
        with server(muster, *flags) as running, log_to(running.log):
            play(running)
        spent = time.monotonic() - began
        print("pymesos %-12s %3d checks in %4.1f s" % (name, checks - before, spent))
    print("PASS pymesos: %d checks" % checks)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit("FAIL pymesos: %s" % failed)
