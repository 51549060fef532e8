/* log - one line an event on standard error, for people and for grep.
 *
 *   log_info("job.started", "job=%s engine=%s", id, name);
 *   2026-11-23T18:04:37.123Z info job.started job=j-abc engine=local
 *
 * error: an operator must act. warn: we coped, and the line says how. info: state changes of user
 * objects. debug: free. Strings from outside go through Q(str), which quotes and escapes them;
 * secrets have no format. Any thread; never while holding a lock. */
#pragma once
#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
void log_set_level(enum log_level level);
/* The role in front of every event ("server", "helper"); a literal. */
void log_set_role(const char *role);
/* The request id that this thread works for, or NULL; not copied. */
void log_set_request(const char *id);

#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_event(LOG_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_event(LOG_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)

/* `s` quoted with control bytes escaped, at most 200 bytes; valid until the end of the full
 * expression's block (it lives in the caller's frame). */
struct log_quoted {
    char text[256];
};
char *log_quote(struct str s, struct log_quoted *out);
#define Q(s) log_quote((s), &(struct log_quoted){{0}})
