"""The plain CRUD service: FastAPI over an async SQLAlchemy session."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.plain.database import Base, User, engine, get_session
from benchmarks.plain.middleware import RequestIdMiddleware, TimingMiddleware
from benchmarks.plain.schemas import UserIn, UserListResponse, UserResponse

logging.basicConfig(level=logging.INFO)

Session = Annotated[AsyncSession, Depends(get_session)]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Create the table at start, close the pool at the end."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(title="plain crud", lifespan=lifespan)
app.add_middleware(TimingMiddleware)
app.add_middleware(RequestIdMiddleware)


@app.get("/health")
async def health() -> dict[str, str]:
    """Liveness."""
    return {"status": "healthy"}


@app.post("/users", response_model=UserResponse, status_code=201)
async def create_user(body: UserIn, session: Session) -> dict[str, object]:
    """Insert one user."""
    user = User(**body.model_dump())
    session.add(user)
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(status_code=409, detail="already exists") from error
    return {"data": user, "message": "created"}


@app.get("/users/{user_id}", response_model=UserResponse)
async def get_user(user_id: str, session: Session) -> dict[str, object]:
    """Read one user."""
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(status_code=404, detail="not found")
    return {"data": user}


@app.get("/users", response_model=UserListResponse)
async def list_users(
    session: Session,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, object]:
    """Read one page of users."""
    rows = await session.scalars(select(User).order_by(User.user_id).offset(skip).limit(limit))
    return {"data": {"items": rows.all()}}


@app.put("/users/{user_id}", response_model=UserResponse)
async def replace_user(user_id: str, body: UserIn, session: Session) -> dict[str, object]:
    """Replace one user."""
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(status_code=404, detail="not found")
    for name, value in body.model_dump(exclude={"user_id"}).items():
        setattr(user, name, value)
    try:
        await session.commit()
    except IntegrityError as error:
        raise HTTPException(status_code=409, detail="already exists") from error
    return {"data": user, "message": "replaced"}
