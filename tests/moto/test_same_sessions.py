"""hearth answers as moto's server does, but for the differences that are listed, each with its reason."""

import re

from differences import ABSENT, ANY, DIFFERENCES, NONE


def between(moto, hearth):
    """What differs of one step's outcomes, by path; where one refuses and the other does not, that alone."""
    if ("exception" in moto) != ("exception" in hearth):
        return {"exception": (moto.get("exception", NONE), hearth.get("exception", NONE))}
    pairs = {path: (moto.get(path, ABSENT), hearth.get(path, ABSENT)) for path in {*moto, *hearth}}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def listed():
    """The table's rows by step, path and the two answers."""
    rows = {}
    for row in DIFFERENCES:
        for path in row.paths:
            for step in [ANY] if row.steps == ANY else row.steps:
                place = (step, path, (row.moto, row.hearth))
                assert place not in rows, f"{place} is listed twice"
                rows[place] = row.reason
    return rows


def test_every_difference_from_moto_is_listed_with_its_reason_and_none_is_listed_that_is_gone(outcomes):
    moto, hearth = outcomes["moto"], outcomes["hearth"]
    assert list(moto) == list(hearth), "the same steps"
    rows, used, unlisted = listed(), set(), []
    for step in moto:
        for path, pair in sorted(between(moto[step], hearth[step]).items()):
            places = [(one, re.sub(r"\[\d+\]", "[]", path), pair) for one in (step, ANY)]
            known = [place for place in places if place in rows]
            used.update(known)
            if not known:
                unlisted.append(f"{step}: {path}: moto {pair[0]!r}, hearth {pair[1]!r}")
    assert not unlisted, "\n".join(["answered otherwise than by moto, and not listed:", *unlisted])
    gone = [f"{place}: {reason}" for place, reason in rows.items() if place not in used]
    assert not gone, "\n".join(["listed, and not seen any more:", *gone])
    assert all(reason for reason in rows.values())
