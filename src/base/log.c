#include "base/log.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int max_level = LOG_INFO;
static const char *role = "strata";
static _Thread_local const char *request_id;

void log_set_level(enum log_level level)
{
    atomic_store(&max_level, (int)level);
}

void log_set_role(const char *name)
{
    role = name;
}

void log_set_request(const char *id)
{
    request_id = id;
}

char *log_quote(struct str s, struct log_quoted *out)
{
    size_t n = 0;

    out->text[n++] = '"';
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (n > 200) {
            memcpy(out->text + n, "...", 3);
            n += 3;
            break;
        }
        if (c == '"' || c == '\\') {
            out->text[n++] = '\\';
            out->text[n++] = (char)c;
        } else if (c < 32 || c == 127) {
            n += (size_t)snprintf(out->text + n, 5, "\\x%02x", c);
        } else {
            out->text[n++] = (char)c;
        }
    }
    out->text[n++] = '"';
    out->text[n] = '\0';
    return out->text;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char line[2048], when[32];
    size_t n;
    va_list ap;

    if ((int)level > atomic_load(&max_level)) {
        return;
    }
    n = (size_t)snprintf(line, sizeof(line) - 1, "%s %s %s %s ",
                         clock_format(clock_wall_ms(), when), names[level], role, event);
    va_start(ap, fmt);
    n += (size_t)vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
    va_end(ap);
    if (n < sizeof(line) - 1 && request_id) {
        n += (size_t)snprintf(line + n, sizeof(line) - 1 - n, " request=%s", request_id);
    }
    n = n < sizeof(line) - 1 ? n : sizeof(line) - 2;
    line[n++] = '\n';
    (void)!write(STDERR_FILENO, line, n); /* one write: lines of two threads never mix */
}
