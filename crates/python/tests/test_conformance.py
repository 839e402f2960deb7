"""The conformance cases, each under its own name, and the wrong ones, each of which must fail where it says."""

import json

import pytest

import conformance

CASES = sorted((conformance.ROOT / "cases").rglob("*.json"))
WRONG = sorted((conformance.ROOT / "wrong").glob("*.json"))
MANIFEST = json.loads((conformance.ROOT / "manifest.json").read_text())


def name(path):
    return path.relative_to(conformance.ROOT).with_suffix("").as_posix()


def needs(path):
    return set(json.loads(path.read_text()).get("needs", ()))


@pytest.mark.parametrize("path", [path for path in CASES if not needs(path) & conformance.LACKING], ids=name)
def test_case(path):
    assert conformance.run(path)


@pytest.mark.parametrize("path", WRONG, ids=name)
def test_wrong_case_fails_where_it_says(path):
    with pytest.raises(conformance.Failed) as failure:
        conformance.run(path, more=["fails_at"])
    assert failure.value.where == json.loads(path.read_text())["fails_at"], failure.value


def test_no_file_is_missing():
    assert {"cases": len(CASES), "wrong": len(WRONG)} == MANIFEST


def test_the_program_passes_and_counts_all_cases(capsys):
    assert not conformance.main()
    line = capsys.readouterr().out.strip()
    apart = sum(bool(needs(path) & conformance.LACKING) for path in CASES)
    assert line == f"conformance: {len(CASES) - apart} passed, 0 failed, {apart} not applicable"
