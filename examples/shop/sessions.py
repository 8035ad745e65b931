"""Who is logged in and what is in their carts, forgetting the least recently seen so that memory stays bounded."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

MAX_SESSIONS = 20_000
MAX_LINES = 50
MAX_QUANTITY = 1_000


class CartFull(Exception):  # noqa: N818 - it is a state of the cart, told to the client as 409
    """The cart has no room for what was asked."""


@dataclass(slots=True)
class Session:
    """One user with a token and a cart: product id to quantity."""

    token: str
    user: dict[str, str]
    cart: dict[str, int] = field(default_factory=dict)

    def add(self, product_id: str, quantity: int) -> None:
        """Put a quantity of a product into the cart; raises CartFull beyond the limits."""
        if product_id not in self.cart and len(self.cart) >= MAX_LINES:
            raise CartFull(f"a cart holds at most {MAX_LINES} different products")
        if self.cart.get(product_id, 0) + quantity > MAX_QUANTITY:
            raise CartFull(f"at most {MAX_QUANTITY} of a product")
        self.cart[product_id] = self.cart.get(product_id, 0) + quantity

    def check_out(self) -> dict[str, int]:
        """Empty the cart and return what was in it."""
        bought, self.cart = self.cart, {}
        return bought


class Sessions:
    """All sessions, at most `limit`; a new one pushes out the one that was quiet for longest."""

    def __init__(self, limit: int = MAX_SESSIONS) -> None:
        self._limit = limit
        self._by_token: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_token)

    def open(self, email: str) -> Session:
        """Log a user in."""
        session = Session(secrets.token_hex(16), {"id": f"u-{email.partition('@')[0]}", "email": email})
        self._by_token[session.token] = session
        if len(self._by_token) > self._limit:
            self._by_token.popitem(last=False)
        return session

    def find(self, token: str) -> Session | None:
        """The session of a token, which counts as seen just now; None when unknown or forgotten."""
        session = self._by_token.get(token)
        if session is not None:
            self._by_token.move_to_end(token)
        return session
