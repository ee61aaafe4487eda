"""Names and addresses of users: unique without regard to case, and free again when they are given up."""

from functools import partial

import pytest

from sarvanom.shared.contracts.service_contracts import CRUDServiceContract
from sarvanom.shared.errors import ResourceConflict, ResourceNotFound
from sarvanom.shared.models.crud_models import UserProfile
from tests.contracts.samples import USER, new_id

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What case folding makes equal (Unicode, section 3.13), also where upper and lower case do not.
SAME_NAMES = (("ada", "ADA"), ("Stra\u00dfe", "STRASSE"), ("\u03c3\u03c2", "\u03a3\u03a3"), ("\u01c6", "\u01c4"))
OTHER_NAMES = (("e\u0301", "\u00e9"), ("ada", "ada "), ("ada", "\u0430da"), ("i", "\u0131"), ("a%", "ab"), ("a_", "ab"))


@pytest.mark.parametrize("field", ["username", "email"])
async def test_taken_value_conflicts_naming_the_field(service: CRUDServiceContract, field: str) -> None:
    users = service.users
    first = await users.create(USER.build(new_id()))
    other = await users.create(USER.build(new_id()))
    taken = {field: getattr(first, field).swapcase()}
    late = USER.build(new_id(), **taken)
    for attempt in (
        partial(users.create, late),
        partial(users.replace, late, create=True),
        partial(users.replace, USER.build(other.user_id, **taken)),
        partial(users.patch, other.user_id, dict(taken)),
        partial(users.patch, other.user_id, dict(taken), if_match=other.revision),
    ):
        with pytest.raises(ResourceConflict) as caught:
            await attempt()
        assert {error.field for error in caught.value.errors} == {field}
    with pytest.raises(ResourceNotFound):
        await users.get(late.user_id)
    assert await users.get(other.user_id) == other
    assert await users.get(first.user_id) == first


@pytest.mark.parametrize("field", ["username", "email"])
async def test_value_is_free_after_its_user_is_deleted(service: CRUDServiceContract, field: str) -> None:
    users = service.users
    first = await users.create(USER.build(new_id()))
    await users.delete(first.user_id)
    heir = await users.create(USER.build(new_id(), **{field: getattr(first, field).upper()}))
    assert getattr(heir, field) == getattr(first, field).upper()


@pytest.mark.parametrize("field", ["username", "email"])
async def test_value_is_free_after_its_user_changed_it(service: CRUDServiceContract, field: str) -> None:
    users = service.users
    first = await users.create(USER.build(new_id()))
    await users.patch(first.user_id, {field: getattr(USER.build("x"), field)})
    second = await users.create(USER.build(new_id(), **{field: getattr(first, field)}))
    await users.replace(USER.build(second.user_id))
    await users.create(USER.build(new_id(), **{field: getattr(first, field)}))


async def test_user_may_change_the_case_of_what_is_its_own(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    changes = {"username": user.username.upper(), "email": user.email.upper()}
    patched = await service.users.patch(user.user_id, dict(changes))
    assert (patched.username, patched.email) == (user.username.upper(), user.email.upper())
    replaced = await service.users.replace(user)
    assert (replaced.username, replaced.email) == (user.username, user.email)


async def test_refused_user_takes_nothing(service: CRUDServiceContract) -> None:
    """A creation that conflicts on the address must not take the name."""
    users = service.users
    first = await users.create(USER.build(new_id()))
    refused = USER.build(new_id(), email=first.email)
    with pytest.raises(ResourceConflict):
        await users.create(refused)
    assert (await users.create(USER.build(new_id(), username=refused.username))).username == refused.username


async def test_case_is_folded_as_unicode_says(service: CRUDServiceContract) -> None:
    users = service.users
    for one, other in SAME_NAMES:
        mark = new_id()
        created = await users.create(USER.build(new_id(), username=f"{one}{mark}"))
        assert created.username == f"{one}{mark}"
        with pytest.raises(ResourceConflict):
            await users.create(USER.build(new_id(), username=f"{other}{mark}"))
        assert await users.by_username(f"{other}{mark}") == created
    for one, other in OTHER_NAMES:
        mark = new_id()
        await users.create(USER.build(new_id(), username=f"{one}{mark}"))
        await users.create(USER.build(new_id(), username=f"{other}{mark}"))


async def test_user_is_found_by_name_and_address(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    for change in (str, str.upper, str.lower, str.swapcase):
        assert await service.users.by_username(change(user.username)) == user
        assert await service.users.by_email(change(user.email)) == user


async def test_unknown_name_and_address_are_not_found(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    for missing in (user.email, user.username[:-1], f"{user.username} ", "", "%", "O'Brien -- _"):
        with pytest.raises(ResourceNotFound):
            await service.users.by_username(missing)
    for missing in (user.username, user.email[:-1], "", "*"):
        with pytest.raises(ResourceNotFound):
            await service.users.by_email(missing)


async def test_former_name_is_not_found(service: CRUDServiceContract) -> None:
    user = await service.users.create(USER.build(new_id()))
    renamed = await service.users.patch(user.user_id, {"username": f"Grace {new_id()}"})
    assert await service.users.by_username(renamed.username) == renamed
    with pytest.raises(ResourceNotFound):
        await service.users.by_username(user.username)
    await service.users.delete(user.user_id)
    with pytest.raises(ResourceNotFound):
        await service.users.by_email(user.email)


async def test_two_users_can_trade_names_by_way_of_a_third(service: CRUDServiceContract) -> None:
    users = service.users
    one, two = [await users.create(USER.build(new_id())) for _ in range(2)]
    with pytest.raises(ResourceConflict):
        await users.replace(UserProfile(user_id=one.user_id, username=two.username, email=one.email))
    await users.patch(two.user_id, {"username": new_id()})
    await users.patch(one.user_id, {"username": two.username})
    await users.patch(two.user_id, {"username": one.username})
    assert (await users.by_username(one.username)).user_id == two.user_id
    assert (await users.by_username(two.username)).user_id == one.user_id
