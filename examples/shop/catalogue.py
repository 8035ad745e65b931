"""What the shop sells: a fixed list, so that runs can be compared with one another."""

from dataclasses import asdict, dataclass
from typing import Any

_NOUNS = ("lamp", "chair", "kettle", "clock", "basket", "blanket", "mirror", "stool")
_WOODS = ("oak", "ash", "beech", "walnut", "cherry", "maple")


@dataclass(frozen=True, slots=True)
class Product:
    """One article; its price is in cents."""

    id: str
    name: str
    price: int
    stock: int


def _make() -> dict[str, Product]:
    pairs = [(wood, noun) for noun in _NOUNS for wood in _WOODS]
    products = (
        Product(id=f"p{number}", name=f"{wood} {noun}", price=900 + 350 * (number % 17), stock=1000)
        for number, (wood, noun) in enumerate(pairs, start=1)
    )
    return {product.id: product for product in products}


PRODUCTS = _make()


def find(product_id: str) -> Product | None:
    """The product of that id, or None."""
    return PRODUCTS.get(product_id)


def page(limit: int, offset: int) -> list[dict[str, Any]]:
    """A slice of the catalogue, as JSON."""
    return [asdict(product) for product in list(PRODUCTS.values())[offset : offset + limit]]
