#include "scan.h"

#include "access/access.h"
#include "base/log.h"
#include "base/mem.h"
#include "registry/registry.h"

#include <stdlib.h>

/* Rows of manifests are the registry's: a scan goes with its image. A report stays until the image
 * can neither be restored nor was just deleted to be pushed again, as it would be without findings
 * then; it is of a digest in a project. */
static const char *const steps[] = {
    "CREATE TABLE supply_projects("
    "  project_id INTEGER PRIMARY KEY, policy TEXT NOT NULL) STRICT;"

    "CREATE TABLE supply_keys("
    "  project_id INTEGER NOT NULL, name TEXT NOT NULL, pem TEXT NOT NULL,"
    "  algorithm TEXT NOT NULL, fingerprint TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, created_by TEXT NOT NULL,"
    "  PRIMARY KEY (project_id, name)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE supply_reports("
    "  manifest_id INTEGER PRIMARY KEY REFERENCES manifests(id) ON DELETE CASCADE,"
    "  format TEXT NOT NULL, tool TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, created_by TEXT NOT NULL,"
    "  unknown INTEGER NOT NULL, low INTEGER NOT NULL, medium INTEGER NOT NULL,"
    "  high INTEGER NOT NULL, critical INTEGER NOT NULL) STRICT;"

    "CREATE TABLE supply_findings("
    "  manifest_id INTEGER NOT NULL REFERENCES supply_reports(manifest_id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL, severity INTEGER NOT NULL, vulnerability TEXT NOT NULL,"
    "  package TEXT NOT NULL, version TEXT NOT NULL, fixed TEXT NOT NULL, link TEXT NOT NULL,"
    "  title TEXT NOT NULL, PRIMARY KEY (manifest_id, number)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE supply_scanners("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT," /* sealed values are bound to it */
    "  name TEXT NOT NULL UNIQUE, url TEXT NOT NULL, auth BLOB, created_ms INTEGER NOT NULL) "
    "STRICT;"

    /* next_ms: when its next step is due; NULL: it has ended. ticket: the id that the scanner gave.
     */
    "CREATE TABLE supply_scans("
    "  manifest_id INTEGER PRIMARY KEY REFERENCES manifests(id) ON DELETE CASCADE,"
    "  project_id INTEGER NOT NULL, repository TEXT NOT NULL, digest TEXT NOT NULL,"
    "  media_type TEXT NOT NULL, user_id INTEGER NOT NULL, started_by TEXT NOT NULL,"
    "  state TEXT NOT NULL, ticket TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0,"
    "  looks INTEGER NOT NULL DEFAULT 0, started_ms INTEGER NOT NULL, ended_ms INTEGER,"
    "  next_ms INTEGER, error TEXT) STRICT;"
    "CREATE INDEX supply_scans_due ON supply_scans(next_ms) WHERE next_ms IS NOT NULL;",

    "ALTER TABLE supply_findings RENAME TO supply_findings_1;"
    "ALTER TABLE supply_reports RENAME TO supply_reports_1;"
    "CREATE TABLE supply_reports("
    "  id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL, digest TEXT NOT NULL,"
    "  format TEXT NOT NULL, tool TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, created_by TEXT NOT NULL,"
    "  unknown INTEGER NOT NULL, low INTEGER NOT NULL, medium INTEGER NOT NULL,"
    "  high INTEGER NOT NULL, critical INTEGER NOT NULL, unused_ms INTEGER,"
    "  UNIQUE (project_id, digest)) STRICT;"
    "CREATE INDEX supply_reports_unused ON supply_reports(unused_ms) WHERE unused_ms IS NOT NULL;"
    "CREATE TABLE supply_findings("
    "  report_id INTEGER NOT NULL REFERENCES supply_reports(id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL, severity INTEGER NOT NULL, vulnerability TEXT NOT NULL,"
    "  package TEXT NOT NULL, version TEXT NOT NULL, fixed TEXT NOT NULL, link TEXT NOT NULL,"
    "  title TEXT NOT NULL, PRIMARY KEY (report_id, number)) STRICT, WITHOUT ROWID;"
    "INSERT OR IGNORE INTO supply_reports(id, project_id, digest, format, tool, created_ms,"
    "  created_by, unknown, low, medium, high, critical) SELECT r.manifest_id, m.project_id,"
    "  m.digest, r.format, r.tool, r.created_ms, r.created_by, r.unknown, r.low, r.medium, r.high,"
    "  r.critical FROM supply_reports_1 r JOIN manifests m ON m.id = r.manifest_id"
    "  ORDER BY r.created_ms DESC;"
    "INSERT INTO supply_findings SELECT * FROM supply_findings_1"
    "  WHERE manifest_id IN (SELECT id FROM supply_reports);"
    "DROP TABLE supply_findings_1;"
    "DROP TABLE supply_reports_1;"
    "CREATE TRIGGER supply_manifest_gone AFTER DELETE ON manifests BEGIN"
    "  UPDATE supply_reports SET unused_ms = unixepoch() * 1000"
    "    WHERE project_id = OLD.project_id AND digest = OLD.digest; END;"
    "CREATE TRIGGER supply_manifest_back AFTER INSERT ON manifests BEGIN"
    "  UPDATE supply_reports SET unused_ms = NULL WHERE project_id = NEW.project_id"
    "    AND digest = NEW.digest AND unused_ms IS NOT NULL; END;",
    NULL,
};

