"""The shared store's file, its bounds, and what it says when it cannot."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.house.source import ROOT
from wsgistack.errors import ConfigurationError, StoreDown, StoreFull, TooLarge
from wsgistack.store.shm.store import ShmStore
from wsgistack.store.url import make_store

MB = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path) -> ShmStore:
    return ShmStore("small", MB, folder=tmp_path)


def test_the_file_is_this_users_alone(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        ShmStore("private", MB, folder=tmp_path)
    finally:
        os.umask(previous)
    assert [path.name for path in tmp_path.iterdir()] == ["wsgistack-private"]
    assert (tmp_path / "wsgistack-private").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("trap", ["readable", "link", "folder", "not a store", "another version"])
def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path, trap: str) -> None:
    path = tmp_path / "wsgistack-name"
    if trap == "readable":
        ShmStore("name", MB, folder=tmp_path)
        path.chmod(0o644)
    elif trap == "link":
        (tmp_path / "elsewhere").touch(0o600)
        path.symlink_to(tmp_path / "elsewhere")
    elif trap == "folder":
        path.mkdir(0o700)
    elif trap == "not a store":
        path.touch(0o600)
        path.write_bytes(bytes(MB))
    else:
        ShmStore("name", MB, folder=tmp_path)
        with path.open("r+b") as file:
            file.seek(16)
            file.write(b"\x09")
    with pytest.raises(ConfigurationError, match="wsgistack-name") as met:
        ShmStore("name", MB, folder=tmp_path)
    assert "\n" not in str(met.value)


def test_another_size_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ShmStore("name", MB, folder=tmp_path)
    with pytest.raises(ConfigurationError, match=r"has 1048576 bytes, not 2097152: .*`rm .*wsgistack-name`"):
        ShmStore("name", 2 * MB, folder=tmp_path)


@pytest.mark.parametrize("size", [0, -1, MB - 1, 2**60, float("nan"), "64m"], ids=repr)
def test_a_size_that_cannot_be_meant_is_refused(size: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="size"):
        ShmStore("name", size, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "x" * 65, "ä"], ids=repr)
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        ShmStore(name, MB, folder=tmp_path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("shm://host/name", "shm:// has no host"),
        ("shm:///a/b", "name: 'a/b' is not"),
        ("shm:///name?size=1k", "size: 1k is below 1m"),
        ("shm:///name?size=nan", "Expecting size unit value"),
        ("shm:///name?wait=-1", "Expecting duration value"),
        ("shm:///name?sise=2m", "did you mean 'size'"),
    ],
)
def test_a_url_that_cannot_be_meant_says_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as met:
        make_store(url)
    assert words in str(met.value)


def test_without_a_name_the_forks_of_a_process_share_it() -> None:
    program = (
        "import os\n"
        "from wsgistack import make_store\n"
        "store = make_store('shm://?size=1m')\n"
        "pids = [os.fork() for _ in range(1)]\n"
        "if 0 in pids:\n"
        "    store.incr('hits', 41, 60); os._exit(0)\n"
        "os.waitpid(pids[0], 0)\n"
        "print(store.incr('hits', 1, 60))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "42\n"
    assert make_store("shm://?size=1m").get("hits") is None


def test_another_process_finds_it_by_its_name(small: ShmStore, tmp_path: Path) -> None:
    small.set("key", b"from here", 60)
    program = (
        "import sys; from pathlib import Path; from wsgistack.store.shm.store import ShmStore\n"
        f"print(ShmStore('small', {MB}, folder=Path(sys.argv[1])).get('key').decode())"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "from here\n"


def test_many_who_come_first_make_one_store(tmp_path: Path) -> None:
    answers: list[int] = []

    def come() -> None:
        answers.append(ShmStore("together", MB, folder=tmp_path).incr("visits", 1, 60))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [path.name for path in tmp_path.iterdir()] == ["wsgistack-together"]


def test_it_stays_within_its_size(small: ShmStore) -> None:
    for number in range(3000):
        small.set(f"page {number}", bytes(number % 5000), 600)
    stats = small.stats()
    assert stats["bytes"] <= stats["max_bytes"] < MB
    assert stats["evictions"] > 1000
    assert stats["max_bytes"] > 0.85 * MB
    assert small.arena.check() == []


def test_pinned_entries_outlive_a_flood_of_others(small: ShmStore) -> None:
    small.set("blocked", b"until noon", 600, pinned=True)
    small.set("later", b"", 600)
    small.set("later", b"pinned", 600, pinned=True)
    assert small.incr("count", 1, 600) == 1
    assert small.incr("count", 1, 600, pinned=True) == 2
    small.set("blocked", b"until one", 600)
    for number in range(20_000):
        small.set(f"flood {number}", bytes(500), 600)
    assert small.get_many(["blocked", "later", "count"]) == {
        "blocked": b"until one",
        "later": b"pinned",
        "count": b"2",
    }


def test_a_store_full_of_pinned_entries_says_so_and_changes_them_all_the_same(small: ShmStore) -> None:
    count = 0
    with pytest.raises(StoreFull, match="no room is left beside what is pinned"):
        for count in range(100_000):
            small.set(f"blocked {count}", b"x" * 50, 600, pinned=True)
    with pytest.raises(StoreFull):
        small.incr("new", 1, 600, pinned=True)
    with pytest.raises(StoreFull):
        small.set("new", b"", 600)
    for number in range(count):
        small.set(f"blocked {number}", b"y" * 50, 600, pinned=True)
    assert all(small.get(f"blocked {number}") == b"y" * 50 for number in range(count))
    assert small.get(f"blocked {count}") is None
    assert small.arena.check() == []


def test_pinned_entries_make_room_when_they_have_expired(small: ShmStore) -> None:
    with pytest.raises(StoreFull):
        for number in range(100_000):
            small.set(f"blocked {number}", b"x" * 50, 10, pinned=True)
    small.arena.skew_ns += 11 * 10**9
    for number in range(5000):
        small.set(f"new {number}", b"x" * 50, 10, pinned=True)
    assert small.stats()["pinned"] >= 5000


def test_what_is_read_outlives_a_scan(small: ShmStore) -> None:
    popular = [f"popular {number}" for number in range(100)]
    for _ in range(3):
        for key in popular:
            if small.get(key) is None:
                small.set(key, bytes(500), 600)
    for number in range(10_000):
        small.set(f"scan {number}", bytes(500), 600)
        small.get(popular[number % 100])
    assert len(small.get_many(popular)) >= 98


def test_a_value_of_more_than_a_quarter_is_refused_and_the_old_one_gone(small: ShmStore) -> None:
    small.set("key", b"old", 60)
    with pytest.raises(TooLarge, match="the most is"):
        small.set("key", bytes(MB // 4), 60)
    assert small.get("key") is None
    small.set("key", b"old", 60)
    with pytest.raises(TooLarge):
        small.set("key", bytes(2 * MB), 60)
    assert small.get("key") is None
    with pytest.raises(TooLarge, match="65537 bytes"):
        small.set("k" * 65537, b"", 60)


def test_large_values_come_back_from_scattered_cells(small: ShmStore) -> None:
    for number in range(2000):
        small.set(f"small {number}", bytes(100), 600)
    for number in range(0, 2000, 3):
        small.delete(f"small {number}")
    large = bytes(range(256)) * 700
    small.set("large", large, 600)
    assert small.get("large") == large
    assert small.get_many(["large"]) == {"large": large}


def test_a_stopped_holder_of_the_locks_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    store = ShmStore("held", MB, folder=tmp_path, wait_s=0.02)
    program = (
        "import sys; from pathlib import Path; from wsgistack.store.shm.store import ShmStore\n"
        f"store = ShmStore('held', {MB}, folder=Path(sys.argv[1]))\n"
        "store.arena.hold(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreDown, match=r"held a lock for 0\.02 s"):
            store.get("key")
        holder.kill()
        holder.wait()
        store.set("key", b"value", 60)
    assert store.get("key") == b"value"
    assert store.stats()["recoveries"] == 1


def test_a_closed_store_says_so(small: ShmStore) -> None:
    small.close()
    with pytest.raises(StoreDown, match="closed"):
        small.get("key")


def test_threads_and_their_store_keep_count(small: ShmStore) -> None:
    def work() -> None:
        for number in range(2000):
            small.incr("count", 1, 600)
            small.set(f"key {number % 50}", bytes(number), 600)
            small.get(f"key {number % 50}")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert small.get("count") == b"12000"
    assert small.arena.check() == []
