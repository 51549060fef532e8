/* migrate - what a Harbor holds, brought here.
 *
 *   strata image migrate -> migrate.c: project by project -> members and robots (migrate_access.c),
 *   labels (migrate_labels.c), images (migrate_images.c, transfer.c), policies (migrate_policies.c)
 *   -> the report
 *
 * Read there: Harbor's API v2.0 (migrate_source.c) and /v2/. Written here: our own Harbor API,
 * which judges the shapes of Harbor already, and /v2/. Nothing is written there, and here only what
 * is missing is made: a run that was cut is gone on with by another. The Harbor is not trusted:
 * lists, pages and sizes have limits, names are checked, no answer leads to another server. */
#pragma once
#include "main/cli/cli.h"

#include "base/map.h"
#include "fetch/fetch.h"

struct remote;
struct transfer;

/* --- migrate_source.c: Harbor's API v2.0 --- */

struct source;
struct source_options {
    const char *url, *user, *password; /* user NULL: nobody */
    struct fetch_options fetch;
};
struct source *source_open(const struct source_options *o, struct err *e) MUST_USE;
void source_close(struct source *s);
DEFINE_SCOPED(struct source, source_close)
/* `path` after /api/v2.0. ERR_NOT_FOUND, ERR_FORBIDDEN. */
int source_get(struct source *s, const char *path, json_t **out, struct err *e) MUST_USE;
/* Each row (an object) of all pages of a list. -1 of the callback ends it. */
typedef int source_row(void *ctx, const json_t *row, struct err *e);
int source_each(struct source *s, const char *path, source_row *each, void *ctx,
                struct err *e) MUST_USE;

/* --- migrate.c --- */

enum outcome { BROUGHT, WOULD, THERE, SKIPPED, FAILED, TODO, OUTCOMES };

struct migration {
    struct cli *c;
    struct source *from;
    struct remote *images_from, *images_to;
    struct transfer *transfer;
    bool is_dry;
    json_t *maps; /* {"old": "new"} */
    json_t *rows; /* what is told of at the end: [{"outcome","kind","name","why"}] */
    int64_t rows_bytes, rows_left_out;
    json_t *secrets; /* [{"robot","secret"}] that are shown at the end */
    int64_t counts[OUTCOMES];
    int64_t never;       /* of those that failed: what no further run could bring either */
    json_t *labels_here; /* {"name": id}: global ones; of the project under way */
    json_t *project_labels_here;
    json_t *label_names; /* {"name": true} of all that came or were here */
    int secrets_fd;      /* or -1 */
    json_t *known;       /* of its file: {"robot$a+b": "secret" or ""} */
    json_t
        *robot_rights; /* [{"resource","action"}] that robots here can be given; NULL: not asked */
};

struct project {
    const char *name, *to; /* there, here */
    int64_t there_id, id;  /* id 0: not here yet (a dry run) */
    const json_t *row;     /* as Harbor tells of it */
};

/* Names that come from the Harbor are words of a command only through shell_word. */
void migrate_note(struct migration *m, enum outcome o, const char *kind, const char *name,
                  const char *why_fmt, ...) PRINTF_LIKE(5, 6);
/* It has failed, and will: nothing waits for it. */
void migrate_never(struct migration *m, const char *kind, const char *name, const char *why);
/* After a request here: what cannot be here is left out, all else has failed. */
void migrate_refused(struct migration *m, const char *kind, const char *name, const struct err *e);
/* The name that --map gives it, or NULL. */
const char *migrate_map(const struct migration *m, const char *name);
/* Each row of all pages of a list of our Harbor API. */
int here_each(struct migration *m, const char *path, source_row *each, void *ctx,
              struct err *e) MUST_USE;
/* The caller owns it: a whole list of our Harbor API. */
int here_list(struct migration *m, const char *path, json_t **items, struct err *e) MUST_USE;
/* The row whose `key` is `value`, or NULL. */
const json_t *here_find(const json_t *items, const char *key, const char *value);
/* POST below /api/v2.0; true when it was made, else it has been told of. In a dry run: it would. */
bool here_add(struct migration *m, const char *kind, const char *name, const char *path,
              const json_t *body);

/* --- migrate_access.c --- */

void migrate_members(struct migration *m, const struct project *p);
void migrate_robots(struct migration *m, const struct project *p); /* NULL: of the system */
int migrate_secrets_open(struct migration *m, const char *path, struct err *e) MUST_USE;

/* --- migrate_labels.c --- */

/* Of the project; NULL: those of the system. */
void migrate_labels(struct migration *m, const struct project *p);
/* The id here of a label on an artifact there, made when it is missing; 0: it is not here, -1: it
 * would be (a dry run). */
int64_t migrate_label_id(struct migration *m, const struct project *p, const json_t *label);

/* --- migrate_images.c --- */

/* -1: one of the two does not answer any more. */
int migrate_images(struct migration *m, const struct project *p, struct err *e) MUST_USE;

/* --- migrate_policies.c --- */

void migrate_policies(struct migration *m, const struct project *p);
void migrate_replication(struct migration *m);

/* --- translate.c: what Harbor tells, as it is to be said here; the caller owns it --- */

/* What the rules of a project ask of its images, for the body of a project here. */
json_t *translate_metadata(const json_t *project);
/* Findings that do not count; NULL: none, or not for ever. */
json_t *translate_allowlist(const json_t *list);
/* `left_out` receives what robots here cannot be given. NULL: nothing is left. */
json_t *translate_robot(const json_t *row, const json_t *maps, const json_t *rights,
                        struct buf *left_out);
/* "robot$demo+ci" -> "ci", "robot$ci" -> "ci". */
const char *translate_robot_name(const char *login);
/* Without rules that are not in force; NULL: none is. */
json_t *translate_retention(const json_t *policy, int64_t project_id);
json_t *translate_immutable(const json_t *row);
/* `project_id` 0: a global one. */
json_t *translate_label(const json_t *row, int64_t project_id);
bool translate_same_immutable(const json_t *a, const json_t *b);
json_t *translate_webhook(const json_t *row);
/* *has_secret: it signs in there with something that is not told. */
json_t *translate_registry(const json_t *row, bool *has_secret);
/* `ids`: {"name": id here}; NULL: it names a registry that is not here. */
json_t *translate_rule(const json_t *row, const json_t *ids, const json_t *maps);
/* The first label that the filters of a rule ask for and `names` does not have; NULL: none. */
const char *translate_missing_label(const json_t *rule, const json_t *names);
