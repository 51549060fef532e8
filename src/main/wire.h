/* wire - the object graph of the server: every module, made in the order of the layers, and the
 * functions by which a lower one reaches a higher one. Reading wire.c is reading the architecture.
 */
#pragma once
#include "main/main_priv.h"

struct buf;
struct http_server;
struct wire;

/* `socket`: the helper's. Everything runs when this returns; http listens but does not serve yet.
 */
struct wire *wire_open(const struct boot *b, int socket, struct err *e) MUST_USE;
struct http_server *wire_http(struct wire *w);
/* Checks the registry of the current directory, which nobody serves: registry_check. */
int wire_check(const struct boot *b, unsigned flags, struct buf *json, struct err *e) MUST_USE;
/* http serves now: from here on the server scrapes itself. */
void wire_serves(struct wire *w, const struct cfg *cfg);
/* Is this the first start? Then wire_bootstrap makes the user admin with this password. */
int wire_is_first_start(struct wire *w, struct err *e) MUST_USE; /* 1, 0, -1 error */
int wire_bootstrap(struct wire *w, struct str password, struct err *e) MUST_USE;
/* The user admin with this password, an administrator and not disabled; made when missing. */
int wire_reset_admin(struct wire *w, struct str password, struct err *e) MUST_USE;
/* One round of cleaning up: unreferenced blobs, old uploads. Server's main thread. */
void wire_housekeep(struct wire *w);
/* Jobs first (no new starts), then what they stand on. Running containers keep running. */
void wire_close(struct wire *w);
