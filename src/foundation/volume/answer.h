/* answer - small pieces of JSON answers. */
#pragma once
#include "base/json.h"

/* "key": name, and when it is no UTF-8 also "key_raw": its bytes, percent-encoded as in a URL; then
 * "key" has U+FFFD where the bytes cannot be shown. */
void volume_json_name(struct jw *w, const char *key, struct str name);
