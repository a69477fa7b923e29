"""Naming, finding and missing GPUs; what the GPU of a machine that has one does is in test_gpu_indexes.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import mbat
from mbat.building import build_index
from mbat.records import Record
from mbat.rewriting import rebuild_index
from mbat_cli.main import cli
from mbat_indexes import CPU, DeviceError, checked_device, cuda, devices, find_device, told_of_gpus
from mbat_indexes.devices import Device, what_is_missing
from mbat_indexes.faiss_library import load_faiss

BUILT_FOR_GPUS = hasattr(load_faiss(), "StandardGpuResources")
HAS_GPU = not what_is_missing()

without_gpu = pytest.mark.skipif(HAS_GPU, reason="a GPU is there")
with_gpu = pytest.mark.skipif(not HAS_GPU, reason="no GPU is there")
without_gpu_wheel = pytest.mark.skipif(BUILT_FOR_GPUS, reason="the FAISS that is installed is built for GPUs")
with_gpu_wheel = pytest.mark.skipif(not BUILT_FOR_GPUS, reason="the FAISS that is installed knows no GPU")


@pytest.mark.parametrize("name", ["auto", "cpu", "gpu", "gpu:0", "gpu:12", "gpu:0,1", "gpu:3,1,2"])
def test_a_device_has_a_name(name: str) -> None:
    assert checked_device(name) == name


@pytest.mark.parametrize("name", ["", "GPU", "gpus", "gpu:", "gpu:a", "gpu:-1", "gpu:1,", "gpu 0", "cuda", "gpu:¹"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        find_device(name)
    assert str(caught.value) == (
        f"device is 'auto', 'cpu', 'gpu', or GPUs by number as in 'gpu:0,1'; {name!r} is none of these."
    )


def test_a_gpu_is_named_once() -> None:
    with pytest.raises(ValueError, match=r"^'gpu:1,0,1' names a GPU twice\.$"):
        checked_device("gpu:1,0,1")


@pytest.mark.parametrize("memory", [0, -1, 1.5, True, "8GB"])
@pytest.mark.parametrize("name", ["auto", "cpu", "gpu"])
def test_memory_is_a_number_of_bytes(name: str, memory: int) -> None:
    with pytest.raises(ValueError, match=r"is a number of bytes above 0; .* is not"):
        find_device(name, memory)


def test_the_processor_is_no_gpu() -> None:
    assert find_device("cpu") == CPU == Device((), False, None)
    with pytest.raises(ValueError, match=r"^The memory of a GPU can be bounded .* not on the device 'cpu'\.$"):
        find_device("cpu", 10**9)


@without_gpu
def test_without_a_gpu_auto_is_the_processor_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert find_device("auto") == CPU
    assert capfd.readouterr() == ("", "")


@with_gpu
def test_with_a_gpu_auto_is_the_first_which_need_not_hold_the_vectors() -> None:
    assert find_device("auto", 10**9) == Device((0,), False, 10**9)
    assert find_device("gpu") == Device((0,), True, None)
    with pytest.raises(DeviceError, match=r"^There is no GPU 99: there "):
        find_device("gpu:0,99")


@without_gpu
@without_gpu_wheel
def test_of_faiss_cpu_it_is_said_that_it_knows_no_gpu() -> None:
    with pytest.raises(DeviceError) as caught:
        find_device("gpu")
    assert str(caught.value) == (
        "No GPU can be used: the FAISS that is installed knows no GPU. "
        "Run: pip uninstall -y faiss-cpu faiss-gpu; pip install 'mbat[gpu]'"
    )


@without_gpu
@without_gpu_wheel
def test_of_faiss_cpu_over_faiss_gpu_it_is_said_that_one_overwrote_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faiss_gpu-1.15.1.dist-info").mkdir()
    (tmp_path / "faiss_gpu-1.15.1.dist-info/METADATA").write_text("Name: faiss-gpu\nVersion: 1.15.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert what_is_missing() == (
        "faiss-cpu is installed over faiss-gpu. Run: pip uninstall -y faiss-cpu faiss-gpu; pip install 'mbat[gpu]'"
    )


@without_gpu
@with_gpu_wheel
def test_of_faiss_gpu_it_is_said_whether_the_driver_or_the_device_is_missing() -> None:
    with pytest.raises(DeviceError) as caught:
        find_device("gpu:0")
    missing = "no device (" if cuda.has_driver() else "the driver is missing. Install that of NVIDIA, or use"
    assert missing in str(caught.value)


BROKEN_DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return 803; }
int cuDriverGetVersion(int *version) { *version = 12090; return 0; }
int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags, int *status) {
    if (!strcmp(name, "cuDriverGetVersion")) *function = cuDriverGetVersion;
    else if (!strncmp(name, "cuGetProcAddress", 16)) *function = cuGetProcAddress_v2;
    else *function = cuInit;
    if (status) *status = 0;
    return 0;
}
"""


