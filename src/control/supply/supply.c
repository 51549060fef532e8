#include "supply_priv.h"

#include "base/mem.h"
#include "registry/registry.h"

#include <stdlib.h>

/* What is known about an image goes with it: rows of manifests are the registry's. */
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
    NULL,
};

const struct state_schema supply_schema = {"supply", steps};

struct supply *supply_open(const struct supply_parts *p, struct err *e UNUSED)
{
    struct supply *s = xnew(struct supply);

    s->state = p->state;
    s->access = p->access;
    s->registry = p->registry;
    s->content = p->content;
    lock_init(&s->lock, LOCK_supply);
    return s;
}

void supply_close(struct supply *s)
{
    if (s == NULL) {
        return;
    }
    judge_forget(s);
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
