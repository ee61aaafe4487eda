"""Logging in with a password: equal answers and equal work, failures that slow down, and where passwords are not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.services.answers import data_of, items_of, problem_of
from tests.services.keys import make_key, using
from tests.services.logins import INVALID_GRANT, PASSWORD, Realm, granted, new_address
from tests.services.realms import running_realm

VARIES = {"date", "x-request-id", "ratelimit", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"}
HASHING = 0.010
"""Less CPU time than one argon2id costs, in seconds; it takes more than twice that."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("realm")


@pytest.fixture(scope="module")
def realm(folder: Path) -> Iterator[Realm]:
    with running_realm(folder) as running:
        yield running


def cpu_seconds(realm: Realm) -> float:
    """Return the CPU time that crud has taken, with all its threads."""
    assert realm.crud.process is not None
    stat = Path(f"/proc/{realm.crud.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def attempts(realm: Realm, names: list[str], password: str, rounds: int = 4) -> tuple[list[httpx2.Response], float]:
    """Fail to log in, in as many rounds as are free; return the answers and the CPU time of each in crud."""
    began = cpu_seconds(realm)
    answers = [
        realm.token(grant_type="password", username=name, password=password) for _ in range(rounds) for name in names
    ]
    return answers, (cpu_seconds(realm) - began) / len(answers)


def told(answer: httpx2.Response) -> tuple[object, ...]:
    headers = {name: value for name, value in answer.headers.items() if name not in VARIES}
    return answer.status_code, answer.content, tuple(sorted(headers.items()))


def test_unknown_name_and_wrong_password_get_the_same_answer_for_the_same_work(realm: Realm) -> None:
    known = [realm.account() for _ in range(4)]
    disabled = [realm.account(disabled=True) for _ in range(4)]
    cases = {
        "wrong password": attempts(realm, known, "wrong horse battery staple"),
        "no such name": attempts(realm, [f"nobody-{number}" for number in range(4)], PASSWORD),
        "no name at all": attempts(realm, [f"no id {number}" for number in range(4)], PASSWORD),
        "disabled": attempts(realm, disabled, PASSWORD),
        "disabled and wrong": attempts(realm, disabled, "wrong horse battery staple", rounds=1),
    }
    everything = [answer for answers, _ in cases.values() for answer in answers]
    assert {answer.status_code for answer in everything} == {400}
    assert all(answer.json() == INVALID_GRANT for answer in everything)
    assert len({told(answer) for answer in everything}) == 1
    costs = {name: cost for name, (_, cost) in cases.items()}
    assert min(costs.values()) > HASHING, costs
    assert max(costs.values()) < 2.5 * min(costs.values()), costs


def test_failed_logins_of_an_account_have_to_wait_and_the_right_password_with_them(realm: Realm) -> None:
    name, other, address = realm.account(), realm.account(), new_address()

    def log_in(user: str, password: str, at: str = address) -> httpx2.Response:
        return realm.token(grant_type="password", username=user, password=password, address=at)

    for number in range(5):
        answer = log_in(name, "wrong")
        assert (number, answer.status_code) == (number, 400)
    seen = 0
    for password in ("wrong", PASSWORD, "wrong"):
        answer = log_in(name.upper(), password)
        if answer.status_code == 429:
            seen += 1
            problem_of(answer, 429, "rate_limited")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert seen >= 2
    assert granted(log_in(other, PASSWORD))
    assert granted(log_in(name, PASSWORD, new_address())), "elsewhere nobody has to wait"
    deadline = time.monotonic() + 30
    while (answer := log_in(name, PASSWORD)).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(int(answer.headers["retry-after"]))
    assert granted(answer)
    for _ in range(4):  # success has forgiven what was before
        assert log_in(name, "wrong").status_code == 400


@pytest.mark.parametrize("grant", ["password", "client_credentials"])
def test_failed_logins_of_an_address_have_to_wait(realm: Realm, grant: str) -> None:
    address = new_address()

    def fail(number: int) -> httpx2.Response:
        forms: dict[str, dict[str, Any]] = {
            "password": {"username": f"guess-{number}", "password": "wrong"},
            "client_credentials": {"client_id": f"guess-{number}", "client_secret": "wrong"},
        }
        return realm.token(address=address, grant_type=grant, **forms[grant])

    statuses = [fail(number).status_code for number in range(22)]
    assert set(statuses[:20]) <= {400, 401}
    assert statuses[-1] == 429
    elsewhere = realm.token(grant_type="password", username="guess", password="wrong")
    assert elsewhere.status_code == 400


def test_refresh_tokens_that_got_old_keep_nobody_from_logging_in(realm: Realm) -> None:
    address, name = new_address(), realm.account()
    for _ in range(25):
        assert realm.refresh("sr-old", address=address).json() == INVALID_GRANT
    assert granted(realm.token(address=address, grant_type="password", username=name, password=PASSWORD))


def test_attempts_that_nobody_could_judge_do_not_count(realm: Realm) -> None:
    name, address = realm.account(), new_address()
    assert realm.crud.process is not None
    realm.crud.stop()
    try:
        for _ in range(8):
            answer = realm.token(address=address, grant_type="password", username=name, password=PASSWORD)
            problem_of(answer, 503, "service_unavailable")
    finally:
        realm.crud.start(f"{realm.crud.crud_url}/ready")
    deadline = time.monotonic() + 20
    while (
        answer := realm.token(address=address, grant_type="password", username=name, password=PASSWORD)
    ).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert granted(answer)


def test_passwords_and_their_hashes_are_nowhere_to_be_read(realm: Realm, folder: Path) -> None:
    secret = "Quer durchs wilde Kurdistan"
    name = realm.account(password=secret)
    changed = secret + " und zurück"
    realm.administrator.patch(f"/accounts/{name}", json={"password": changed})
    login = realm.log_in(name, changed)
    refresh = granted(realm.refresh(login["refresh_token"]))["refresh_token"]
    administrator = realm.administrator
    head = administrator.get("/changes?limit=1").json()["metadata"]["revision"]
    texts = [
        administrator.get(f"/accounts/{name}").content,
        administrator.get(f"/accounts/{name}?at_revision={head}").content,
        administrator.get(
            f"/accounts/{name}?at_revision={administrator.get('/changes?limit=1').json()['metadata']['revision']}"
        ).content,
        administrator.get("/accounts?limit=1000").content,
        administrator.get("/accounts", headers={"accept": "application/x-ndjson"}).content,
        administrator.get("/changes?limit=1000&resource=accounts").content,
        administrator.get("/export").content,
        *(path.read_bytes() for path in folder.rglob("*") if path.is_file()),
    ]
    assert sum(name.encode() in text for text in texts) >= 6
    for text in texts:
        for hidden in (secret, changed, login["refresh_token"], refresh, login["access_token"], "$argon2"):
            assert hidden.encode() not in text


def test_passwords_that_are_too_easy_are_refused(realm: Realm) -> None:
    name = "grace.hopper.1906"
    for password in ("short", "aaaaaaaaaaaaaaaaaaaa", f"{name}{name}", "x" * 1_025, "", None, 7, {"a": "b"}, ["x"]):
        answer = realm.administrator.post("/accounts", json={"account_id": name, "password": password})
        problem_of(answer, 422, "validation_failed")
        assert str(password) not in answer.text or password in ("", None, 7)
    missing = realm.administrator.post("/accounts", json={"account_id": name})
    problem_of(missing, 422, "validation_failed")
    known = realm.account()
    for password in ("short", None, {"a": "b"}, {"$sealed": "v1.0123456789abcdef.AAAA"}):
        problem_of(
            realm.administrator.patch(f"/accounts/{known}", json={"password": password}), 422, "validation_failed"
        )


def test_mask_that_is_sent_back_keeps_the_password(realm: Realm) -> None:
    name = realm.account()
    changed = realm.administrator.patch(f"/accounts/{name}", json={"password": "********", "roles": ["viewer"]})
    assert data_of(changed, 200)["roles"] == ["viewer"]
    assert realm.log_in(name)


def test_nobody_grants_an_account_more_than_it_has(realm: Realm) -> None:
    http = realm.administrator
    key = make_key(http, scopes=["keys:admin", "users:read"], services=["s"], service="s")
    within = {"password": PASSWORD, "service": "s", "services": ["s"]}
    strong = realm.account(roles=["admin"], service="s", services=["s"])
    foreign = realm.account()
    with using(realm.url, key["key"]) as lesser:
        made = f"{foreign}-made"
        data_of(lesser.post("/accounts", json={"account_id": made, **within, "scopes": ["users:read"]}), 201)
        for more in (
            {"roles": ["viewer"]},
            {"scopes": ["users:write"]},
            {"services": None},
            {"services": ["s", "t"]},
            {"service": "t"},
        ):
            problem_of(lesser.post("/accounts", json={"account_id": "x", **within, **more}), 403, "forbidden")
            problem_of(lesser.patch(f"/accounts/{made}", json=more), 403, "forbidden")
        takeover = lesser.patch(f"/accounts/{strong}", json={"password": "Sphinx of black quartz"})
        problem_of(takeover, 403, "forbidden")
        endings: list[dict[str, Any]] = [{"disabled": True}, {"roles": []}, {}]
        for ending in endings:
            problem_of(lesser.patch(f"/accounts/{strong}", json=ending), 403, "forbidden")
        problem_of(lesser.delete(f"/accounts/{strong}"), 403, "forbidden")
        assert lesser.delete(f"/accounts/{made}").status_code == 204
        problem_of(lesser.get(f"/accounts/{foreign}"), 404, "not_found")
        problem_of(lesser.patch(f"/accounts/{foreign}", json={}), 404, "not_found")
        problem_of(lesser.delete(f"/accounts/{foreign}"), 404, "not_found")
        taken = lesser.post("/accounts", json={"account_id": foreign, **within})
        problem_of(taken, 409, "already_exists")
    assert realm.log_in(strong)


def test_nobody_takes_over_an_account_that_may_do_more_by_narrowing_it_first(realm: Realm) -> None:
    boss = realm.account(roles=["admin"])
    key = make_key(realm.administrator, scopes=["keys:admin"])
    with using(realm.url, key["key"]) as keeper:
        patches: list[dict[str, Any]] = [{}, {"roles": [], "password": "Sphinx of black quartz"}, {"disabled": True}]
        for patch in patches:
            problem_of(keeper.patch(f"/accounts/{boss}", json=patch), 403, "forbidden")
        problem_of(keeper.delete(f"/accounts/{boss}"), 403, "forbidden")
    assert realm.log_in(boss)


def test_name_of_an_account_that_was_deleted_is_not_used_again(realm: Realm) -> None:
    http, name = realm.administrator, realm.account()
    assert http.delete(f"/accounts/{name}").status_code == 204
    problem = problem_of(http.post("/accounts", json={"account_id": name, "password": PASSWORD}), 409, "already_exists")
    assert "it is not used again" in problem["detail"]
    assert http.get(f"/accounts/{name}").status_code == 404


def test_accounts_are_not_replaced_imported_undone_or_revealed(realm: Realm) -> None:
    http, name = realm.administrator, realm.account()
    body = {"account_id": name, "password": PASSWORD}
    problem_of(http.put(f"/accounts/{name}", json=body), 405, "method_not_allowed")
    lines = http.post("/accounts", content=b"{}\n", headers={"content-type": "application/x-ndjson"})
    problem_of(lines, 415, "unsupported_media_type")
    problem_of(http.get(f"/accounts/{name}?reveal=true"), 422, "validation_failed")
    assert http.delete(f"/accounts/{name}").status_code == 204
    last = items_of(http.get("/changes", params={"resource": "accounts", "id": name}))[-1]
    problem_of(http.post(f"/revisions/{last['revision']}/revert"), 409, "revert_conflict")


def test_name_of_an_account_that_was_deleted_is_nobody_elses(realm: Realm) -> None:
    """Or whoever gets it would have done what the log says of the one before."""
    http, name = realm.administrator, realm.account()
    body = {"account_id": name, "password": PASSWORD}
    assert "already" in problem_of(http.post("/accounts", json=body), 409, "already_exists")["detail"]
    assert http.delete(f"/accounts/{name}").status_code == 204
    problem = problem_of(http.post("/accounts", json=body), 409, "already_exists")
    assert "not used again" in problem["detail"]


def test_repeated_request_makes_one_account(realm: Realm, id: str) -> None:
    body = {"account_id": id, "password": PASSWORD}
    first, again = (realm.administrator.post("/accounts", json=body, headers={"idempotency-key": id}) for _ in range(2))
    assert data_of(first, 201) == data_of(again, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert realm.log_in(id)


def test_export_brings_logins_along_and_no_session(realm: Realm, tmp_path: Path, folder: Path) -> None:
    name = realm.account()
    login = realm.log_in(name)
    exported = realm.administrator.get("/export").content
    assert login["refresh_token"][3:25].encode() not in exported
    (tmp_path / "master-keys").write_bytes((folder / "master-keys").read_bytes())
    (tmp_path / "master-keys").chmod(0o600)
    with running_realm(tmp_path, gateways=1) as other:
        key = make_key(other.administrator, roles=["viewer"])
        assert granted(other.token(grant_type="client_credentials", basic=(key["key_id"], key["key"])))
        lines = {"content-type": "application/x-ndjson"}
        data_of(other.administrator.post("/import", content=exported, headers=lines), 200)
        assert other.status(other.log_in(name)["access_token"]) == 200
        assert other.status(login["access_token"]) == 401
        assert other.refresh(login["refresh_token"]).json() == INVALID_GRANT


def test_statistics_of_the_cache_count_no_sessions(realm: Realm) -> None:
    before = data_of(realm.administrator.get("/cache-stats"), 200)
    login = realm.log_in(realm.account())
    assert realm.status(login["access_token"]) == 200
    granted(realm.refresh(login["refresh_token"]))
    time.sleep(1.2)
    assert data_of(realm.administrator.get("/cache-stats"), 200) == before
