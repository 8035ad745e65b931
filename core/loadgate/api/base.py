"""What all models have in common: camelCase names, no unknown fields, no silent coercion, no changes."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from .described import descriptions


def field_alias(name: str) -> str:
    """The manifest's name of an attribute: camelCase, `VUs` as load testers write it, without Python's trailing `_`."""
    camel = to_camel(name.rstrip("_"))
    return camel[:-3] + "VUs" if camel.endswith("Vus") else camel


@cache
def manifest_names(model: type[BaseModel]) -> dict[str, str]:
    """What a model's fields are called in manifests; pydantic itself knows it only once it has built the model."""
    return {name: info.alias or field_alias(name) for name, info in model.model_fields.items()}


class Model(BaseModel):
    """A part of a resource. Manifests are read by alias; code constructs by attribute name."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,  # "5" isn't 5 to the API server, so it isn't here
        alias_generator=field_alias,
        validate_by_alias=True,
        validate_by_name=True,
        allow_inf_nan=False,
        defer_build=True,  # a runner reads only plans, and whoever asks for help reads nothing
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        properties, names = handler.resolve_ref_schema(schema).get("properties", {}), manifest_names(cls)
        for name, words in descriptions(cls).items():
            properties[names[name]]["description"] = words
        return schema

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values under the manifest's names, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def kept_null(model: BaseModel, serialized: dict[str, Any], name: str) -> dict[str, Any]:
    """What was serialized, with the field as null where it was given as null and so means something."""
    if name in model.model_fields_set and getattr(model, name) is None:
        return {**serialized, manifest_names(type(model))[name]: None}
    return serialized
