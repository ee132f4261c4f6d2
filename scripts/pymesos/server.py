"""Our servers for the plays: folders of their own, free ports, one agent."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

WAIT = 60
RESOURCES = "cpus:4;mem:2048"


class Server:
    """A `muster dev`, which ends all that it started."""

    def __init__(self, muster, *flags):
        self.muster = muster
        self.flags = flags
        self.folder = tempfile.mkdtemp(prefix="muster-pymesos-")
        self.data = os.path.join(self.folder, "data")
        self.witness = os.path.join(self.folder, "witness")
        self.processes = []

    def __enter__(self):
        try:
            self.start()
        except BaseException as error:
            self.__exit__(error)
            raise
        return self

    def start(self):
        self.run(self.data, "dev", "--data-dir", self.data, "--http", "127.0.0.1:0",
                 "--master-listen", "127.0.0.1:0", "--resources", RESOURCES, *self.flags)

    def run(self, folder, *words):
        """Starts a server and waits until it is ready."""
        with open(self.log, "ab") as log:
            process = subprocess.Popen([self.muster, *words], stdout=log, stderr=log)
        self.processes.append(process)
        deadline = time.monotonic() + WAIT
        while self.ready(folder).get("pid") != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("muster %s did not start" % words[0])
            time.sleep(0.05)
        return process

    @staticmethod
    def ready(folder):
        try:
            with open(os.path.join(folder, "ready.json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def __exit__(self, error, *_):
        if error:
            with open(self.log, errors="replace") as file:
                print("".join(file.readlines()[-40:]))
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.end_leftovers()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_leftovers(self):
        """An agent leaves executors running when it stops. They name the folder."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as environ, \
                        open("/proc/%s/cmdline" % pid, "rb") as words:
                    if os.fsencode(self.folder) in environ.read() + words.read():
                        os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass  # It has ended by itself.

    @property
    def log(self):
        return os.path.join(self.folder, "log")

    @property
    def master(self):
        return self.ready(self.data)["master"]

    def client(self, *words):
        """What a client command says, as JSON."""
        environment = dict(os.environ, MUSTER_SERVER="http://" + self.ready(self.data)["http"],
                           MUSTER_TOKEN_FILE=os.path.join(self.data, "admin.token"),
                           MUSTER_OUTPUT="json")
        said = subprocess.run([self.muster, *words], check=True, capture_output=True,
                              env=environment)
        return json.loads(said.stdout)

    def witnessed(self):
        """What executors have written, by executor."""
        if not os.path.exists(self.witness):
            return []
        with open(self.witness) as file:
            return [line.rstrip("\n").split(" ", 1) for line in file]


class Cluster(Server):
    """A scheduler and an agent, of which either can be killed."""

    def start(self):
        self.scheduler = self.start_scheduler("127.0.0.1:0")
        work = os.path.join(self.folder, "work")
        token = os.path.join(self.data, "join.token")
        self.run(work, "agent", "--master", self.master, "--work-dir", work, "--listen",
                 "127.0.0.1:0", "--resources", RESOURCES, "--join-token-file", token)

    def start_scheduler(self, listen):
        return self.run(self.data, "scheduler", "--data-dir", self.data, "--http", "127.0.0.1:0",
                        "--master-listen", listen, *self.flags)

    def kill_scheduler(self):
        self.scheduler.kill()
        self.scheduler.wait()
        self.processes.remove(self.scheduler)

    def restart_scheduler(self, listen):
        self.scheduler = self.start_scheduler(listen)
