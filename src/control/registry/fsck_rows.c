/* The tables among themselves. Each check is one statement that names what is wrong; what mends it
 * stands beside it, and is run in steps, in the order of the table: references before the counters
 * that count them, charges before what is charged. */
#include "fsck.h"

#include "manifest.h"
#include "state/state.h"

#include <string.h>

#define MENDS_MAX 2

/* What a mend walks along: so many at a time, each time in a transaction of its own, so that pushes
 * come between. ?1 (beyond) and ?2 (up to) are ids, or digests; AT_ONCE has one range. */
enum walk { BY_MANIFEST, BY_REPOSITORY, BY_PROJECT, BY_DIGEST, BY_TRASH, AT_ONCE };

static const struct {
    const char *next; /* where the range behind ?1 ends */
    bool is_text;
} walks[] = {
    [BY_MANIFEST] = {"SELECT max(id) FROM (SELECT id FROM manifests WHERE id > ?1 ORDER BY id"
                     " LIMIT 5000)",
                     false},
    [BY_REPOSITORY] = {"SELECT max(id) FROM (SELECT id FROM repositories WHERE id > ?1 ORDER BY id"
                       " LIMIT 50)",
                       false},
    [BY_PROJECT] = {"SELECT max(project_id) FROM (SELECT project_id FROM registry_projects"
                    " WHERE project_id > ?1 ORDER BY project_id LIMIT 20)",
                    false},
    [BY_DIGEST] = {"SELECT max(digest) FROM (SELECT digest FROM blobs WHERE digest > ?1"
                   " ORDER BY digest LIMIT 5000)",
                   true},
    [BY_TRASH] = {"SELECT max(id) FROM (SELECT id FROM trash WHERE id > ?1 ORDER BY id LIMIT 50)",
                  false},
    [AT_ONCE] = {"SELECT NULL WHERE ?1 IS NULL", false},
};

struct row_check {
    const char *kind;
    const char *find; /* rows of name and details */
    struct {
        enum walk by;
        const char *sql;
    } mend[MENDS_MAX];
};

#define WITHIN(column) column " > ?1 AND " column " <= ?2"

#define OF_MANIFESTS                                                                               \
    "(SELECT repository_id, digest, count(*) AS n FROM manifest_blobs GROUP BY 1, 2)"
#define OF_REPOSITORIES                                                                            \
    "(SELECT project_id, digest, sum(charged) AS n FROM repository_blobs GROUP BY 1, 2"            \
    " HAVING n > 0)"
#define OF_PROJECTS                                                                                \
    "(SELECT id, sum(bytes) AS n FROM (SELECT p.project_id AS id, b.size_bytes AS bytes"           \
    "  FROM project_blobs p JOIN blobs b ON b.digest = p.digest"                                   \
    "  UNION ALL SELECT project_id, length(body) FROM manifests) GROUP BY id)"

/* What a range of projects holds, one by one. */
#define BYTES_OF_PROJECTS                                                                          \
    "(SELECT project_id AS id, 0 AS bytes FROM registry_projects WHERE " WITHIN(                   \
        "project_id") " UNION ALL SELECT p.project_id, b.size_bytes FROM project_blobs p"          \
                      " JOIN blobs b ON b.digest = p.digest WHERE " WITHIN(                        \
                          "p.project_id") " UNION ALL SELECT project_id, length(body)"             \
                                          " FROM manifests INDEXED BY manifests_project"           \
                                          " WHERE " WITHIN("project_id") ")"

/* manifest_blobs of a range of repositories, by the index of their manifests. */
#define IN_MANIFESTS                                                                               \
    "(SELECT mb.repository_id, mb.digest FROM manifests m JOIN manifest_blobs mb"                  \
    " ON mb.manifest_id = m.id WHERE m.repository_id > ?1 AND m.repository_id <= ?2)"

/* Repositories and entries of the trash that have a blob. */
#define HOLDERS                                                                                    \
    "((SELECT count(*) FROM repository_blobs rb WHERE rb.digest = blobs.digest) +"                 \
    " (SELECT count(*) FROM trash_blobs tb WHERE tb.digest = blobs.digest))"

/* manifests, body_bytes and blob_bytes of an entry of the trash; of each project, and of all. */
#define OF_ENTRY                                                                                   \
    "((SELECT count(*) FROM trash_manifests x WHERE x.trash_id = trash.id),"                       \
    " (SELECT coalesce(sum(length(body)), 0) FROM trash_manifests x WHERE x.trash_id = trash.id)," \
    " (SELECT coalesce(sum(size_bytes), 0) FROM trash_blobs x JOIN blobs USING (digest)"           \
    "  WHERE x.trash_id = trash.id))"
