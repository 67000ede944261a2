"""What the classes are called: after their block, and after what tells its variants apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations

from archdsl.emit.names import camel, unique
from archdsl.emit.tree import Apply, ClassDef, Code, Infix, Lit, Make, Step, found

#: what classes may be called after, those of the blocks inside among it
Features = Mapping[ClassDef, list[str]]


def name_classes(classes: list[ClassDef], taken: frozenset[str]) -> None:
    """Gives each class its name; `classes`: those inside before those around, the model's last."""
    used = set(taken)
    features: dict[ClassDef, list[str]] = {}
    for cls in classes:
        inner = [one for make in found(cls.body, Make) for one in features[make.cls]]
        # each once, where it stands last: blocks nested in blocks hold the same ones without end
        features[cls] = [*dict.fromkeys([*_own(cls), *inner][::-1])][::-1]
    families: dict[str, list[ClassDef]] = {}
    for cls in (classes[-1], *classes[:-1]):
        families.setdefault(cls.family, []).append(cls)
    for family, members in families.items():
        plain = camel(family) or "Block"
        if plain in taken:
            plain += "Block"
        # the model keeps its name; of a block's variants the plainest does
        base = (
            members[0]
            if members[0] is classes[-1]
            else min(members, key=lambda cls: _size(cls, features))
        )
        for cls in members:
            if len(members) > 1 and cls.label:
                name = camel(cls.label)  # denseblock1, denseblock2: each is its own
            elif cls is base:
                name = plain
            else:
                name = next(
                    (n for n in _variants(plain, cls, base, features) if n not in used), plain
                )
            cls.name = unique(name or plain, used)
            used.add(cls.name)


def _size(cls: ClassDef, features: Features) -> tuple[int, int]:
    return len(cls.body.members) + len(cls.body.layers or ()), len(features[cls])


def _variants(plain: str, cls: ClassDef, base: ClassDef, features: Features) -> Iterator[str]:
    """Names that say what the class has and the base has not."""
    known = {feature.lower() for feature in features[base]}
    new = [*_own(cls)]
    for make in found(cls.body, Make):
        if camel(make.cls.family).lower() in known:  # otherwise its name says it all
            new += features[make.cls]
    extra = {f.lower(): f for f in reversed(new) if f.lower() not in known}
    best = list(reversed(extra.values()))[:3]
    for count in range(1, len(best) + 1):
        for some in combinations(best, count):
            yield plain + "".join(some)
    for name, value in cls.given.items():
        if name in base.given and base.given[name] != value and value is not False:
            number = "" if value is True else re.sub(r"\W", "", str(value))
            yield plain + camel(name) + (number if isinstance(value, (int, float)) else "")


def _own(cls: ClassDef) -> Iterator[str]:
    """What one may call a class after, the best first: its members, a sum, blocks, operators."""
    for member in cls.body.members:
        if name := camel(member.name):
            yield name
    steps = [step for step in cls.body.steps if isinstance(step, Step)]
    if any(part.operator == "+" for part in found(tuple(steps), Infix)):
        yield "Residual"
    for make in found(cls.body, Make):
        yield camel(make.cls.family)
    for call in found((cls.body.layers, cls.body.members, cls.body.steps), Apply):
        if isinstance(call.target, (Code, Lit)):
            text = call.target.text if isinstance(call.target, Code) else str(call.target.value)
            if text.startswith(("nn.", "F.", "torch.")):
                yield camel(text.rpartition(".")[2])
