"""The plain gateway: FastAPI in front, one shared default `httpx.AsyncClient` behind."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, HTTPException, Query, Request

from benchmarks.plain.middleware import RequestIdMiddleware, SecurityHeadersMiddleware, TimingMiddleware
from benchmarks.plain.schemas import UserIn, UserListResponse, UserResponse

logging.basicConfig(level=logging.INFO)
logging.getLogger("httpx").setLevel(logging.WARNING)


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncIterator[None]:
    """Hold one client for the life of the process."""
    async with httpx.AsyncClient(base_url=os.environ["PLAIN_CRUD_URL"]) as client:
        application.state.client = client
        yield


app = FastAPI(title="plain gateway", lifespan=lifespan)
app.add_middleware(SecurityHeadersMiddleware)
app.add_middleware(TimingMiddleware)
app.add_middleware(RequestIdMiddleware)


async def forward(
    request: Request,
    method: str,
    path: str,
    *,
    body: UserIn | None = None,
    params: dict[str, int] | None = None,
) -> Any:
    """Send the request to crud, and pass its JSON or its error on."""
    client: httpx.AsyncClient = request.app.state.client
    response = await client.request(
        method,
        path,
        params=params,
        json=None if body is None else body.model_dump(mode="json"),
        headers={"X-Request-ID": request.state.request_id},
    )
    if response.is_error:
        raise HTTPException(status_code=response.status_code, detail=response.json().get("detail"))
    return response.json()


@app.get("/health")
async def health() -> dict[str, str]:
    """Liveness."""
    return {"status": "healthy"}


@app.post("/users", response_model=UserResponse, status_code=201)
async def create_user(request: Request, body: UserIn) -> Any:
    """Create one user."""
    return await forward(request, "POST", "/users", body=body)


@app.get("/users/{user_id}", response_model=UserResponse)
async def get_user(request: Request, user_id: str) -> Any:
    """Read one user."""
    return await forward(request, "GET", f"/users/{user_id}")


@app.get("/users", response_model=UserListResponse)
async def list_users(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0)] = 0,
) -> Any:
    """Read one page of users."""
    return await forward(request, "GET", "/users", params={"limit": limit, "skip": skip})


@app.put("/users/{user_id}", response_model=UserResponse)
async def replace_user(request: Request, user_id: str, body: UserIn) -> Any:
    """Replace one user."""
    return await forward(request, "PUT", f"/users/{user_id}", body=body)