#define OF_TRASH                                                                                   \
    "(SELECT project_id AS id, count(*) AS n, sum(manifests) AS m, sum(body_bytes) AS b,"          \
    " sum(blob_bytes) AS bb FROM trash GROUP BY 1 UNION ALL SELECT 0, count(*),"                   \
    " coalesce(sum(manifests), 0), coalesce(sum(body_bytes), 0), coalesce(sum(blob_bytes), 0)"     \
    " FROM trash)"

static const struct row_check checks[] = {
    {"lost_manifest",
     "SELECT digest, '' FROM manifests WHERE repository_id NOT IN (SELECT id FROM repositories)",
     {{BY_MANIFEST, "DELETE FROM manifests WHERE " WITHIN(
                        "id") " AND repository_id NOT IN (SELECT id FROM repositories)"}}},
    {"lost_tag",
     "SELECT t.name, '' FROM tags t WHERE NOT EXISTS (SELECT 1 FROM manifests m"
     " WHERE m.id = t.manifest_id AND m.repository_id = t.repository_id)",
     {{BY_REPOSITORY, "DELETE FROM tags WHERE " WITHIN(
                          "repository_id") " AND NOT EXISTS (SELECT 1 FROM manifests m"
                                           " WHERE m.id = tags.manifest_id AND m.repository_id = "
                                           "tags.repository_id)"}}},
    {"lost_reference",
     "SELECT digest, '' FROM manifest_blobs WHERE manifest_id NOT IN (SELECT id FROM manifests)"
     " UNION ALL SELECT digest, '' FROM manifest_children"
     " WHERE manifest_id NOT IN (SELECT id FROM manifests)",
     {{BY_MANIFEST, "DELETE FROM manifest_blobs WHERE " WITHIN(
                        "manifest_id") " AND manifest_id NOT IN (SELECT id FROM manifests)"},
      {BY_MANIFEST, "DELETE FROM manifest_children WHERE " WITHIN(
                        "manifest_id") " AND manifest_id NOT IN (SELECT id FROM manifests)"}}},
    {"lost_blob",
     "SELECT digest, '' FROM repository_blobs"
     " WHERE repository_id NOT IN (SELECT id FROM repositories)"
     " OR digest NOT IN (SELECT digest FROM blobs)",
     {{BY_REPOSITORY,
       "DELETE FROM repository_blobs WHERE " WITHIN(
           "repository_id") " AND repository_id NOT IN (SELECT id FROM repositories)"},
      {BY_REPOSITORY, "DELETE FROM repository_blobs WHERE " WITHIN(
                          "repository_id") " AND digest NOT IN (SELECT digest FROM blobs)"
                                           " AND (repository_id, digest) NOT IN (SELECT "
                                           "repository_id, digest FROM " IN_MANIFESTS ")"}}},
    {"unlinked_blob",
     "SELECT DISTINCT r.name || '@' || mb.digest, '' FROM manifest_blobs mb"
     " JOIN repositories r ON r.id = mb.repository_id WHERE NOT EXISTS (SELECT 1"
     " FROM repository_blobs rb WHERE rb.repository_id = mb.repository_id"
     " AND rb.digest = mb.digest)",
     {{BY_MANIFEST,
       "INSERT INTO repository_blobs(repository_id, digest, touched_ms, project_id)"
       " SELECT DISTINCT mb.repository_id, mb.digest, unixepoch() * 1000, r.project_id"
       " FROM manifest_blobs mb JOIN repositories r ON r.id = mb.repository_id"
       " JOIN blobs b ON b.digest = mb.digest WHERE " WITHIN(
           "mb.manifest_id") " AND NOT EXISTS (SELECT 1"
                             " FROM repository_blobs rb WHERE rb.repository_id = mb.repository_id"
                             " AND rb.digest = mb.digest)"}}},
    {"trash_in_use",
     "SELECT digest, '' FROM blob_trash WHERE digest IN (SELECT digest FROM blobs)",
     {{BY_DIGEST, "DELETE FROM blob_trash WHERE " WITHIN(
                      "digest") " AND digest IN (SELECT digest FROM blobs)"}}},
    {"blob_repositories",
     "SELECT digest, format('%d, counted %d', repositories, " HOLDERS ") FROM blobs"
     " WHERE repositories <> " HOLDERS,
     {{BY_DIGEST, "UPDATE blobs SET repositories = " HOLDERS
                  " WHERE " WITHIN("digest") " AND repositories <> " HOLDERS}}},
    {"blob_manifests",
     "SELECT r.name || '@' || rb.digest, format('%d, counted %d', rb.manifests,"
     " coalesce(c.n, 0)) FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id"
     " LEFT JOIN " OF_MANIFESTS " c ON c.repository_id = rb.repository_id AND c.digest = rb.digest"
     " WHERE rb.manifests <> coalesce(c.n, 0)",
     {{BY_REPOSITORY, "UPDATE repository_blobs SET manifests = 0 WHERE " WITHIN(
                          "repository_id") " AND manifests <> 0"
                                           " AND (repository_id, digest) NOT IN (SELECT "
                                           "repository_id, digest FROM " IN_MANIFESTS ")"},
      {BY_REPOSITORY,
       "UPDATE repository_blobs SET manifests = c.n FROM"
       " (SELECT repository_id, digest, count(*) AS n FROM " IN_MANIFESTS " GROUP BY 1, 2) c"
       " WHERE c.repository_id = repository_blobs.repository_id"
       " AND c.digest = repository_blobs.digest AND manifests <> c.n"}}},
    {"other_project",
     "SELECT r.name || '@' || rb.digest, '' FROM repository_blobs rb"
     " JOIN repositories r ON r.id = rb.repository_id WHERE rb.project_id <> r.project_id"
     " UNION ALL SELECT r.name || '@' || m.digest, '' FROM manifests m"
     " JOIN repositories r ON r.id = m.repository_id WHERE m.project_id <> r.project_id",
     {{BY_REPOSITORY,
       "UPDATE repository_blobs SET project_id = r.project_id FROM repositories r"
       " WHERE " WITHIN("repository_id") " AND r.id = repository_id"
                                         " AND repository_blobs.project_id <> r.project_id"},
      {BY_REPOSITORY,
       "UPDATE manifests SET project_id = r.project_id FROM repositories r"
       " WHERE " WITHIN("repository_id") " AND r.id = repository_id"
                                         " AND manifests.project_id <> r.project_id"}}},
    {"not_charged",
     "SELECT r.name || '@' || rb.digest, '' FROM repository_blobs rb"
     " JOIN repositories r ON r.id = rb.repository_id WHERE rb.manifests > 0 AND rb.charged = 0",
     {{BY_REPOSITORY, "UPDATE repository_blobs SET charged = 1 WHERE " WITHIN(
                          "repository_id") " AND manifests > 0 AND charged = 0"}}},
    {"project_blob",
     "SELECT c.digest, format('%d, counted %d', coalesce(p.repositories, 0), c.n)"
     " FROM " OF_REPOSITORIES " c LEFT JOIN project_blobs p"
     " ON p.project_id = c.project_id AND p.digest = c.digest"
     " WHERE coalesce(p.repositories, 0) <> c.n"
     " UNION ALL SELECT p.digest, format('%d, counted 0', p.repositories) FROM project_blobs p"
     " WHERE (p.project_id, p.digest) NOT IN (SELECT project_id, digest FROM " OF_REPOSITORIES ")",
     {{BY_DIGEST,
       "DELETE FROM project_blobs INDEXED BY project_blobs_digest WHERE " WITHIN(
           "digest") " AND (project_id, digest) NOT IN (SELECT project_id, digest"
                     " FROM repository_blobs WHERE " WITHIN("digest") " AND charged > 0)"},
      {BY_DIGEST, "INSERT INTO project_blobs SELECT project_id, digest, sum(charged) AS n"
                  " FROM repository_blobs WHERE " WITHIN(
                      "digest") " GROUP BY 1, 2 HAVING n > 0"
                                " ON CONFLICT DO UPDATE SET repositories = excluded.repositories"
                                " WHERE repositories <> excluded.repositories"}}},
    {"project_bytes",
     "SELECT format('project %d', coalesce(p.project_id, c.id)),"
     " format('%d, counted %d', coalesce(p.used_bytes, 0), coalesce(c.n, 0))"
     " FROM registry_projects p FULL JOIN " OF_PROJECTS " c ON c.id = p.project_id"
     " WHERE coalesce(p.used_bytes, 0) <> coalesce(c.n, 0)",
     {{BY_PROJECT,
       "INSERT INTO registry_projects(project_id, used_bytes) SELECT id, sum(bytes)"
       " FROM " BYTES_OF_PROJECTS " WHERE true GROUP BY id ON CONFLICT DO UPDATE"
       " SET used_bytes = excluded.used_bytes WHERE used_bytes <> excluded.used_bytes"}}},
    {"trash_entry",
     "SELECT format('entry %d of the trash', id), '' FROM trash"
     " WHERE (manifests, body_bytes, blob_bytes) <> " OF_ENTRY,
     {{BY_TRASH, "UPDATE trash SET (manifests, body_bytes, blob_bytes) = " OF_ENTRY
                 " WHERE " WITHIN("id") " AND (manifests, body_bytes, blob_bytes) <> " OF_ENTRY}}},
    {"trash_totals",
     "SELECT iif(coalesce(c.id, t.project_id) = 0, 'all', format('project %d', coalesce(c.id,"
     " t.project_id))), format('%d entries, counted %d', coalesce(t.entries, 0), coalesce(c.n, 0))"
     " FROM trash_totals t FULL JOIN " OF_TRASH " c ON c.id = t.project_id"
     " WHERE (t.entries, t.manifests, t.body_bytes, t.blob_bytes) IS NOT (c.n, c.m, c.b, c.bb)",
     {{AT_ONCE, "DELETE FROM trash_totals WHERE project_id <> 0"
                " AND project_id NOT IN (SELECT project_id FROM trash) AND ?1 < ?2"},
      {AT_ONCE, "INSERT INTO trash_totals SELECT id, n, m, b, bb FROM " OF_TRASH
                " WHERE ?1 < ?2 ON CONFLICT DO UPDATE SET entries = excluded.entries,"
                " manifests = excluded.manifests, body_bytes = excluded.body_bytes,"
                " blob_bytes = excluded.blob_bytes"}}},
    {"missing_child",
     "SELECT r.name || '@' || c.digest, '' FROM manifest_children c"
     " JOIN repositories r ON r.id = c.repository_id WHERE NOT EXISTS (SELECT 1 FROM manifests m"
     "  WHERE m.repository_id = c.repository_id AND m.digest = c.digest)"
     " AND NOT EXISTS (SELECT 1 FROM repository_blobs rb"
     "  WHERE rb.repository_id = c.repository_id AND rb.digest = c.digest)"
     " AND NOT EXISTS (SELECT 1 FROM projects p" /* a cache fetches it when asked */
     "  WHERE p.id = r.project_id AND p.proxy_registry IS NOT NULL)",
     {{BY_MANIFEST, NULL}}},
};

