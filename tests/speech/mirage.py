"""Mirage with a temporary database, and people who use it over HTTP, without a browser."""

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from http.cookiejar import CookieJar

PASSWORD = "many small kettles"


class Server:
    """A server on a free port, behind a relay that can delay what a browser sends."""

    def __init__(self, binary, **flags):
        self._folder = tempfile.mkdtemp(prefix="mirage-")
        words = [
            *("--bind", "127.0.0.1:0"),
            *("--database-url", f"sqlite://{self._folder}/mirage.db?mode=rwc"),
            *("--secret-file", f"{self._folder}/mirage.key"),
            *("--limits", "off"),
        ]
        for name, value in flags.items():
            words += [f"--{name.replace('_', '-')}", value]
        # The environment is empty, so that no MIRAGE_ variable changes the test.
        self._process = subprocess.Popen([binary, *words], env={}, stderr=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self._port()}"
        # A full pipe would stop the server.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def _port(self):
        log = ""
        for line in self._process.stderr:
            if serving := re.search(r"listening address=127\.0\.0\.1:(\d+)", line):
                return int(serving[1])
            log += line
        raise RuntimeError(f"The server did not start:\n{log}")

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._process.stderr.close()
        shutil.rmtree(self._folder)


class Relay:
    """A port in front of a server that passes on each piece of a request late."""

    def __init__(self, server, delay_seconds):
        self._target = urllib.parse.urlsplit(server.url)
        self._delay_seconds = delay_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._target.hostname, self._target.port))
            for ends in ((browser, server, self._delay_seconds), (server, browser, 0)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    @staticmethod
    def _pass_on(source, sink, delay_seconds):
        with source, contextlib.suppress(OSError):
            while piece := source.recv(65536):
                time.sleep(delay_seconds)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Person:
    """A person who is signed in."""

    def __init__(self, server, name, page="/register"):
        self._url = server.url
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._submit(page, page, name=name, password=PASSWORD)

    def create_room(self, name, **settings):
        """Returns the room's path."""
        return self._submit("/rooms/new", "/rooms/new", name=name, kind="public", **settings)

    def join(self, room):
        self._submit("/rooms", f"{room}/join")

    def say(self, room, *texts):
        for text in texts:
            self._submit(room, f"{room}/messages", text=text)

    def _submit(self, page, action, **fields):
        """Fills in and submits a form of a page, with its hidden fields. Returns the path it leads to."""
        with self._opener.open(self._url + page) as answer:
            form = HiddenFields(action)
            form.feed(answer.read().decode())
        if form.fields is None:
            raise RuntimeError(f"no form for {action} on {page}")
        data = urllib.parse.urlencode(form.fields | fields).encode()
        with self._opener.open(self._url + action, data) as answer:
            return urllib.parse.urlsplit(answer.url).path


class HiddenFields(HTMLParser):
    """Collects the hidden fields of the form with this action."""

    fields = None

    def __init__(self, action):
        super().__init__()
        self._action = action
        self._is_inside = False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self._is_inside = attributes.get("action") == self._action
            if self._is_inside:
                self.fields = {}
        elif self._is_inside and attributes.get("type") == "hidden":
            self.fields[attributes["name"]] = attributes["value"]

    def handle_endtag(self, tag):
        if tag == "form":
            self._is_inside = False
