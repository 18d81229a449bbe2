"""Many files on several machines: the recipe for Ray, and the Job for Kubernetes.

    pip install -r tests/requirements-ray.txt
    TAMIS=target/debug/tamis python -m pytest tests/test_ray.py
    TAMIS_RAY_FILES=2000 TAMIS_RAY_SIDE=512 python -m pytest -s tests/test_ray.py -k killed     # full length

What needs Ray, PyYAML or the program `tamis` (its path in TAMIS) is skipped without it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
from conftest import ROOT, make_picture

EXAMPLE = ROOT / "examples" / "ray_encode.py"
JOB = ROOT / "packaging" / "kubernetes" / "encode-job.yaml"
FILES = int(os.environ.get("TAMIS_RAY_FILES", 60))
SIDE = int(os.environ.get("TAMIS_RAY_SIDE", 128))
# A run of the recipe that takes longer is hung. On a machine that others fill, Ray alone takes minutes to start.
BOUND = 300 + FILES


@pytest.fixture(scope="module")
def cluster():
    """The address of two nodes of one CPU each, on this machine."""
    pytest.importorskip("ray", reason="needs Ray: pip install -r tests/requirements-ray.txt")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    yield nodes.address
    nodes.shutdown()


@pytest.fixture
def program():
    path = os.environ.get("TAMIS")
    if not path:
        pytest.skip("TAMIS does not name the program tamis")
    return os.path.abspath(path)


def pictures(folder, count, side=128):
    """Pictures in two folders, gray ones and some with alpha among them."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    for i in range(count):
        pixels = make_picture(side, side + i % 5, seed=i)
        if i % 10 == 3:
            pixels = pixels[..., 0]
        if i % 10 == 7:
            pixels = numpy.dstack([pixels, pixels[..., :1]])
        path = folder / f"{i % 2}" / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels).save(path, compress_level=1)


def contents(folder, pattern="*.tamis"):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob(pattern)}


def start(source, target, address, script=EXAMPLE):
    command = [sys.executable, script, source, target, "--address", address]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*args, **more):
    process = start(*args, **more)
    said, errors = process.communicate(timeout=BOUND)
    return process.returncode, said, errors


def single(source, target):
    """What one process makes, without Ray."""
    sys.path.insert(0, str(EXAMPLE.parent))
    try:
        import ray_encode
    finally:
        sys.path.pop(0)
    names = ray_encode.find(source)
    worker = ray_encode.Encode(source, target, "rgb", None, 75, "dense")
    assert set(worker({"item": numpy.array(names)})["what"]) == {"encoded"}
    return contents(target)


def kill_one(process, target, after):
    """Kills a worker while it writes, once `after` outputs are there. What it writes has its number in the name."""
    while process.poll() is None and len(list(target.rglob("*.tamis"))) < after:
        time.sleep(0.02)
    while process.poll() is None:
        for part in target.rglob(".*.tamis-part"):
            pid = int(part.stem.rpartition("-")[2])
            try:
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
                    os.kill(pid, signal.SIGKILL)
                    return pid
            except OSError:
                pass
    pytest.fail(f"no worker was seen at work; {process.communicate()[1]}")


def test_the_recipe_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 150


