/* confine - puts a process into a volume and takes everything else away from it.
 *
 *   helper (root) -> volume_confine_launch: a launcher, detached, in new mount, pid, network, ipc
 * and uts namespaces whose root is the volume -> agent: a new user namespace in which 0..65535 is
 * the project's range; no capability outside, two inside; seccomp; rlimits -> volume_agent_serve
 *
 * The mount namespace belongs to the host's user namespace, so that the agent has no power over it
 * at all. Reasons: docs/decisions/0007-files-agent.md. */
#pragma once
#include "base/err.h"

#include <stdint.h>

#define VOLUME_AGENT_COMM "strata-files" /* the process name of launchers and agents */

/* Starts the files agent of volumes/<id> on `sock`, which stays the caller's. Returns at once: the
 * agent says on `sock` that it is ready, or why not. Call in a single-threaded process. */
int volume_confine_launch(const char *id, uint32_t id_base, int sock, struct err *e) MUST_USE;

/* Kills every agent whose root is the directory `volume` and waits until it has ended. `proc` is
 * /proc. ERR_UNAVAILABLE: one cannot end, so none may start. */
int volume_end_agents(int proc, const char *volume, struct err *e) MUST_USE;

/* Runs `work` in a process that is nobody's child: it outlives the caller and needs no waiting for.
 * All fds but 0-2 and `keep_fd` (or -1) are closed in it. */
int volume_detach(void (*work)(void *ctx, int fd), void *ctx, int keep_fd, struct err *e) MUST_USE;
