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

/* What a project holds is counted as it changes (a blob once, however many of its repositories have
 * it), so its quota is asked in the transaction that would exceed it. A blob is charged from its
 * upload until the last manifest that used it is deleted: space that somebody gave back is his at
 * once, although the file stays for a while. The columns project_id repeat what the repository
 * says: triggers of a cascade no longer see that row. */
static const char policies[] =
    "ALTER TABLE repository_blobs ADD COLUMN project_id INTEGER NOT NULL DEFAULT 0;"
    "UPDATE repository_blobs SET project_id ="
    "  (SELECT project_id FROM repositories WHERE id = repository_id);"
    "ALTER TABLE repository_blobs ADD COLUMN charged INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE manifests ADD COLUMN project_id INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE manifests ADD COLUMN pulled_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE manifests SET project_id ="
    "  (SELECT project_id FROM repositories WHERE id = repository_id);"
    "ALTER TABLE repositories ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;"

    "CREATE TABLE registry_projects ("
    "  project_id INTEGER PRIMARY KEY, used_bytes INTEGER NOT NULL DEFAULT 0,"
    "  quota_bytes INTEGER, policy TEXT NOT NULL DEFAULT '{}', next_run_ms INTEGER) STRICT;"
    "CREATE INDEX registry_projects_due ON registry_projects(next_run_ms)"
    "  WHERE next_run_ms IS NOT NULL;"

    "CREATE TABLE project_blobs ("
    "  project_id INTEGER NOT NULL, digest TEXT NOT NULL, repositories INTEGER NOT NULL,"
    "  PRIMARY KEY (project_id, digest)) STRICT, WITHOUT ROWID;"
    "INSERT INTO project_blobs SELECT project_id, digest, count(*) FROM repository_blobs"
    "  GROUP BY project_id, digest;"
    "INSERT INTO registry_projects(project_id, used_bytes) SELECT id, sum(bytes) FROM"
    "  (SELECT p.project_id AS id, b.size_bytes AS bytes FROM project_blobs p"
    "   JOIN blobs b ON b.digest = p.digest"
    "   UNION ALL SELECT project_id, length(body) FROM manifests) GROUP BY id;"

    "DROP TRIGGER repository_blobs_added;"
    "CREATE TRIGGER repository_blobs_added AFTER INSERT ON repository_blobs BEGIN"
    "  UPDATE blobs SET repositories = repositories + 1 WHERE digest = NEW.digest;"
    "  INSERT INTO project_blobs VALUES (NEW.project_id, NEW.digest, 1)"
    "    ON CONFLICT DO UPDATE SET repositories = repositories + 1; END;"
    "DROP TRIGGER repository_blobs_removed;" /* the charge first: it asks for the blob's size */
    "CREATE TRIGGER repository_blobs_removed AFTER DELETE ON repository_blobs BEGIN"
    "  UPDATE project_blobs SET repositories = repositories - OLD.charged"
    "    WHERE project_id = OLD.project_id AND digest = OLD.digest;"
    "  UPDATE blobs SET repositories = repositories - 1 WHERE digest = OLD.digest; END;"
    "CREATE TRIGGER repository_blobs_charged AFTER UPDATE OF charged ON repository_blobs"
    "  WHEN NEW.charged > OLD.charged BEGIN"
    "  INSERT INTO project_blobs VALUES (NEW.project_id, NEW.digest, 1)"
    "    ON CONFLICT DO UPDATE SET repositories = repositories + 1; END;"
    "CREATE TRIGGER repository_blobs_released AFTER UPDATE OF charged ON repository_blobs"
    "  WHEN NEW.charged < OLD.charged BEGIN"
    "  UPDATE project_blobs SET repositories = repositories - 1"
    "    WHERE project_id = NEW.project_id AND digest = NEW.digest; END;"
    "CREATE TRIGGER project_blobs_spent AFTER UPDATE ON project_blobs"
    "  WHEN NEW.repositories = 0 BEGIN"
    "  DELETE FROM project_blobs WHERE project_id = NEW.project_id AND digest = NEW.digest; END;"
    "DROP TRIGGER manifest_blobs_added;"
    "CREATE TRIGGER manifest_blobs_added AFTER INSERT ON manifest_blobs BEGIN"
    "  UPDATE repository_blobs SET manifests = manifests + 1, charged = 1"
    "    WHERE repository_id = NEW.repository_id AND digest = NEW.digest; END;"
    "DROP TRIGGER manifest_blobs_removed;"
    "CREATE TRIGGER manifest_blobs_removed AFTER DELETE ON manifest_blobs BEGIN"
    "  UPDATE repository_blobs SET manifests = manifests - 1, charged = manifests > 1,"
    "    touched_ms = iif(manifests > 1, touched_ms,"
    "      max(touched_ms, unixepoch() * 1000))"
    "    WHERE repository_id = OLD.repository_id AND digest = OLD.digest; END;"
    "CREATE TRIGGER project_blobs_added AFTER INSERT ON project_blobs BEGIN"
    "  INSERT INTO registry_projects(project_id, used_bytes) VALUES (NEW.project_id,"
    "    (SELECT size_bytes FROM blobs WHERE digest = NEW.digest))"
    "    ON CONFLICT DO UPDATE SET used_bytes = used_bytes + excluded.used_bytes; END;"
    "CREATE TRIGGER project_blobs_removed AFTER DELETE ON project_blobs BEGIN"
    "  UPDATE registry_projects SET used_bytes = used_bytes -"
    "    (SELECT size_bytes FROM blobs WHERE digest = OLD.digest)"
    "    WHERE project_id = OLD.project_id; END;"
    "CREATE TRIGGER manifests_added AFTER INSERT ON manifests BEGIN"
    "  INSERT INTO registry_projects(project_id, used_bytes)"
    "    VALUES (NEW.project_id, length(NEW.body))"
    "    ON CONFLICT DO UPDATE SET used_bytes = used_bytes + excluded.used_bytes; END;"
    "CREATE TRIGGER manifests_removed AFTER DELETE ON manifests BEGIN"
    "  UPDATE registry_projects SET used_bytes = used_bytes - length(OLD.body)"
    "    WHERE project_id = OLD.project_id; END;"

    "CREATE TABLE retention_runs ("
    "  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
    "  ended_ms INTEGER, dry_run INTEGER NOT NULL, started_by TEXT NOT NULL,"
    "  kept INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0, error TEXT) STRICT;"
    "CREATE INDEX retention_runs_project ON retention_runs(project_id, id);"
    "CREATE TABLE retention_rows ("
    "  run_id INTEGER NOT NULL REFERENCES retention_runs(id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL,"
    "  digest TEXT NOT NULL, kept INTEGER NOT NULL, why TEXT NOT NULL,"
    "  PRIMARY KEY (run_id, number)) STRICT, WITHOUT ROWID;";

