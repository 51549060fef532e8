/* path - what a path and a name inside a volume may be, and how names that are no UTF-8 travel.
 *
 * A path is relative to the volume's root: components separated by single slashes, each 1 to 255
 * bytes of anything but NUL and '/', neither "." nor "..", LIMIT_VOLUME_PATH_BYTES in all. The
 * first component is not VOLUME_HIDDEN. The empty path is the root. Checked by the server for a
 * good message and by the agent because it trusts nobody; neither is what keeps a path inside (the
 * kernel does, openat2(2)). Formats: docs/formats/volume.md. */
#pragma once
#include "base/buf.h"
#include "base/limits.h"
#include "volume/volume.h"

/* At the root of every volume: uploads/ holds files that are not complete, trash/ directories that
 * are being removed. Not listed, not counted, not reachable by name. */
#define VOLUME_HIDDEN ".strata"
#define VOLUME_UPLOADS VOLUME_HIDDEN "/uploads"
#define VOLUME_TRASH VOLUME_HIDDEN "/trash"

enum volume_path_kind { VOLUME_PATH_OR_ROOT, VOLUME_PATH_BELOW_ROOT };

/* ERR_INVALID says which component and why. */
int volume_path_check(struct str path, enum volume_path_kind kind, struct err *e) MUST_USE;
/* Of a volume: [a-z0-9][a-z0-9._-]*, at most LIMIT_NAME_BYTES. */
int volume_name_check(struct str name, struct err *e) MUST_USE;
/* "v-" and 10 of [a-z0-9]: one path component, never anything else. */
bool volume_id_ok(struct str id);
/* A file in uploads/: [a-z0-9-]{1,100}. */
bool volume_upload_name_ok(struct str name);

bool volume_is_utf8(struct str s); /* RFC 3629: no overlong forms, no surrogates */
/* RFC 3986: unreserved bytes as they are, all others as %XX. Slashes stay. */
int volume_percent_add(struct buf *b, struct str s);
/* ERR_INVALID for a broken escape. */
int volume_percent_decode(struct str s, struct buf *out, struct err *e) MUST_USE;
