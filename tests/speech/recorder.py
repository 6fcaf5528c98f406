#!/usr/bin/python3
"""An output module of Speech Dispatcher that records speech instead of playing it.

Each text takes as long as it would take to speak, so that a key cuts it off as for a listener. The file in
RECORD gets a line of JSON as a text begins, {"begun": text}, and one as it ends, {"said": text} or {"cut": text}.

The protocol: src/modules/module_process.c in https://github.com/brailcom/speechd
"""

import html
import json
import os
import re
import sys
import threading

# A brisk rate, about 300 words a minute.
CHARACTERS_PER_SECOND = 30

lock = threading.Lock()
speaking = None


def reply(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def read_block():
    """Returns the lines up to a single dot."""
    lines = []
    for line in sys.stdin:
        line = line.rstrip("\r\n")
        if line == ".":
            break
        # A dot at the start of a line is doubled.
        lines.append(line[1:] if line.startswith("..") else line)
    return lines


def record(what, text):
    with open(os.environ["RECORD"], "a", encoding="utf-8") as file:
        file.write(json.dumps({what: text}) + "\n")


def end(text):
    global speaking
    with lock:
        # A text that was cut off meanwhile has another timer, or none.
        if speaking and speaking[1] is threading.current_thread():
            speaking = None
            record("said", text)
            reply("702 END")


def speak(lines):
    global speaking
    markup = " ".join(lines)
    text = html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()
    with lock:
        reply("200 OK SPEAKING")
        reply("701 BEGIN")
        record("begun", text)
        timer = threading.Timer(len(text) / CHARACTERS_PER_SECOND, end, [text])
        speaking = (text, timer)
        timer.start()


def stop():
    global speaking
    with lock:
        if speaking:
            text, timer = speaking
            speaking = None
            timer.cancel()
            record("cut", text)
            reply("703 STOP")


for command in sys.stdin:
    match command.split():
        case ["INIT"]:
            reply("299-Records speech")
            reply("299 OK LOADED SUCCESSFULLY")
        case ["AUDIO"]:
            reply("207 OK RECEIVING AUDIO SETTINGS")
            read_block()
            reply("203 OK AUDIO INITIALIZED")
        case ["LOGLEVEL"]:
            reply("207 OK RECEIVING LOGLEVEL SETTINGS")
            read_block()
            reply("203 OK LOG LEVEL SET")
        case ["SET"]:
            reply("203 OK RECEIVING SETTINGS")
            read_block()
            reply("203 OK SETTINGS RECEIVED")
        case ["SPEAK" | "CHAR" | "KEY" | "SOUND_ICON"]:
            reply("202 OK RECEIVING MESSAGE")
            speak(read_block())
        case ["STOP" | "PAUSE"]:
            stop()
        case ["LIST", "VOICES"]:
            reply("200-recorder\ten\tnone")
            reply("200 OK VOICE LIST SENT")
        case ["QUIT"]:
            reply("210 OK QUIT")
            break
        case _:
            reply("300 ERR UNKNOWN COMMAND")
