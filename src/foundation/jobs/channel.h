/* channel - the messages of a shell: Kubernetes' channel protocol over WebSocket
 * (v4.channel.k8s.io, and v5.channel.k8s.io with a message that closes a channel).
 *
 *    +---------+---------------------+
 *    | channel | bytes               |   one binary message; its first byte is the channel
 *    +---------+---------------------+
 *
 * Pure functions. On the wire: docs/formats/exec.md. */
#pragma once
#include "base/buf.h"

enum channel {
    CHANNEL_IN = 0,
    CHANNEL_OUT = 1,
    CHANNEL_ERR = 2,
    CHANNEL_STATUS = 3, /* a JSON Status: how it ended */
    CHANNEL_RESIZE = 4, /* {"Width":80,"Height":24} */
    CHANNEL_CLOSE = 255 /* v5: the next byte is a channel that ends */
};

enum channel_version { CHANNEL_V4 = 4, CHANNEL_V5 = 5 };
/* Names for http_ws_subprotocol, and the version of one of them. */
extern const char *const channel_protocols[];
enum channel_version channel_version_of(const char *protocol);

/* What a client may send. */
struct channel_message {
    enum channel channel; /* IN, RESIZE or CLOSE */
    struct str bytes;     /* IN: of the message */
    uint16_t width, height;
    unsigned char closed;
};
int channel_parse(struct str message, enum channel_version version, struct channel_message *out,
                  struct err *e) MUST_USE;

/* How a shell ended, for CHANNEL_STATUS. */
struct channel_end {
    int exit_code; /* when reason is NULL */
    const char
        *reason; /* "Gone", "Forbidden", "BadRequest", "InternalError": it did not end itself */
    const char *message;
};
/* With the channel's byte in front. */
void channel_status_put(struct buf *out, const struct channel_end *end);
