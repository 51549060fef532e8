/* retention - removes the tags that a project's rules do not keep; says of each what and why.
 *
 *   schedule or POST .../retention/runs -> one repository after the other: read, decide, remove
 *
 * A run is a row of retention_runs with a row of retention_rows for each tag it looked at. A dry
 * run decides and writes the same, and removes nothing. Deciding is a function of what was read
 * (retention_decide), so it is tested without a database. */
#pragma once
#include "policy.h"

struct registry;

enum { SUBJECT_NONE = 0, SUBJECT_GONE = -1, SUBJECT_STAYS = -2 };

/* A tag, or a manifest without any. */
struct retained {
    struct str tag; /* p == NULL: none */
    struct str digest;
    struct str labels;                         /* of the image, one a line; p == NULL: none */
    int64_t manifest_id, pushed_ms, pulled_ms; /* never pulled: 0 */
    bool is_kept, is_named;                    /* named: some rule is about it */
    size_t image;                              /* tags of one manifest have one number */
    int64_t subject_id; /* a tag of cosign's belongs to this manifest, or SUBJECT_* */
    const char *why;    /* in the arena */
};

/* A repository that no rule is about is left alone. */
bool retention_is_about(const struct policy *p, struct str repository);
/* Fills is_kept and why of each (and what it needs for that). `repository` without the project.
 * The tags sha256-<hex> of signatures and SBOMs are no images: they stay and go with theirs. */
void retention_decide(const struct policy *p, struct arena *a, struct str repository,
                      struct retained *items, size_t n, int64_t now_ms);

enum { RETENTION_DRY_RUN = 1 };

/* Runs now; `id` receives that of the run, also when it failed midway (the row says so). A project
 * has one run at a time: ERR_CONFLICT. */
int retention_run(struct registry *r, struct str project, int64_t project_id, unsigned flags,
                  struct str started_by, int64_t *id, struct err *e) MUST_USE;
/* Once, before anything else: runs that a kill cut short are over. */
int retention_recover(struct registry *r, struct err *e) MUST_USE;
/* Once a minute: begins what is due, one after the other on a thread of its own. */
int retention_due(struct registry *r, struct err *e);
/* Ends that thread: a run under way says that it was cut short. */
void retention_stop(struct registry *r);
/* Stops the run of a project that is going on, between two steps (its error begins with "stopped"
 * then); without one it does nothing. */
void retention_cancel(struct registry *r, int64_t project_id);

int retention_run_write(struct registry *r, int64_t project_id, int64_t id, struct jw *w,
                        struct err *e) MUST_USE;
struct page;
/* Newest first; `after` is an id. */
int retention_runs_write(struct registry *r, int64_t project_id, struct page *p, struct jw *w,
                         struct err *e) MUST_USE;
int retention_rows_write(struct registry *r, int64_t project_id, int64_t id, struct page *p,
                         struct jw *w, struct err *e) MUST_USE;