struct rows {
    struct fsck_report *rep;
    bool is_again; /* after the repair: only counts */
    bool found[ARRAY_LEN(checks)];
};

static int run_check(struct state_db *db, struct rows *w, size_t i, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    w->found[i] = false;
    if (query_open(&q, db, e, checks[i].find, "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        w->found[i] = true;
        if (!w->is_again) {
            fsck_found(w->rep, checks[i].kind, query_str(&q, 0), query_str(&q, 1), FSCK_LEFT);
        }
    }
    return r;
}

static int check_noted(struct state_db *db, struct fsck_report *rep, const struct query *q,
                       const char *blob, struct err *e)
{
    int64_t is_noted;

    if (state_one_i64(
            db, &is_noted, e, "rows",
            "SELECT EXISTS (SELECT 1 FROM manifest_blobs WHERE manifest_id = ?1 AND digest = ?2)"
            " OR EXISTS (SELECT 1 FROM manifest_wants WHERE manifest_id = ?1 AND digest = ?2)",
            "iz", query_i64(q, 0), blob) < 0) {
        return -1;
    }
    if (!is_noted) {
        fsck_found(rep, "manifest_blobs", query_str(q, 1), str_of(blob), FSCK_LEFT);
    }
    return 0;
}

/* Its digest, and that each blob it names is noted as its own. */
static int check_body(struct state_db *db, struct fsck_report *rep, const struct query *q,
                      struct arena *a, struct err *e)
{
    struct str digest = query_str(q, 1), body = query_str(q, 3), rest = digest;
    char have[CONTENT_DIGEST_MAX];
    struct manifest m;
    struct err bad;

    if (content_digest_of(body, str_cut(&rest, ':'), have, &bad) < 0 || !str_eq_c(digest, have) ||
        manifest_parse(a, query_str(q, 2), body, &m, &bad) < 0) {
        fsck_found(rep, "damaged_manifest", digest, STR_EMPTY, FSCK_LEFT);
        return 0;
    }
    for (size_t i = 0; i < m.n_layers; i++) {
        if (!m.layers[i].foreign && check_noted(db, rep, q, m.layers[i].digest, e) < 0) {
            return -1;
        }
    }
    return m.is_index ? 0 : check_noted(db, rep, q, m.config.digest, e);
}

static int check_bodies(struct state_db *db, struct fsck_report *rep, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r;

    if (query_open(&q, db, e, "SELECT id, digest, media_type, body FROM manifests", "") < 0) {
        return -1;
    }
    while ((r = query_step(&q, e)) > 0) {
        struct arena a = {0};

        rep->manifests++;
        r = check_body(db, rep, &q, &a, e);
        arena_done(&a);
        if (r < 0) {
            return -1;
        }
        if (atomic_load(&rep->r->is_closing)) {
            return err_set(e, ERR_UNAVAILABLE, "the server stopped before the end");
        }
    }
    return r;
}

static int check_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct rows *w = ctx;

    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (run_check(db, w, i, e) < 0) {
            return -1;
        }
    }
    return w->is_again ? 0 : check_bodies(db, w->rep, e);
}

