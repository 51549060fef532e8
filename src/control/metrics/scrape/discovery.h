/* discovery - who tells which targets there are: one of a job's static_configs, file_sd_configs,
 * ...
 *
 *   file, HTTP, DNS, Docker, Kubernetes --> groups --> changed() --> scrape's manager
 *
 * Threads: each but a static one has a thread of its own that mostly waits; discovery_groups() from
 * any (LOCK_discovery). A refresh that fails keeps what there was. Private to scrape. */
#pragma once
#include "scrape/config.h"

struct discovery;

/* Told from its thread, without a lock. */
typedef void discovery_changed(void *ctx);

/* `c` outlives it. */
struct discovery *discovery_start(const struct sd_config *c, discovery_changed *changed, void *ctx);
void discovery_stop(struct discovery *d);
/* A copy in the arena. false: nothing is known yet. `error` is of the last refresh. */
bool discovery_groups(struct discovery *d, struct arena *a, struct target_group **out, size_t *n,
                      struct str *error);

/* --- for the ways themselves (sd_*.c) --- */

/* Fills groups from the arena; `wait_ms` says when to come again. */
struct sd_turn {
    const struct sd_config *config;
    const bool *stop;
    struct arena *arena;
    struct target_group *groups;
    size_t n_groups;
};
typedef int sd_refresh(struct sd_turn *t, struct err *e);
sd_refresh sd_dns_refresh, sd_docker_refresh;
/* Runs until *d->stop; publishes itself. */
void sd_kubernetes_run(struct discovery *d);

const struct sd_config *discovery_config(const struct discovery *d);
const bool *discovery_stop_flag(const struct discovery *d);
/* Takes the arena over. */
void discovery_publish(struct discovery *d, struct arena *a, struct target_group *groups,
                       size_t n_groups);
void discovery_fail(struct discovery *d, const struct err *e);
/* Until the time is over or somebody stops it. */
void discovery_wait(struct discovery *d, int64_t ms);
