"""A scheduler on pymesos that keeps all that it is told, for a play to wait for and to judge."""

import threading
import time

from pymesos import MesosSchedulerDriver, Scheduler

# For what never comes, on whatever machine.
WAIT = 60


class Failed(Exception):
    """Something was not as it must be."""


class Watcher(Scheduler):
    def __init__(self, master, framework, **options):
        self.told = threading.Condition()
        self.registrations = []
        self.offers = {}
        self.statuses = []
        self.messages = []
        self.lost = []
        self.errors = []
        self.driver = MesosSchedulerDriver(self, framework, master, **options)

    def __enter__(self):
        self.driver.start()
        return self

    def __exit__(self, *_):
        # It ends itself after an error of its own.
        if not self.driver.aborted:
            self.driver.stop(failover=True)
        self.driver.join()

    def leave(self):
        """Ends the framework, with all its tasks."""
        self.driver.stop()
        self.driver.join()

    # What the driver calls, on a thread of its own.

    def registered(self, driver, framework_id, master):
        self.note(self.registrations, ("registered", framework_id["value"], master))

    def reregistered(self, driver, master):
        self.note(self.registrations, ("reregistered", driver.framework_id, master))

    def disconnected(self, driver):
        with self.told:
            self.offers.clear()

    def resourceOffers(self, driver, offers):
        with self.told:
            self.offers.update((offer["id"]["value"], offer) for offer in offers)
            self.told.notify_all()

    def offerRescinded(self, driver, offer_id):
        with self.told:
            self.offers.pop(offer_id["value"], None)

    def statusUpdate(self, driver, status):
        # One whose acknowledgement was late comes again.
        uuid = status.get("uuid")
        if uuid is None or all(uuid != one.get("uuid") for one in self.statuses):
            self.note(self.statuses, status)

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        self.note(self.messages, (executor_id["value"], agent_id["value"], message))

    def executorLost(self, driver, executor_id, agent_id, status):
        self.note(self.lost, (executor_id["value"], agent_id["value"], status))

    def error(self, driver, message):
        # The driver would subscribe again, and take over from whoever took over.
        driver.stop(failover=True)
        self.note(self.errors, message)

    def processHeartBeat(self, driver):
        pass

    def note(self, where, what):
        with self.told:
            where.append(what)
            self.told.notify_all()

    # What a play asks.

    def wait(self, what, condition, seconds=WAIT):
        """Waits until `condition` gives something, and gives that."""
        deadline = time.monotonic() + seconds
        with self.told:
            # In short pieces: an error of the driver's thread is raised here, but wakes nobody.
            while not self.told.wait_for(condition, 0.1):
                if time.monotonic() > deadline:
                    raise Failed("%s did not come within %d s; %s"
                                 % (what, seconds, self.summary()))
            return condition()

    def summary(self):
        states = {task: self.states(task) for task in self.tasks()}
        return "registrations %s, offers %s, states %s, messages %s, lost %s, errors %s" % (
            self.registrations, list(self.offers), states, self.messages, self.lost, self.errors)

    def tasks(self):
        return sorted({status["task_id"]["value"] for status in self.statuses})

    def of(self, task):
        return [status for status in self.statuses if status["task_id"]["value"] == task]

    def states(self, task):
        return [status["state"] for status in self.of(task)]

    def offer(self, seconds=WAIT):
        """Takes the newest offer."""
        self.wait("an offer", lambda: self.offers, seconds)
        with self.told:
            return self.offers.popitem()[1]

    def decline_all(self, *taken):
        """Gives back offers that were taken, and all others."""
        with self.told:
            offers = [*taken, *self.offers.values()]
            self.offers.clear()
        self.driver.declineOffer([offer["id"] for offer in offers], dict(refuse_seconds=0))

    def comes(self, seconds):
        """Whether an offer comes within this time."""
        with self.told:
            return self.told.wait_for(lambda: self.offers, seconds)

    def becomes_quiet(self, seconds):
        """Whether no more offers come for so long. Those that were under way are given back."""
        for _ in range(3):
            if not self.comes(seconds):
                return True
            self.decline_all()
        return False

    def status(self, task, state):
        """The first status of a task in a state, once it is there."""
        def find():
            return next((one for one in self.of(task) if one["state"] == state), None)
        return self.wait("%s of %s" % (state, task), find)