/* A range of one mend. */
struct mending {
    const char *sql;
    enum walk by;
    int64_t after, upto;
    char after_text[CONTENT_DIGEST_MAX], upto_text[CONTENT_DIGEST_MAX];
    bool is_last;
};

static int next_range(struct state_db *db, struct mending *m, struct err *e)
{
    SCOPED(query_done) struct query q = {0};
    int r = walks[m->by].is_text ? query_open(&q, db, e, walks[m->by].next, "z", m->after_text)
                                 : query_open(&q, db, e, walks[m->by].next, "i", m->after);

    if (r < 0 || (r = query_step(&q, e)) < 0) {
        return -1;
    }
    m->is_last = r == 0 || query_is_null(&q, 0);
    m->upto = m->is_last ? INT64_MAX : query_i64(&q, 0);
    return str_copy(m->is_last ? STR("~") : query_str(&q, 0), m->upto_text, sizeof(m->upto_text));
}

static int mend_fn(struct state_db *db, void *ctx, struct err *e)
{
    struct mending *m = ctx;

    if (next_range(db, m, e) < 0) {
        return -1;
    }
    return walks[m->by].is_text ? state_run(db, e, m->sql, "zz", m->after_text, m->upto_text)
                                : state_run(db, e, m->sql, "ii", m->after, m->upto);
}