/* What the collector freed, by hour; the last check of the store and what it found. */
static const char checks[] =
    "CREATE TABLE registry_freed ("
    "  hour_ms INTEGER PRIMARY KEY, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;"
    "CREATE TABLE registry_checks ("
    "  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    "  flags INTEGER NOT NULL, started_by TEXT NOT NULL, blobs INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, manifests INTEGER NOT NULL, problems INTEGER NOT NULL,"
    "  repaired INTEGER NOT NULL, notes INTEGER NOT NULL, error TEXT) STRICT;"
    "CREATE TABLE registry_findings ("
    "  check_id INTEGER NOT NULL REFERENCES registry_checks(id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, details TEXT NOT NULL,"
    "  repaired INTEGER NOT NULL, PRIMARY KEY (check_id, number)) STRICT, WITHOUT ROWID;";

/* Of a cache of another registry: what a manifest names and nobody asked for yet, and when the
 * other registry was asked last. */
static const char caches[] =
    "ALTER TABLE tags ADD COLUMN checked_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE manifests ADD COLUMN referrers_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE manifest_wants ("
    "  manifest_id INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL, repository_id INTEGER NOT NULL, size_bytes INTEGER NOT NULL,"
    "  PRIMARY KEY (manifest_id, digest)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX manifest_wants_digest ON manifest_wants(repository_id, digest);";

