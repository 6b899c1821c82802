"""A file is whole or absent, whatever happens while it is written."""

import os
import threading

import pytest

from physlayer.core.files import atomic_write


def test_text_bytes_and_what_a_function_writes_arrive(tmp_path):
    contents = (("a", "µm\n", "µm\n".encode()), ("b", b"\x00", b"\x00"), ("c", lambda f: f.write(b"3"), b"3"))
    for name, content, found in contents:
        atomic_write(tmp_path / "new" / name, content, sync=True)
        assert (tmp_path / "new" / name).read_bytes() == found
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a", "b", "c"]


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path):
    atomic_write(tmp_path / "a", "old")

    def stops(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a", stops)
    assert (tmp_path / "a").read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_a_reader_never_sees_half_a_file(tmp_path):
    whole, stop, seen = {"x" * 10**6, "y" * 10**6}, threading.Event(), []
    atomic_write(tmp_path / "a", "x" * 10**6)

    def read():
        while not stop.is_set():
            seen.append((tmp_path / "a").read_text() in whole)

    reader = threading.Thread(target=read)
    reader.start()
    for text in sorted(whole) * 10:
        atomic_write(tmp_path / "a", text)
    stop.set()
    reader.join()
    assert seen and all(seen)


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    def write(letter):
        for _ in range(20):
            atomic_write(tmp_path / "a", lambda file: [file.write(letter) for _ in range(1000)])

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"x", b"y")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "a").read_bytes() in (b"x" * 1000, b"y" * 1000) and os.listdir(tmp_path) == ["a"]