@with_gpu_wheel
@pytest.mark.skipif(not shutil.which("cc"), reason="no compiler is there")
def test_a_driver_that_does_not_go_with_the_system_is_told_of_and_ends_no_process(tmp_path: Path) -> None:
    (tmp_path / "driver.c").write_text(BROKEN_DRIVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", "libcuda.so.1", "driver.c"], cwd=tmp_path, check=True)
    program = "from mbat_indexes import find_device\nprint(find_device('auto').gpus)\nfind_device('gpu')"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert ended.stdout == "()\n"
    assert ended.stderr.splitlines()[-1] == (
        "mbat_indexes.devices.DeviceError: No GPU can be used: FAISS and the driver are there, but no device "
        "(CUDA: system has unsupported display driver / cuda driver combination). See nvidia-smi."
    )


@pytest.mark.skipif(cuda.has_driver(), reason="a driver is there")
def test_without_a_driver_auto_is_known_before_faiss_is_imported() -> None:
    program = "import sys; from mbat_indexes import find_device; find_device('auto'); print('faiss' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_a_gpu_for_which_faiss_has_no_programs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "what_is_missing", lambda: "")
    monkeypatch.setattr(cuda, "has_driver", lambda: True)
    monkeypatch.setattr(cuda, "count_gpus", lambda: 2)
    monkeypatch.setattr(cuda, "capability", {0: (6, 1), 1: (7, 0)}.__getitem__)
    assert find_device("auto") == CPU
    assert find_device("gpu:1") == Device((1,), True, None)
    with pytest.raises(DeviceError, match=r"^GPU 0 is of compute capability 6\.1, and FAISS needs 7\.0\.$"):
        find_device("gpu:1,0")
    with pytest.raises(DeviceError, match=r"^There is no GPU 2: there are 2 GPUs, numbers 0 to 1\.$"):
        find_device("gpu:2")


@without_gpu
def test_of_a_gpu_that_is_not_there_nothing_is_told() -> None:
    with pytest.raises(OSError, match="CUDA"):
        cuda.gpu(0)


def test_a_library_of_cuda_that_is_missing_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "faiss.py").write_text("raise RuntimeError(\"libcudart is missing - pip install 'nvidia-x'\")")
    program = "import sys; sys.path.insert(0, sys.argv[1])\nfrom mbat_indexes import find_device\nfind_device('gpu')"
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == (
        "mbat_indexes.devices.DeviceError: No GPU can be used: "
        "FAISS lacks a library of CUDA: libcudart is missing - pip install 'nvidia-x'"
    )


@without_gpu
def test_what_is_told_of_gpus_is_why_there_are_none() -> None:
    assert told_of_gpus() == f"none: {what_is_missing()}"


@with_gpu
def test_of_each_gpu_its_name_and_memory_are_told() -> None:
    first = cuda.gpu(0)
    assert told_of_gpus().startswith(f"0: {first.name}, ")
    assert 0 < first.free_bytes <= first.total_bytes


