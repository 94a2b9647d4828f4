"""Runs a program, and says what it took."""

import os
import subprocess
import tempfile
import time
import typing


class Took(typing.NamedTuple):
    """What a program took, with the programs that it waited for."""

    seconds: float  # by the clock
    program: float  # seconds of the processor in the program
    system: float  # seconds of the processor in the system
    peak: float  # resident set, in MiB
    said: str  # what it printed

    @property
    def processor(self):
        return self.program + self.system


class Failed(SystemExit):
    """A run that did not end well: its status and what it said. It ends the script unless that catches it."""

    def __init__(self, command, status, stderr):
        super().__init__(f"exit {status}: {' '.join(map(str, command))}\n{stderr.strip()[-2000:]}")
        self.status = status


def run(command, env=None):
    """What a program took. The system counts in its peak resident set what this process has when it is started, so that this one imports nothing large."""
    with tempfile.TemporaryFile("w+") as stderr:
        begin = time.perf_counter()
        child = subprocess.Popen(list(map(str, command)), env=env, stdout=subprocess.PIPE, stderr=stderr, text=True)
        with child.stdout:
            said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            stderr.seek(0)
            raise Failed(command, child.returncode, stderr.read())
    return Took(seconds, usage.ru_utime, usage.ru_stime, usage.ru_maxrss / 1024, said)
