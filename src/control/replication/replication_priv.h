/* replication_priv - what the files of replication share. */
#pragma once
#include "replication/rows.h"

#include "base/arena.h"
#include "base/cidr.h"
#include "base/cron.h"
#include "base/glob.h"
#include "base/lock.h"
#include "base/vec.h"
#include "fetch/fetch.h"
#include "registry/copy.h"
#include "registry/remote.h"
#include "state/state.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    SLOTS = 3,          /* runs side by side */
    TRIES_MAX = 8,      /* of a task: some three hours */
    RUNS_KEPT = 50,     /* of a rule */
    TASKS_MAX = 100000, /* of a run */
    REGISTRIES_MAX = 200,
    RULES_MAX = 500,
    URL_BYTES_MAX = 512,
    CA_BYTES_MAX = 64 * 1024,
    RATE_BYTES_MIN = 64 * 1024
};

/* --- remotes.c: other registries --- */

struct remote_row {
    int64_t id, created_ms;
    struct str name, url, user, ca_pem;
    bool insecure, has_password;
};
/* In the arena. ERR_NOT_FOUND. */
int remote_row_find(struct state_db *db, struct arena *a, struct str name, struct remote_row *out,
                    struct err *e) MUST_USE;
int remote_row_of_id(struct state_db *db, struct arena *a, int64_t id, struct remote_row *out,
                     struct err *e) MUST_USE;

/* --- rules.c --- */

enum direction { PUSHES, PULLS };
enum trigger { TRIGGER_MANUAL, TRIGGER_SCHEDULE, TRIGGER_EVENT, TRIGGERS };

struct pattern {
    struct str text;
    bool is_not, is_plain; /* plain: one name, no wildcard */
    struct glob *glob;
};

struct rule {
    int64_t id, registry_id, created_ms, next_run_ms, rate_bytes, strip_parts;
    struct str name, registry, destination, schedule, created_by;
    struct str labels; /* "a,b": only images that have all of them; empty: any */
    enum direction direction;
    enum copy_kind kind;
    enum trigger trigger;
    bool mirror_deletions, with_referrers, enabled;
    struct pattern repositories, tags;
    struct cron cron; /* of TRIGGER_SCHEDULE */
};

int pattern_parse(struct arena *a, struct str text, const char *what, struct pattern *out,
                  struct err *e) MUST_USE;
bool pattern_matches(const struct pattern *p, struct str name);
/* The keys that `doc` has, over what *rule holds; checks the whole. */
int rule_read_json(struct arena *a, const json_t *doc, struct rule *rule, struct err *e) MUST_USE;
void rule_write_json(const struct rule *rule, struct jw *w);
/* Where a repository goes: the destination, a slash, and the name less the parts to strip. */
int rule_destination(const struct rule *rule, struct arena *a, struct str repository,
                     struct str *out, struct err *e) MUST_USE;
int rule_of_id(struct state_db *db, struct arena *a, int64_t id, struct rule *out,
               struct err *e) MUST_USE;
int rule_find(struct state_db *db, struct arena *a, struct str name, struct rule *out,
              struct err *e) MUST_USE;
typedef VEC(struct rule) rule_list;
/* All rules that are enabled and have this trigger; in the arena but for the vector. */
int rules_with(struct state_db *db, struct arena *a, enum trigger t, rule_list *out,
               struct err *e) MUST_USE;

/* --- runs.c: rows of runs and tasks --- */

enum run_why { WHY_MANUAL, WHY_SCHEDULE, WHY_EVENT, WHY_START };

struct run_row {
    int64_t id, rule_id, next_ms, tries, failed, n_tasks;
    bool is_planned;
    struct str first_error; /* in the arena; p == NULL: none */
};
struct task_row {
    int64_t number, tries, next_ms, total_bytes, done_bytes, moved_bytes;
    struct str source, destination, reference; /* in the arena */
    bool deletes;
};
enum task_end { TASK_WAITING, TASK_SUCCEEDED, TASK_SKIPPED, TASK_FAILED, TASK_STOPPED, TASK_ENDS };

/* ERR_CONFLICT: a whole run of the rule has not ended. Deletes the oldest. */
int run_add(struct state_db *db, const struct rule *rule, enum run_why why, struct str by,
            int64_t *id, struct err *e) MUST_USE;
/* A run of the rule that waits and was made by events, or a new one. */
int run_add_event(struct state_db *db, const struct rule *rule, int64_t *id,
                  struct err *e) MUST_USE;
/* Adds what is not there yet; what is there is to be done (again). */
int task_add(struct state_db *db, int64_t run_id, const struct task_row *t, struct err *e) MUST_USE;
/* JSON object. ERR_NOT_FOUND. */
int run_write(struct replication *r, int64_t id, struct jw *w, struct err *e) MUST_USE;

/* --- plan.c --- */

/* Puts the tasks of a run down; what a cut left of an earlier try is replaced. */
int plan_run(struct replication *r, const struct rule *rule, struct remote *remote, int64_t run_id,
             struct err *e) MUST_USE;

/* --- run.c --- */

/* One slot; guarded by replication.lock but for `stop`. */
struct slot {
    struct replication *r;
    int64_t run_id, rule_id; /* 0: idle */
    bool is_taken;           /* its runner works on it */
    atomic_bool stop;
    int64_t task; /* number of the task that runs; 0: none */
    struct copy_bytes live;
    pthread_t thread;
};
/* Works on the slot's run until it has ended, waits for its next try, or is stopped. */
void run_work(struct slot *s);
/* Ends a run that nobody works on: what waits is stopped. */
int run_end_stopped(struct replication *r, int64_t run_id, struct err *e) MUST_USE;

/* --- replication.c --- */

struct happened {
    char *json;
};

struct replication {
    struct state *state;
    struct registry *registry;
    struct access *access;
    struct secrets *secrets;
    void *event_ctx;
    void (*event)(void *ctx, const char *type, struct str json);
    int (*ended)(void *ctx, struct state_db *db, const struct replication_end *x, struct err *e);
    const struct cidr *denied;
    size_t n_denied;
    int64_t retry_ms;
    atomic_bool stopping;
    struct lock lock;
    struct slot slots[SLOTS];
    VEC(struct happened) events; /* guarded by lock, as is_woken and lost_events */
    bool is_woken, lost_events;
    pthread_t scheduler;
    bool has_threads;
};

/* Something to do may be there. */
void replication_wake(struct replication *r);
struct remote *replication_remote(struct replication *r, const struct remote_row *row,
                                  int64_t rate_bytes, fetch_stop *stop, void *stop_ctx,
                                  struct err *e) MUST_USE;
/* Whoever works on it is told; true: somebody does. run_id or rule_id may be 0. */
bool replication_stop(struct replication *r, int64_t run_id, int64_t rule_id);
bool replication_live(struct replication *r, int64_t run_id, int64_t *task,
                      struct copy_bytes *live);
/* Tells of a run, to those who may manage the system. */
void replication_tell(struct replication *r, int64_t run_id);

/* --- handlers; ctx is a struct replication * --- */
http_handler api_registries, api_registry_add, api_registry, api_registry_change,
    api_registry_delete, api_registry_ping;
http_handler api_rules, api_rule_add, api_rule, api_rule_change, api_rule_delete, api_rule_run;
http_handler api_runs, api_run, api_run_tasks, api_run_stop;
