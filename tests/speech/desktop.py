"""A desktop with a screen reader whose speech is recorded, and a browser that is used by keyboard."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib  # noqa: E402

HERE = Path(__file__).resolve().parent

# Far longer than anything takes on a busy machine.
BOUND_SECONDS = 30

# Silence can only be waited for. The page itself waits up to 2 s before it speaks (it gathers messages to
# count them), and Orca takes up to half a second.
SILENCE_SECONDS = 3

# The parts of a line are spoken without a pause.
WITHIN_LINE_SECONDS = 0.5
# More than any of these pages has.
LINES = 40

SPEECHD_CONF = f"""
AddModule "recorder" "{HERE}/recorder.py"
DefaultModule recorder
"""

# Loading says the title only, and keys say nothing themselves (they still cut off what is being said).
ORCA_CUSTOMIZATIONS = """
import orca.settings
orca.settings.sayAllOnLoad = False
orca.settings.pageSummaryOnLoad = False
orca.settings.enableKeyEcho = False
"""

# Without bubbles that offer to save or fill in.
CHROMIUM_PREFERENCES = """
{"credentials_enable_service": false, "autofill": {"profile_enabled": false, "credit_card_enabled": false}}
"""

ANOTHER_WINDOW = """
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gtk
Gtk.Window(title="Another window").show()
Gtk.main()
"""


def wait_for(condition, what):
    """Returns the first true value of the condition."""
    end = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < end:
        # Elements can go while they are looked at.
        with suppress(GLib.Error):
            if value := condition():
                return value
        time.sleep(0.05)
    raise AssertionError(f"waited {BOUND_SECONDS} seconds in vain: {what}")


class Desktop:
    """Speech Dispatcher, Orca, a window manager and Chromium. Needs an X server and a D-Bus session."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="speech-"))
        self._processes = []
        self._record = self.folder / "record"
        self._record.touch()
        self._heard = 0
        self._environment = os.environ | {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "RECORD": str(self._record),
            "SPEECHD_ADDRESS": f"unix_socket:{self.folder}/speechd.sock",
        }

    def start(self):
        self._write("speechd/speechd.conf", SPEECHD_CONF)
        self._write("chromium/Default/Preferences", CHROMIUM_PREFERENCES)
        self._write("data/orca/orca-customizations.py", ORCA_CUSTOMIZATIONS)
        self._start(
            *("speech-dispatcher", "--run-single", "--timeout", "0"),
            *("--config-dir", self.folder / "speechd", "--socket-path", self.folder / "speechd.sock"),
            *("--pid-file", self.folder / "speechd.pid", "--log-dir", self.folder),
        )
        wait_for((self.folder / "speechd.sock").exists, "Speech Dispatcher starts")
        self._start("openbox")
        # Orca starts only if pgrep finds no other one of this user, whose desktop is none of ours.
        (self.folder / "pgrep").symlink_to("/bin/false")
        self._start("env", f"PATH={self.folder}:{os.environ['PATH']}", "orca")
        self.hear("Screen reader on.")

    def close(self):
        # Killed, because Orca can hang when it is asked to end; nothing of this is kept.
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _start(self, *command):
        with open(self.folder / "log", "a") as log:
            process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        self._processes.append(process)

    # ---- Speech.

    def _records(self):
        return [json.loads(line) for line in self._record.read_text().splitlines()]

    def _said(self):
        return [record["said"] for record in self._records()[self._heard :] if "said" in record]

    def hear(self, text):
        """Waits until a text that contains this one has been spoken to its end, and then for silence.

        Returns all that has been spoken to its end since the last call.
        """

        def is_said():
            return any(text in said for said in self._said())

        try:
            wait_for(is_said, f"{text!r} is said")
        except AssertionError as error:
            raise AssertionError(f"{error}; was said: {self._said()}") from None
        return self.hear_all()

    def hear_all(self, silence=SILENCE_SECONDS):
        """Waits for silence, and returns all that has been spoken to its end since the last call."""
        count = -1
        while True:
            records = self._records()
            if len(records) != count:
                count = len(records)
                changed_at = time.monotonic()
            if "begun" not in records[-1] and time.monotonic() - changed_at > silence:
                break
            time.sleep(0.05)
        said = self._said()
        self._heard = count
        return said

    def hear_line(self):
        """Waits for the answer to a key or a change of focus, and returns its parts."""
        wait_for(self._said, "a line is said")
        return self.hear_all(WITHIN_LINE_SECONDS)

    def read_down(self):
        self.press("Down")
        return self.hear_line()

    def read_down_to(self, text):
        """Presses the down arrow until a line with this text is said, and returns the parts of this line."""
        for _ in range(LINES):
            line = self.read_down()
            if any(text in part for part in line):
                return line
        raise AssertionError(f"{text!r} is not among the next {LINES} lines")

    # ---- The browser.

    def open(self, url):
        """Opens a window that has no address bar; returns what is said until it is loaded."""
        self._heard = len(self._records())
        self._start(
            *("chromium", f"--app={url}", f"--user-data-dir={self.folder}/chromium"),
            *("--force-renderer-accessibility", "--no-first-run", "--disable-background-networking"),
            *("--window-size=1000,800", "--password-store=basic"),
            *(["--no-sandbox"] if os.getuid() == 0 else []),
        )
        # A room's script adds a fragment.
        wait_for(lambda: (self.address() or "").split("#")[0] == url, f"{url} is open")
        return self.hear("Finished loading")

    @contextmanager
    def another_window(self):
        """Puts a small window in front. The page of a window that is covered whole would be hidden."""
        process = subprocess.Popen(["/usr/bin/python3", "-c", ANOTHER_WINDOW], env=self._environment)
        try:
            self.hear("Another window")
            yield
        finally:
            process.terminate()
            process.wait()

    def close_window(self):
        address = self.address()
        self.press("ctrl+w")
        wait_for(lambda: self.address() != address, f"{address} is closed")

    def document(self):
        """The document of the active window, if there is one."""
        for window in self._windows():
            if window.get_state_set().contains(Atspi.StateType.ACTIVE):
                return first(window, lambda node: node.get_role() == Atspi.Role.DOCUMENT_WEB)
        return None

    def _windows(self):
        desktop = Atspi.get_desktop(0)
        for application in children(desktop):
            if (application.get_name() or "").startswith("Chromium"):
                yield from children(application)

    def address(self):
        document = self.document()
        return document and Atspi.Document.get_document_attributes(document).get("URI")

    def find(self, role, name):
        """Waits for an element whose name starts so. Some roles have longer names: "push button", "password text"."""
        return wait_for(lambda: self._find(role, name), f"there is a {role} {name!r}")

    def has(self, role, name):
        return self._find(role, name) is not None

    def _find(self, role, name):
        def is_it(node):
            return node.get_role_name().endswith(role) and (node.get_name() or "").startswith(name)

        return first(self.document(), is_it)

    def go_to(self, role, name):
        """Focuses an element, and returns what is said of it."""
        element = self.find(role, name)
        Atspi.Component.grab_focus(element)

        def has_focus():
            element.clear_cache()
            return element.get_state_set().contains(Atspi.StateType.FOCUSED)

        wait_for(has_focus, f"{name!r} has the focus")
        return self.hear_line()

    def press(self, *keys):
        subprocess.run(["xdotool", "key", "--clearmodifiers", *keys], check=True)

    def type(self, text):
        with self.typing(text, seconds=len(text) / 25):
            pass

    @contextmanager
    def typing(self, text, seconds):
        """Types a text evenly during the body and for so many seconds altogether."""
        delay = round(seconds * 1000 / len(text))
        process = subprocess.Popen(["xdotool", "type", "--delay", str(delay), text])
        try:
            yield process
        finally:
            process.wait()


def children(node):
    node.clear_cache()
    for index in range(node.get_child_count()):
        if child := node.get_child_at_index(index):
            yield child


def walk(node):
    """Returns the node, if it is one, and all nodes below, in order."""
    if node:
        yield node
        for child in children(node):
            yield from walk(child)


def first(node, is_it):
    return next(filter(is_it, walk(node)), None)
