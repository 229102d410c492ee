"""What every driver must do. A new driver joins by its name in DEVICES."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from runtime_programs import add_program, dynamic_program, failing_program, positives_program

import runtime
from runtime.errors import DeviceError, InputError, TerraceError
from runtime.hal import DRIVERS, get_driver, open_device
from runtime.hal.buffer import BufferView
from runtime.hal.command_buffer import CommandBuffer
from runtime.hal.device import Device
from runtime.hal.semaphore import Fence, Semaphore

DEVICES = ["cpu", "null"]
COMPUTES = {"cpu"}
A = np.arange(4, dtype=np.float32)
B = np.full(4, 10, np.float32)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Device:
    return open_device(request.param)


def expected(device: Device, value: np.ndarray) -> np.ndarray:
    """What a device gives where ``value`` is right: zeros if it computes nothing."""
    return value if device.uri.split(":")[0] in COMPUTES else np.zeros_like(value)


def record(device: Device, *calls: tuple) -> CommandBuffer:
    commands = CommandBuffer(device)
    for name, *arguments in calls:
        getattr(commands, name)(*arguments)
    return commands.finish()


# Drivers and devices


def test_every_driver_is_tested() -> None:
    assert set(DEVICES) == set(DRIVERS)


@pytest.mark.parametrize("name", DEVICES)
def test_enumerated_devices_open(name: str) -> None:
    infos = get_driver(name).enumerate()
    assert infos
    for info in infos:
        assert info.description
        assert info.uri.split(":")[0] == name
        assert open_device(info.uri).uri.startswith(name)


def test_a_devices_uri_opens_it_again(device: Device) -> None:
    assert open_device(device.uri) is device


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("rest", ["wings=2", "7", "x,y=1"])
def test_unknown_devices_and_options_are_refused(name: str, rest: str) -> None:
    with pytest.raises(DeviceError, match=name):
        open_device(f"{name}:{rest}")


def test_unknown_drivers_are_refused() -> None:
    with pytest.raises(DeviceError, match="no driver 'abacus'"):
        open_device("abacus:0")


# Buffers and views


@pytest.mark.parametrize("nbytes", [0, 1, 63, 64, 100_000])
def test_allocations_are_aligned_and_separate(device: Device, nbytes: int) -> None:
    first, second = device.allocate(nbytes), device.allocate(nbytes)
    assert first.nbytes == nbytes
    assert first.address % 64 == 0
    first.write(np.full(nbytes, 1, np.uint8))
    second.write(np.full(nbytes, 2, np.uint8))
    assert first.read().tolist() == [1] * nbytes


def test_impossible_allocations_are_refused(device: Device) -> None:
    with pytest.raises(InputError, match="-1 bytes"):
        device.allocate(-1)
    with pytest.raises(DeviceError, match="out of memory"):
        device.allocate(2**60)


def test_reads_and_writes_stay_inside(device: Device) -> None:
    buffer = device.allocate(16)
    buffer.write(np.arange(16, dtype=np.uint8))
    buffer.write(np.array([0x0403, 0x0605], "<u2"), offset=3)
    assert buffer.read(2, 6).tolist() == [2, 3, 4, 5, 6, 7]
    for offset, nbytes in ((0, 17), (16, 1), (-1, 2), (4, -1)):
        with pytest.raises(InputError, match="are not in a buffer of 16 bytes"):
            buffer.read(offset, nbytes)
        with pytest.raises(InputError, match="are not in a buffer of 16 bytes"):
            buffer.slice(offset, nbytes)
    with pytest.raises(InputError, match="are not in a buffer"):
        buffer.write(A, offset=1)


def test_slices_share_memory(device: Device) -> None:
    buffer = device.allocate(16)
    buffer.write(np.zeros(16, np.uint8))
    part = buffer.slice(4, 8).slice(2, 2)
    part.write(np.array([7, 8], np.uint8))
    assert part.address == buffer.address + 6
    assert buffer.read(5, 4).tolist() == [0, 7, 8, 0]


@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float64", "complex64"])
def test_views_carry_arrays_there_and_back(device: Device, shape: tuple, dtype: str) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    view = device.upload(array)
    assert (view.shape, view.dtype, view.nbytes) == (shape, array.dtype, array.nbytes)
    np.testing.assert_array_equal(view.download(), array)


def test_views_check_their_buffer(device: Device) -> None:
    buffer = device.allocate(16)
    with pytest.raises(InputError, match="takes 20 bytes, the buffer has 16"):
        BufferView(buffer, (5,), "float32")
    with pytest.raises(InputError, match="negative size"):
        device.allocate_view((2, -1), "float32")
    with pytest.raises(InputError, match="not aligned"):
        BufferView(buffer.slice(1, 8), (1,), "float32")


def test_host_visible_devices_share_memory_with_numpy(device: Device) -> None:
    if not device.host_visible:
        with pytest.raises(DeviceError):
            device.wrap(A)
        return
    array = np.zeros((2, 3), np.float32)
    view = device.view(array)
    array[1, 2] = 5
    assert view.numpy()[1, 2] == 5
    np.asarray(view)[0, 0] = 3
    assert array[0, 0] == 3
    assert np.shares_memory(view.numpy(), array)
    assert not np.shares_memory(view.download(), array)


def test_host_visible_devices_speak_dlpack(device: Device) -> None:
    if not device.host_visible:
        pytest.skip("numpy reads host memory only")
    view = device.upload(np.arange(6, dtype=np.int32).reshape(2, 3))
    imported = np.from_dlpack(view)
    imported[0, 1] = 42
    assert view.download()[0, 1] == 42
    again = device.view(imported)
    assert again.address == view.address


def test_memory_outlives_its_names(device: Device) -> None:
    if not device.host_visible:
        pytest.skip("numpy reads host memory only")
    array = np.from_dlpack(device.upload(np.arange(100_000)))
    view = device.view(np.arange(100_000))
    noise = [device.upload(np.zeros(100_000, np.int64)) for _ in range(3)]
    np.testing.assert_array_equal(array, np.arange(100_000))
    np.testing.assert_array_equal(view.download(), np.arange(100_000))
    assert len(noise) == 3


def test_read_only_memory_stays_read_only(device: Device) -> None:
    if not device.host_visible:
        pytest.skip("there is no wrapped memory")
    array = np.zeros(4, np.float32)
    array.flags.writeable = False
    buffer = device.wrap(array)
    with pytest.raises(InputError, match="read-only"):
        buffer.write(A)
    with pytest.raises(InputError, match="read-only"):
        record(device, ("fill", buffer, b"\1"))


def test_strided_arrays_are_not_wrapped(device: Device) -> None:
    if device.host_visible:
        with pytest.raises(InputError, match="not C-contiguous"):
            device.wrap(np.zeros((3, 4))[:, ::2])
    np.testing.assert_array_equal(device.upload(np.eye(4)[:, ::2]).download(), np.eye(4)[:, ::2])


# Command buffers


def test_copies_and_fills_replay(device: Device) -> None:
    source, target = device.upload(np.arange(8, dtype=np.uint8)).buffer, device.allocate(16)
    commands = record(
        device,
        ("fill", target, b"\xff"),
        ("barrier",),
        ("copy", source, target, 2, 4, 3),
        ("fill", target, b"\1\2", 12, 4),
    )
    device.execute(commands)
    assert target.read().tolist() == [255] * 4 + [2, 3, 4] + [255] * 5 + [1, 2, 1, 2]
    source.write(np.full(8, 9, np.uint8))
    device.execute(commands, commands)
    assert target.read(3, 5).tolist() == [255, 9, 9, 9, 255]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_fill_patterns(device: Device, size: int) -> None:
    pattern = bytes(range(1, size + 1))
    target = device.allocate(24)
    device.execute(record(device, ("fill", target, pattern)))
    assert target.read().tobytes() == pattern * (24 // size)


def test_bad_records_are_refused(device: Device) -> None:
    buffer, small = device.allocate(16), device.allocate(8)
    commands = CommandBuffer(device)
    with pytest.raises(InputError, match="not in a buffer of 8 bytes"):
        commands.copy(buffer, small)
    with pytest.raises(InputError, match="not in a buffer"):
        commands.copy(small, buffer, target_offset=9)
    with pytest.raises(InputError, match="share memory"):
        commands.copy(buffer, buffer, 0, 4, 8)
    for pattern in (b"", b"abc", bytes(16)):
        with pytest.raises(InputError, match="no pattern"):
            commands.fill(buffer, pattern)
    with pytest.raises(InputError, match="no pattern for a fill of 6"):
        commands.fill(buffer, b"abcd", 0, 6)
    assert commands.commands == ()
    with pytest.raises(InputError, match="not finished"):
        device.submit([commands])
    commands.finish()
    with pytest.raises(InputError, match="is finished"):
        commands.barrier()


def test_command_buffers_belong_to_their_device(device: Device) -> None:
    other = open_device("null" if device.uri != "null" else "cpu")
    with pytest.raises(InputError, match="another device"):
        device.submit([CommandBuffer(other).finish()])


def test_dispatches_replay_on_what_is_in_memory(device: Device) -> None:
    executable = device.load(add_program())
    a, b, c = device.upload(A), device.upload(B), device.upload(B)
    commands = record(
        device,
        ("dispatch", executable, [a, b], [c]),
        ("barrier",),
        ("copy", c.buffer, a.buffer),
    )
    device.execute(commands)
    np.testing.assert_array_equal(c.download(), expected(device, A + B))
    device.execute(commands)
    np.testing.assert_array_equal(c.download(), expected(device, A + B + B))


def test_dispatches_are_checked_when_recorded(device: Device) -> None:
    executable = device.load(add_program())
    a, b, c = device.upload(A), device.upload(B), device.upload(B)
    commands = CommandBuffer(device)
    with pytest.raises(InputError, match="1 inputs are given, the program has 2"):
        commands.dispatch(executable, [a], [c])
    with pytest.raises(InputError, match="'b' has dtype float64, expected float32"):
        commands.dispatch(executable, [a, device.upload(A.astype(float))], [c])
    with pytest.raises(InputError, match="'a' axis 0 has size 3"):
        commands.dispatch(executable, [device.upload(A[:3]), b], [c])
    with pytest.raises(InputError, match=r"'c' has shape \[2, 2\], the run gives \[4\]"):
        commands.dispatch(executable, [a, b], [device.upload(np.zeros((2, 2), np.float32))])
    with pytest.raises(InputError, match="share memory"):
        commands.dispatch(executable, [a, b], [b])
    with pytest.raises(InputError, match="output 'y' depends on the data"):
        commands.dispatch(device.load(positives_program()), [a], [c])
    commands.dispatch(executable, [a, a], [c])


def test_dispatches_of_dynamic_programs(device: Device) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    view, result = device.upload(x), device.upload(x)
    device.execute(
        record(device, ("dispatch", device.load(dynamic_program()), [view, view], [result]))
    )
    np.testing.assert_array_equal(result.download(), expected(device, x + x))


def test_networks_run_on_every_device(device: Device) -> None:
    net = runtime.load(add_program(), device)
    np.testing.assert_array_equal(net(A, B), expected(device, A + B))
    with pytest.raises(InputError, match="axis 0 has size 3"):
        net(A[:3], B)
    with pytest.raises(InputError, match="dtype int64"):
        net(A, np.arange(4))
    picked = runtime.load(positives_program(), device)(A)
    np.testing.assert_array_equal(picked, expected(device, A[1:])[: picked.size])


# Timelines


def test_semaphores_only_grow() -> None:
    semaphore = Semaphore(3)
    assert semaphore.query() == 3
    semaphore.signal(2**64 - 1)
    assert semaphore.wait(5)
    for value in (2**64 - 1, 4):
        with pytest.raises(InputError, match="cannot be signalled"):
            semaphore.signal(value)
    for value in (-1, 2**64):
        with pytest.raises(InputError, match="not a point"):
            semaphore.wait(value)


def test_waits_time_out() -> None:
    semaphore = Semaphore()
    start = time.monotonic()
    assert not semaphore.wait(1, timeout=0.02)
    assert not Fence([(semaphore, 1)]).wait(timeout=0.02)
    assert 0.03 < time.monotonic() - start < 5
    assert not Fence([(semaphore, 1)]).query()
    assert Fence().query()


def test_failed_semaphores_raise_for_everyone() -> None:
    semaphore, other = Semaphore(2), Semaphore()
    waiting = threading.Thread(target=lambda: seen.append(catch(lambda: semaphore.wait(3))))
    seen: list[object] = []
    error = InputError("broken")
    waiting.start()
    semaphore.fail(error)
    semaphore.fail(InputError("too late"))
    waiting.join()
    assert seen == [error]
    assert semaphore.error is error
    assert semaphore.wait(2)
    fence = Fence([(other, 1), (semaphore, 3)])
    late = [lambda: semaphore.signal(5), lambda: semaphore.wait(9)]
    for use in (semaphore.query, fence.wait, *late):
        assert catch(use) is error


def catch(use) -> object:
    try:
        return use()
    except TerraceError as error:
        return error


def test_timelines_from_several_threads(device: Device) -> None:
    """Threads take turns on one timeline, each turn a copy on the device that adds to the chain."""
    chain = device.upload(np.zeros(64, np.uint8)).buffer
    chain.write(np.array([1], np.uint8))
    timeline = Semaphore()

    def submit(turn: int) -> None:
        step = record(device, ("copy", chain, chain, turn, turn + 1, 1))
        device.submit([step], Fence([(timeline, turn)]), Fence([(timeline, turn + 1)]))

    # Started last first: only the fences can bring the copies in order.
    threads = [threading.Thread(target=submit, args=(turn,)) for turn in reversed(range(40))]
    for thread in threads:
        thread.start()
    assert timeline.wait(40, timeout=20)
    for thread in threads:
        thread.join()
    assert chain.read().tolist() == [1] * 41 + [0] * 23


def test_submissions_wait_for_all_points(device: Device) -> None:
    first, second, done = Semaphore(), Semaphore(), Semaphore()
    target = device.upload(np.zeros(4, np.uint8)).buffer
    fill = record(device, ("fill", target, b"\5"))
    device.submit([fill], Fence([(first, 2), (second, 1)]), Fence([(done, 1)]))
    first.signal(2)
    assert not done.wait(1, timeout=0.02)
    assert target.read().tolist() == [0] * 4
    second.signal(1)
    assert done.wait(1, timeout=20)
    assert target.read().tolist() == [5] * 4


def test_failures_travel_along_the_fences(device: Device) -> None:
    start, middle, end = Semaphore(), Semaphore(), Semaphore()
    nothing = CommandBuffer(device).finish()
    device.submit([nothing], Fence([(start, 1)]), Fence([(middle, 1)]))
    device.submit([nothing], Fence([(middle, 1)]), Fence([(end, 1)]))
    start.fail(DeviceError("unplugged"))
    with pytest.raises(DeviceError, match="unplugged"):
        end.wait(1, timeout=20)


def test_failures_of_programs_reach_the_waiter(device: Device) -> None:
    if device.uri.split(":")[0] not in COMPUTES:
        pytest.skip("a program that does not run does not fail")
    x, y = device.upload(A[:1]), device.upload(A[:1])
    commands = record(device, ("dispatch", device.load(failing_program()), [x], [y]))
    with pytest.raises(InputError, match="index 10 is not below 40"):
        device.execute(commands)
    device.execute(record(device, ("fill", y.buffer, b"\0")))
    assert y.download().tolist() == [0]
