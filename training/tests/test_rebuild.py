"""The order of things, what is done twice, and what a failure stops. The binary is a stand-in that writes down its words."""

import pytest

from tamis_train.__main__ import main


@pytest.fixture
def rebuild(tmp_path):
    """Runs `rebuild stereo` with a program that notes its words, and fails if a file `fail` is there."""
    program, notes, made = tmp_path / "tamis", tmp_path / "notes", tmp_path / "work" / "stereo" / "stereo"
    program.write_text(f'#!/bin/sh\necho "$@" >> {notes}\nmkdir -p {made} && touch {made}/codec.toml && test ! -e {tmp_path}/fail\n')
    program.chmod(0o755)

    def run(*more):
        notes.write_text("")
        places = ["--data", tmp_path / "data", "--models", tmp_path / "models", "--work", tmp_path / "work"]
        main(["rebuild", "stereo", "--tamis", str(program), *map(str, places), *more])
        return notes.read_text().splitlines()

    return run


def test_what_is_done_is_not_done_again(rebuild, tmp_path):
    once = rebuild()
    assert len(once) == 1 and once[0].startswith("fit ") and once[0].endswith(f"--inputs-per-frame 2 -o {tmp_path}/work/stereo/stereo")
    assert (tmp_path / "models" / "stereo" / "codec.toml").exists()
    assert rebuild() == [] and rebuild("--fresh") == once


def test_a_step_that_fails_stops_all_and_is_done_again(rebuild, tmp_path):
    (tmp_path / "fail").touch()
    with pytest.raises(SystemExit, match="ended with 1"):
        rebuild()
    assert not (tmp_path / "models").exists()
    (tmp_path / "fail").unlink()
    assert len(rebuild()) == 1


def test_unknown_names_and_programs_are_named():
    with pytest.raises(SystemExit, match="no shipped bundle is called tuna"):
        main(["rebuild", "tuna"])
    with pytest.raises(SystemExit, match="no/tamis: no such program"):
        main(["rebuild", "stereo", "--tamis", "no/tamis"])
