"""What holds for every test."""

import asyncio
import signal

from hypothesis import settings

# looptime asks for the current event loop around synchronous tests too, and asyncio would make one that nobody closes.
asyncio.set_event_loop(None)

# A shell's background job ignores SIGINT, and what it starts would too: a signal sent before they listen would be lost.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine makes an example slow, not wrong.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
