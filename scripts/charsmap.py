"""Writes the "precompiled_charsmap" of a tokenizer.json's Precompiled normalizer: a Darts double array that maps strings to offsets in
a pool of replacements. For make_tokenizer_fixtures.py and make_unicode_tables.py.

A unit of 32 bits is a node: label in bits 0 to 7, "a leaf hangs below" in bit 8, and from bit 10 on where its children are (bit 9: in
steps of 256): child c of the node at p is the unit at p ^ offset ^ c, and its leaf the one at p ^ offset. Of a leaf, bit 31 is set and the rest is a value.
"""
import base64
import struct


def charsmap(replacements):
    """base64 of the map for {string: replacement}"""
    pool, values, root = bytearray(), {}, {}
    for key, text in replacements.items():
        if text not in values:
            values[text] = len(pool)
            pool += text.encode() + b"\0"
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = values[text]  # no key has a NUL inside
    units, used, bases, first_free = {0: 0}, {0}, {0}, 1
    top = 0
    queue = [(0, 0, root)]
    for at, label, node in queue:
        while first_free in used or first_free in bases:
            first_free += 1
        # Children lie at base ^ label. Bases are not shared: a node knows its children by their labels alone.
        base = first_free if len(node) < 2 else top + 256 & ~0xff  # for many children a fresh block is found fastest
        while base in bases or any(base ^ child in used for child in node):
            base += 1
        bases.add(base)
        top = max([top] + [base ^ child for child in node])
        offset = at ^ base
        if offset and offset % 256 == 0:
            offset = offset >> 8 << 10 | 1 << 9
        else:
            assert offset < 1 << 21
            offset <<= 10
        units[at] = label | (1 << 8 if 0 in node else 0) | offset
        for child, below in sorted(node.items()):
            used.add(base ^ child)
            if child == 0:
                units[base] = 1 << 31 | below
            else:
                queue.append((base ^ child, child, below))
    size = (max(units) | 0xff) + 1  # a search may look at any child of the last node
    trie = struct.pack(f"<{size}I", *(units.get(i, 0) for i in range(size)))
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + bytes(pool)).decode()