static int mend_one(struct registry *r, struct mending *m, struct err *e)
{
    while (!m->is_last) {
        if (atomic_load(&r->is_closing)) {
            return err_set(e, ERR_UNAVAILABLE, "the server stopped before the end");
        }
        if (state_write(r->state, mend_fn, m, e) < 0) {
            return -1;
        }
        m->after = m->upto;
        memcpy(m->after_text, m->upto_text, sizeof(m->after_text));
    }
    return 0;
}

static int mend_all(struct registry *r, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        for (size_t k = 0; k < MENDS_MAX && checks[i].mend[k].sql != NULL; k++) {
            struct mending m = {
                .sql = checks[i].mend[k].sql, .by = checks[i].mend[k].by, .after = INT64_MIN};

            if (mend_one(r, &m, e) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* What is no longer found was mended. */
static int mend(struct rows *w, struct err *e)
{
    struct fsck_report *rep = w->rep;
    bool before[ARRAY_LEN(checks)];

    memcpy(before, w->found, sizeof(before));
    w->is_again = true;
    if (mend_all(rep->r, e) < 0 || state_read(rep->r->state, check_fn, w, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < rep->findings.len; i++) {
        struct fsck_finding *f = &rep->findings.p[i];

        for (size_t k = 0; k < ARRAY_LEN(checks); k++) {
            if (before[k] && !w->found[k] && strcmp(checks[k].kind, f->kind->name) == 0) {
                f->repaired = true;
                rep->repaired++;
            }
        }
    }
    return 0;
}

int fsck_rows(struct fsck_report *rep, struct err *e)
{
    struct rows w = {.rep = rep};
    bool any = false;

    if (state_read(rep->r->state, check_fn, &w, e) < 0) {
        return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        any = any || (w.found[i] && checks[i].mend[0].sql != NULL);
    }
    return any && (rep->flags & REGISTRY_CHECK_REPAIR) ? mend(&w, e) : 0;
}
