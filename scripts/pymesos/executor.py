"""An executor on pymesos. A task says in its data what becomes of it:

    wait    it runs until the framework sends `finish TASK`
    crash   the process of the executor ends with status 3 once the task runs

Whatever the framework sends is answered by `did WHAT`.
"""

import os
import sys

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


def text(data):
    return decode_data(data).decode()


class Worker(Executor):
    def registered(self, driver, executor, framework, agent):
        self.witness("registered %s" % executor["executor_id"]["value"])

    def reregistered(self, driver, agent):
        self.witness("reregistered")

    def launchTask(self, driver, task):
        self.report(driver, task["task_id"], "TASK_STARTING")
        self.report(driver, task["task_id"], "TASK_RUNNING")
        if text(task["data"]) == "crash":
            os._exit(3)

    def killTask(self, driver, task_id):
        self.report(driver, task_id, "TASK_KILLED")

    def frameworkMessage(self, driver, message):
        order, task = text(message).split(" ")
        driver.sendFrameworkMessage(encode_data(("did %s" % text(message)).encode()))
        if order == "finish":
            result = encode_data(("result of %s" % task).encode())
            self.report(driver, {"value": task}, "TASK_FINISHED", data=result)

    def shutdown(self, driver):
        self.witness("shutdown")

    def error(self, driver, message):
        self.witness("error %s" % message)

    @staticmethod
    def report(driver, task_id, state, **more):
        driver.sendStatusUpdate(dict(task_id=task_id, state=state, **more))

    @staticmethod
    def witness(line):
        """What the plays want to know, and Mesos has no message for."""
        with open(os.environ["WITNESS"], "a") as file:
            file.write("%s %s\n" % (os.environ["MESOS_EXECUTOR_ID"], line))


if __name__ == "__main__":
    MesosExecutorDriver(Worker()).run()
    sys.exit(0)
