"""The four conversions of one type, and the type its parameters are given to the engine as.

Rules:

1. Encoders take what the engine's client returns for the type, or the engine's own spelling of the value as
   ``str`` where Python has no such value (``infinity``, years BC, intervals with months).
2. Decoders return a Python value that the engine, told ``CAST($n AS engine_type)``, turns into the very value
   that was sent: a ``str`` in the engine's spelling wherever a Python object would lose something.
3. Text is bytes on both sides: nothing is encoded twice on the path of a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of one type are written and read."""

    encode_text: Encoder
    encode_binary: Encoder
    decode_text: Decoder
    decode_binary: Decoder
    engine_type: str
