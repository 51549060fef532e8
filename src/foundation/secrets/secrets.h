/* secrets - write-only values of a project, encrypted at rest (AES-256-GCM) under a key file 0600.
 *
 *   PUT .../secrets/{s} -> secrets_put;    jobs -> secrets_get -> environment of the container
 *
 * Values never reach logs, argv, dumps or answers. Threads: any.
 * On disk: table `secrets(project_id, name, nonce, sealed, ...)`; the project and name are
 * authenticated with the value, so rows cannot be swapped; secrets.key 0600. */
#pragma once
#include "base/buf.h"

struct state;
struct state_schema;
struct secrets;

extern const struct state_schema secrets_schema;

/* Reads the key file, making it on first use. ERR_INVALID when others may read it; ERR_NOT_FOUND
 * when it is missing although there are secrets (a new key would make them unreadable for ever). */
struct secrets *secrets_open(struct state *s, const char *key_path, struct err *e) MUST_USE;
void secrets_close(struct secrets *s);
DEFINE_SCOPED(struct secrets, secrets_close)

/* Names: 1 to 64 of [A-Za-z0-9._-], not starting with '.' or '-'. Values: up to LIMIT_SECRET_BYTES
 * without a zero byte. At most 256 a project. `by` is shown in lists. */
int secrets_put(struct secrets *s, int64_t project_id, struct str name, struct str value,
                struct str by, struct err *e) MUST_USE;
/* The caller wipes it: explicit_bzero, buf_done. */
int secrets_get(struct secrets *s, int64_t project_id, struct str name, struct buf *value,
                struct err *e) MUST_USE;
int secrets_delete(struct secrets *s, int64_t project_id, struct str name, struct err *e) MUST_USE;
/* Names with who and when, as JSON objects in an open array; never values. `q`: the filter
 * (base/words.h), or empty. */
struct jw;
int secrets_list(struct secrets *s, int64_t project_id, struct str q, struct jw *out,
                 struct err *e) MUST_USE;
/* For values that others keep in tables of their own, such as the password of a peer: seals it for
 * `place` ("webhook/12/auth", up to SECRETS_PLACE_MAX bytes), where alone it can be opened again.
 * `sealed` is bytes. No database: also inside a transaction. */
enum { SECRETS_PLACE_MAX = 128, SECRETS_OVERHEAD = 28 };
int secrets_wrap(const struct secrets *s, struct str place, struct str value, struct buf *sealed,
                 struct err *e) MUST_USE;
/* The caller wipes it. ERR_IO: altered, of another place, or sealed under another key. */
int secrets_unwrap(const struct secrets *s, struct str place, struct str sealed, struct buf *value,
                   struct err *e) MUST_USE;
int secrets_project_gone(struct secrets *s, int64_t project_id, struct err *e) MUST_USE;
