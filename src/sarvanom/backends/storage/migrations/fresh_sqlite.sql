CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE counters (
    name TEXT NOT NULL, 
    value INTEGER NOT NULL, 
    PRIMARY KEY (name)
)
 WITHOUT ROWID,
 STRICT;

INSERT INTO counters (name, value) VALUES ('revision', 0), ('hits', 0), ('misses', 0), ('expirations', 0);

CREATE TABLE cache (
    "key" TEXT NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    expires_at INTEGER, 
    body BLOB NOT NULL, 
    PRIMARY KEY ("key")
)
 STRICT;

CREATE INDEX ix_cache_service ON cache (service, "key");

CREATE INDEX ix_cache_created_at ON cache (created_at, "key");

CREATE INDEX ix_cache_updated_at ON cache (updated_at, "key");

CREATE INDEX ix_cache_expires_at ON cache (expires_at);

CREATE TABLE cache_tags (
    value TEXT NOT NULL, 
    owner TEXT NOT NULL, 
    PRIMARY KEY (value, owner), 
    FOREIGN KEY(owner) REFERENCES cache ("key") ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;

CREATE INDEX ix_cache_tags_owner ON cache_tags (owner);

CREATE TABLE users (
    user_id TEXT NOT NULL, 
    username TEXT NOT NULL, 
    email TEXT NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    body BLOB NOT NULL, 
    PRIMARY KEY (user_id), 
    UNIQUE (username), 
    UNIQUE (email)
)
 STRICT;

CREATE INDEX ix_users_service ON users (service, user_id);

CREATE INDEX ix_users_created_at ON users (created_at, user_id);

CREATE INDEX ix_users_updated_at ON users (updated_at, user_id);

CREATE TABLE models (
    model_name TEXT NOT NULL, 
    provider TEXT NOT NULL, 
    enabled INTEGER NOT NULL, 
    priority INTEGER NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    body BLOB NOT NULL, 
    PRIMARY KEY (model_name)
)
 STRICT;

CREATE INDEX ix_models_provider ON models (provider, model_name);

CREATE INDEX ix_models_priority ON models (priority, model_name);

CREATE INDEX ix_models_service ON models (service, model_name);

CREATE INDEX ix_models_created_at ON models (created_at, model_name);

CREATE INDEX ix_models_updated_at ON models (updated_at, model_name);

CREATE TABLE datasets (
    dataset_id TEXT NOT NULL, 
    name TEXT NOT NULL, 
    format TEXT NOT NULL, 
    source TEXT NOT NULL, 
    size INTEGER, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    body BLOB NOT NULL, 
    PRIMARY KEY (dataset_id)
)
 STRICT;

CREATE INDEX ix_datasets_name ON datasets (name, dataset_id);

CREATE INDEX ix_datasets_service ON datasets (service, dataset_id);

CREATE INDEX ix_datasets_created_at ON datasets (created_at, dataset_id);

CREATE INDEX ix_datasets_updated_at ON datasets (updated_at, dataset_id);

CREATE INDEX ix_datasets_size ON datasets (coalesce(size, -1), dataset_id);

CREATE TABLE settings (
    setting_key TEXT NOT NULL, 
    category TEXT NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    body BLOB NOT NULL, 
    PRIMARY KEY (setting_key)
)
 STRICT;

CREATE INDEX ix_settings_category ON settings (category, setting_key);

CREATE INDEX ix_settings_service ON settings (service, setting_key);

CREATE INDEX ix_settings_created_at ON settings (created_at, setting_key);

CREATE INDEX ix_settings_updated_at ON settings (updated_at, setting_key);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING version_num;

-- Running upgrade 0001 -> 0002

CREATE TABLE changes (
    revision INTEGER NOT NULL, 
    collection TEXT NOT NULL, 
    id TEXT NOT NULL, 
    kind TEXT NOT NULL, 
    service TEXT NOT NULL, 
    left_service TEXT, 
    actor TEXT, 
    request_id TEXT NOT NULL, 
    time TEXT NOT NULL, 
    previous INTEGER, 
    reverts INTEGER, 
    body BLOB, 
    PRIMARY KEY (revision)
)
 STRICT;

CREATE INDEX ix_changes_collection ON changes (collection, id, revision);

CREATE TABLE idempotency_keys (
    number INTEGER NOT NULL, 
    "key" TEXT NOT NULL, 
    fingerprint BLOB NOT NULL, 
    time TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    created_at TEXT, 
    body BLOB, 
    PRIMARY KEY (number), 
    UNIQUE ("key")
)
 STRICT;

DROP INDEX ix_cache_service;

CREATE INDEX ix_cache_service ON cache (service, created_at, "key");

DROP INDEX ix_cache_updated_at;

CREATE INDEX ix_cache_updated_at ON cache (updated_at, created_at, "key");

DROP INDEX ix_users_service;

CREATE INDEX ix_users_service ON users (service, created_at, user_id);

DROP INDEX ix_users_updated_at;

CREATE INDEX ix_users_updated_at ON users (updated_at, created_at, user_id);

DROP INDEX ix_models_provider;

CREATE INDEX ix_models_provider ON models (provider, created_at, model_name);

DROP INDEX ix_models_priority;

CREATE INDEX ix_models_priority ON models (priority, created_at, model_name);

DROP INDEX ix_models_service;

CREATE INDEX ix_models_service ON models (service, created_at, model_name);

DROP INDEX ix_models_updated_at;

CREATE INDEX ix_models_updated_at ON models (updated_at, created_at, model_name);

DROP INDEX ix_datasets_name;

CREATE INDEX ix_datasets_name ON datasets (name, created_at, dataset_id);

DROP INDEX ix_datasets_size;

CREATE INDEX ix_datasets_size ON datasets (coalesce(size, -1), created_at, dataset_id);

DROP INDEX ix_datasets_service;

CREATE INDEX ix_datasets_service ON datasets (service, created_at, dataset_id);

DROP INDEX ix_datasets_updated_at;

CREATE INDEX ix_datasets_updated_at ON datasets (updated_at, created_at, dataset_id);

DROP INDEX ix_settings_category;

CREATE INDEX ix_settings_category ON settings (category, created_at, setting_key);

DROP INDEX ix_settings_service;

CREATE INDEX ix_settings_service ON settings (service, created_at, setting_key);

DROP INDEX ix_settings_updated_at;

CREATE INDEX ix_settings_updated_at ON settings (updated_at, created_at, setting_key);

INSERT INTO counters (name, value) SELECT 'cache', value FROM counters WHERE name = 'revision';

INSERT INTO counters (name, value) SELECT 'floor', value FROM counters WHERE name = 'revision';

INSERT INTO changes (revision, collection, id, kind, service, request_id, time, body) SELECT revision, 'users', user_id, 'create', service, '', updated_at, body FROM users;

INSERT INTO changes (revision, collection, id, kind, service, request_id, time, body) SELECT revision, 'models', model_name, 'create', service, '', updated_at, body FROM models;

INSERT INTO changes (revision, collection, id, kind, service, request_id, time, body) SELECT revision, 'datasets', dataset_id, 'create', service, '', updated_at, body FROM datasets;

INSERT INTO changes (revision, collection, id, kind, service, request_id, time, body) SELECT revision, 'settings', setting_key, 'create', service, '', updated_at, body FROM settings;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE keys (
    key_id TEXT NOT NULL, 
    digest TEXT NOT NULL, 
    previous_digest TEXT, 
    name TEXT NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    body BLOB NOT NULL, 
    PRIMARY KEY (key_id), 
    UNIQUE (digest), 
    UNIQUE (previous_digest)
)
 STRICT;

CREATE INDEX ix_keys_created_at ON keys (created_at, key_id);

CREATE INDEX ix_keys_name ON keys (name, created_at, key_id);

CREATE INDEX ix_keys_service ON keys (service, created_at, key_id);

CREATE INDEX ix_keys_updated_at ON keys (updated_at, created_at, key_id);

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE accounts (
    account_id TEXT NOT NULL, 
    disabled INTEGER NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    body BLOB NOT NULL, 
    PRIMARY KEY (account_id)
)
 STRICT;

CREATE INDEX ix_accounts_created_at ON accounts (created_at, account_id);

CREATE INDEX ix_accounts_service ON accounts (service, created_at, account_id);

CREATE INDEX ix_accounts_updated_at ON accounts (updated_at, created_at, account_id);

CREATE TABLE sessions (
    session_id TEXT NOT NULL, 
    service TEXT NOT NULL, 
    created_at TEXT NOT NULL, 
    updated_at TEXT NOT NULL, 
    revision INTEGER NOT NULL, 
    expires_at INTEGER, 
    body BLOB NOT NULL, 
    PRIMARY KEY (session_id)
)
 STRICT;

CREATE INDEX ix_sessions_created_at ON sessions (created_at, session_id);

CREATE INDEX ix_sessions_service ON sessions (service, created_at, session_id);

CREATE INDEX ix_sessions_updated_at ON sessions (updated_at, created_at, session_id);

CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);

INSERT INTO counters (name, value) VALUES ('sessions', 0);

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

