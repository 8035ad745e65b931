"""What holds for every test."""

import asyncio

from hypothesis import settings

# looptime asks for the current event loop around synchronous tests too, and asyncio would make one that nobody closes.
asyncio.set_event_loop(None)

# A busy machine makes an example slow, not wrong.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
