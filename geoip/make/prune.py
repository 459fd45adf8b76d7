"""Shrinks a table of networks: a tree of blocks is cut where a finer answer would not be worth its node.

The blocks of an address space form a binary tree. From its leaves up, every block weighs two ways to answer for it:

- with one cell, its heavier half's. The cost is the weight of everything put into the wrong cell times how far away that is;
- with its two halves, each at its own best. The cost is theirs, and the price of one tree node.

The cheaper is kept. This spends the nodes where clients in unlike places share a wider block, and needs no fixed block size.
"""

from dataclasses import dataclass

import numpy as np

# No cell: nobody is there, so any answer will do. Its weight is 0.
NONE = -1


@dataclass
class Level:
    """All blocks of one length, in order of address."""

    block: np.ndarray  # the prefix, in the lowest `length` bits
    cell: np.ndarray  # the one cell that would answer for it
    weight: np.ndarray
    as_one: np.ndarray  # cost of answering with that cell; infinite where a part must stay without an answer
    best: np.ndarray  # the lower of as_one and of the two halves
    left: np.ndarray  # index of the halves in the next level; -1: there is none
    right: np.ndarray


def prune(bits, block, length, cell, weight, grain, price, distance):
    """The blocks that remain, as arrays (first address, length, cell), in order of address.

    block, length, cell, weight: networks that do not overlap. Inside a block of length `grain` the heaviest cell wins.
    distance(a, b): how bad it is to answer with one cell for the other, for arrays of cells.
    """
    block, length, cell, weight = plurality(block, length, cell, weight, bits, grain)
    levels = {}
    below = None
    for depth in range(grain, -1, -1):
        here = length == depth
        below = levels[depth] = level(
            block[here] >> np.uint64(bits - depth), cell[here], weight[here], below, price, distance
        )
    return keep(levels, bits, grain)


def plurality(block, length, cell, weight, bits, grain):
    """Networks longer than the grain become blocks of that length, each with its heaviest cell."""
    fine = length > grain
    shift = np.uint64(bits - grain)
    pairs, index = np.unique(
        np.stack([(block[fine] >> shift).astype(np.int64), cell[fine]]), axis=1, return_inverse=True
    )
    sums = np.bincount(index.ravel(), weights=weight[fine], minlength=pairs.shape[1])
    order = np.lexsort((pairs[1], -sums, pairs[0]))
    owners, first = np.unique(pairs[0][order], return_index=True)
    totals = np.add.reduceat(sums[order], first) if len(first) else sums
    return (
        np.concatenate([block[~fine], owners.astype(np.uint64) << shift]),
        np.concatenate([length[~fine], np.full(len(owners), grain)]),
        np.concatenate([cell[~fine], pairs[1][order][first]]),
        np.concatenate([weight[~fine], totals]),
    )


def level(block, cell, weight, below, price, distance) -> Level:
    """One level: the networks of this length, and the parents of the level below."""
    zero, none = np.zeros(len(block)), np.full(len(block), -1)
    rows = [block, cell, weight, zero, zero, none, none]
    if below is not None and len(below.block):
        rows = [np.concatenate(pair) for pair in zip(rows, parents(below, price, distance))]
    order = np.argsort(rows[0], kind="stable")
    return Level(*(column[order] for column in rows))


def parents(below: Level, price, distance):
    """The columns of the blocks one bit shorter."""
    block = np.unique(below.block >> np.uint64(1))
    left, right = (child(below.block, (block << np.uint64(1)) | np.uint64(side)) for side in (0, 1))
    both = (left >= 0) & (right >= 0)
    left_is_heavier = below.weight[left] >= below.weight[right]
    cell = np.where(left_is_heavier, below.cell[left], below.cell[right])
    lighter = np.minimum(below.weight[left], below.weight[right])
    misplaced = lighter * distance(below.cell[left], below.cell[right])
    as_one = np.where(both, below.as_one[left] + below.as_one[right] + misplaced, np.inf)
    halves = part(below.best, left) + part(below.best, right) + price
    weight = part(below.weight, left) + part(below.weight, right)
    return block, cell, weight, as_one, np.minimum(as_one, halves), left, right


def child(blocks, wanted):
    """Where each wanted block is in the sorted blocks, or -1."""
    at = np.minimum(np.searchsorted(blocks, wanted), len(blocks) - 1)
    return np.where(blocks[at] == wanted, at, -1)


def part(column, index):
    """The column at the index, 0 where there is none."""
    return np.where(index >= 0, column[index], 0.0)


def keep(levels, bits, grain):
    """From the top down: a block stays whole where that is its best."""
    kept = []
    rows = np.arange(len(levels[0].block))
    for depth in range(grain + 1):
        at = levels[depth]
        whole = (at.as_one[rows] <= at.best[rows]) & np.isfinite(at.as_one[rows])
        leaves = rows[whole & (at.cell[rows] != NONE)]
        kept.append((at.block[leaves] << np.uint64(bits - depth), np.full(len(leaves), depth), at.cell[leaves]))
        split = rows[~whole]
        rows = np.concatenate([at.left[split], at.right[split]])
        rows = np.sort(rows[rows >= 0])
    block, length, cell = (np.concatenate(column) for column in zip(*kept))
    order = np.argsort(block, kind="stable")
    return block[order], length[order], cell[order]
