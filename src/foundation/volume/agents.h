/* agents - the server's connections to files agents: started when a volume is used, kept while it
 * is, closed when idle.
 *
 * Threads: any; one request at a time goes to each agent, others of that volume wait. No lock is
 * held while an agent works. */
#pragma once
#include "volume/agent_wire.h"

struct helper_client;
struct volume_agents;

struct volume_agents *volume_agents_new(struct helper_client *h) MUST_USE;
void volume_agents_free(struct volume_agents *a); /* nobody may be in a call */
/* How long an agent started from now on may take for an answer (120 s). */
void volume_agents_set_patience(struct volume_agents *a, int64_t answer_ms);

/* One request to the agent of volume `id`. `packet` is the caller's memory for the reply, which
 * borrows from it. *fd (may be NULL) receives the descriptor or -1. An error of the agent comes
 * back as *e and in reply->err. When reply->err says ERR_NONE, no agent answered (ERR_UNAVAILABLE):
 * what was asked may have been done, or may still be done - until the next call for this volume,
 * whose agent ends the one that hangs before it does anything. */
int volume_agents_call(struct volume_agents *a, const char *id, uint32_t id_base,
                       const struct volume_request *q, struct buf *packet,
                       struct volume_reply *reply, int *fd, struct err *e) MUST_USE;
/* Ends the agent of a volume that is being removed, once it is idle. */
void volume_agents_drop(struct volume_agents *a, const char *id);
/* Closes those that nobody used for `idle_ms`. When to ask again (clock_mono_ms), or 0 when none is
 * open. */
int64_t volume_agents_close_idle(struct volume_agents *a, int64_t idle_ms);
