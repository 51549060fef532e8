#include "jobs/channel.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { RESIZE_BYTES = 256 };

const char *const channel_protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};

enum channel_version channel_version_of(const char *protocol)
{
    return strcmp(protocol, channel_protocols[0]) == 0 ? CHANNEL_V5 : CHANNEL_V4;
}

static int get_side(const json_t *j, const char *key, uint16_t *out, struct err *e)
{
    int64_t n = -1;

    if (json_get_i64(j, key, &n, e) < 0) {
        return -1;
    }
    if (n < 0 || n > UINT16_MAX) {
        return err_set(e, ERR_INVALID,
                       "a size of the terminal is {\"Width\":80,\"Height\":24}, 0 to 65535 each");
    }
    *out = (uint16_t)n;
    return 0;
}

static int parse_resize(struct str text, struct channel_message *out, struct err *e)
{
    SCOPED(json_decrefp) json_t *j = NULL;

    if (text.len > RESIZE_BYTES) {
        return err_set(e, ERR_INVALID, "a size of the terminal has %zu bytes", text.len);
    }
    j = json_parse(text, e);
    return j && get_side(j, "Width", &out->width, e) == 0 &&
                   get_side(j, "Height", &out->height, e) == 0
               ? 0
               : -1;
}

int channel_parse(struct str message, enum channel_version version, struct channel_message *out,
                  struct err *e)
{
    struct channel_message m = {.bytes = str_from(message, 1)};
    unsigned channel = message.len > 0 ? (unsigned char)message.p[0] : 0;

    if (message.len == 0) {
        return err_set(e, ERR_INVALID, "an empty message names no channel");
    }
    m.channel = (enum channel)channel;
    if (channel == CHANNEL_IN) {
        *out = m;
        return 0;
    }
    if (channel == CHANNEL_RESIZE) {
        if (parse_resize(m.bytes, &m, e) < 0) {
            return -1;
        }
        *out = m;
        return 0;
    }
    if (channel == CHANNEL_CLOSE && version == CHANNEL_V5 && m.bytes.len == 1) {
        m.closed = (unsigned char)m.bytes.p[0];
        *out = m;
        return 0;
    }
    return err_set(e, ERR_INVALID, "channel %u is not one that a client writes to", channel);
}

/* metav1.Status of Kubernetes, as its clients read it. */
static void put_exit_code(struct jw *w, int code)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", code);
    jw_kv_c(w, "reason", "NonZeroExitCode");
    jw_key(w, "details");
    jw_object(w);
    jw_key(w, "causes");
    jw_array(w);
    jw_object(w);
    jw_kv_c(w, "reason", "ExitCode");
    jw_kv_c(w, "message", text);
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

void channel_status_put(struct buf *out, const struct channel_end *end)
{
    struct jw w = JW(out);
    char channel = CHANNEL_STATUS;
    bool is_success = end->reason == NULL && end->exit_code == 0;

    (void)buf_add(out, str_n(&channel, 1));
    jw_object(&w);
    jw_key(&w, "metadata");
    jw_object(&w);
    jw_end(&w);
    jw_kv_c(&w, "status", is_success ? "Success" : "Failure");
    if (!is_success) {
        jw_kv_c(&w, "message", end->message);
    }
    if (end->reason) {
        jw_kv_c(&w, "reason", end->reason);
    } else if (!is_success) {
        put_exit_code(&w, end->exit_code);
    }
    jw_end(&w);
}
