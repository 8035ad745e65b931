"""What all models have in common: camelCase names, no unknown fields, no silent coercion, no changes."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def field_alias(name: str) -> str:
    """The manifest's name of an attribute: camelCase, `VUs` as load testers write it, without Python's trailing `_`."""
    camel = to_camel(name.rstrip("_"))
    return camel[:-3] + "VUs" if camel.endswith("Vus") else camel


class Model(BaseModel):
    """A part of a resource. Manifests are read by alias; code constructs by attribute name."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,  # "5" isn't 5 to the API server, so it isn't here
        alias_generator=field_alias,
        validate_by_alias=True,
        validate_by_name=True,
        use_attribute_docstrings=True,  # the one source of descriptions for the CRDs and the reference
        allow_inf_nan=False,
    )

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values under the manifest's names, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def kept_null(model: BaseModel, serialized: dict[str, Any], name: str) -> dict[str, Any]:
    """What was serialized, with the field as null where it was given as null and so means something."""
    if name in model.model_fields_set and getattr(model, name) is None:
        return {**serialized, type(model).model_fields[name].alias or name: None}
    return serialized