def test_a_worker_is_killed_and_every_output_is_there_once(cluster, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    pictures(source, FILES, SIDE)
    process = start(source, target, cluster)
    pid = kill_one(process, target, FILES // 4)
    at = len(list(target.rglob("*.tamis")))
    said, errors = process.communicate(timeout=BOUND)
    assert process.returncode == 0, errors
    print(f"worker {pid} killed after {at} outputs; {said}", end="")
    wanted = single(source, tmp_path / "one")
    assert len(wanted) == FILES and contents(target) == wanted
    files = [path.name for path in target.rglob("*") if path.is_file()]
    assert sorted(files) == sorted([".ray_encode", *(Path(name).name for name in wanted)])
    program = os.environ.get("TAMIS")
    if program:
        command = [program, "encode", source, "-o", f"{tmp_path / 'shard'}/", "--shard", "0/1", "--threads", "1"]
        subprocess.run(command, check=True, capture_output=True)
        assert contents(tmp_path / "shard") == wanted, "the program writes other bytes"


def test_what_is_done_is_passed_over(cluster, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    pictures(source, 12)
    code, said, errors = run(source, target, cluster)
    assert code == 0 and said.startswith("12 files: 12 encoded, 0 done already, 0 failed"), errors

    (source / "broken.png").write_bytes((source / "0" / "0002.png").read_bytes()[:999])
    (source / "words.txt").write_text("no picture")
    shutil.copy(source / "0" / "0004.png", source / "1" / "0001.png")
    (target / "0" / ".gone-1.tamis-part").write_bytes(b"half of one")
    before = {path: path.stat().st_ctime_ns for path in target.rglob("*.tamis")}
    code, said, errors = run(source, target, cluster)
    assert code == 3 and said.startswith("14 files: 1 encoded, 11 done already, 2 failed"), said + errors
    assert "broken.png failed: " in errors and "words.txt failed: UnidentifiedImageError" in errors
    changed = [path for path in target.rglob("*.tamis") if before.get(path) != path.stat().st_ctime_ns]
    assert changed == [target / "1" / "0001.png.tamis"]
    assert changed[0].read_bytes() == (target / "0" / "0004.png.tamis").read_bytes()
    assert contents(target, ".*.tamis-part") == {}

    command = [sys.executable, EXAMPLE, source, target, "--address", cluster, "--quality", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    assert done.returncode == 1 and "name another folder" in done.stderr and "60" in done.stderr


def test_a_file_that_kills_its_worker_ends(cluster, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    pictures(source, 12)
    script = tmp_path / "deadly.py"
    script.write_text(f"""
import os, sys
sys.path.insert(0, {str(EXAMPLE.parent)!r})
import ray_encode
from ray import cloudpickle
cloudpickle.register_pickle_by_value(ray_encode)

class Deadly(ray_encode.Encode):
    def encode(self, source, target):
        if source.name == "0005.png":
            os.kill(os.getpid(), 9)
        return super().encode(source, target)

ray_encode.Encode = Deadly
sys.exit(ray_encode.main())
""")
    code, said, errors = run(source, target, cluster, script=script)
    assert code == 3, errors
    lost = int(re.search(r"(\d+) failed", said)[1])
    # What waited at that worker may be lost with it.
    assert "0005.png failed: a worker died" in errors and 1 <= lost <= 3, said
    assert len(contents(target)) == 12 - lost


@pytest.mark.parametrize("wrong,code,words", [("empty", 66, "holds no file"), ("inside", 2, "inside the input folder")])
def test_wrong_folders(tmp_path, wrong, code, words):
    pytest.importorskip("ray", reason="needs Ray: pip install -r tests/requirements-ray.txt")
    (tmp_path / "in").mkdir()
    target = {"empty": tmp_path / "out", "inside": tmp_path / "in" / "out"}[wrong]
    command = [sys.executable, EXAMPLE, tmp_path / "in", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    assert done.returncode == code and words in done.stderr


def job():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install -r tests/requirements-ray.txt")
    (manifest,) = yaml.safe_load_all(JOB.read_text())
    return manifest["spec"], manifest["spec"]["template"]["spec"]


def test_the_job_ends_what_it_begins():
    spec, pod = job()
    (container,) = pod["containers"]
    assert spec["completionMode"] == "Indexed" and pod["restartPolicy"] == "Never"
    # Shards and pods are as many.
    shard = container["args"][container["args"].index("--shard") + 1]
    assert shard == f"$(JOB_COMPLETION_INDEX)/{spec['completions']}"
    # What cannot become better is not tried again: losses, usage, no input, a wrong config.
    fail = [rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailIndex"]
    assert {2, 3, 66, 78} <= set(fail[0]["onExitCodes"]["values"]) and "backoffLimitPerIndex" in spec
    assert fail[0]["onExitCodes"]["containerName"] == container["name"]
    assert container["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}


def test_the_commands_of_the_job_do_every_file_once(tmp_path, program):
    spec, pod = job()
    pictures(tmp_path / "in", 24)
    (container,) = pod["containers"]
    places = {mount["mountPath"]: str(tmp_path / mount["name"]) for mount in container["volumeMounts"]}

    def command(index):
        """As the kubelet makes it, with folders of the test for the volumes."""
        args = [arg.replace("$(JOB_COMPLETION_INDEX)", str(index)) for arg in container["args"]]
        for inside, outside in places.items():
            args = [re.sub(f"^{inside}(?=/|$)", outside, arg) for arg in args]
        return [program, *args]

    said = []
    for index in range(spec["completions"]):
        done = subprocess.run(command(index), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said.append(len(re.findall(r"bits per pixel", done.stdout)))
    assert sum(said) == 24 and all(n < 24 for n in said), said
    whole = [program, "encode", tmp_path / "in", "-o", f"{tmp_path / 'whole'}/", "--shard", "0/1"]
    subprocess.run(whole, check=True, capture_output=True)
    assert contents(Path(places["/out"])) == contents(tmp_path / "whole")
    # An index that is run again finds its part done, and a loss is exit code 3.
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    again = [subprocess.run(command(i), capture_output=True, text=True) for i in range(spec["completions"])]
    assert sorted(done.returncode for done in again)[-2:] == [0, 3]
    assert not any("bits per pixel" in done.stdout for done in again)
