"""What is missing in an archive or a wheel, or has no place there, is named."""

from __future__ import annotations

from tools.package_check import IN_ARCHIVE, faults_of_archive, faults_of_wheel

WHEEL = [
    "wsgistack/__init__.py",
    "wsgistack/py.typed",
    "wsgistack/balancer/plane/wire.pyi",
    "wsgistack/balancer/plane/plane.cpython-311-x86_64-linux-gnu.so",
    "wsgistack/store/shm/arena.cpython-311-x86_64-linux-gnu.so",
    "wsgistack/ratelimit/taking_cy.cpython-311-x86_64-linux-gnu.so",
    "wsgistack-0.1.0.dist-info/licenses/LICENSE",
    "wsgistack-0.1.0.dist-info/entry_points.txt",
]


def test_a_whole_archive_and_a_whole_wheel_have_no_fault() -> None:
    assert faults_of_archive([*IN_ARCHIVE, "bench/native/load.c"]) == []
    assert faults_of_wheel(WHEEL) == []


def test_what_an_archive_lacks_or_should_not_have_is_named() -> None:
    names = [*IN_ARCHIVE[1:], "build/cython/a.c", "wsgistack/a.so", "wsgistack/b.c"]
    assert faults_of_archive(names) == [
        "the archive lacks LICENSE",
        "the archive has build/cython/a.c",
        "the archive has wsgistack/a.so",
        "the archive has wsgistack/b.c",
    ]


def test_what_a_wheel_lacks_or_should_not_have_is_named() -> None:
    assert faults_of_wheel([*WHEEL[:3], *WHEEL[4:], "tests/a.py", "wsgistack/a.pyx"]) == [
        "the wheel lacks wsgistack/balancer/plane/plane.*.so",
        "the wheel has tests/a.py",
        "the wheel has wsgistack/a.pyx",
    ]
