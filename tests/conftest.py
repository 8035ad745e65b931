"""What holds for every test."""

import asyncio

# looptime asks for the current event loop around synchronous tests too, and asyncio would make one that nobody closes.
asyncio.set_event_loop(None)
