#!/usr/bin/python3
"""What Orca says while people use Mirage. `tests/speech/run` prepares and starts these tests.

Ada uses the browser by keyboard and hears it. Bob uses Mirage over HTTP.
"""

import os
import time
import unittest

from desktop import Desktop, wait_for
from mirage import PASSWORD, Person, Relay, Server

BINARY = os.environ["MIRAGE_BINARY"]


def setUpModule():
    global desktop, server, bob
    desktop = Desktop()
    unittest.addModuleCleanup(desktop.close)
    desktop.start()
    server = Server(BINARY)
    unittest.addModuleCleanup(server.close)
    bob = Person(server, "bob")
    create_account(server)


def create_account(server):
    """Creates Ada's account in the browser; returns what is said of it."""
    desktop.open(f"{server.url}/register")
    desktop.go_to("entry", "Name")
    desktop.type("ada")
    desktop.go_to("password text", "Password")
    desktop.type(PASSWORD)
    desktop.go_to("button", "Create account")
    desktop.press("space")
    return desktop.hear("Finished loading")


def said_of_bob(said):
    """On a slow machine, Orca takes keys that arrive together for a paste, and says them, too."""
    return [line for line in said if "bob" in line]


class Speech(unittest.TestCase):
    maxDiff = None

    def open(self, url):
        self.addCleanup(desktop.close_window)
        return desktop.open(url)

    def open_room(self, owner=None, where=None, through=None):
        """Opens a new room of Bob's in the browser, with Ada as a member; returns its path."""
        where = where or server
        room = (owner or bob).create_room(f"Room {time.monotonic_ns()}")
        Person(where, "ada", "/login").join(room)
        self.open((through or where).url + room)
        desktop.find("button", "Pause updates")
        return room

    def assertSays(self, words, said):
        self.assertTrue(any(words in line for line in said), f"{words!r} is not in {said}")

    def assertNoneSays(self, word, said):
        self.assertEqual([], [line for line in said if word in line])

    # ---- Messages that come.

    def test_row_50_messages_are_said_once_in_order_without_the_time(self):
        room = self.open_room()
        bob.say(room, "Kettle on?", "Kettle on?", "It is")
        said = desktop.hear("It is")
        said = [line.replace("\u00a0", "") for line in said]
        self.assertEqual(["bob: Kettle on?", "bob: Kettle on?", "bob: It is"], said)

    def test_entry_33_messages_that_come_while_one_types_are_said_at_the_next_pause(self):
        room = self.open_room()
        desktop.go_to("entry", "Message")
        with desktop.typing("kettle " * 20, seconds=20) as typing:
            bob.say(room, "Tea 1", "Tea 2", "Tea 3")
            self.assertIsNone(typing.poll(), "the messages came too late")
        self.assertEqual(["bob: Tea 1", "bob: Tea 2", "bob: Tea 3"], said_of_bob(desktop.hear("Tea 3")))

    def test_row_51_more_than_five_messages_are_said_as_one_line(self):
        room = self.open_room()
        desktop.go_to("entry", "Message")
        with desktop.typing("kettle " * 20, seconds=20) as typing:
            bob.say(room, *(f"Tea {number}" for number in range(1, 13)))
            self.assertIsNone(typing.poll(), "the messages came too late")
        self.assertEqual(["12 new messages, last from bob: Tea 12"], said_of_bob(desktop.hear("Tea 12")))

    def test_entry_37_messages_behind_another_window_are_counted_on_return(self):
        room = self.open_room()
        with desktop.another_window():
            bob.say(room, "Tea 1", "Tea 2")
            self.assertEqual([], desktop.hear_all())
        said = desktop.hear("2 new messages")
        self.assertEqual(1, said.count("2 new messages"), said)
        self.assertNoneSays("Tea", said)

    # ---- Silence.

    def test_row_52_loading_the_page_and_older_messages_says_no_message(self):
        room = bob.create_room("The older room")
        Person(server, "ada", "/login").join(room)
        bob.say(room, *(f"Tea {number}" for number in range(1, 102)))
        said = self.open(f"{server.url}{room}")
        self.assertNoneSays("Tea", said)
        desktop.go_to("link", "Older messages")
        desktop.press("Return")
        said = desktop.hear("Finished loading")
        self.assertNoneSays("Tea", said)

    def test_row_52_people_who_join_are_not_said(self):
        room = self.open_room()
        Person(server, "cleo").join(room)
        self.assertEqual([], desktop.hear_all())
        bob.say(room, "Hello")
        self.assertEqual(["bob: Hello"], desktop.hear("Hello"))

    def test_entry_32_messages_that_expire_while_the_list_is_read_are_silent_and_the_place_stays(self):
        brief = Server(BINARY, message_lifespan="30s")
        self.addCleanup(brief.close)
        create_account(brief)
        self.addCleanup(desktop.close_window)
        cleo = Person(brief, "cleo")
        room = self.open_room(cleo, brief)
        cleo.say(room, "Tea 1", "Tea 2", "Tea 3")
        desktop.hear("Tea 3")
        desktop.go_to("link", "Skip to messages")
        desktop.press("Return")
        cleo.say(room, "Cake 1", "Cake 2", "Cake 3")
        desktop.hear("Cake 3")
        desktop.read_down_to("Cake 1")
        wait_for(lambda: not desktop.has("static", "Tea"), "the teas expire")
        self.assertTrue(desktop.has("static", "Cake 1"))
        self.assertEqual([], desktop.hear_all())
        self.assertSays("cleo: Cake 2", desktop.read_down())

    # ---- Links, forms and buttons.

    def test_entry_34_each_delete_link_is_one_line_and_names_its_message(self):
        room = self.open_room()
        Person(server, "ada", "/login").say(room, "First tea", "Second tea")
        desktop.find("link", "Delete your message “Second tea”")
        desktop.go_to("link", "Delete your message “First tea”")
        desktop.press("Tab")
        self.assertEqual(["Delete your message “Second tea” link."], desktop.hear("Delete"))
        desktop.press("Up")
        author, _time, link = desktop.hear("Delete")
        self.assertEqual("ada (you): First tea.", author)
        self.assertEqual("Delete your message “First tea” link.", link)

    def test_row_26_the_error_summary_has_the_focus_and_entry_34_errors_keep_their_space(self):
        self.open(f"{server.url}/rooms/private")
        desktop.go_to("button", "Join room")
        desktop.press("space")
        said = desktop.hear("Finished loading")
        self.assertSays("There is a problem", said)
        self.assertEqual("Error: Enter the room name.", " ".join(desktop.read_down_to("Error:")))
        self.assertIn("Error: Enter the room password.", desktop.go_to("password text", "Room password"))

    def test_entry_35_pausing_and_resuming_are_said(self):
        room = self.open_room()
        desktop.go_to("button", "Pause updates")
        desktop.press("space")
        self.assertEqual(["Updates paused"], desktop.hear("Updates paused"))
        bob.say(room, "Tea")
        self.assertEqual([], desktop.hear_all())
        desktop.press("space")
        self.assertEqual(["Updates resumed", "bob: Tea"], desktop.hear("Tea"))

    def test_entry_36_the_send_button_on_a_slow_line_says_sent_and_not_the_text(self):
        relay = Relay(server, delay_seconds=0.2)
        self.addCleanup(relay.close)
        self.open_room(through=relay)
        desktop.go_to("entry", "Message")
        desktop.type("My own words")
        desktop.hear_all()
        desktop.go_to("button", "Send message")
        desktop.press("space")
        said = desktop.hear("Sent")
        self.assertEqual(1, said.count("Sent"), said)
        self.assertNoneSays("words", said)

    def test_row_48_enter_says_sent_and_not_the_text(self):
        self.open_room()
        desktop.go_to("entry", "Message")
        desktop.type("My own words")
        desktop.hear_all()
        desktop.press("ctrl+Return")
        self.assertEqual(["Sent"], desktop.hear("Sent"))

    def test_entry_38_an_account_is_said_to_be_created(self):
        fresh = Server(BINARY)
        self.addCleanup(fresh.close)
        self.addCleanup(desktop.close_window)
        said = create_account(fresh)
        self.assertSays("Account created – Public rooms", said)

    def test_entry_38_a_shown_password_is_said_to_be_visible(self):
        self.open(f"{server.url}/rooms/private")
        desktop.go_to("button", "Show password")
        desktop.press("space")
        self.assertEqual(["Your password is visible"], desktop.hear("visible"))
        desktop.press("space")
        self.assertEqual(["Your password is hidden"], desktop.hear("hidden"))

    def test_entry_39_a_refusal_is_said_once(self):
        self.open_room()
        desktop.go_to("entry", "Message")
        desktop.press("ctrl+Return")
        self.assertEqual(["Not sent. Enter a message"], desktop.hear("Not sent"))

    def test_entry_39_the_refusal_of_a_long_text_says_its_length_once(self):
        self.open_room()
        desktop.go_to("entry", "Message")
        desktop.type("kettle" * 35)
        desktop.press("ctrl+a", "ctrl+c", "End", *["ctrl+v"] * 10)
        desktop.hear_all()
        desktop.press("ctrl+Return")
        said = desktop.hear("Not sent")
        self.assertEqual(1, len(said), said)
        self.assertSays("2,310 characters", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
