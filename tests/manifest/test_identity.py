"""Users as engines resolve them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.errors import CasemateError
from casemate.manifest import UserError
from casemate.manifest.identity import resolve_user

from .images import GROUP, PASSWD, build, image

FILES = {"/etc/passwd": PASSWD, "/etc/group": GROUP}


@pytest.mark.parametrize(
    ("user", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, (0,), "/root"),
        ("root", 0, 0, (0,), "/root"),
        ("app", 1000, 1000, (1000, 4, 50), "/home/app"),
        ("1000", 1000, 1000, (1000, 4, 50), "/home/app"),
        ("app:staff", 1000, 50, (50,), "/home/app"),
        ("app:4", 1000, 4, (4,), "/home/app"),
        ("app:", 1000, 1000, (1000, 4, 50), "/home/app"),
        ("4711", 4711, 0, (0,), "/"),
        ("4711:4712", 4711, 4712, (4712,), "/"),
        ("4711:staff", 4711, 50, (50,), "/"),
        (":staff", 0, 50, (50,), "/root"),
        ("nohome", 1001, 50, (50,), "/"),
        ("2147483647", 2147483647, 0, (0,), "/"),
    ],
)
def test_users_and_groups_are_found(user: str, uid: int, gid: int, groups: tuple[int, ...], home: str) -> None:
    found = resolve_user(user, FILES.get)
    assert (found.uid, found.gid, found.groups, found.home) == (uid, gid, groups, home)


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("nobody", "User: the image's /etc/passwd has no user 'nobody'"),
        ("app:nogroup", "User: the image's /etc/group has no group 'nogroup'"),
        ("2147483648", "the user id 2147483648 is larger than 2147483647"),
        ("0:99999999999999999999", "the group id 99999999999999999999 is larger"),
        ("-1", "has no user '-1'"),
        ("\u0661", "has no user '\u0661'"),
        ("huge", "has no user 'huge'"),
    ],
)
def test_who_is_not_there_is_named_with_the_remedy(user: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve_user(user, FILES.get)
    assert says in caught.value.diagnostics()
    assert caught.value.remedy


def test_an_image_without_the_files_takes_numbers_only() -> None:
    found = resolve_user("5:6", {}.get)
    assert (found.uid, found.gid, found.groups) == (5, 6, (6,))
    assert resolve_user("", {}.get).uid == 0
    with pytest.raises(UserError, match="no user 'app'"):
        resolve_user("app", {}.get)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("loader.uid = 1000", (1000, 1000, [1000, 4, 50])),
        ("loader.gid = 4", (33, 4, [4])),
        ("loader.uid = 1000\nloader.gid = 0", (1000, 0, [0])),
        ("loader.uid = 7", (7, 0, [0])),
        ("", (33, 33, [33, 50])),
    ],
)
def test_the_manifests_ids_go_over_the_images_user(text: str, ids: tuple[int, int, list[int]]) -> None:
    manifest = build(image(["/bin/sh"], user="www-data"), text)
    assert (manifest.uid, manifest.gid, manifest.groups) == ids


@given(st.binary(max_size=80), st.binary(max_size=80), st.sampled_from(["", "a", "0", "a:a", "1:1"]))
def test_any_files_give_an_identity_or_a_refusal(passwd: bytes, group: bytes, user: str) -> None:
    try:
        found = resolve_user(user, {"/etc/passwd": passwd, "/etc/group": group}.get)
    except CasemateError:
        return
    assert all(0 <= number < 1 << 31 for number in (found.uid, found.gid, *found.groups))
