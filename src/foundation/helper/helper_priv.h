/* helper_priv - frames on the socket, shared by both ends and the fuzz target.
 *
 *    0      1      2      4        8          16
 *    +------+------+------+--------+----------+---------------------+
 *    | kind | flags| code | length | call id  | payload (inline)    |   all little endian
 *    +------+------+------+--------+----------+---------------------+
 *
 * One packet is one frame. A payload larger than HELPER_INLINE_BYTES travels in a sealed memfd, the
 * first descriptor of the packet; the descriptor of the caller comes after it. */
#pragma once
#include "helper/helper.h"

#define HELPER_HEAD_BYTES 16
#define HELPER_INLINE_BYTES 61440
#define HELPER_FDS_MAX 2

enum frame_kind { FRAME_CALL = 1, FRAME_REPLY, FRAME_ERROR, FRAME_EVENT, FRAME_KINDS };

enum frame_flag {
    FRAME_IN_MEMFD = 1, /* the payload is in the first descriptor */
    FRAME_HAS_FD = 2,   /* one more descriptor belongs to the message */
    FRAME_FLAGS = 3
};

struct frame {
    enum frame_kind kind;
    unsigned flags;
    unsigned code; /* call: operation; error: enum err_kind; event: enum helper_event */
    uint64_t id;
    uint32_t length;
    struct str payload;
    int fd;         /* owned; -1 when there is none */
    struct buf big; /* holds the payload that came in a memfd */
};

void frame_done(struct frame *f);

/* The fixed part alone. Parsing checks kind, flags and that the length agrees with the packet. */
void frame_put_head(const struct frame *f, unsigned char out[HELPER_HEAD_BYTES]);
int frame_parse(struct str packet, struct frame *out, struct err *e) MUST_USE;

/* Sends one frame; f->fd stays the caller's. ERR_LIMIT past HELPER_PAYLOAD_MAX; ERR_UNAVAILABLE
 * when the other end is gone; with MSG_DONTWAIT errno EAGAIN is in e->sys. */
int frame_send(int sock, struct frame *f, int msg_flags, struct err *e) MUST_USE;
/* Receives one frame into `room` (HELPER_HEAD_BYTES + HELPER_INLINE_BYTES), which the payload
 * borrows from. 1 got one, 0 the other end closed, -1 a bad packet (its descriptors are closed) or
 * a socket error. e->sys is 0 for a bad packet. */
int frame_receive(int sock, char *room, int msg_flags, struct frame *out, struct err *e) MUST_USE;
#define FRAME_ROOM (HELPER_HEAD_BYTES + HELPER_INLINE_BYTES)

/* An error as a payload, and back. */
void frame_put_err(struct buf *b, const struct err *e);
void frame_get_err(unsigned code, struct str payload, struct err *e);
