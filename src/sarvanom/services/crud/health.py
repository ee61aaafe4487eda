"""What crud says of its health: its database, its administrator's key, its pool."""

from sarvanom.backends.storage.contract import Store, StoreState
from sarvanom.backends.storage.schema import HEAD
from sarvanom.observability.siblings import Place
from sarvanom.services.crud.administrator import Administrator
from sarvanom.shared.observations import PoolState, observed
from sarvanom.web.health import Dependency, Details, HealthSources
from sarvanom.web.health_models import DatabaseReport, PoolReport
from sarvanom.web.shared_looks import SharedLook


def health_sources(
    store: Store, administrator: Administrator, place: Place, *, workers: int, connections: int
) -> HealthSources:
    """Return where crud learns how it is; `connections` are those that all of its workers may open."""
    database = SharedLook("database", store.look)
    key = SharedLook("administrator key", administrator.check)

    async def details() -> Details:
        state = (await database.look()).value
        return Details(
            place.worker,
            workers,
            database=None if state is None else _report(state, connections),
            pools=[
                PoolReport(name="database reads", size=one.size, in_use=one.in_use, idle=one.idle, waiting=one.waiting)
                for one in observed(PoolState)
            ],
        )

    return HealthSources([Dependency(database), Dependency(key)], details=details)


def _report(state: StoreState, connections: int) -> DatabaseReport:
    room = state.room
    return DatabaseReport(
        system=state.system,
        schema_version=state.schema,
        newest_schema_version=HEAD,
        revision=state.bounds.head,
        revision_floor=state.bounds.floor,
        connections=None if room is None else connections,
        server_connections=None if room is None else room.most,
        server_connections_open=None if room is None else room.open,
    )
