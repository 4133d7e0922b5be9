"""What a page and its server say to each other: which runs of the script the page has asked for, and whether the last one is over."""

from __future__ import annotations

from typing import ClassVar
from weakref import WeakKeyDictionary

from playwright.sync_api import Page, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

STREAM = "/_stcore/stream"


class Wire:
    """The connection of one page. The page's own attribute tells a run only once it has begun; here it is owed as soon as it is asked for.

    A page that comes back to a run's end is counted as drawn two frames later: the browser tells of a message when it gives it to the page.
    """

    _known: ClassVar[WeakKeyDictionary[Page, Wire]] = WeakKeyDictionary()

    def __init__(self, page: Page) -> None:
        self.asked = 0
        """Runs that the page has asked for."""
        self.is_owed = False
        """Whether the last of them is not over."""
        self._has_begun = False
        page.on("websocket", self._listen)

    @classmethod
    def of(cls, page: Page) -> Wire:
        """The wire of this page. It hears what is said from the first call on: make that before the page is opened."""
        if page not in cls._known:
            cls._known[page] = cls(page)
        return cls._known[page]

    def _listen(self, socket: WebSocket) -> None:
        if STREAM in socket.url:
            socket.on("framesent", self._sent)
            socket.on("framereceived", self._received)
            # Who leaves the page waits for no answer any more.
            socket.on("close", lambda _socket: self._over())

    def _sent(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes) and BackMsg.FromString(frame).WhichOneof("type") == "rerun_script":
            self.asked += 1
            self.is_owed, self._has_begun = True, False

    def _received(self, frame: str | bytes) -> None:
        if not isinstance(frame, bytes):
            return
        message = ForwardMsg.FromString(frame)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._has_begun = True
        elif (
            kind == "script_finished"
            and self._has_begun
            and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        ):
            self._over()

    def _over(self) -> None:
        self.is_owed = False
