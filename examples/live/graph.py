"""The prices' GraphQL schema, done by graphql-core."""

from dataclasses import asdict
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, build_schema, graphql

from shop import catalogue

_SCHEMA = build_schema("""
type Product { id: ID!, name: String!, price: Int!, stock: Int! }
type Order { product: Product!, quantity: Int!, total: Int! }
type Query { products(first: Int = 20): [Product!]!, product(id: ID!): Product }
type Mutation { order(product: ID!, quantity: Int!): Order! }
""")


async def operate(query: str, variables: dict[str, Any] | None, operation: str | None) -> dict[str, Any]:
    """The response to an operation, as JSON."""
    done = await graphql(_SCHEMA, query, _ROOT, variable_values=variables, operation_name=operation)
    return dict(done.formatted)


def _products(_info: GraphQLResolveInfo[None], first: int) -> list[dict[str, Any]]:
    return catalogue.page(first, 0)


def _product(_info: GraphQLResolveInfo[None], id: str) -> dict[str, Any] | None:  # noqa: A002 - the schema's word
    found = catalogue.find(id)
    return asdict(found) if found else None


def _order(_info: GraphQLResolveInfo[None], product: str, quantity: int) -> dict[str, Any]:
    found = catalogue.find(product)
    if found is None:
        raise GraphQLError(f"there is no product {product}")
    return {"product": asdict(found), "quantity": quantity, "total": found.price * quantity}


_ROOT = {"products": _products, "product": _product, "order": _order}
