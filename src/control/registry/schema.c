#include "registry/registry.h"
#include "state/state.h"

/* The two counters are kept by triggers, so that cascades count too. What is unused is found by a
 * partial index: a step of the collector costs what it deletes, not what is stored. */
static const char tables[] =
    "CREATE TABLE repositories ("
    "  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,"
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;"

    "CREATE TABLE blobs ("
    "  digest TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL,"
    "  repositories INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    "CREATE INDEX blobs_unused ON blobs(digest) WHERE repositories = 0;"

    "CREATE TABLE blob_trash (digest TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"

    "CREATE TABLE repository_blobs ("
    "  repository_id INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL REFERENCES blobs(digest),"
    "  manifests INTEGER NOT NULL DEFAULT 0, touched_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (repository_id, digest)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX repository_blobs_digest ON repository_blobs(digest);"
    "CREATE INDEX repository_blobs_unused ON repository_blobs(touched_ms) WHERE manifests = 0;"

    "CREATE TABLE manifests ("
    "  id INTEGER PRIMARY KEY,"
    "  repository_id INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL, media_type TEXT NOT NULL, artifact_type TEXT NOT NULL,"
    "  subject TEXT, platform TEXT NOT NULL, total_bytes INTEGER NOT NULL,"
    "  pushed_ms INTEGER NOT NULL, annotations TEXT, body BLOB NOT NULL,"
    "  UNIQUE (repository_id, digest)) STRICT;"
    "CREATE INDEX manifests_subject ON manifests(repository_id, subject) WHERE subject IS NOT NULL;"

    /* The key's columns come first: else quick_check of SQLite 3.40 finds a NULL in the others of a
     * table WITHOUT ROWID, where there is none. */
    "CREATE TABLE manifest_blobs ("
    "  manifest_id INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL, repository_id INTEGER NOT NULL,"
    "  PRIMARY KEY (manifest_id, digest)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE manifest_children ("
    "  manifest_id INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL, repository_id INTEGER NOT NULL,"
    "  PRIMARY KEY (manifest_id, digest)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX manifest_children_digest ON manifest_children(repository_id, digest);"

    "CREATE TABLE tags ("
    "  repository_id INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,"
    "  name TEXT NOT NULL,"
    "  manifest_id INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,"
    "  pushed_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (repository_id, name)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX tags_manifest ON tags(manifest_id);"

    "CREATE TRIGGER repository_blobs_added AFTER INSERT ON repository_blobs BEGIN"
    "  UPDATE blobs SET repositories = repositories + 1 WHERE digest = NEW.digest; END;"
    "CREATE TRIGGER repository_blobs_removed AFTER DELETE ON repository_blobs BEGIN"
    "  UPDATE blobs SET repositories = repositories - 1 WHERE digest = OLD.digest; END;"
    "CREATE TRIGGER manifest_blobs_added AFTER INSERT ON manifest_blobs BEGIN"
    "  UPDATE repository_blobs SET manifests = manifests + 1"
    "    WHERE repository_id = NEW.repository_id AND digest = NEW.digest; END;"
    "CREATE TRIGGER manifest_blobs_removed AFTER DELETE ON manifest_blobs BEGIN"
    "  UPDATE repository_blobs SET manifests = manifests - 1"
    "    WHERE repository_id = OLD.repository_id AND digest = OLD.digest; END;";

static const char *const steps[] = {tables, NULL};

const struct state_schema registry_schema = {"registry", steps};
