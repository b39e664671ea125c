"""The table of learned cookies: found again, forgotten in time, bounded, apart by service."""

from wsgistack.balancer.plane.learned import LearnedFace


def test_a_cookie_is_found_again_and_another_is_not() -> None:
    table = LearnedFace()
    table.store(b"abc", 7, now_s=100)
    assert table.find(b"abc", 100) == 7
    assert table.find(b"abd", 100) == 0
    assert table.find(b"", 100) == 0
    assert table.find(b"abc", 100, service=1) == 0


def test_the_last_node_counts() -> None:
    table = LearnedFace()
    table.store(b"abc", 7, now_s=100)
    table.store(b"abc", 8, now_s=101)
    assert table.find(b"abc", 101) == 8


def test_it_is_forgotten_so_long_after_its_last_use() -> None:
    table = LearnedFace()
    table.store(b"abc", 7, now_s=100)
    assert table.find(b"abc", 160, ttl_s=60) == 7
    assert table.find(b"abc", 220, ttl_s=60) == 7
    assert table.find(b"abc", 281, ttl_s=60) == 0
    assert table.find(b"abc", 100_000) == 7


def test_cookies_of_any_length_are_told_apart() -> None:
    table = LearnedFace()
    cookies = [b"x" * n for n in range(1, 64)] + [b"x" * n + b"y" for n in range(64)]
    for number, cookie in enumerate(cookies, 1):
        table.store(cookie, number, now_s=100)
    assert [table.find(cookie, 100) for cookie in cookies] == list(range(1, len(cookies) + 1))


def test_a_full_table_forgets_what_was_used_longest_ago() -> None:
    table = LearnedFace()
    table.store(b"first", 1, now_s=1)
    for number in range(200_000):
        table.store(b"%d" % number, 2, now_s=2 + number // 1000)
    assert table.find(b"first", 300) == 0
    assert [table.find(b"%d" % number, 300) for number in range(199_000, 200_000)].count(2) > 990


def test_what_another_table_learned_is_known_with_the_time_of_its_last_use() -> None:
    before, after = LearnedFace(), LearnedFace()
    before.store(b"abc", 7, now_s=100)
    after.merge(before, now_s=150)
    assert after.find(b"abc", 160, ttl_s=60) == 7
    assert after.find(b"abd", 160) == 0


def test_of_two_tables_the_later_use_counts() -> None:
    before, after = LearnedFace(), LearnedFace()
    before.store(b"early", 1, now_s=100)
    before.store(b"late", 1, now_s=100)
    after.merge(before, now_s=101)
    after.store(b"early", 2, now_s=110)
    before.store(b"late", 3, now_s=110)
    before.store(b"new", 4, now_s=110)
    after.merge(before, now_s=120)
    assert [after.find(cookie, 120) for cookie in (b"early", b"late", b"new")] == [2, 3, 4]


def test_a_full_table_keeps_what_was_used_last_when_it_learns_from_another() -> None:
    before, after = LearnedFace(), LearnedFace()
    after.merge(before, now_s=1)
    for number in range(200_000):
        before.store(b"old-%d" % number, 1, now_s=10)
        after.store(b"new-%d" % number, 2, now_s=20)
    kept = [after.find(b"new-%d" % number, 20) for number in range(200_000)]
    after.merge(before, now_s=30)
    assert [after.find(b"new-%d" % number, 20) for number in range(200_000)] == kept
