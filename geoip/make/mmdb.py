"""Writes the MaxMind DB format 2.0: search tree, data section, metadata.

https://maxmind.github.io/MaxMind-DB/ describes it. Equal subtrees are written once: a reader only follows numbers and does
not see the difference.
"""

import struct

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)
RECORD_BITS = 24
EMPTY = None
# Type numbers of the format.
POINTER, STRING, DOUBLE, UINT16, UINT32, MAP, UINT64, ARRAY = 1, 2, 3, 5, 6, 7, 9, 11
# IPv4 addresses are looked up as ::a.b.c.d.
IPV4_DEPTH = 96


class Tree:
    """A search tree: nodes are pairs, and a side is EMPTY, ~record (negative) or the number of a node."""

    def __init__(self) -> None:
        self.numbers = {}
        self.at_depth = {}

    def add(self, bits: int, prefix, length, record) -> None:
        """Blocks of one family: IPv4 with 32 bits, IPv6 with its upper 64."""
        offset = IPV4_DEPTH if bits == 32 else 0
        index = prefix >> (bits - length).astype(prefix.dtype)
        for block, depth, value in zip(index.tolist(), length.tolist(), record.tolist()):
            self.at_depth.setdefault(offset + depth, {})[block] = ~value

    def nodes(self) -> list[tuple]:
        """All nodes; the last is the root."""
        sides = {}
        for depth in range(max(self.at_depth), 0, -1):
            sides |= self.at_depth.get(depth, {})
            above = {}
            for block, side in sides.items():
                above.setdefault(block >> 1, [EMPTY, EMPTY])[block & 1] = side
            sides = {block: self.number(*pair) for block, pair in above.items()}
        return list(self.numbers)

    def number(self, left, right) -> int:
        """The node with these sides, or the record that both of them are."""
        if left == right and left is not EMPTY and left < 0:
            return left
        return self.numbers.setdefault((left, right), len(self.numbers))


def render(tree: Tree, records: list, metadata: dict) -> bytes:
    """The whole file. Metadata about the layout is added to what is given."""
    nodes = tree.nodes()
    data = Data()
    at = [data.put(record) for record in records]
    count = len(nodes)

    def pointer(side) -> int:
        if side is EMPTY:
            return count
        return count + len(SEPARATOR) + at[~side] if side < 0 else count - 1 - side

    # The root must come first, so all numbers are turned round.
    sides = (pointer(side) for node in reversed(nodes) for side in node)
    search = b"".join(side.to_bytes(RECORD_BITS // 8, "big") for side in sides)
    layout = {
        "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0),
        "build_epoch": (UINT64, metadata["build_epoch"]),
        "database_type": metadata["database_type"],
        "description": metadata["description"],
        "ip_version": (UINT16, 6),
        "languages": (ARRAY, []),
        "node_count": (UINT32, count),
        "record_size": (UINT16, RECORD_BITS),
    }
    return search + SEPARATOR + bytes(data.bytes) + MARKER + encode(layout, plain)


class Data:
    """The data section: equal strings and maps are written once and pointed at."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.offsets = {}

    def put(self, value) -> int:
        """Writes a value, unless it is there already; its offset."""
        key = repr(value)
        if key not in self.offsets:
            encoded = encode(value, self.part)
            self.offsets[key] = len(self.bytes)
            self.bytes += encoded
        return self.offsets[key]

    def part(self, value) -> bytes:
        """A value inside another: numbers as they are, all else as a pointer where that is shorter."""
        if isinstance(value, float):
            return encode(value, self.part)
        if isinstance(value, str) and len(value) < 2:
            return encode(value, self.part)
        return pointer_to(self.put(value))


def encode(value, part) -> bytes:
    """A value in the format; `part` encodes what is inside a map or an array. Integers are (type, number)."""
    if isinstance(value, str):
        raw = value.encode()
        return control(STRING, len(raw)) + raw
    if isinstance(value, float):
        return control(DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, dict):
        return control(MAP, len(value)) + b"".join(part(key) + part(item) for key, item in value.items())
    kind, content = value
    if kind == ARRAY:
        return control(ARRAY, len(content)) + b"".join(map(part, content))
    raw = content.to_bytes(8, "big").lstrip(b"\0")
    return control(kind, len(raw)) + raw


def plain(value) -> bytes:
    """A value with everything inside it in place: metadata has no pointers."""
    return encode(value, plain)


def control(kind: int, size: int) -> bytes:
    """The control byte, with an extended type and a size up to 284."""
    extended = bytes([kind - 7]) if kind > 7 else b""
    first, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    return bytes([(kind if kind <= 7 else 0) << 5 | first]) + extended + more


def pointer_to(offset: int) -> bytes:
    """The shortest of the three widths of pointer that a small data section needs."""
    if offset < 2048:
        return bytes([POINTER << 5 | offset >> 8, offset & 0xFF])
    if offset < 2048 + (1 << 19):
        return ((POINTER << 5 | 1 << 3) << 16 | offset - 2048).to_bytes(3, "big")
    return ((POINTER << 5 | 2 << 3) << 24 | offset - 2048 - (1 << 19)).to_bytes(4, "big")
