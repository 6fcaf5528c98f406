"""A small chat in Flask, for comparison: rooms by name and password, and messages in memory that expire.

It is written as Flask's own documentation writes applications: one process, the signed session cookie, Jinja
templates, Werkzeug's password hashes. It has no accounts, rate limits, deletion, database or long polls: an open page
asks once a second for what is new.
"""

import itertools
import time
from collections import deque
from secrets import token_bytes
from threading import Lock

from flask import Flask, abort, jsonify, redirect, render_template, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

LIFESPAN = 24 * 60 * 60
MAX_MESSAGES = 500
SHOWN = 100

ROOM_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ room.name }}</title></head>
<body>
<h1>{{ room.name }}</h1>
<ol id="messages">
{%- for message in messages %}
<li id="m{{ message.id }}"><b>{{ message.author }}</b> <time>{{ message.sent }}</time> <p>{{ message.text }}</p></li>
{%- endfor %}
</ol>
<form method="post" action="{{ url_for('send', number=number) }}">
<label for="text">Message</label> <textarea id="text" name="text" required></textarea> <button>Send</button>
</form>
<script>
let after = {{ last }};
setInterval(async () => {
  const answer = await (await fetch(`{{ url_for('poll', number=number) }}?after=${after}`)).json();
  for (const message of answer.messages) {
    const item = document.createElement("li");
    item.textContent = `${message.author} ${message.sent} ${message.text}`;
    document.getElementById("messages").append(item);
  }
  after = answer.last;
}, 1000);
</script>
</body>
</html>
"""

app = Flask(__name__)
# Every start has its own rooms, so sessions need not outlive it.
app.secret_key = token_bytes()
# Compiled once, as a template in a file is. Autoescaping, which the name of a file would switch on, is on for strings.
PAGE = app.jinja_env.from_string(ROOM_PAGE)
rooms = {}
numbers = itertools.count(1)


class Room:
    """A room with its messages, oldest first."""

    def __init__(self, name, password):
        self.name = name
        self.password_hash = generate_password_hash(password)
        self.lock = Lock()
        self.messages = deque(maxlen=MAX_MESSAGES)
        self.last = 0

    def add(self, author, text):
        with self.lock:
            self.last += 1
            now = time.time()
            sent = time.strftime("%H:%M", time.gmtime(now))
            self.messages.append(
                {"id": self.last, "author": author, "text": text, "sent": sent, "expires": now + LIFESPAN}
            )
            return self.last

    def after(self, last):
        """Returns the messages after this one that are still alive, and the number of the last one."""
        with self.lock:
            now = time.time()
            while self.messages and self.messages[0]["expires"] <= now:
                self.messages.popleft()
            new = itertools.takewhile(lambda message: message["id"] > last, reversed(self.messages))
            return list(new)[::-1], self.last


def joined(number):
    """Returns the room, if this person has given its password."""
    if number not in session.get("rooms", []):
        abort(403)
    return rooms[number]


@app.get("/healthz")
def health():
    return "ok"


@app.post("/rooms")
def create():
    number = next(numbers)
    rooms[number] = Room(request.form["name"], request.form["password"])
    return redirect(url_for("show", number=number))


@app.post("/rooms/<int:number>/join")
def join(number):
    room = rooms.get(number) or abort(404)
    if not check_password_hash(room.password_hash, request.form["password"]):
        abort(403)
    session["name"] = request.form["name"]
    session["rooms"] = [*session.get("rooms", []), number]
    return redirect(url_for("show", number=number))


@app.get("/rooms/<int:number>")
def show(number):
    room = joined(number)
    messages, last = room.after(0)
    return render_template(PAGE, room=room, number=number, messages=messages[-SHOWN:], last=last)


@app.post("/rooms/<int:number>/messages")
def send(number):
    text = request.form["text"].strip() or abort(400)
    # Not 204: waitress closes the connection after an answer without a length.
    return jsonify(id=joined(number).add(session["name"], text))


@app.get("/rooms/<int:number>/poll")
def poll(number):
    messages, last = joined(number).after(request.args.get("after", 0, int))
    return jsonify(messages=messages, last=last)
