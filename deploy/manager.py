#!/usr/bin/python3
"""Plays systemd for deploy/check: runs the program of an installed unit in a folder with a Debian.

    manager.py ROOT

Listens on the socket of mirage.socket and holds it. For each line that it reads, it does one thing and prints `done`:

    start    starts the program as mirage.service says, and waits until it says that it is ready
    stop     stops it, and waits until it has said that it is stopping and has ended
    restart  starts another while the one before is stopping, as it may happen in an upgrade

Of the unit's settings it applies the user, the environment, the working folder, the umask, the limits, no new
privileges, and the system call filter: a call that the unit does not allow fails here as it would there. The
namespaces (ProtectSystem= and others) are systemd's alone.
"""

import ctypes
import os
import pathlib
import pwd
import resource
import signal
import socket
import subprocess
import sys

import seccomp

ROOT = pathlib.Path(sys.argv[1])
PR_SET_NO_NEW_PRIVS = 38


def unit(name):
    """Returns the settings of a unit, each with its values in order."""
    settings = {}
    for line in (ROOT / "usr/lib/systemd/system" / name).read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            settings.setdefault(key, []).append(value)
    return settings


def calls_of(word):
    """Returns the system calls of a set such as @system-service, or of a single name."""
    if not word.startswith("@"):
        return {word}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True
    )
    calls = set()
    for line in listed.stdout.splitlines()[1:]:
        name = line.strip()
        if name and not name.startswith("#"):
            calls |= calls_of(name)
    return calls


def allowed_calls(filters):
    calls = set()
    for value in filters:
        chosen = set().union(*(calls_of(word) for word in value.lstrip("~").split()))
        calls = calls - chosen if value.startswith("~") else calls | chosen
    return calls


SERVICE, SOCKET = unit("mirage.service"), unit("mirage.socket")
(address,) = SOCKET["ListenStream"]
host, _, port = address.rpartition(":")
listener = socket.create_server((host, int(port)), backlog=int(SOCKET["Backlog"][0]))
notify_path = "/run/mirage-notify"
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
(ROOT / notify_path[1:]).unlink(missing_ok=True)
notify.bind(str(ROOT / notify_path[1:]))
os.chmod(ROOT / notify_path[1:], 0o666)
notify.settimeout(60)
ALLOWED = allowed_calls(SERVICE["SystemCallFilter"])


def environment():
    values = {}
    for line in (ROOT / SERVICE["EnvironmentFile"][0][1:]).read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            values[key] = value
    return values


def become_service():
    """Runs in the new process, before the program."""
    os.chroot(ROOT)
    person = pwd.getpwnam(SERVICE["User"][0])
    os.chdir(SERVICE["WorkingDirectory"][0])
    os.umask(int(SERVICE["UMask"][0], 8))
    files = int(SERVICE["LimitNOFILE"][0])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, files if most < 0 else min(files, most)))
    os.initgroups(person.pw_name, person.pw_gid)
    os.setgid(person.pw_gid)
    os.setuid(person.pw_uid)
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError("no new privileges")
    calls = seccomp.SyscallFilter(defaction=seccomp.ERRNO(1))
    for call in sorted(ALLOWED):
        try:
            calls.add_rule(seccomp.ALLOW, call)
        except (RuntimeError, ValueError):
            # A call that this machine's library does not know.
            pass
    calls.load()


def launch():
    values = environment()
    process_id = os.fork()
    if process_id == 0:
        try:
            become_service()
            values |= {
                "LISTEN_FDS": "1",
                "LISTEN_PID": str(os.getpid()),
                "NOTIFY_SOCKET": notify_path,
                "WATCHDOG_USEC": str(int(SERVICE["WatchdogSec"][0]) * 1_000_000),
            }
            words = SERVICE["ExecStart"][0].split()
            os.execve(words[0], words, values)
        except BaseException as error:
            print("cannot start:", error, file=sys.stderr, flush=True)
        os._exit(1)
    return process_id


def wait_for(word):
    while notify.recv(4096).decode().strip() != word:
        pass


def end(process_id):
    _, status = os.waitpid(process_id, 0)
    if status != 0:
        sys.exit(f"the server ended with status {status}")


running = None
for line in sys.stdin:
    command = line.strip()
    old = running
    if command in ("stop", "restart"):
        os.kill(old, signal.SIGTERM)
        wait_for("STOPPING=1")
        running = None
    if command in ("start", "restart"):
        running = launch()
    if old is not None and old != running:
        end(old)
    if running is not None:
        wait_for("READY=1")
    print("done", flush=True)
if running is not None:
    os.kill(running, signal.SIGTERM)
    end(running)
