"""What goes wrong in a backend and a person can mend. Imports nothing, torch least of all."""

from __future__ import annotations


class ArtefactError(Exception):
    """An artefact cannot be made; the message's first line says why, the others what helps."""


class WeightsError(ArtefactError):
    """A file of weights cannot be used; the message says why and what may help."""


class ExportError(ArtefactError):
    """A file for other programs cannot be made; the message says why and what helps."""
