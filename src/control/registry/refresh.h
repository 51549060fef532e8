/* refresh - what a refresh token carries: the very credentials it was made from, sealed with our
 * key (AES-256-GCM). So it is worth exactly as much as they are: a changed password, a revoked
 * personal token or a disabled user ends it at once, and nothing about it is stored. The client
 * would keep them in plain text otherwise. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

struct jwt_key;

/* Appends base64url text. The user's name is bound to it but not hidden. */
int refresh_seal(const struct jwt_key *k, struct str user, struct str password, struct buf *out,
                 struct err *e) MUST_USE;
/* The password, in the arena. ERR_UNAUTHENTICATED when it is not what was sealed. */
int refresh_open(const struct jwt_key *k, struct arena *a, struct str user, struct str sealed,
                 struct str *password, struct err *e) MUST_USE;
