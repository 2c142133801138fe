"""JSON, and what is nearly JSON: a broken character or number costs itself alone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

OPENING = (b"[", b"{")
NUL = rb"\u0000"
REPLACEMENT = "\ufffd"

MOST_LEVELS = 100
"""How deep JSON may nest, the envelope included. Python's own decoder, which targets use, gives up
below 1,000 levels, and BigQuery's at 500 (its documentation, "Quotas and limits")."""

_NO_BRACKETS = bytes({*range(256)} - {*b"[]{}"})

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that databases refuse in a text: Postgres has no U+0000 (its documentation, "Character
Types"), and half of a surrogate pair is no character."""

TEXT_END = rb'[^"\\]*(?:\\.[^"\\]*)*("?)'
MARK = re.compile(rb'"' + TEXT_END + rb"|[\[\]{}]", re.DOTALL)
"""A text, whose closing quote may be still to come, or a bracket."""
_SCALAR = re.compile(
    rb'"' + TEXT_END + rb"|(?<![\w.+-])[-+.]?(?:\d[\w.+-]*|(?:nan|inf|infinity)\b)",
    re.DOTALL | re.IGNORECASE,
)
"""A text, or what stands for a number, in JSON or elsewhere."""
_NO_ESCAPE = re.compile(rb'(?<!\\)(?:\\\\)*\\(?!["\\/bfnrt]|u[\da-fA-F]{4})')
"""A backslash that escapes nothing, and pairs of them before it."""

_decode_strictly = msgspec.json.Decoder().decode


@dataclass
class Decoder:
    """Decodes a body, and counts what it replaces.

    Bytes that are no UTF-8, U+0000 and halves of surrogate pairs become U+FFFD; numbers that JSON
    or a double-precision number does not know, and lists and objects that nest too deep, become
    texts. A backslash that escapes nothing stands for itself, a byte-order mark is passed over, and
    a text may hold control characters.
    """

    levels: int = MOST_LEVELS
    """How deep the body may nest."""
    replaced: int = 0
    """How many texts, keys, numbers, lists and objects that were."""

    def decode(self, body: bytes) -> object:
        """Decode a body.

        Raises:
            ValueError: It is no JSON.
            RecursionError: It is none, and nests too deep for telling so.
        """
        if _may_nest_deeper(body, self.levels):
            body = self._cut_off(body)
        # Searching for one byte, and from behind, is several times as fast as for NUL forward.
        if b"\\" not in body or body.rfind(NUL) < 0:
            try:
                return _decode_strictly(body)
            except (msgspec.MsgspecError, ValueError):
                pass
        text = _SCALAR.sub(self._known, body).decode("utf-8-sig", errors="surrogateescape")
        return self._storable(json.JSONDecoder(strict=False).decode(text))

    def _cut_off(self, body: bytes) -> bytes:
        """Return a body with texts in place of what nests too deep."""
        parts: list[bytes] = []
        depth = begin = end = 0
        for mark in MARK.finditer(body):
            kind = mark[0][:1]
            if kind in OPENING:
                depth += 1
                if depth == self.levels + 1:
                    begin = mark.start()
            elif kind != b'"':
                depth -= 1
                if depth == self.levels:
                    text = body[begin : mark.end()].decode(errors="surrogateescape")
                    parts += (body[end:begin], json.dumps(text).encode())
                    end = mark.end()
                    self.replaced += 1
        return b"".join((*parts, body[end:]))

    def _known(self, scalar: re.Match[bytes]) -> bytes:
        """Return a text or a number in a form that JSON knows."""
        given = known = scalar[0]
        if given[:1] == b'"':
            known = _NO_ESCAPE.sub(rb"\g<0>\\", given)
        else:
            try:
                _decode_strictly(given)
            except msgspec.MsgspecError:
                known = b'"%b"' % given
        self.replaced += known != given
        return known

    def _storable(self, value: object) -> object:
        if isinstance(value, str):
            text, count = _UNSTORABLE.subn(REPLACEMENT, value)
            self.replaced += count > 0
            return text
        if isinstance(value, list):
            return [self._storable(item) for item in value]
        if isinstance(value, dict):
            storable: dict[Any, object] = {}
            for key, inner in value.items():
                name = self._storable(key)
                while name in storable:
                    name = f"{name}{REPLACEMENT}"
                storable[name] = self._storable(inner)
            return storable
        return value


def _may_nest_deeper(body: bytes, levels: int) -> bool:
    """Return whether JSON may nest deeper; brackets in its texts may look like it.

    Pairs of brackets are taken out from within, of two levels at the most each time, so that hardly
    any are left of a usual body.
    """
    left = body.translate(None, _NO_BRACKETS)
    count = len(left) + 1
    while left and len(left) < count and levels > 0:
        count = len(left)
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        levels -= 2
    depth = lowest = deepest = 0
    for bracket in left:
        depth += 1 if bracket in b"[{" else -1
        lowest = min(lowest, depth)
        deepest = max(deepest, depth - lowest)
    return deepest > levels
