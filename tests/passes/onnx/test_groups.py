"""Groups: who takes whose values, by rank, by reach and in order."""

from __future__ import annotations

import random
from itertools import pairwise

from passes.onnx.groups import Group, in_order, link, take_sources


def chain(*numbers: int) -> list[Group]:
    groups = [Group([], number=number) for number in numbers]
    for before, after in pairwise(groups):
        link(before, after)
    return groups


def test_ranks_rise_along_every_link() -> None:
    first, second, third = chain(0, 1, 2)
    late = Group([], number=3)
    link(third, late)
    link(late, Group([], number=4))
    assert [g.rank for g in (first, second, third, late)] == [0, 1, 2, 3]
    before = Group([], number=5, rank=7)
    link(before, second)
    assert (second.rank, third.rank, late.rank) == (8, 9, 10)


def test_reaches_follows_users_only_forwards() -> None:
    first, second, third = chain(0, 1, 2)
    beside = Group([], number=3)
    link(first, beside)
    assert first.reaches(third) and first.reaches(beside)
    assert not third.reaches(first) and not beside.reaches(third) and not second.reaches(beside)


def test_a_group_that_is_joined_leaves_its_sources() -> None:
    first, second, third = chain(0, 1, 2)
    take_sources(second, third)
    assert list(first.users) == [third] and list(third.sources) == [first]
    assert list(in_order([third, first])) == [first, third]


def test_producers_come_first_and_else_the_lower_number() -> None:
    random.seed(0)
    groups = [Group([], number=number) for number in random.sample(range(50), 50)]
    links = [(i, j) for i in range(50) for j in random.sample(range(i + 1, 50), min(2, 49 - i))]
    for before, after in links:
        link(groups[before], groups[after])
    order = list(in_order(groups))
    place = {group: n for n, group in enumerate(order)}
    assert len(order) == 50
    assert all(place[groups[i]] < place[groups[j]] for i, j in links)
    for n, group in enumerate(order):
        done = set(order[:n])
        ready = [g for g in groups if g not in done and done.issuperset(g.sources)]
        assert group.number == min(g.number for g in ready)
