#include "replication_priv.h"

#include "registry/registry.h"

/* Ids are given once (AUTOINCREMENT): a runner that still ends a deleted run must not end another
 * one, and a password must not find another registry. */
static const char tables[] =
    "CREATE TABLE replication_registries ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, url TEXT NOT NULL, user "
    "TEXT NOT NULL,"
    "  has_password INTEGER NOT NULL, ca_pem TEXT NOT NULL, insecure INTEGER NOT NULL,"
    "  created_ms INTEGER NOT NULL) STRICT;"

    "CREATE TABLE replication_rules ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, direction INTEGER NOT NULL,"
    "  registry_id INTEGER NOT NULL REFERENCES replication_registries(id),"
    "  repositories TEXT NOT NULL, tags TEXT NOT NULL, kind INTEGER NOT NULL,"
    "  destination TEXT NOT NULL, strip_parts INTEGER NOT NULL, trigger INTEGER NOT NULL,"
    "  schedule TEXT NOT NULL, mirror_deletions INTEGER NOT NULL,"
    "  with_referrers INTEGER NOT NULL, rate_bytes INTEGER NOT NULL, enabled INTEGER NOT NULL,"
    "  created_by TEXT NOT NULL, created_ms INTEGER NOT NULL, next_run_ms INTEGER) STRICT;"
    "CREATE INDEX replication_rules_due ON replication_rules(next_run_ms)"
    "  WHERE next_run_ms IS NOT NULL;"

    /* A row without ended_ms is what the scheduler looks for, at next_ms. */
    "CREATE TABLE replication_runs ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  rule_id INTEGER NOT NULL REFERENCES replication_rules(id) ON DELETE CASCADE,"
    "  why INTEGER NOT NULL, started_by TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    "  started_ms INTEGER, ended_ms INTEGER, next_ms INTEGER NOT NULL,"
    "  tries INTEGER NOT NULL DEFAULT 0, planned INTEGER NOT NULL,"
    "  stop INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting',"
    "  tasks INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,"
    "  skipped INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,"
    "  moved_bytes INTEGER NOT NULL DEFAULT 0, error TEXT) STRICT;"
    "CREATE INDEX replication_runs_rule ON replication_runs(rule_id, id);"
    "CREATE INDEX replication_runs_open ON replication_runs(next_ms) WHERE ended_ms IS NULL;"

    "CREATE TABLE replication_tasks ("
    "  run_id INTEGER NOT NULL REFERENCES replication_runs(id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL, deletes INTEGER NOT NULL, source TEXT NOT NULL,"
    "  reference TEXT NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL,"
    "  tries INTEGER NOT NULL DEFAULT 0, next_ms INTEGER NOT NULL DEFAULT 0, digest TEXT,"
    "  total_bytes INTEGER NOT NULL DEFAULT 0, done_bytes INTEGER NOT NULL DEFAULT 0,"
    "  moved_bytes INTEGER NOT NULL DEFAULT 0, error TEXT, started_ms INTEGER,"
    "  ended_ms INTEGER, PRIMARY KEY (run_id, number)) STRICT;"
    "CREATE INDEX replication_tasks_waiting ON replication_tasks(run_id, next_ms)"
    "  WHERE state = 'waiting';"
    "CREATE UNIQUE INDEX replication_tasks_what"
    "  ON replication_tasks(run_id, source, reference, destination);"

    "CREATE TABLE replication_uploads ("
    "  registry_id INTEGER NOT NULL REFERENCES replication_registries(id) ON DELETE CASCADE,"
    "  repository TEXT NOT NULL, digest TEXT NOT NULL, url TEXT NOT NULL,"
    "  changed_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (registry_id, repository, digest)) STRICT, WITHOUT ROWID;";

/* Names with commas between: only what has all of them. */
static const char labels[] =
    "ALTER TABLE replication_rules ADD COLUMN labels TEXT NOT NULL DEFAULT '';";

static const char *const steps[] = {tables, labels, NULL};

const struct state_schema replication_schema = {"replication", steps};

#define REGISTRY "/api/v1/registries/{name}"
#define RULE "/api/v1/replication/rules/{name}"
#define RUN "/api/v1/replication/runs/{id}"