const struct state_schema supply_schema = {"supply", steps};

struct supply *supply_open(const struct supply_parts *p, struct err *e)
{
    SCOPED(supply_closep) struct supply *s = xnew(struct supply);

    s->state = p->state;
    s->access = p->access;
    s->registry = p->registry;
    s->content = p->content;
    s->secrets = p->secrets;
    s->denied = p->denied;
    s->n_denied = p->n_denied;
    s->own_url = xstrdup(p->url);
    s->ctx = p->ctx;
    s->scanned = p->scanned;
    lock_init(&s->lock, LOCK_supply);
    return !p->is_offline && scan_worker_start(s, e) < 0 ? NULL : TAKE(s);
}

void supply_close(struct supply *s)
{
    if (s == NULL) {
        return;
    }
    scan_worker_stop(s);
    judge_forget(s);
    free(s->own_url);
    lock_done(&s->lock);
    free(s);
}

static int gone_fn(struct state_db *db, void *ctx, struct err *e)
{
    int64_t id = *(const int64_t *)ctx;

    return state_run(db, e, "DELETE FROM supply_keys WHERE project_id = ?", "i", id) < 0
               ? -1
               : state_run(db, e, "DELETE FROM supply_projects WHERE project_id = ?", "i", id);
}

int supply_project_gone(struct supply *s, int64_t project_id, struct err *e)
{
    return state_write(s->state, gone_fn, &project_id, e);
}

static int scan_arrived(struct supply *s, const struct registry_arrival *x, struct err *e)
{
    SCOPED(arena_done) struct arena a = {0};
    struct trust_policy policy;
    struct artifact of;
    struct accessory self;

    if (trust_policy_read(s, &a, x->project_id, &policy, e) < 0) {
        return -1;
    }
    if (!policy.scans_on_push) {
        return 0;
    }
    if (artifact_find(s->registry, &a, x->repository, str_of(x->digest), &of, e) < 0) {
        return -1;
    }
    accessory_parse(&a, of.artifact_type, of.body, &self);
    return self.kind != ACCESSORY_OTHER || is_index(&of) /* its images arrived before it */
               ? 0
               : scan_start(s, &of, 0, x->by, e);
}

void supply_arrived(struct supply *s, const struct registry_arrival *x)
{
    struct err e;

    if (s != NULL && scan_arrived(s, x, &e) < 0) {
        log_warn("scan.not_started", "repository=%s digest=%s error=%s next=start it by hand",
                 Q(x->repository), x->digest, Q(str_of(e.msg)));
    }
}

int supply_metrics(struct state_db *db, struct buf *out, struct err *e)
{
    static const struct state_gauge gauges[] = {
        {"strata_scans_waiting", "Scans of images that wait or go on.",
         "SELECT count(*) FROM supply_scans WHERE next_ms IS NOT NULL"},
    };

    return state_gauges(db, gauges, ARRAY_LEN(gauges), out, e);
}
