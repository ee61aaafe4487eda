-- What version 0.1.0 made: its tables, and what was left of nine writes; never to be changed.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1396789846;
PRAGMA user_version = 1;
CREATE TABLE cache (
    "key" TEXT NOT NULL,
    service TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    revision INTEGER NOT NULL,
    expires_at INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY ("key")
) STRICT;
INSERT INTO "cache" VALUES('answer/1','answers','2026-11-24T14:27:15.948532Z','2026-11-24T14:27:15.948532Z',2,NULL,CAST('{"service":"answers","key":"answer/1","value":[42,null],"ttl":null,"tags":["b","a"],"created_at":"2026-11-24T14:27:15.948532Z","updated_at":"2026-11-24T14:27:15.948532Z","revision":2}' AS BLOB));
INSERT INTO "cache" VALUES('answer/2','default','2026-11-24T14:27:16.012189Z','2026-11-24T14:27:16.012189Z',9,1,CAST('{"service":"default","key":"answer/2","value":"x","ttl":1,"tags":["a"],"created_at":"2026-11-24T14:27:16.012189Z","updated_at":"2026-11-24T14:27:16.012189Z","revision":9}' AS BLOB));
CREATE TABLE cache_tags (
    value TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (value, owner),
    FOREIGN KEY(owner) REFERENCES cache ("key") ON DELETE CASCADE
) WITHOUT ROWID, STRICT;
INSERT INTO "cache_tags" VALUES('a','answer/1');
INSERT INTO "cache_tags" VALUES('b','answer/1');
INSERT INTO "cache_tags" VALUES('a','answer/2');
CREATE TABLE counters (
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID, STRICT;
INSERT INTO "counters" VALUES('expirations',0);
INSERT INTO "counters" VALUES('hits',1);
INSERT INTO "counters" VALUES('misses',0);
INSERT INTO "counters" VALUES('revision',9);
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
) STRICT;
INSERT INTO "datasets" VALUES('wiki','Wikipedia','','',7,'search','2026-11-24T14:27:15.972307Z','2026-11-24T14:27:16.007916Z',8,CAST('{"service":"search","dataset_id":"wiki","name":"Wikipedia","description":"","source":"","format":"","size":7,"metadata":{},"created_at":"2026-11-24T14:27:15.972307Z","updated_at":"2026-11-24T14:27:16.007916Z","revision":8}' AS BLOB));
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
) STRICT;
INSERT INTO "models" VALUES('meta-llama/Llama-3.1-8B','meta',0,9,'default','2026-11-24T14:27:15.963955Z','2026-11-24T14:27:15.963955Z',3,CAST('{"service":"default","model_name":"meta-llama/Llama-3.1-8B","provider":"meta","parameters":{},"enabled":false,"priority":9,"created_at":"2026-11-24T14:27:15.963955Z","updated_at":"2026-11-24T14:27:15.963955Z","revision":3}' AS BLOB));
CREATE TABLE settings (
    setting_key TEXT NOT NULL,
    category TEXT NOT NULL,
    service TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (setting_key)
) STRICT;
INSERT INTO "settings" VALUES('limits','é','default','2026-11-24T14:27:15.991984Z','2026-11-24T14:27:15.991984Z',6,CAST('{"service":"default","setting_key":"limits","setting_value":{"n":5},"category":"é","description":"","encrypted":false,"created_at":"2026-11-24T14:27:15.991984Z","updated_at":"2026-11-24T14:27:15.991984Z","revision":6}' AS BLOB));
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
) STRICT;
INSERT INTO "users" VALUES('ada','ada','ada@example.org','chat','2026-11-24T14:27:15.936364Z','2026-11-24T14:27:15.936364Z',1,CAST('{"service":"chat","user_id":"ada","username":"Ada","email":"Ada@Example.org","preferences":{"theme":"dark"},"settings":{},"created_at":"2026-11-24T14:27:15.936364Z","updated_at":"2026-11-24T14:27:15.936364Z","revision":1}' AS BLOB));
CREATE INDEX ix_cache_created_at ON cache (created_at, "key");
CREATE INDEX ix_cache_expires_at ON cache (expires_at);
CREATE INDEX ix_cache_service ON cache (service, "key");
CREATE INDEX ix_cache_updated_at ON cache (updated_at, "key");
CREATE INDEX ix_datasets_created_at ON datasets (created_at, dataset_id);
CREATE INDEX ix_datasets_name ON datasets (name, dataset_id);
CREATE INDEX ix_datasets_service ON datasets (service, dataset_id);
CREATE INDEX ix_datasets_size ON datasets (coalesce(size, -1), dataset_id);
CREATE INDEX ix_datasets_updated_at ON datasets (updated_at, dataset_id);
CREATE INDEX ix_models_created_at ON models (created_at, model_name);
CREATE INDEX ix_models_priority ON models (priority, model_name);
CREATE INDEX ix_models_provider ON models (provider, model_name);
CREATE INDEX ix_models_service ON models (service, model_name);
CREATE INDEX ix_models_updated_at ON models (updated_at, model_name);
CREATE INDEX ix_settings_category ON settings (category, setting_key);
CREATE INDEX ix_settings_created_at ON settings (created_at, setting_key);
CREATE INDEX ix_settings_service ON settings (service, setting_key);
CREATE INDEX ix_settings_updated_at ON settings (updated_at, setting_key);
CREATE INDEX ix_users_created_at ON users (created_at, user_id);
CREATE INDEX ix_users_service ON users (service, user_id);
CREATE INDEX ix_users_updated_at ON users (updated_at, user_id);
CREATE INDEX ix_cache_tags_owner ON cache_tags (owner);