@without_gpu
def test_an_index_on_a_gpu_that_is_not_there_is_neither_made_nor_opened(tmp_path: Path) -> None:
    with pytest.raises(mbat.DeviceError, match=r"^No GPU can be used: "):
        mbat.Index.create(tmp_path / "a.mbat", ["one"], device="gpu")
    assert not (tmp_path / "a.mbat").exists()
    mbat.Index.create(tmp_path / "a.mbat", ["one"]).close()
    with pytest.raises(mbat.DeviceError, match=r"^No GPU can be used: "):
        mbat.Index.open(tmp_path / "a.mbat", "gpu")
    with pytest.raises(mbat.ParameterError, match="'tpu' is none of these"):
        mbat.Index.open(tmp_path / "a.mbat", "tpu")
    with pytest.raises(mbat.ParameterError, match="0 is not"):
        mbat.Index.open(tmp_path / "a.mbat", gpu_memory=0)
    with pytest.raises(mbat.ParameterError, match="not on the device 'cpu'"):
        mbat.Index.open(tmp_path / "a.mbat", "cpu", gpu_memory=10**9)


@without_gpu
@pytest.mark.parametrize(
    "command",
    [["index", "a.jsonl"], ["query", '"one"'], ["eval"], ["outliers"], ["rebuild"]],
    ids=lambda words: words[0],
)
def test_every_command_that_takes_a_device_says_that_there_is_none(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('"one"\n')
    if command[0] != "index":
        mbat.Index.create("a.mbat", ["one", "two"]).close()
    before = sorted(tmp_path.rglob("*"))
    ended = CliRunner().invoke(cli, [*command, "--device", "gpu"])
    assert (ended.exit_code, ended.output) == (1, f"Error: No GPU can be used: {what_is_missing()}\n")
    assert sorted(tmp_path.rglob("*")) == before
    assert CliRunner().invoke(cli, [*command, "--device", "auto", "--gpu-memory", "2 GB"]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--device", "tpu"], "'tpu' is none of these."),
        (["--gpu-memory", "much"], "'much' is no size such as 20GB or 800MB."),
        (["--gpu-memory", "0GB"], "'0GB' is no size such as 20GB or 800MB."),
        (["--gpu-memory", "-1"], "'-1' is no size such as 20GB or 800MB."),
    ],
)
def test_a_device_or_a_size_that_is_none_is_wrong_usage(options: list[str], sentence: str) -> None:
    ended = CliRunner().invoke(cli, ["query", '"one"', *options])
    assert ended.exit_code == 2
    assert sentence in " ".join(ended.output.split())


@pytest.mark.parametrize(
    ("text", "size"), [("800", 800), ("3k", 3000), ("1.5GB", 1_500_000_000), ("2 tb", 2 * 10**12), ("7MB", 7_000_000)]
)
def test_a_size_is_a_number_with_a_unit_of_ten(text: str, size: int) -> None:
    import click

    from mbat_cli.options import device_options

    @click.command()
    @device_options
    def show(device: str, gpu_memory: int | None) -> None:
        click.echo(gpu_memory)

    assert CliRunner().invoke(show, ["--gpu-memory", text]).output == f"{size}\n"
    assert CliRunner().invoke(show, []).output == "\n"


def test_info_tells_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = json.loads(CliRunner().invoke(cli, ["info", "--json"]).output)
    assert told["installed"]["gpus"] == told_of_gpus()


def test_a_kind_that_no_gpu_searches_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    def records() -> Iterator[Record]:
        raise AssertionError("read")
        yield

    with pytest.raises(mbat.DeviceError, match=r"^FAISS does not search the kind hnsw on a GPU\. Use the CPU, or make"):
        build_index(tmp_path / "a.mbat", records(), kind="hnsw", device=Device((0,), required=True))
    assert not (tmp_path / "a.mbat").exists()
    mbat.Index.create(tmp_path / "a.mbat", ["one"], kind="sq8").close()
    with pytest.raises(mbat.DeviceError, match="the kind sq8 on a GPU"):
        rebuild_index(tmp_path / "a.mbat", device=Device((0,), required=True))
