"""h2's connection, set up as a client that bounds what a peer can make it keep."""

from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.settings import SettingCodes, Settings
from h2.stream import H2StreamStateMachine, StreamInputs, StreamState
from h2.stream import _transitions as transitions

from loadgate_runner.http.http2.meter import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW: Final = 1 << 22
"""Bytes of one answer that a peer may send ahead of us; what comes is read and dropped, so this takes no memory."""
CONNECTION_WINDOW: Final = 1 << 30
TABLE: Final = 4096
"""Bytes of the fields that we remember for a peer, however many it offers to remember."""

# Fields are checked by `fields.answer_head`, in a fraction of the time.
_CONFIGURATION: Final = H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)

# A late head of a stream that we reset is the stream's matter (RFC 9113, 5.1). h2 knows that of an answer's head; that
# of an interim answer (a 103, late as well) it takes for the connection's fault, and so for that of all who share it.
transitions.setdefault(
    (StreamState.CLOSED, StreamInputs.RECV_INFORMATIONAL_HEADERS),
    (H2StreamStateMachine.recv_on_closed_stream, StreamState.CLOSED),
)


class Machine(H2Connection):
    """`most` bounds the fields of one answer (RFC 9113, 6.5.2); so many streams that are over are `remembered`, whose
    late frames are nothing wrong.
    """

    def __init__(self, most: int, remembered: int) -> None:
        self.MAX_CLOSED_STREAMS = remembered
        super().__init__(_CONFIGURATION)
        self.decoder.max_header_list_size = most
        ours = {
            SettingCodes.HEADER_TABLE_SIZE: TABLE,
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            SettingCodes.MAX_FRAME_SIZE: LARGEST,
            SettingCodes.MAX_HEADER_LIST_SIZE: most,
        }
        self.local_settings = Settings(client=True, initial_values=ours)
        for code in _set(self.local_settings):
            if code not in ours:
                del self.local_settings[code]
        self.initiate_connection()
        self.increment_flow_control_window(CONNECTION_WINDOW)

    def went_on(self) -> None:
        """After a GOAWAY, streams that the peer still answers go on (RFC 9113, 6.8); h2 takes it for the end."""
        self.state_machine.state = ConnectionState.CLIENT_OPEN

    def bound(self) -> None:
        """After the peer's SETTINGS: a peer that offers gigabytes for our fields gets no more than TABLE of them."""
        self.encoder.header_table_size = min(self.encoder.header_table_size, TABLE)


def _set(settings: Settings) -> "Iterator[SettingCodes | int]":
    return iter(list(settings))
