/* main - the process roles and what they share: settings, the state directory, the wiring.
 *
 *   strata up        supervisor (root, tiny): starts those below and watches them
 *     |- helper      root, no network: helper.c
 *     |- server      user strata, every socket and parser: server.c, wire.c
 *     `- exporter    user strata, the figures of this machine: exporter.c
 *
 * The supervisor forks without exec, so the roles need no path to the program. */
#pragma once
#include "base/cfg.h"

#include <sys/types.h>

#define STRATA_VERSION "0.1.0"
#define STRATA_USER "strata"
#define STRATA_DEFAULT_STATE "/var/lib/strata"

extern const struct cfg_item server_config[];
extern const struct cfg_item exporter_config[];

/* All settings tables; ends with NULL. */
extern const struct cfg_item *const all_config[];

/* What `up` hands to the roles. */
struct boot {
    const struct cfg *cfg;
    const char *state_dir; /* as the user wrote it, for messages; the current directory is it */
    char instance[17];     /* from the identity of the state directory: cgroup and /run names */
    uid_t uid;
    gid_t gid;
    bool reset_admin; /* a new password for admin, before the first start serves */
};

/* --- up.c --- */
struct up_options {
    const char *state_dir;  /* NULL: STRATA_DEFAULT_STATE */
    const char *config;     /* NULL: <state>/strata.yaml when it is there */
    const char *listen;     /* NULL: net.listen */
    const char *const *set; /* "key=value" */
    size_t n_set;
    bool reset_admin;
};
/* Runs until SIGTERM or SIGINT. Returns an exit code. */
int up_run(const struct up_options *o);
/* Settings as `strata config` and `up` see them. */
int up_load_config(const struct up_options *o, struct cfg **out, struct err *e) MUST_USE;

/* --- roles: called in the forked child, return its exit code --- */
int helper_role(const struct boot *b, int socket);
int server_role(const struct boot *b, int socket);
int exporter_role(const struct boot *b, int socket);
/* Whether its settings can be obeyed. */
int exporter_check(const struct cfg *cfg, struct err *e) MUST_USE;

/* --- confine.c --- */
/* Becomes uid/gid for good, keeps only CAP_NET_BIND_SERVICE, no new privileges. */
int confine_drop(uid_t uid, gid_t gid, struct err *e) MUST_USE;
/* From here on this process can neither fork nor exec, nor make namespaces or trace (seccomp). */
int confine_no_exec(struct err *e) MUST_USE;

/* --- statedir.c --- */
/* Makes the directory and its parts with their owners, enters it, takes its lock. *lock_fd holds
 * the lock until it is closed everywhere. ERR_CONFLICT: another server has it. */
int statedir_enter(const char *path, uid_t uid, gid_t gid, int *lock_fd, struct err *e) MUST_USE;
/* Sixteen hex digits that belong to this directory (device and inode). */
int statedir_instance(char out[17], struct err *e) MUST_USE;
/* The system user `strata`, made with useradd when missing. */
int statedir_user(uid_t *uid, gid_t *gid, struct err *e) MUST_USE;