/* What was deleted, until its time is over. Ids are given once: restoring names one. */
static const char trash[] =
    "CREATE TABLE trash ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL,"
    "  repository TEXT NOT NULL, tag TEXT, digest TEXT, deleted_ms INTEGER NOT NULL,"
    "  deleted_by TEXT NOT NULL) STRICT;"
    "CREATE INDEX trash_oldest ON trash(deleted_ms);"
    "CREATE INDEX trash_project ON trash(project_id, id);"
    "CREATE TABLE trash_manifests ("
    "  trash_id INTEGER NOT NULL REFERENCES trash(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL, media_type TEXT NOT NULL, artifact_type TEXT NOT NULL,"
    "  subject TEXT, platform TEXT NOT NULL, total_bytes INTEGER NOT NULL,"
    "  pushed_ms INTEGER NOT NULL, annotations TEXT, body BLOB NOT NULL,"
    "  PRIMARY KEY (trash_id, digest)) STRICT;"
    "CREATE TABLE trash_references ("
    "  trash_id INTEGER NOT NULL REFERENCES trash(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL, refers_to TEXT NOT NULL, is_child INTEGER NOT NULL,"
    "  PRIMARY KEY (trash_id, digest, refers_to, is_child)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE trash_tags ("
    "  trash_id INTEGER NOT NULL REFERENCES trash(id) ON DELETE CASCADE,"
    "  name TEXT NOT NULL, digest TEXT NOT NULL, pushed_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (trash_id, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE trash_blobs ("
    "  trash_id INTEGER NOT NULL REFERENCES trash(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL REFERENCES blobs(digest),"
    "  PRIMARY KEY (trash_id, digest)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX trash_blobs_digest ON trash_blobs(digest);"
    "CREATE TRIGGER trash_blobs_added AFTER INSERT ON trash_blobs BEGIN"
    "  UPDATE blobs SET repositories = repositories + 1 WHERE digest = NEW.digest; END;"
    "CREATE TRIGGER trash_blobs_removed AFTER DELETE ON trash_blobs BEGIN"
    "  UPDATE blobs SET repositories = repositories - 1 WHERE digest = OLD.digest; END;";

/* A charge goes also when the blob's row is lost: then the check counts anew. */
static const char charges[] =
    "DROP TRIGGER project_blobs_removed;"
    "CREATE TRIGGER project_blobs_removed AFTER DELETE ON project_blobs BEGIN"
    "  UPDATE registry_projects SET used_bytes = used_bytes -"
    "    coalesce((SELECT size_bytes FROM blobs WHERE digest = OLD.digest), 0)"
    "    WHERE project_id = OLD.project_id; END;";

static const char texts[] =
    "ALTER TABLE repositories ADD COLUMN description TEXT NOT NULL DEFAULT '';";

/* Signatures among all that refers to an image; whether an image can still come back. */
static const char signatures[] =
    "CREATE INDEX trash_manifests_digest ON trash_manifests(digest);"
    "CREATE INDEX manifests_subject_type ON manifests(repository_id, subject, artifact_type)"
    "  WHERE subject IS NOT NULL;";

/* What the trash holds, of each project (one that is gone too) and of all (project 0): so its
 * bounds cost nothing to look at. blob_bytes counts a blob in each entry that has it. */
static const char totals[] =
    "ALTER TABLE trash ADD COLUMN manifests INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE trash ADD COLUMN body_bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE trash ADD COLUMN blob_bytes INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE trash_totals ("
    "  project_id INTEGER PRIMARY KEY, entries INTEGER NOT NULL, manifests INTEGER NOT NULL,"
    "  body_bytes INTEGER NOT NULL, blob_bytes INTEGER NOT NULL) STRICT;"
    "INSERT INTO trash_totals VALUES (0, 0, 0, 0, 0);"
    "CREATE TRIGGER trash_entry_added AFTER INSERT ON trash BEGIN"
    "  INSERT INTO trash_totals VALUES (NEW.project_id, 0, 0, 0, 0) ON CONFLICT DO NOTHING;"
    "  UPDATE trash_totals SET entries = entries + 1 WHERE project_id IN (0, NEW.project_id); END;"
    "CREATE TRIGGER trash_entry_counted AFTER UPDATE OF blob_bytes ON trash BEGIN"
    "  UPDATE trash_totals SET manifests = manifests + NEW.manifests - OLD.manifests,"
    "    body_bytes = body_bytes + NEW.body_bytes - OLD.body_bytes,"
    "    blob_bytes = blob_bytes + NEW.blob_bytes - OLD.blob_bytes"
    "    WHERE project_id IN (0, NEW.project_id); END;"
    "CREATE TRIGGER trash_entry_gone AFTER DELETE ON trash BEGIN"
    "  UPDATE trash_totals SET entries = entries - 1, manifests = manifests - OLD.manifests,"
    "    body_bytes = body_bytes - OLD.body_bytes, blob_bytes = blob_bytes - OLD.blob_bytes"
    "    WHERE project_id IN (0, OLD.project_id);"
    "  DELETE FROM trash_totals WHERE project_id = OLD.project_id AND project_id <> 0"
    "    AND entries = 0; END;"
    "INSERT INTO trash_totals SELECT project_id, count(*), 0, 0, 0 FROM trash GROUP BY project_id;"
    "UPDATE trash_totals SET entries = (SELECT count(*) FROM trash) WHERE project_id = 0;"
    "UPDATE trash SET"
    "  manifests = (SELECT count(*) FROM trash_manifests WHERE trash_id = trash.id),"
    "  body_bytes = (SELECT coalesce(sum(length(body)), 0) FROM trash_manifests"
    "    WHERE trash_id = trash.id),"
    "  blob_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM trash_blobs JOIN blobs USING (digest)"
    "    WHERE trash_id = trash.id);";