const struct route replication_routes[] = {
    {HTTP_GET, "/api/v1/registries", PERM_SYSTEM_MANAGE, api_registries,
     "Lists the other registries that images are copied from and to.", .query = "q limit after",
     .gives = "200 [RemoteRegistry]"},
    {HTTP_POST, "/api/v1/registries", PERM_SYSTEM_MANAGE, api_registry_add,
     "Adds another registry.", .takes = "RemoteRegistryNew", .gives = "201 RemoteRegistry"},
    {HTTP_GET, REGISTRY, PERM_SYSTEM_MANAGE, api_registry,
     "Shows another registry; never its password.", .gives = "200 RemoteRegistry"},
    {HTTP_PATCH, REGISTRY, PERM_SYSTEM_MANAGE, api_registry_change,
     "Changes address, user, password or certificate of another registry.",
     .takes = "RemoteRegistryChange", .gives = "200 RemoteRegistry"},
    {HTTP_DELETE, REGISTRY, PERM_SYSTEM_MANAGE, api_registry_delete,
     "Removes another registry that no rule names.", .gives = "204"},
    {HTTP_POST, REGISTRY "/ping", PERM_SYSTEM_MANAGE, api_registry_ping,
     "Asks another registry whether it answers and takes the password.", ROUTE_NO_AUDIT,
     .gives = "200 RemoteRegistryPing"},
    {HTTP_GET, "/api/v1/replication/rules", PERM_SYSTEM_MANAGE, api_rules,
     "Lists the rules of replication.", .query = "q limit after", .gives = "200 [ReplicationRule]"},
    {HTTP_POST, "/api/v1/replication/rules", PERM_SYSTEM_MANAGE, api_rule_add,
     "Makes a rule: what is copied where, and when.", .takes = "ReplicationRuleNew",
     .gives = "201 ReplicationRule"},
    {HTTP_GET, RULE, PERM_SYSTEM_MANAGE, api_rule, "Shows a rule of replication.",
     .gives = "200 ReplicationRule"},
    {HTTP_PATCH, RULE, PERM_SYSTEM_MANAGE, api_rule_change, "Changes a rule of replication.",
     .takes = "ReplicationRuleChange", .gives = "200 ReplicationRule"},
    {HTTP_DELETE, RULE, PERM_SYSTEM_MANAGE, api_rule_delete,
     "Deletes a rule with its runs; what it copied stays.", .gives = "204"},
    {HTTP_POST, RULE "/run", PERM_SYSTEM_MANAGE, api_rule_run, "Runs a rule now.",
     .gives = "202 ReplicationRun"},
    {HTTP_GET, "/api/v1/replication/runs", PERM_SYSTEM_MANAGE, api_runs,
     "Runs of replication, newest first, of all rules or of one.", .query = "q rule limit after",
     .gives = "200 [ReplicationRun]"},
    {HTTP_GET, RUN, PERM_SYSTEM_MANAGE, api_run, "One run of replication.",
     .gives = "200 ReplicationRun"},
    {HTTP_GET, RUN "/tasks", PERM_SYSTEM_MANAGE, api_run_tasks,
     "What a run does with each tag, and how far it is.", .query = "q state limit after",
     .gives = "200 [ReplicationTask]"},
    {HTTP_POST, RUN "/stop", PERM_SYSTEM_MANAGE, api_run_stop,
     "Stops a run, also in the middle of a blob.", .gives = "202 ReplicationRun"},
    {0},
};

#define RULE_FORM                                                                                  \
    " repositories?: string, tags?: string, labels?: [string], kind?: 'all' | 'images' | "         \
    "'artifacts',"                                                                                 \
    " destination?: string, strip_parts?: integer, trigger?: 'manual' | 'schedule' | 'event',"     \
    " schedule?: string | null, mirror_deletions?: boolean, with_referrers?: boolean,"             \
    " rate_bytes?: integer, enabled?: boolean}"

const struct http_schema replication_schemas[] = {
    {"RemoteRegistry", "{id: integer, name: string, url: string, user: string,"
                       " has_password: boolean, ca_certificate: string, insecure: boolean,"
                       " created_at: time}"},
    {"RemoteRegistryNew", "{name: string, url: string, user?: string, password?: string | null,"
                          " ca_certificate?: string, insecure?: boolean}"},
    {"RemoteRegistryChange", "{url?: string, user?: string, password?: string | null,"
                             " ca_certificate?: string, insecure?: boolean}"},
    {"RemoteRegistryPing", "{ok: boolean, error: string | null}"},
    {"ReplicationRuleNew",
     "{name: string, direction: 'push' | 'pull', registry: string," RULE_FORM},
    {"ReplicationRuleChange",
     "{name?: string, direction?: 'push' | 'pull', registry?: string," RULE_FORM},
    {"ReplicationRule",
     "{id: integer, name: string, direction: 'push' | 'pull', registry: string,"
     " repositories: string, tags: string, labels: [string], kind: 'all' | 'images' | 'artifacts',"
     " destination: string, strip_parts: integer, trigger: 'manual' | 'schedule' | 'event',"
     " schedule: string | null, mirror_deletions: boolean, with_referrers: boolean,"
     " rate_bytes: integer, enabled: boolean, created_by: string, created_at: time,"
     " next_run_at: time | null}"},
    {"ReplicationRun",
     "{id: integer, rule: string, trigger: 'manual' | 'schedule' | 'event' | 'start',"
     " started_by: string,"
     " state: 'waiting' | 'running' | 'stopping' | 'succeeded' | 'failed' | 'stopped',"
     " created_at: time, started_at: time | null, ended_at: time | null,"
     " next_try_at: time | null, tasks: integer, succeeded: integer, skipped: integer,"
     " failed: integer, moved_bytes: integer, error: string | null}"},
    {"ReplicationEvent", "ReplicationRun"},
    {"ReplicationTask",
     "{number: integer, action: 'copy' | 'delete', source: string, reference: string,"
     " destination: string,"
     " state: 'waiting' | 'running' | 'succeeded' | 'skipped' | 'failed' | 'stopped',"
     " tries: integer, next_try_at: time | null, digest: string | null, total_bytes: integer,"
     " done_bytes: integer, moved_bytes: integer, error: string | null,"
     " started_at: time | null, ended_at: time | null}"},
    {0},
};
