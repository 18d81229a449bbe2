"""What the type stubs say is there is there, and nothing else; everything has words."""

import ast
from pathlib import Path

import tamis

TREE = ast.parse((Path(tamis.__file__).parent / "__init__.pyi").read_text())
CLASSES = {n.name: n for n in TREE.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")}


def test_types_are_marked():
    assert (Path(tamis.__file__).parent / "py.typed").exists()


def test_stubs_and_module_agree():
    functions = {n.name for n in TREE.body if isinstance(n, ast.FunctionDef)}
    here = {n for n in dir(tamis) if not n.startswith("_") and n != "tamis"}
    assert here == set(CLASSES) | functions
    for name, stub in CLASSES.items():
        if issubclass(getattr(tamis, name), Exception):
            continue
        said = {n.name for n in stub.body if isinstance(n, ast.FunctionDef)}
        there = {n for n in vars(getattr(tamis, name)) if not n.startswith("__")}
        assert there == {n for n in said if not n.startswith("__")}, name
        assert said - there <= {"__new__", "__iter__", "__next__", "__enter__", "__exit__"}, name


def test_everything_has_words():
    assert tamis.__doc__ and tamis.fit.__doc__ and tamis.__version__
    for name in CLASSES:
        made = getattr(tamis, name)
        assert made.__doc__ and made.__module__ == "tamis"
        for member, value in vars(made).items():
            assert member.startswith("__") or value.__doc__, f"{name}.{member}"
