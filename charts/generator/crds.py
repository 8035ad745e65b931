"""The CRDs as templates of the chart: the very YAML of `crds/`, between two switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.crds import crds, dump

if TYPE_CHECKING:
    from pathlib import Path

_OPENING = "{{- if .Values.crds.enabled }}\n"
_CLOSING = "{{- end }}\n"
_METADATA = """\
  labels: {{- include "loadgate.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    # Uninstalling the release leaves the CRD: with it would go every LoadTest and every result.
    helm.sh/resource-policy: keep
  {{- end }}
"""


class BracesError(ValueError):
    """A CRD holds what Helm would take for a template."""


def files(chart: Path) -> dict[Path, str]:
    """Each template by its path. Raises BracesError."""
    return {chart / "templates" / "crds" / name: _template(name, dump(crd)) for name, crd in crds().items()}


def _template(name: str, text: str) -> str:
    if "{{" in text:
        raise BracesError(f"{name} holds '{{{{', which Helm would read as a template")
    head, spec, rest = text.partition("spec:\n")  # the first one ends the metadata
    return f"{_OPENING}{head}{_METADATA}{spec}{rest}{_CLOSING}"