/* project_id 0: global. `gone`: deleted, its rows below are on their way. */
static const char labels[] =
    "CREATE TABLE labels ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL, name TEXT NOT NULL,"
    "  description TEXT NOT NULL, color TEXT NOT NULL, created_by TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    "  gone INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE UNIQUE INDEX labels_name ON labels(project_id, name) WHERE gone = 0;"
    "CREATE INDEX labels_gone ON labels(id) WHERE gone = 1;"
    "CREATE TABLE manifest_labels ("
    "  manifest_id INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,"
    "  label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,"
    "  PRIMARY KEY (manifest_id, label_id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX manifest_labels_label ON manifest_labels(label_id);"
    "CREATE TABLE trash_labels ("
    "  trash_id INTEGER NOT NULL REFERENCES trash(id) ON DELETE CASCADE,"
    "  digest TEXT NOT NULL,"
    "  label_id INTEGER NOT NULL REFERENCES labels(id) ON DELETE CASCADE,"
    "  PRIMARY KEY (trash_id, digest, label_id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX trash_labels_label ON trash_labels(label_id);";

/* How often an image was pulled; when is there already. */
static const char pulls[] = "ALTER TABLE manifests ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;";

/* Being deleted, in more than one step: nothing is pushed into it meanwhile. */
static const char going[] = "ALTER TABLE repositories ADD COLUMN going INTEGER NOT NULL DEFAULT 0;";

/* Pulls in a table of their own: in the row of a manifest they lay behind its body, and lists read
 * all of that. Manifests by the time of their push (their id) in a repository, by digest in a
 * project; charges by digest. */
static const char narrow[] =
    "CREATE TABLE manifest_pulls ("
    "  manifest_id INTEGER PRIMARY KEY REFERENCES manifests(id) ON DELETE CASCADE,"
    "  repository_id INTEGER NOT NULL, pulled_ms INTEGER NOT NULL, pulls INTEGER NOT NULL) STRICT;"
    "INSERT INTO manifest_pulls SELECT id, repository_id, pulled_ms, pulls FROM manifests"
    "  WHERE pulled_ms > 0 OR pulls > 0;"
    "CREATE INDEX manifest_pulls_repository ON manifest_pulls(repository_id, pulled_ms);"
    "ALTER TABLE manifests DROP COLUMN pulls;"
    "ALTER TABLE manifests DROP COLUMN pulled_ms;"
    "CREATE INDEX manifests_repository ON manifests(repository_id);"
    "CREATE INDEX manifests_project ON manifests(project_id, digest);"
    "CREATE INDEX project_blobs_digest ON project_blobs(digest);";

/* Whose push was the last of these bytes; '': before this was kept, out of the
 * trash, or fetched for a cache. */
static const char pushers[] =
    "ALTER TABLE manifests ADD COLUMN pushed_by TEXT NOT NULL DEFAULT '';";

static const char *const steps[] = {tables,  policies, checks,     caches,  trash,
                                    charges, texts,    signatures, totals,  labels,
                                    pulls,   going,    narrow,     pushers, NULL};

const struct state_schema registry_schema = {"registry", steps};
